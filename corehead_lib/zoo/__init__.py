"""The tiny models that ship with the package, one folder each, as ``save_pretrained`` writes it, with a card."""

import re
from pathlib import Path

import yaml

ZOO = Path(__file__).parent
RECIPES = ZOO / "training" / "recipe.yaml"


def treated(name: str) -> bool:
    """Whether a shipped model was trained with a price on looking, as its card says; False for models from elsewhere."""
    card = ZOO / name / "README.md"
    return card.exists() and "price on looking" in card.read_text(encoding="utf-8").lower()


def began_as_one(one: str, other: str) -> bool:
    """Whether two shipped models were the same model at first: same seed, and recipes that agree up to their first stage.

    So say their cards and recipe.yaml; False for models from elsewhere, of which nobody knows.
    """
    start = _start(one)
    return start is not None and start == _start(other)


def trained_by(name: str) -> tuple[str, int] | None:
    """The recipe and the seed that a shipped model's card names; None for models from elsewhere."""
    card = ZOO / name / "README.md"
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    told = re.search(r"^- \*\*Recipe\*\*: `([\w.-]+)` in .*, seed (\d+):", text, re.M)
    return (told[1], int(told[2])) if told else None


def _start(name: str) -> tuple[int, dict] | None:
    """The seed, and the recipe with the first stage alone, that a card names."""
    told = trained_by(name)
    if told is None:
        return None
    recipe = yaml.safe_load(RECIPES.read_text(encoding="utf-8"))[told[0]]
    train = {**recipe["train"], "stages": recipe["train"]["stages"][:1]}
    return told[1], {**recipe, "train": train}
