"""The book reads like one: short cells, little visible code, more prose than code; `python tests/counts.py` shows the table."""

from statistics import median

import pytest
from counts import counted, sentences, sizes, table

BEFORE = 3113  # visible lines in the nine chapters of commit e654a86, before they were rewritten, by the same count
REWRITTEN = ("01", "02", "03", "04", "05", "06", "07", "08", "10", "13")
FOUND = table()


@pytest.mark.parametrize("chapter", FOUND.index)
def test_cells_are_short_and_narrow(chapter: str) -> None:
    row = FOUND[FOUND.index == chapter].iloc[0]
    assert row["longest"] <= 10
    assert row["columns"] <= 80
    assert row["visible"] <= 160


def test_the_middle_cell_has_seven_lines() -> None:
    assert median(sizes(FOUND)) <= 7


def test_a_third_of_the_visible_code_is_left() -> None:
    same = FOUND[FOUND.index.str[:2].isin(REWRITTEN)]
    assert len(same) == len(REWRITTEN)
    assert same.visible.sum() <= BEFORE / 3


def test_prose_outweighs_code() -> None:
    assert FOUND.words.sum() >= 8 * FOUND.visible.sum()


def test_code_writes_few_sentences() -> None:
    assert FOUND["sentences"].sum() < 0.03 * FOUND.lines.sum()
    assert FOUND["f-strings"].sum() < 0.03 * FOUND.visible.sum()


def test_what_counts(tmp_path_factory: pytest.TempPathFactory) -> None:
    master = tmp_path_factory.mktemp("counts") / "00_x.py"
    cells = [
        '# %% tags=["parameters"]\na: int = 1  # help',
        "# %% [markdown]\n# Two *words*, {term}`RAM`.\n# ```{note}\n# :class: dropdown\n# three\n# ```",
        "# %%\n# a comment\n\nb = a\nc = b",
        '# %% tags=["hide-input"]\nprint(f"a sentence of {b} written by code")',
        "# %% [markdown]\n# ```{solution-start} ex-a\n# ```",
        "# %%\nd = b\ne = c\nf = d",
        "# %% [markdown]\n# ```{solution-end}\n# ```",
    ]
    head = "# ---\n# jupyter:\n#   kernelspec:\n#     name: python3\n#     display_name: Python 3\n# ---\n\n"
    master.write_text(head + "\n\n".join(cells))
    found = counted(master)
    assert found["sizes"] == [2, 3]
    assert found["visible"] == 3  # a solution is folded
    assert found["lines"] == 7
    assert found["words"] == 4
    assert found["sentences"] == 1
    assert not sentences('f"{a:.2f} {b}"\nf"{a} of {b}"')
