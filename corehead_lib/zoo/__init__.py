"""The tiny models that ship with the package, one folder each, as ``save_pretrained`` writes it, with a card."""

from pathlib import Path

ZOO = Path(__file__).parent


def treated(name: str) -> bool:
    """Whether a shipped model was trained with a price on looking, as its card says; False for models from elsewhere."""
    card = ZOO / name / "README.md"
    return card.exists() and "price on looking" in card.read_text(encoding="utf-8").lower()
