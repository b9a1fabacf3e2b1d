"""Files of heads to exchange: our rankings written as an open JSON, and those that others published read beside them.

Our format, version 1, is one JSON object; heads and layers count from zero, and a head is a *query* head of the language model:

    format    "corehead-heads"
    version   1
    model     the model's name or hub id
    measure   what the score is, such as "RAM"
    layers    how many layers the model has, or null
    heads     how many query heads a layer has, or null
    ranking   best first, [{"layer": 13, "head": 29, "score": 0.73}, ...]; all heads or the first ones, "score" may be null
    about     an object with anything else: dataset, split, rows, checksums, ...

Read, too: ``head_score/*.json`` of github.com/nightdessert/Retrieval_Head (arXiv 2404.15574), {"layer-head": [score, ...]}; and
``configs/retriever/*.json`` of github.com/ab-cli/MMRetHead (arXiv 2605.27243), {"head_score_list": [["layer-head", score], ...]}.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import hypergeom

from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head, HeadScores, agreement

FORMAT, VERSION = "corehead-heads", 1
NAMED = re.compile(r"(\d+)-(\d+)")


@dataclass(frozen=True)
class HeadFile:
    """Heads in order, best first, with their scores (None where a list gives none)."""

    model: str
    measure: str
    ranking: tuple[tuple[Head, float | None], ...]
    layers: int | None = None
    heads: int | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = [head for head, _ in self.ranking]
        most = (self.layers or np.inf, self.heads or np.inf)
        beyond = [head for head in named if not (0 <= head.layer < most[0] and 0 <= head.head < most[1])]
        if not named or len(set(named)) < len(named) or beyond:
            what = f"{beyond[0]} lies outside of the model" if beyond else "no head, or one of them twice"
            raise CoreheadError(f"A ranking of {self.model!r} holds {what}.")

    @classmethod
    def of(cls, scores: HeadScores, measure: str = "RAM") -> "HeadFile":
        """All heads of a model by score; the provenance's "model" is its name, the rest goes into ``about``."""
        about = dict(scores.provenance)
        name = str(about.pop("model", ""))
        ranked = tuple((head, float(scores.score[head])) for head in scores.ranking())
        layers, heads = scores.score.shape
        return cls(name, measure, ranked, layers, heads, about)

    @property
    def scores(self) -> HeadScores | None:
        """The score of every head, or None where the file does not have them all."""
        if not self.layers or not self.heads or len(self.ranking) < self.layers * self.heads:
            return None
        score = np.full((self.layers, self.heads), np.nan)
        for head, value in self.ranking:
            score[head] = np.nan if value is None else value
        return HeadScores(score, {"model": self.model}) if np.isfinite(score).all() else None

    def save(self, path: Path) -> None:
        """Write version 1 of the format above."""
        said = {"format": FORMAT, "version": VERSION, "model": self.model, "measure": self.measure}
        said |= {"layers": self.layers, "heads": self.heads, "about": self.about}
        ranking = [{"layer": h.layer, "head": h.head, "score": score} for h, score in self.ranking]
        path.write_text(json.dumps({**said, "ranking": ranking}, indent=1))

    @classmethod
    def load(cls, path: Path) -> "HeadFile":
        """Read our format, or one of the two published ones; CoreheadError if it is none of them."""
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            if said.get("format") == FORMAT and said["version"] == VERSION:
                ranked = tuple((Head(one["layer"], one["head"]), one["score"]) for one in said["ranking"])
                return cls(
                    said["model"], said["measure"], ranked, said["layers"], said["heads"], said["about"]
                )
            if "head_score_list" in said:
                about = said.get("args", {})
                return _published(path, said["head_score_list"], "MMRetHead", str(about.get("model", "")))
            means = [(name, float(np.mean(values))) for name, values in said.items()]
            return _published(path, means, "copying (Retrieval_Head)", path.stem)
        except CoreheadError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CoreheadError(f"{path} holds no ranking of heads that is known here: {error!r}.") from error


def _published(path: Path, named: list, measure: str, model: str) -> HeadFile:
    found = []
    for name, score in named:
        match = NAMED.fullmatch(name)
        if not match:
            raise CoreheadError(
                f"{path}: {name!r} is no head, which would be written layer-head, such as 13-29."
            )
        found.append((Head(int(match[1]), int(match[2])), float(score)))
    found.sort(key=lambda pair: -(pair[1] or 0))  # stable: equal scores stay as they stand
    layers, heads = (1 + max(head[i] for head, _ in found) for i in (0, 1))
    whole = len(found) == layers * heads
    return HeadFile(model, measure, tuple(found), layers if whole else None, heads if whole else None)


class Shared(NamedTuple):
    """What two lists have in common."""

    top: int  # heads looked at in each
    shared: int
    expected: float  # by luck; NaN if nobody says how many heads there are
    p: float  # of as many or more by luck, one-sided
    spearman: float  # over all heads; NaN if a list is not complete


def compare(one: HeadFile, other: HeadFile, top: int) -> Shared:
    """Compare the first ``top`` heads of two files, and, where both have all heads, the whole order.

    Raises CoreheadError if the models differ in shape, and if ``top`` is more than the shorter list has.
    """
    most = min(len(one.ranking), len(other.ranking))
    if not 1 <= top <= most:
        raise CoreheadError(f"top={top}: the shorter of the two lists has {most} heads.")
    shapes = {(f.layers, f.heads) for f in (one, other) if f.layers and f.heads}
    if len(shapes) > 1:
        raise CoreheadError(f"Models of {' and '.join(map(str, sorted(shapes)))} heads cannot be compared.")
    first, second = ({head for head, _ in f.ranking[:top]} for f in (one, other))
    shared, (size,) = len(first & second), [a * b for a, b in shapes] or [0]
    luck = hypergeom(size, top, top) if size >= top else None
    whole = one.scores, other.scores
    spearman = agreement(whole[0], whole[1], top).spearman if whole[0] and whole[1] else np.nan
    p = float(luck.sf(shared - 1)) if luck else np.nan
    return Shared(top, shared, top * top / size if size else np.nan, p, spearman)
