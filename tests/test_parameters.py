"""What a parameter may be: read from its comment, checked before anything runs, shown by `corehead params`."""

import random
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from conftest import ROOT

from corehead_lib.bookkeeping import choices, notebooks, runs
from corehead_lib.bookkeeping.parameters import Parameter, ParameterError, check, declared
from corehead_lib.cli import main
from corehead_lib.errors import CoreheadError

MASTERS = sorted((ROOT / "notebooks").glob(notebooks.MASTERS))


def parameter(line: str) -> Parameter:
    cell = nbformat.v4.new_code_cell(line, metadata={"tags": ["parameters"]})
    (found,) = declared(nbformat.v4.new_notebook(cells=[cell])).values()
    return found


@pytest.mark.parametrize(
    ("line", "right", "wrong"),
    [
        ('q: str = "last"  # rows {question, last}', ["last", "question"], ["lats", "", "Last", "last "]),
        ("n: int = 5  # how many {1..20}", ["1", "20"], ["0", "21", "-3"]),
        ("n: int = 5  # how many {0, 10..}", ["0", "10", "11"], ["5", "-1"]),
        ("x: float = 0.5  # share {0<..1}", ["1", "0.001", "1e-9"], ["0", "-0.0", "1.01"]),
        ("x: float = 0.5  # share {0..<1}", ["0", "0.999"], ["1", "-1e-9"]),
        ("x: float = 0.5  # share {..2.5}", ["2.5", "-7"], ["2.6"]),
        ("n: int = 8  # width {8, 16}", ["8", "16"], ["9"]),
        ('n: str = "8, 16"  # windows {1..64}', ["8", "1, 64", "3 4"], ["", "0", "8 8", "8;9", "a", "65", "1.5"]),
        ('d: str = ""  # data {dataset, empty}', ["", "scenes"], ["scene", "scenes clips", "../scenes"]),
        ('d: str = "scenes"  # data {datasets}', ["scenes clips", "clips,scenes"], ["", " ", "scenes scenes", "x"]),
        ('m: str = ""  # {models, empty}', ["", "tiny-qwen3-vl tiny-internvl"], ["tiny-qwen3", "tiny-qwen3-vl x"]),
        ('m: str = "a"  # {model}', ["tiny-internvl", "Qwen/Any-Model"], ["", "a/b/c", "no-such", "../x/y", "a b"]),
        ('f: str = ""  # {folder, empty}', ["", ".", str(ROOT)], ["/no/such/folder", "~nobody/x", "a" * 5000]),
        ('d: str = "cpu"  # {device}', ["cpu"], ["cuda:99", "gpu", "cuda:", "cuda:١", "CPU"]),
        ('t: str = "x"  # anything, {braces} inside a sentence are prose', ["y", "{}"], ["a\nb", "\ud800", "\0"]),
    ],
)  # fmt: skip
def test_values_fit_or_are_refused_in_one_sentence(line: str, right: list[str], wrong: list[str]) -> None:
    asked = parameter(line)
    for text in right:
        asked.parse(text)
    for text in wrong:
        with pytest.raises(ParameterError) as caught:
            asked.parse(text)
        assert len(str(caught.value).splitlines()) == 1
        assert repr(asked.name) in str(caught.value)


def test_a_list_reaches_the_notebook_as_its_default_is_written() -> None:
    assert parameter('d: str = "scenes, clips"  # {datasets}').parse("clips scenes") == "clips, scenes"
    assert parameter('d: str = "scenes clips"  # {datasets}').parse("clips,scenes") == "clips scenes"
    assert parameter('w: str = "8, 16"  # {1..}').parse("4 5") == "4, 5"


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(ParameterError, match=r"Did you mean 'last'\? Known: question, last\."):
        parameter('q: str = "last"  # rows {question, last}').parse("lats")
    with pytest.raises(ParameterError, match=r"no dataset 'scene'. Did you mean 'scenes'\?"):
        parameter('d: str = "scenes"  # {dataset}').parse("scene")


@pytest.mark.parametrize("braces", ["{}", "{a,}", "{1...}", "{..}", "{1..b}"])
def test_braces_that_make_no_sense_are_the_authors_error(braces: str) -> None:
    with pytest.raises(CoreheadError, match="no value, range or kind"):
        parameter(f"n: int = 1  # how many {braces}")


def test_help_and_choices_are_told_apart() -> None:
    assert choices.read("rows to read {a, b}")[0] == "rows to read"
    assert str(choices.read("x {a, b, empty}")[1]) == "a, b or empty"
    assert str(choices.read("x {0<..1, quick 0.5}")[1]) == "above 0 and at most 1"
    assert choices.read("x {0<..1, quick 0.5}")[1].quick == "0.5"


