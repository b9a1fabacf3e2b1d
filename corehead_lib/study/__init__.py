"""Experiments on sets of heads, as tidy tables: what does the model still know without them, and is it retrieval that it lost?"""

from corehead_lib.study.compare import able, verdicts
from corehead_lib.study.controls import controls
from corehead_lib.study.likeness import likeness
from corehead_lib.study.overlooked import overlooked
from corehead_lib.study.patching import other_picture, other_question, patching, with_partners
from corehead_lib.study.portrait import portrait
from corehead_lib.study.said import said
from corehead_lib.study.sets import (
    UNTOUCHED,
    Intervention,
    Sets,
    by_task,
    first_heads,
    outcomes,
    until_half,
)
from corehead_lib.study.shifted import shifted_targets
from corehead_lib.study.summary import Difference, difference, summarise

__all__ = [
    "UNTOUCHED",
    "Difference",
    "Intervention",
    "Sets",
    "able",
    "by_task",
    "controls",
    "difference",
    "first_heads",
    "likeness",
    "other_picture",
    "other_question",
    "outcomes",
    "overlooked",
    "patching",
    "portrait",
    "said",
    "shifted_targets",
    "summarise",
    "until_half",
    "verdicts",
    "with_partners",
]
