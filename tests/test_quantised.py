"""A quantised checkpoint is scored when it is asked for; needs accelerate and bitsandbytes (not among the tests' packages)."""

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

from corehead_lib.data import load_samples
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.models import ZOO, load_model
from corehead_lib.ram import measure_ram
from corehead_lib.scoring.job import Job
from corehead_lib.scoring.score import ABOUT, score
from corehead_lib.study.survey import Survey

pytest.importorskip("bitsandbytes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The zoo's first model with weights of 8 bits (4 bits come in blocks wider than its layers)."""
    model = load_model("tiny-qwen3-vl")
    settings = BitsAndBytesConfig(load_in_8bit=True)
    quantised = AutoModelForImageTextToText.from_pretrained(
        ZOO / "tiny-qwen3-vl", quantization_config=settings, device_map="cpu"
    )
    quantised.save_pretrained(tmp_path)
    model.processor.save_pretrained(tmp_path)
    return tmp_path


def test_its_own_heads_are_scored(folder: Path, tmp_path: Path) -> None:
    samples = load_samples("scenes", "detection", 6, 0)
    full = load_model("tiny-qwen3-vl")
    assert score(Job(str(folder), "scenes", samples=6, quantised=True), tmp_path / "out", say=lambda _: None)
    said = json.loads((tmp_path / "out" / ABOUT).read_text())
    assert said["settings"]["quantised"]
    loaded = load_model(str(folder), quantised=True)
    assert loaded.provenance["quantised"] == "bitsandbytes"
    mine, theirs = (measure_ram(one, encode_all(one, samples, 1), "last").ram for one in (loaded, full))
    assert np.corrcoef(mine.ravel(), theirs.ravel())[0, 1] > 0.9  # the same model, seen through fewer bits
    assert (mine != theirs).any()


def test_what_reads_weights_refuses_it(folder: Path) -> None:
    loaded = load_model(str(folder), quantised=True)
    with pytest.raises(CoreheadError, match="full weights"):
        _ = Survey(loaded, encode_all(loaded, load_samples("scenes", "detection", 2, 0), 1)).looks
