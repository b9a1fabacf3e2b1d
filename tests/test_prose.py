"""The check of spelling and grammar sees mistakes, and reads no code."""

from pathlib import Path

import pytest
from prose import complaints, prose


@pytest.mark.parametrize(
    "wrong", ["Teh head looks.", "The the head looks.", "An head looks.", "He go there."]
)
def test_a_mistake_is_found(wrong: str) -> None:
    assert complaints({"right": "The head looks.", "wrong": wrong})
    assert not list(complaints({"right": "The head looks."}))


def test_what_is_read(tmp_path: Path) -> None:
    page = tmp_path / "00_x.py"
    page.write_text(
        "# ---\n# jupyter: teh\n# ---\n\n# %% [markdown]\n# A {term}`RAM` of {glue:text}`teh:.2f` in `teh`.\n#\n"
        "# ```{glue:figure} teh\n# :name: fig-teh\n# :alt: A line falls.\n#\n# A caption.\n# ```\n\n# %%\nteh = 1  # teh\n"
    )
    read = prose(page)
    assert "teh" not in read
    assert read.split() == "A RAM of 7 in Smith. A line falls. A caption.".split()


def test_text_between_figures_is_read(tmp_path: Path) -> None:
    """The closing fence of one figure is not the opening fence of code that ends at the next figure."""
    page = tmp_path / "00_x.py"
    figure = "# ```{glue:figure} teh\n# A caption.\n# ```\n"
    page.write_text(f"# %% [markdown]\n{figure}# Between.\n{figure}# Behind.\n# ```python\n# teh\n# ```\n")
    assert prose(page).split() == "A caption. Between. A caption. Behind.".split()
