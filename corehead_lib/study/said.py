"""What is said in the place of the right answer: another one that could have been, or nothing of the kind."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from corehead_lib.models import LoadedModel
from corehead_lib.samples import Sample


def said(loaded: LoadedModel, table: pd.DataFrame, samples: Sequence[Sample]) -> np.ndarray:
    """Sort what would be written in each row of ``outcomes`` on ``samples``, by its first token.

    Returns (rows,) words: "right"; "shown", another answer that the sample's media show; "other", another that its task can have, or
    any where it names none; "none", no such answer. The first token of the right one without the rest and the end counts as "none".
    """
    texts = {text for s in samples for text in (*s.visible, *s.options, s.answer)}
    token = {t: loaded.processor.tokenizer(t, add_special_tokens=False)["input_ids"][:1] for t in texts}
    known = {}
    for s in samples:
        shown, other = ({n for text in part for n in token[text]} for part in (s.visible, s.options))
        known[s.id] = set(token[s.answer]), shown, other
    found = []
    for correct, name, first in zip(table.correct, table.id, table["first"], strict=True):
        gold, shown, other = known[name]
        if correct or first in gold:
            found.append("right" if correct else "none")
        elif first in shown:
            found.append("shown")
        else:
            found.append("other" if first in other or not (shown or other) else "none")
    return np.array(found)