@pytest.mark.parametrize("master", MASTERS, ids=lambda p: p.stem)
def test_every_parameter_of_the_book_says_what_it_may_be(master: Path) -> None:
    known = declared(notebooks.read(master)).values()
    for one in known:
        assert one.type == "bool" or not one.choices.free, f"{one.name} says no choices"
        assert one.parse(str(one.default)) == one.default
        assert one.quick is None or type(one.quick) is type(one.default)
    quick = runs.plan(str(master), quick=True).overrides
    assert quick
    full = {one.name: one.default for one in known}
    assert all(float(v) <= float(full[k]) for k, v in quick.items() if not isinstance(v, str))


def test_a_wrapped_line_keeps_its_comment() -> None:
    wrapped = parameter("n: int = (\n    5  # how many {1..9}\n)")
    assert (wrapped.help, str(wrapped.choices)) == ("how many", "at least 1 and at most 9")


def test_params_shows_choices_and_quick_values() -> None:
    printed = CliRunner().invoke(main, ["params", "08"]).output
    for said in (
        "ram-last, ram-question, ram-answer",
        "above 0 and at most 1",
        "quick: ",
        "float32, bfloat16 or float16",
    ):
        assert said in printed


def test_given_values_go_before_quick_ones() -> None:
    planned = runs.plan("08", [("samples", "40")], quick=True)
    assert planned.parameters["samples"] == 40
    assert planned.parameters["draws"] == planned.overrides["draws"]


def hostile(rng: random.Random) -> str:
    """A text that somebody could hand over as a value."""
    pieces = [
        "",
        " ",
        "0",
        "1",
        "-",
        "e",
        "9" * 40,
        "1" * 5000,
        "nan",
        "inf",
        "1e999",
        "0x1",
        "１",
        "٣",
        "½",
        "..",
        "/",
    ]
    pieces += [
        "~",
        "\0",
        "\n",
        "\r",
        "\x1b[2J",
        "\ud800",
        "\u202e",
        "\u200b",
        "$(id)",
        "`id`",
        "'",
        '"',
        "\\",
        "{}",
        "%s",
        "__import__('os')",
    ]
    pieces += ["../../etc", "last", "scenes", "tiny-qwen3-vl", "cuda", "True", "None", ",", ";", "é", "🙂", "<|im_end|>"]  # fmt: skip
    return "".join(rng.choice(pieces) for _ in range(rng.randint(1, 4)))


def test_150_hostile_values_are_right_or_refused_before_anything_runs() -> None:
    """Seeded; whatever is let through is a value of the right type, in its range, that the parameter names itself."""
    rng = random.Random(20)
    said: list[str] = []
    let = 0
    books = [declared(notebooks.read(master)) for master in MASTERS]
    for _ in range(150):
        known = rng.choice(books)
        name, text = rng.choice(list(known)), hostile(rng)
        if rng.random() < 0.1:
            name = text
        try:
            value = check([(name, text)], known)[name]
        except CoreheadError as error:
            said.append(str(error))
            continue
        let += 1
        asked = known[name]
        assert type(value) is type(asked.default)
        if isinstance(value, str):
            assert value == "" or value.isprintable()
            assert asked.choices.kind != "model" or "/" in value or not value or value.startswith("tiny-")
        else:
            assert any(value in one for one in asked.choices.ranges)
    assert len(said) > 120
    assert all(len(sentence.splitlines()) == 1 and len(sentence) < 800 for sentence in said)
    assert "".join(said).encode()  # any terminal can show it


def test_a_fetched_model_of_a_manifest_has_its_name(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from corehead_lib.model_names import find_model

    monkeypatch.setenv("COREHEAD_DATA", str(tmp_path))
    asked = parameter('m: str = "tiny-qwen3-vl"  # {model}')
    with pytest.raises(ParameterError, match=r"not on this machine: `corehead data fetch qwen3-vl-2b`"):
        asked.parse("qwen3-vl-2b")
    assert find_model("Qwen/Qwen3-VL-2B-Instruct") == "Qwen/Qwen3-VL-2B-Instruct"
    (tmp_path / "qwen3-vl-2b").symlink_to(tiny_folder)
    assert asked.parse("qwen3-vl-2b") == "qwen3-vl-2b"
    assert find_model("qwen3-vl-2b") == tmp_path / "qwen3-vl-2b"
    assert find_model("Qwen/Qwen3-VL-2B-Instruct") == tmp_path / "qwen3-vl-2b"
    (tmp_path / "qwen3-vl-4b").mkdir()
    with pytest.raises(ParameterError, match="no weights to load"):
        asked.parse("qwen3-vl-4b")


def test_a_fetched_model_loads_by_its_name(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from corehead_lib.models import load_model

    monkeypatch.setenv("COREHEAD_DATA", str(tmp_path))
    (tmp_path / "qwen3-vl-2b").symlink_to(tiny_folder)
    with pytest.raises(
        CoreheadError, match=r"is not the model of .*layers: 28 in the manifest, 3 in the config"
    ):
        load_model("qwen3-vl-2b")  # found, read, and another one than the manifest's
