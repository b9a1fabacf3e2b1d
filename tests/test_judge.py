"""Written answers and the datasets' own scores: every family's boxes, times, options, typed answers, and nonsense."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mini import mini_samples
from PIL import Image
from tiny import noise
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from corehead_lib.data import load_samples
from corehead_lib.datasets import boxes
from corehead_lib.datasets import judge as module
from corehead_lib.datasets.boxes import Convention
from corehead_lib.datasets.judge import in_its_units, judge, summary
from corehead_lib.datasets.scores import OF, SCORES, answer_form, read_option, read_time, score_of
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.samples import MEDIA, Box, Sample

SIZE = (640, 480)
KINDS = {kind: Convention(kind, SIZE, (560, 420)) for kind in ("thousandths", "fractions", "pixels")}
WRITTEN = {  # the box from (160, 120) to (320, 360), worked out by hand
    "thousandths": "[250, 250, 500, 750]",
    "fractions": "[0.250, 0.250, 0.500, 0.750]",
    "pixels": "[140, 105, 280, 315]",
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_gold_box_in_every_convention(kind: str) -> None:
    assert KINDS[kind].write((160, 120, 320, 360)) == WRITTEN[kind]
    assert KINDS[kind].read(WRITTEN[kind]) == pytest.approx((160, 120, 320, 360))


@pytest.mark.parametrize(
    "text",
    [
        "[250, 250, 500, 750]",
        "The star is at (250,250),(500,750).",
        '```json\n[{"bbox_2d": [250, 250, 500, 750], "label": "2 stars"}]\n```',
        "<ref>the 3rd star</ref><box>[[250, 250, 500, 750]]</box>",
        "[[250, 250, 500, 750], [1, 2, 3, 4]]",
        "<|begin_of_box|>[250, 250, 500, 750]<|end_of_box|>",
        "250, 250, 500, 750",
        "250 250 500 750.",
    ],
)
def test_a_box_is_found_in_what_models_write(text: str) -> None:
    assert KINDS["thousandths"].read(text) == pytest.approx((160, 120, 320, 360))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "left",
        "[250, 250, 500",
        "[1, 2, 3, 4, 5]",
        "In 2023 12 of 30 had 4",
        "[1600, 120, 3200, 360]",
        "[a, b, c, d]",
    ],
)
def test_what_is_no_box_in_these_units_is_not_guessed_at(text: str) -> None:
    assert KINDS["thousandths"].read(text) is None
    assert KINDS["fractions"].read("[250, 250, 500, 750]") is None


def test_qwen2_5_counts_pixels_of_the_resized_picture(tiny: LoadedModel) -> None:
    processor = tiny.processor.image_processor
    factor = processor.patch_size * processor.merge_size
    low, high = processor.size["shortest_edge"], processor.size["longest_edge"]
    for width, height in ((101, 50), (640, 427), (33, 900), (3000, 2000)):
        rows, columns = smart_resize(height, width, factor=factor, min_pixels=low, max_pixels=high)
        assert boxes._shown(processor, (width, height)) == (columns, rows)


@pytest.mark.parametrize("max_pixels", [0, 20_000, 200_000])
def test_pixels_are_those_of_the_picture_after_the_budget(
    tiny: LoadedModel, max_pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grid that the model is handed says how many pixels it is shown."""
    monkeypatch.setitem(boxes.CONVENTIONS, "qwen3_vl", boxes.PIXELS)
    sample = Sample("refcocog/1", "refer", "Where is it?", "x", (noise(640, 427),), (Box(64, 0, 320, 427),))
    own, how = in_its_units(tiny, sample, max_pixels)
    _, rows, columns = (
        encode_all(tiny, [own], 1, max_pixels=max_pixels)[0].inputs["image_grid_thw"][0].tolist()
    )
    patch = tiny.processor.image_processor.patch_size
    assert how.shown == (columns * patch, rows * patch)
    assert own.answer == how.write((64, 0, 320, 427))


