"""The head explorer: choose a sample, a query token and two heads, see where they look. No kernel and no network needed.

Everything that can be chosen is computed beforehand and travels in one piece of HTML (``explorer.html`` and its
data), so that it works alike in Jupyter and on a page of the book.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from corehead_lib.answers import Queries
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.explorer_sample import shown_of
from corehead_lib.heads import Head, HeadScores
from corehead_lib.models import LoadedModel
from corehead_lib.ram import mass
from corehead_lib.samples import Sample
from corehead_lib.targets import Overlap

TEMPLATE = Path(__file__).with_suffix(".html")
ONE, ROOT = 65535, 255  # 1 as it is stored: a sum of weights, and the square root of a weight


@dataclass(frozen=True)
class Explorer:
    """What ``explorer`` returns; Jupyter shows its HTML."""

    samples: int
    heads: int
    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def explorer(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    scores: HeadScores,
    *,
    queries: Literal["last", "question", "answer"] = "last",
    overlap: Overlap = "any",
    label: str = "RAM",
    budget: int = 1_000_000,
) -> Explorer:
    """Show where heads look in a few samples with evidence: pictures, pages, frames of a clip, or text.

    scores: rank the heads; they are shown under the name ``label``.
    queries: whose attention is shown first, as in ``measure_ram``; each token of question and answer can be chosen.
    overlap: which cells are the target, as in ``target_cells``.
    budget: bytes of HTML, about. If not all heads fit with every query token, single tokens go first; if they still do not, it holds
        the best, the worst and random others, a third each, and of the rest only their sums.

    Sums are exact to 1e-5, a weight w to sqrt(w) / 255. Raises CoreheadError for scores of another model, for samples without
    evidence, and if not even three heads fit.
    """
    geometry = (loaded.backbone.layers, loaded.backbone.heads)
    if scores.score.shape != geometry:
        raise CoreheadError(f"Scores of {scores.score.shape} heads do not belong to a model of {geometry}.")
    batches = [encode(loaded, [sample]) for sample in samples]
    shown = [shown_of(batch) for batch in batches]
    rows = [query_tokens(loaded, batch) for batch in batches]
    places = [batch.source[0].nonzero().flatten() for batch in batches]
    left = (budget - len(json.dumps(shown))) * 3 // 4  # four characters of base64 hold three bytes
    if _room(left, rows, places, scores.score.size) < scores.score.size:
        rows = [{name: row for name, row in named.items() if isinstance(row, str)} for named in rows]
    room = _room(left, rows, places, scores.score.size)
    if not samples or room < 3:
        raise CoreheadError(
            f"{len(samples)} samples with {sum(map(len, places))} cells and tokens do not fit into {budget} bytes: "
            "show at least one, fewer or shorter ones, or raise the budget."
        )
    kept = some_heads(scores.ranking(), room)
    layer, head = np.array([place for place, _ in kept]).T
    for entry, batch, place, named in zip(shown, batches, places, rows, strict=True):
        with_first = torch.cat([place, place.new_zeros(1)])
        weights = attention_to(loaded, batch, with_first, [*named.values()])  # (Q, N + 1, layers, heads)
        weights, sink = weights[:, :-1], weights[:, -1] * (place[0] > 0).item()
        target = batch.targets(overlap)[0, place].cpu().numpy()
        sums = np.stack([weights[:, target].sum(1), weights[:, ~target].sum(1), sink], -1)
        named_so = [
            row for row, query in enumerate(named.values()) if isinstance(query, str) and query == queries
        ]
        entry["target"] = target.nonzero()[0].tolist()
        entry["rows"], entry["row"] = list(named), (named_so or [len(named) - 1])[0]
        entry["sums"] = _packed(
            sums * ONE, "<u2"
        )  # (Q, layers, heads, 3): evidence, other source, first token
        entry["weights"] = _packed(
            weights[:, :, layer, head].swapaxes(1, 2) ** 0.5 * ROOT, "u1"
        )  # (Q, kept, N)
    data = {
        "label": label,
        "shape": geometry,
        "scores": np.round(scores.score, 4).ravel().tolist(),
        "ranking": [place.layer * geometry[1] + place.head for place in scores.ranking()],
        "kept": [place.layer * geometry[1] + place.head for place, _ in kept],
        "samples": shown,
    }
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    return Explorer(len(samples), len(kept), TEMPLATE.read_text(encoding="utf-8").replace("__DATA__", text))


def _room(left: int, rows: list[dict[str, Queries]], places: list[torch.Tensor], heads: int) -> int:
    """How many heads' weights fit into ``left`` bytes beside the sums of all ``heads``."""
    left -= sum(6 * heads * len(named) for named in rows)
    return left // max(1, sum(len(named) * len(place) for named, place in zip(rows, places, strict=True)))


def _packed(values: np.ndarray, kind: str) -> str:
    return b64encode(np.rint(values).astype(kind).tobytes()).decode()


def query_tokens(loaded: LoadedModel, batch: Batch) -> dict[str, Queries]:
    """The rows that can be chosen in the one sample of ``batch``, by what they are called there.

    Single tokens are masks, (1, T) or with the answer behind (1, T + A); sets of them are named as in ``query_rows``.
    """
    length, answer = batch.last.shape[1], batch.answers[0]
    ids = torch.cat([batch.inputs["input_ids"][0].cpu(), torch.tensor(answer, dtype=torch.int64)])

    def token(place: int) -> tuple[str, torch.Tensor]:
        mask = torch.zeros(
            1, len(ids) if place >= length else length, dtype=torch.bool, device=batch.last.device
        )
        mask[0, place] = True
        return loaded.processor.tokenizer.decode(ids[place : place + 1]).strip(), mask

    asked = batch.question[0].nonzero().flatten().tolist()
    found: dict[str, Queries] = {f"question, mean of its {len(asked)} tokens": "question"}
    for number, place in enumerate(asked):
        text, mask = token(place)
        found[f"question, token {number + 1}: {text}"] = mask
    found["last prompt token, where the answer begins"] = "last"
    for number in range(len(answer) - 1):  # the last one predicts nothing of the answer
        text, mask = token(length + number)
        found[f"answer, token {number + 1}: {text}"] = mask
    if len(answer) > 1:
        found[f"answer, mean of the {len(answer)} rows that it is written from"] = "answer"
    return found


def attention_to(
    loaded: LoadedModel, batch: Batch, places: torch.Tensor, queries: Queries | Sequence[Queries] = "last"
) -> np.ndarray:
    """Attention to each of N places in the one sequence of ``batch``: (N, layers, heads).

    It is RAM with every place as a target of its own, in a single forward pass. A sequence of Q queries adds Q as first dimension.
    """
    every = torch.zeros(len(places), *batch.last.shape, dtype=torch.bool, device=places.device)
    every[torch.arange(len(places)), 0, places] = True
    return mass(loaded, batch, every, queries)[..., 0, :, :]


def some_heads(ranking: list[Head], room: int) -> list[tuple[Head, int]]:
    """Heads with their ranks, from 1: all, or a third from the top, a third from the bottom, and random others."""
    ranked = [(head, rank + 1) for rank, head in enumerate(ranking)]
    if len(ranked) <= room:
        return ranked
    third = room // 3
    middle = ranked[third:-third]
    drawn = np.random.default_rng(0).choice(len(middle), room - 2 * third, replace=False)
    return ranked[:third] + [middle[i] for i in sorted(drawn)] + ranked[-third:]
