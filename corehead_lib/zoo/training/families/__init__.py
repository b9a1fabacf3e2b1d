"""How each model family is put together from transformers' own classes: one file, three verbs, each.

``TOKENS`` are the special tokens, the first one pads and ends texts; ``NAMED`` gives some of them the names
under which the family's processor looks them up in the tokenizer. ``processor(tokenizer, recipe)`` and
``model(tokenizer, recipe)`` use the sizes of ``recipe``, under the names that transformers gives them.
"""

from types import ModuleType

from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.zoo.training.families import internvl, llava_onevision, qwen3_vl

FAMILIES: dict[str, ModuleType] = {
    "qwen3_vl": qwen3_vl,
    "internvl": internvl,
    "llava_onevision": llava_onevision,
}


def find_family(name: str) -> ModuleType:
    """Return the family's file; CoreheadError for a name without one."""
    if name not in FAMILIES:
        raise CoreheadError(f"There is no family {name!r} to build.{did_you_mean(name, FAMILIES)}")
    return FAMILIES[name]