def test_each_family_is_asked_in_its_own_units(family: LoadedModel) -> None:
    sample = Sample(
        "refcocog/1", "refer", "Where is it? Answer with its box [x0, y0, x1, y1] in pixels.", "[10, 20, 40, 60]",
        (noise(100, 80),), (Box(10, 20, 40, 60),),
    )  # fmt: skip
    own, how = in_its_units(family, sample)
    expected = {"qwen3_vl": "[100, 250, 400, 750]", "internvl": "[100, 250, 400, 750]"}
    assert own.answer == expected.get(family.model.config.model_type, "[0.100, 0.250, 0.400, 0.750]")
    assert "in pixels" not in own.question
    assert own.question.count(".") == 1
    assert how.read(own.answer) == pytest.approx((10, 20, 40, 60))


def test_an_unknown_family_is_refused(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny.model.config, "model_type", "qwen9", raising=False)
    with pytest.raises(CoreheadError, match="How 'qwen9' writes boxes is not known"):
        boxes.convention(tiny, SIZE)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("3.2 to 7.5", (3.2, 7.5)),
        ("From 3 seconds to 7.5 seconds.", (3, 7.5)),
        ("<3.0 seconds> - <7.5 seconds>", (3, 7.5)),
        ("between 3s and 7s of the 20 s clip", (3, 7)),
        ("00:03-01:07", (3, 67)),
        ("[3.0, 7.5]", (3, 7.5)),
        ("at 3.2", None),
        ("", None),
        ("never", None),
    ],
)
def test_times_are_read(text: str, span: tuple[float, float] | None) -> None:
    assert read_time(text) == span


LETTERS = Sample("mlvu/1", "t", "What moves?\n(A) a ball\n(B) a cat\n(C) nothing", "B", (), (), tuple("ABC"))
WORDS = Sample("x", "t", "Which?", "dark red", (), (), ("red", "dark red", "blue"))


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("B", "B"),
        ("(B) a cat", "B"),
        ("A cat", "B"),
        ("The answer is C.", "C"),
        ("D", None),
        ("", None),
        ("?", None),
    ],
)
def test_letters_are_read(text: str, option: str | None) -> None:
    assert read_option(text, LETTERS) == option


@pytest.mark.parametrize(
    ("text", "option"),
    [("dark red", "dark red"), ("It is dark red.", "dark red"), ("Red", "red"), ("redder", None), ("red or blue", "red"),
     ("Is it red, is it blue?", None), ("", None)],
)  # fmt: skip
def test_options_in_words_are_read(text: str, option: str | None) -> None:
    assert read_option(text, WORDS) == option


@pytest.mark.parametrize(
    ("gold", "form", "text", "score"),
    [
        ("7", "", "7", 1),
        ("7", "Int", "There are 7 of them.", 1),
        ("7", "Int", "7 of 12", None),
        ("7", "Int", "many", None),
        ("7", "Int", "Not answerable", 0),
        ("18.29%", "", "Answer: 18.3%", 1),
        ("1,234.5", "", "1234.5", 1),
        ("Not answerable", "None", "Not answerable.", 1),
        ("['red', 'blue']", "", "['blue', 'red']", 1),
        ("blue whale", "", "It swims. Answer: **blue whale**", 1),
        ("blue whale", "", "", None),
    ],
)
def test_document_answers_are_typed(gold: str, form: str, text: str, score: float | None) -> None:
    sample = Sample("mmlongbench-doc/1", "answerable", "?", gold, (), form=form)
    read = SCORES["document"].read(text, sample, None)
    assert (None if read is None else SCORES["document"].value(read, sample)) == score


def test_several_wordings_may_be_accepted() -> None:
    sample = Sample("mmlongbench/infoseek/1", "infoseek", "?", "Louvre", (), accepted=("the Eiffel tower",))
    assert SCORES["contained"].value("It is Eiffel Tower!", sample) == 1
    assert SCORES["contained"].value("It is a tower", sample) == 0
    assert answer_form(replace(sample, answer="['a']")) == "List"


def test_counts_without_a_number_are_not_zero() -> None:
    sample = Sample("mmlongbench/counting-text/1", "counting-text", "?", "[0, 0]", ())
    assert SCORES["count"].read("none that I can see", sample, None) is None
    assert SCORES["count"].value("[0, 0]", sample) == 1


MINIS = ("refcocog", "vidstg", "mlvu", "mmdocir", "mmlongbench-doc", "mmlongbench")


