"""Manifests: valid, complete, shown in the book, and compared with the models that are loaded."""

import re
import warnings
from dataclasses import asdict, replace

import pytest
import torch
from conftest import ROOT
from tiny import tiny_folder  # noqa: F401  (fixture)

from corehead_lib.checkpoint import check_numbers
from corehead_lib.datasets import manifest as m
from corehead_lib.datasets import real, tables
from corehead_lib.errors import CoreheadError
from corehead_lib.known import NUMBERS, Known, known_model, known_models
from corehead_lib.models import Backbone, zoo_names

MODELS, DATASETS = m.read_manifests("model"), m.read_manifests("dataset")
BASIC = {"kind": "model", "description": "d", "source": "s", "licence": "l", "format": "f"}


def test_every_dataset_and_every_shipped_model_has_a_manifest() -> None:
    assert {source.manifest for source in real.SOURCES.values()} <= set(DATASETS)
    assert set(zoo_names()) <= set(MODELS)


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name].hub])
def test_a_model_manifest_states_a_possible_geometry(name: str) -> None:
    model = MODELS[name]
    assert model.layers
    assert model.heads
    assert model.kv_heads
    assert model.heads % model.kv_heads == 0
    assert model.head_dim in (64, 128)
    assert model.numbers_from
    assert model.source == f"https://huggingface.co/{model.hub}"
    assert (model.hidden or 0) % 128 == 0
    assert (model.context or 0) >= 32768


@pytest.mark.parametrize(
    ("name", "heads"),
    [("qwen3-vl-8b", 1152), ("qwen3-vl-32b", 4096), ("qwen3-vl-30b-a3b", 1536), ("internvl3.5-1b", 448),
     ("internvl3.5-14b", 1600), ("llava-onevision-0.5b", 336), ("llava-onevision-72b", 5120), ("qwen2.5-vl-7b", 784)],
)  # fmt: skip
def test_the_number_of_heads_is_the_known_one(name: str, heads: int) -> None:
    assert (MODELS[name].layers or 0) * (MODELS[name].heads or 0) == heads


@pytest.mark.parametrize("name", real.SOURCES)
def test_a_dataset_manifest_says_where_to_get_it_and_what_it_counts(name: str) -> None:
    dataset = DATASETS[real.SOURCES[name].manifest]
    assert dataset.source.startswith("https://")
    assert dataset.layout
    assert dataset.evidence
    assert dataset.conventions
    assert dataset.citation
    assert dataset.files
    if dataset.fetch != "by hand":
        assert all(file.hub or file.url for file in dataset.files)


def test_licences_that_forbid_or_leave_open_are_not_fetched_freely() -> None:
    for dataset in DATASETS.values():
        if "NC" in dataset.licence or "none stated" in dataset.licence:
            assert dataset.fetch in ("terms", "by hand"), dataset.name


def test_the_books_page_shows_these_manifests() -> None:
    page = (ROOT / "book" / "data.md").read_text(encoding="utf-8")
    assert tables.markdown() in page, (
        "run `corehead data list --markdown` and put its output into book/data.md"
    )


def test_table_rows_have_as_many_cells_as_their_header() -> None:
    widths: set[int] = set()
    for line in tables.markdown().splitlines():
        if line.startswith("|"):
            widths.add(len(re.findall(r"(?<!\\)\|", line)))
    assert widths == {5, 9}


def test_a_model_is_found_by_name_hub_id_or_folder() -> None:
    for name in (
        "qwen3-vl-8b",
        "Qwen/Qwen3-VL-8B-Instruct",
        "/models/qwen3-vl-8b",
        "/models/Qwen3-VL-8B-Instruct",
    ):
        found = known_model(name)
        assert found is not None
        assert found.name == "qwen3-vl-8b"
    assert known_model("Qwen/Qwen9-VL") is None
    assert known_model("/somewhere/tiny-qwen3-vl") is None  # a copy of a shipped model may differ


@pytest.mark.parametrize(
    ("field", "value"),
    [("layers", 9), ("heads", 8), ("kv_heads", 1), ("head_dim", 64), ("hidden", 1), ("context", 7)],
)
def test_a_config_that_contradicts_its_manifest_is_refused(field: str, value: int) -> None:
    numbers = {"layers": 4, "heads": 16, "kv_heads": 8, "head_dim": 128, "hidden": 512, "context": 4096}
    config = torch.nn.Module()
    config.hidden_size, config.max_position_embeddings = 512, 4096  # type: ignore[assignment]
    backbone = asdict(Backbone(4, 16, 8, 128))
    check_numbers(Known("x", numbers=numbers), backbone, config)
    check_numbers(Known("x"), backbone, config)
    wrong = Known("x", numbers={**numbers, field: value})
    with pytest.raises(
        CoreheadError, match=f"{field}: {value} in the manifest, {numbers[field]} in the config"
    ):
        check_numbers(wrong, backbone, config)
    with pytest.warns(UserWarning, match="from memory, correct it"):
        check_numbers(replace(wrong, from_memory=True), backbone, config)


def test_both_readers_of_the_manifestscheck_numbers() -> None:
    assert known_models().keys() == MODELS.keys()
    for name, model in known_models().items():
        said = MODELS[name].model_dump()
        assert (model.hub, model.sha256) == (said["hub"], said["sha256"])
        assert model.numbers == {n: said[n] for n in NUMBERS if said[n] is not None}
        assert model.from_memory == (said["numbers_from"] == "memory")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(CoreheadError, match=r"no dataset 'mmdocr'\. Did you mean 'mmdocir'"):
        m.find_manifest("mmdocr", "dataset")


def test_a_shipped_model_agrees_with_its_manifest() -> None:
    from corehead_lib.models import load_model

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert load_model("tiny-qwen3-vl").backbone.layers == MODELS["tiny-qwen3-vl"].layers
