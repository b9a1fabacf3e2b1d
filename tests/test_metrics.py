"""The datasets' scores on cases worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corehead_lib.datasets import document_metrics as d
from corehead_lib.datasets import metrics as m
from corehead_lib.errors import CoreheadError


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("The answer is (C) because A is wrong.", "C"),
        ("Answer: D", "D"),
        ("Not A, rather B.", "B"),
        ("I cannot tell", None),
        ("E", None),  # there are four options
        ("", None),
    ],
)
def test_the_letter_that_a_text_settles_on(text: str, letter: str | None) -> None:
    assert m.chosen_letter(text, 4) == letter


def test_a_short_answer_may_stand_inside_a_sentence() -> None:
    assert m.substring_match("It is The Eiffel-Tower, in Paris!", ["Louvre", "the Eiffeltower"])
    assert not m.substring_match("It is a tower.", ["the Eiffel tower"])


@pytest.mark.parametrize(
    ("text", "right"), [("[1, 2]", True), ("first [9], then [2, 1]", True), ("1 and 3", False), ("", False)]
)
def test_counts_are_compared_by_their_sum(text: str, right: bool) -> None:
    assert m.count_match(text, [0, 3]) is right


@pytest.mark.parametrize(
    ("gold", "text", "score"),
    [
        ("kitten", "sitting", 1 - 3 / 7),  # three edits, seven letters
        ("abcd", "abxy", 0.0),  # similarity one half does not exceed the threshold
        ("abcd", "abcx", 0.75),
        ("", "", 1.0),
    ],
)
def test_anls_by_hand(gold: str, text: str, score: float) -> None:
    assert d.anls(gold, text) == pytest.approx(score)


@pytest.mark.parametrize(
    ("gold", "text", "form", "score"),
    [
        ("7", "7.0", "Int", 1),
        ("7", "8", "Int", 0),
        ("7", "seven", "Int", 0),
        ("7", "inf", "Int", 0),
        ("7", "nan", "Int", 0),
        ("18.29%", "18.3", "Float", 1),  # within one per cent
        ("18.29%", "0.1829", "Float", 1),  # a fraction instead of a percentage
        ("18.29", "18.6", "Float", 0),
        ("$1.50", "1.5", "Float", 1),
        ("18.29", "", "Float", 0),
        ("Blue whale", "blue whale (mammal)", "Str", 1),
        ("blue whale", "blue wale", "Str", 0.9),  # one edit in ten letters
        ("page 12", "page 13", "Str", 0),  # exact or nothing
        ("2024-05", "2024-06", "Str", 0),
        ("ada@example.org", "ada@example.com", "Str", 0),
        ("Not answerable", "not answerable", "None", 1),
        ("['red', 'blue']", "['Blue', 'red']", "List", 1),
        ("['red', 'blue']", ["red"], "List", 0),
        ("['alpha', 'beta']", "['alpha', 'betq']", "List", 0.75),  # the worst entry
        ("[1, 2]", "[1, 3]", "List", 0),
        ("['red']", "red", "List", 1),
        ("['a', 'b']", "['a',", "List", 0),
    ],
)
def test_typed_document_scores_by_hand(gold: str, text: str, form: str, score: float) -> None:
    assert d.doc_score(gold, text, form) == pytest.approx(score)


def test_model_output_is_never_run(tmp_path) -> None:
    mark = tmp_path / "mark"
    for form in ("Int", "Float", "Str", "List", "None"):
        d.doc_score("[1]", f"[open({str(mark)!r}, 'w')]", form)
    assert not mark.exists()
    assert d.doc_score("['a']", "[" * 5000, "List") == 0


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(CoreheadError, match="Unknown answer format 'Date'"):
        d.doc_score("1", "1", "Date")


def test_f1_weighs_questions_left_unanswered() -> None:
    answers = ["a", "b", "Not answerable", "c"]
    texts = ["a", "Not answerable", "x", "c"]
    # gained 2 of 3 answerable, 3 answered: recall 2/3, precision 2/3
    assert d.doc_f1([1, 0, 0, 1], answers, texts) == pytest.approx(2 / 3)
    assert d.doc_f1([0, 0, 0, 0], answers, texts) == 0


def test_times_by_hand() -> None:
    assert m.time_iou((10, 20), (15, 30)) == pytest.approx(5 / 20)
    assert m.time_iou((0, 5), (5, 9)) == 0


boxes = st.tuples(*[st.integers(0, 12)] * 4).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)


@given(boxes, boxes)
def test_box_iou_counts_pixels(a: tuple, b: tuple) -> None:
    masks = np.zeros((2, 12, 12), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, (a, b), strict=True):
        mask[y0:y1, x0:x1] = True
    union = (masks[0] | masks[1]).sum()
    expected = (masks[0] & masks[1]).sum() / union if union else 0
    assert m.box_iou(a, b) == pytest.approx(expected)
