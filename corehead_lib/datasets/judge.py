"""What a model writes by itself, judged by its dataset's own score. Generation, so slower than ``evaluate``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from corehead_lib.datasets.boxes import ASKED, Convention, convention
from corehead_lib.datasets.document_metrics import doc_f1
from corehead_lib.datasets.scores import SCORES, score_of
from corehead_lib.encode import Batch, encode_all
from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.evaluate import ends
from corehead_lib.models import LoadedModel
from corehead_lib.progress import watched
from corehead_lib.samples import Box, Clip, Sample

GREEDY: dict[str, Any] = {"do_sample": False, "num_beams": 1, "repetition_penalty": 1.0, "use_cache": True}
GREEDY |= {"temperature": None, "top_p": None, "top_k": None}  # what a checkpoint's own settings may hold


def judge(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    score: str = "",
    max_new_tokens: int = 64,
    batch_size: int = 8,
    progress: bool = False,
    max_pixels: int = 0,
) -> pd.DataFrame:
    """Let the model answer greedily, and score what it writes as the samples' dataset does (``scores.OF``).

    It runs inside operators, as any generation. Questions for boxes are asked in the model's own units (``in_its_units``).
    score: one of ``scores.SCORES`` for all samples, in place of their dataset's.
    max_new_tokens: longest answer; one that does not end by then is judged as far as it goes.
    max_pixels: of each picture and frame, as in ``encode``.

    Returns a row for each sample: ``id``, ``task``, ``group``; ``rule``, the score's name; ``gold`` and ``text``, what
    is asked for and what was written; ``ended``; ``parsed``, whether the text could be read at all; ``overlap``, the IoU of
    boxes or times (NaN for others); ``score`` in [0, 1], 0 where nothing could be read; ``refused``, the reason why a sample could not be
    asked, with NaN as score, else "". ``summary`` adds them up.

    Raises CoreheadError for an unknown ``score``, and for samples all of which are refused.
    """
    if score and score not in SCORES:
        raise CoreheadError(f"There is no score {score!r}.{did_you_mean(score, SCORES)}")
    if max_new_tokens < 1 or batch_size < 1 or not samples:
        raise CoreheadError("judge needs a sample, a batch and an answer of one token at least.")
    starts = range(0, len(samples), batch_size)
    rows = []
    for start in watched(starts, "judge", progress):
        rows += judge_batch(loaded, samples[start : start + batch_size], score, max_new_tokens, max_pixels)
    table = pd.DataFrame(rows)
    if (table.refused != "").all():
        raise CoreheadError(f"No sample could be asked: {table.refused.iloc[0]}")
    return table


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Add up what ``judge`` returns: a row for each rule and task; MLVU's M-Avg is the mean of its column ``score``.

    Columns: ``samples`` (those that were asked), ``refused``, ``unparsable``, ``score`` (mean over samples, unparsable ones as 0:
    the dataset's own), ``score_parsed`` (mean over those that could be read), ``overlap`` (mean IoU, unparsable ones as 0), and
    ``f1``, MMLongBench-Doc's, which weighs answerable and unanswerable questions; it is the same for all document tasks.
    """
    rows = []
    for (rule, task), part in table.groupby(["rule", "task"], sort=False):
        asked = part[part.refused == ""]
        rows.append(
            {
                "rule": rule,
                "task": task,
                "samples": len(asked),
                "refused": len(part) - len(asked),
                "unparsable": int((~asked.parsed).sum()),
                "score": asked.score.mean(),
                "score_parsed": asked.score[asked.parsed].mean(),
                "overlap": asked.overlap.fillna(0).mean() if SCORES[str(rule)].overlap else np.nan,
            }
        )
    documents = table[(table.rule == "document") & (table.refused == "")]
    f1 = doc_f1(*(list(documents[c]) for c in ("score", "gold", "text"))) if len(documents) else np.nan
    return pd.DataFrame(rows).assign(f1=lambda t: np.where(t.rule == "document", f1, np.nan))


def in_its_units(loaded: LoadedModel, sample: Sample, max_pixels: int = 0) -> tuple[Sample, Convention]:
    """Ask for a box, and give the gold box, in the units that this model's family writes boxes in.

    The convention that is returned reads such answers back. Raises CoreheadError for a sample without one box in a
    picture, and for a family whose units are not known.
    """
    box = next((piece for piece in sample.evidence if isinstance(piece, Box)), None)
    if box is None or isinstance(sample.media[box.item], Clip):
        raise CoreheadError(
            f"{sample.id}: there is no box in a picture that an answer could be compared with."
        )
    picture = sample.media[box.item]
    assert not isinstance(picture, Clip)
    how = convention(loaded, picture.size, max_pixels)
    question = sample.question.strip().rstrip(".").removesuffix(" in pixels")
    gold = how.write(box.corners)
    return replace(sample, question=f"{question}, {ASKED[how.kind]}.", answer=gold), how


def judge_batch(
    loaded: LoadedModel, samples: Sequence[Sample], score: str, tokens: int, max_pixels: int
) -> list[dict[str, Any]]:
    """The rows of ``judge`` for one batch; a sample that cannot be asked is refused, the others go on."""
    rows: list[dict[str, Any]] = []
    asked: list[tuple[dict[str, Any], Sample, Convention | None]] = []
    for sample in samples:
        row: dict[str, Any] = {
            "id": sample.id,
            "task": sample.task,
            "group": sample.group,
            "rule": "",
            "text": "",
        }
        row |= {"ended": False, "parsed": False, "overlap": np.nan, "score": np.nan, "refused": ""}
        rows.append(row)
        try:
            row["rule"] = score or score_of(sample)
            box = row["rule"] == "box"
            own, how = in_its_units(loaded, sample, max_pixels) if box else (sample, None)
            row["gold"] = own.answer
            asked.append((row, own, how))
        except CoreheadError as error:
            row["refused"] = str(error)
    written = _answers(loaded, [sample for _, sample, _ in asked], tokens, max_pixels)
    for (row, sample, how), answer in zip(asked, written, strict=True):
        rule = SCORES[row["rule"]]
        if isinstance(answer, CoreheadError):
            row["refused"] = str(answer)
            continue
        row["text"], row["ended"] = answer
        value, row["score"] = rule.judge(row["text"], sample, how)
        row["parsed"] = value is not None
        row["overlap"] = value if rule.overlap and value is not None else np.nan
    return rows


def _answers(
    loaded: LoadedModel, samples: Sequence[Sample], tokens: int, max_pixels: int
) -> list[tuple[str, bool] | CoreheadError]:
    """What is written about each sample, and whether it ended; or why the sample cannot be asked."""
    if not samples:
        return []
    try:
        batches = encode_all(loaded, samples, len(samples), max_pixels=max_pixels)
        return [answer for batch in batches for answer in _generated(loaded, batch, tokens)]
    except CoreheadError as error:
        if len(samples) == 1:
            return [error]
        return [a for sample in samples for a in _answers(loaded, [sample], tokens, max_pixels)]


def _generated(loaded: LoadedModel, batch: Batch, tokens: int) -> list[tuple[str, bool]]:
    stops, length = ends(loaded), batch.inputs["input_ids"].shape[1]
    with torch.inference_mode():
        written = loaded.model.generate(
            **batch.inputs, **GREEDY, max_new_tokens=tokens, eos_token_id=stops, pad_token_id=stops[0]
        )[:, length:].tolist()
    found = []
    for row in written:
        end = next((i for i, token in enumerate(row) if token in stops), None)
        text = loaded.processor.tokenizer.decode(row[:end], skip_special_tokens=True)
        found.append((text.strip(), end is not None))
    return found