@pytest.mark.parametrize("dataset", MINIS)
def test_what_each_dataset_asks_for_scores_one_and_nonsense_nothing(
    dataset: str, tmp_path: Path, tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [s for s in mini_samples(dataset, tmp_path) if s.task != "summ"]
    assert samples
    monkeypatch.setattr(module, "_answers", lambda _, asked, *__: [(s.answer, True) for s in asked])
    right = judge(tiny, samples)
    assert right.score.tolist() == pytest.approx(np.ones(len(samples)), abs=0.02)
    assert right.parsed.all()
    rng = random.Random(3)
    pieces = [*"[](){}<>,.:-0123456789ABC%$", "nan", "inf", "9" * 400, "\0", "answer:", "to", "['", "🙂", " ", "\n"]  # fmt: skip
    for _ in range(40):
        monkeypatch.setattr(
            module,
            "_answers",
            lambda _, asked, *__: [("".join(rng.choices(pieces, k=12)), False) for _ in asked],
        )
        table = judge(tiny, samples)
        assert table.score.between(0, 1).all()
        assert (table.score[~table.parsed] == 0).all()


def test_a_box_in_another_familys_units_is_wrong_or_unparsable(
    tmp_path: Path, tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = mini_samples("refcocog", tmp_path)
    assert all(score_of(s) == "box" for s in samples)
    monkeypatch.setattr(
        module, "_answers", lambda _, asked, *__: [("[2000, 10, 2100, 30]", True) for _ in asked]
    )
    table = judge(tiny, samples)
    assert not table.parsed.any()
    assert summary(table).unparsable.tolist() == [len(samples)]
    half = []
    for sample in samples:
        own, how = in_its_units(tiny, sample)
        (x0, y0, x1, y1) = how.read(own.answer) or (0, 0, 0, 0)
        half.append((how.write((x0, y0, (x0 + x1) / 2, y1)), True))
    monkeypatch.setattr(module, "_answers", lambda *_: half)
    found = summary(judge(tiny, samples)).iloc[0]
    assert found.overlap == pytest.approx(0.5, abs=0.05)


def test_every_task_of_every_dataset_has_a_score() -> None:
    from importlib import import_module

    for dataset, known in OF.items():
        tasks = import_module(f"corehead_lib.datasets.{dataset.replace('-', '_')}").TASKS
        for task in set(tasks) - {"summ"}:
            assert score_of(Sample(f"{dataset}/1", task, "?", "a", ())) in SCORES, (dataset, task, known)
    with pytest.raises(CoreheadError, match="no rule scores its task"):
        score_of(Sample("mmlongbench/x/1", "summ", "?", "a", ()))


@pytest.mark.slow
def test_written_answers_agree_with_teacher_forcing() -> None:
    loaded = load_model("tiny-llava-onevision")
    samples = [*load_samples("scenes", "evaluation", 20, 5), *load_samples("haystacks", "evaluation", 10, 5)]
    table = judge(loaded, samples, max_new_tokens=16, batch_size=7)
    assert table.score.tolist() == evaluate(loaded, encode_all(loaded, samples, 7)).correct.tolist()
    assert table.ended.all()
    assert list(table.id) == [s.id for s in samples]


def test_a_sample_that_cannot_be_asked_is_refused_and_the_others_go_on() -> None:
    loaded = load_model("tiny-qwen3-vl")
    good = load_samples("scenes", "evaluation", 4, 0)
    bad = replace(good[0], id="bad", context=f"{MEDIA}{MEDIA}{MEDIA}")
    table = judge(loaded, [good[0], bad, *good[1:]], batch_size=3)
    assert table.refused.ne("").tolist() == [False, True, False, False, False]
    assert "bad: the context has 3 places" in table.refused[1]
    assert np.isnan(table.score[1])
    alone = judge(loaded, good)
    assert table.score[table.refused == ""].tolist() == alone.score.tolist()
    assert summary(table).refused.sum() == 1
    assert summary(table).samples.sum() == 4
    with pytest.raises(CoreheadError, match="No sample could be asked: bad"):
        judge(loaded, [bad])


def test_an_answer_that_does_not_end_says_so(tiny: LoadedModel) -> None:
    sample = Sample("x", "t", "What?", "red", (Image.new("RGB", (64, 64)),))
    table = judge(tiny, [sample], max_new_tokens=2)
    assert not table.ended[0]
    with pytest.raises(CoreheadError, match=r"no score 'exakt'. Did you mean 'exact'\?"):
        judge(tiny, [sample], score="exakt")
