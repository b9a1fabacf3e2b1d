"""Loading models: what is read, and one clear sentence for everything that can be wrong."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import Gemma4Config

from corehead_lib import known, models
from corehead_lib.checkpoint import check_config
from corehead_lib.datasets import manifest
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel, load_model, weights_checksum, zoo_names

WEIGHTS = "model.safetensors"


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    """The tiny model in a folder that a test may damage."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "zoo" / "tiny-copy"))


@pytest.fixture
def zoo(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo that holds that copy alone, beside an empty folder of manifests."""
    monkeypatch.setattr(models, "ZOO", copy.parent)
    folder = copy.parent.parent / "data_manifests"
    folder.mkdir()
    monkeypatch.setattr(manifest, "FOLDER", folder)
    monkeypatch.setattr(known, "FOLDER", folder)
    return copy


def write_manifest(name: str = "tiny-copy", **fields: object) -> None:
    basic = {"kind": "model", "description": "d", "source": "s", "licence": "l", "format": "f"}
    path = manifest.FOLDER / "tiny-copy.yaml"
    path.write_text(yaml.safe_dump({"name": name, **basic, **fields}))


def one_sentence(error: pytest.ExceptionInfo[CoreheadError]) -> str:
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_geometry_and_provenance_are_read(tiny: LoadedModel, tiny_folder: Path) -> None:
    backbone = tiny.backbone
    shape = (backbone.layers, backbone.heads, backbone.kv_heads, backbone.head_dim, backbone.group)
    assert shape == (3, 6, 2, 8, 3)
    attention = tiny.model.model.language_model.layers[0].self_attn
    assert attention.q_proj.out_features == backbone.heads * backbone.head_dim
    assert attention.k_proj.out_features == backbone.kv_heads * backbone.head_dim
    assert tiny.provenance == {
        "name": str(tiny_folder),
        "checksum": weights_checksum(tiny_folder),
        "dtype": "torch.float32",
    }


def test_the_files_weights_arrive(tiny: LoadedModel, tiny_folder: Path) -> None:
    saved = load_file(tiny_folder / WEIGHTS)
    loaded = tiny.model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in saved.items())
    assert not tiny.model.training


def test_both_towers_run_sdpa(tiny: LoadedModel) -> None:
    assert tiny.model.config.text_config._attn_implementation == "sdpa"
    assert tiny.model.config.vision_config._attn_implementation == "sdpa"


def test_dtype_is_followed(tiny_folder: Path) -> None:
    assert load_model(str(tiny_folder), dtype="bfloat16").model.dtype == torch.bfloat16


def test_a_model_of_the_zoo_is_found_by_name(zoo: Path) -> None:
    assert zoo_names() == ["tiny-copy"]
    assert load_model("tiny-copy").checksum == weights_checksum(zoo)


@pytest.mark.usefixtures("zoo")
def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(CoreheadError) as error:
        load_model("tiny-copi")
    assert one_sentence(error) == "There is no model 'tiny-copi'. Did you mean 'tiny-copy'?"


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CoreheadError, match="There is no model"):
        load_model(str(tmp_path / "nothing"))


def test_a_folder_without_weights_is_refused(copy: Path) -> None:
    (copy / WEIGHTS).unlink()
    with pytest.raises(CoreheadError, match=r"holds no \*\.safetensors file"):
        load_model(str(copy))


@pytest.mark.parametrize("left", [0, 5, 1000, 0.5])
def test_a_truncated_weights_file_is_refused(copy: Path, left: float) -> None:
    content = (copy / WEIGHTS).read_bytes()
    (copy / WEIGHTS).write_bytes(content[: int(left * len(content) if 0 < left < 1 else left)])
    with pytest.raises(CoreheadError) as error:
        load_model(str(copy))
    assert one_sentence(error).startswith(f"Cannot load '{copy}'")


def test_a_corrupt_header_is_refused(copy: Path) -> None:
    content = bytearray((copy / WEIGHTS).read_bytes())
    content[8:40] = b"\xff" * 32
    (copy / WEIGHTS).write_bytes(content)
    with pytest.raises(CoreheadError) as error:
        load_model(str(copy))
    assert one_sentence(error).startswith(f"Cannot load '{copy}'")


def test_weights_that_differ_from_the_manifest_are_refused(zoo: Path) -> None:
    write_manifest(sha256=weights_checksum(zoo))
    load_model("tiny-copy")
    content = bytearray((zoo / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (zoo / WEIGHTS).write_bytes(content)
    with pytest.raises(CoreheadError) as error:
        load_model("tiny-copy")
    message = one_sentence(error)
    assert "do not match data_manifests/tiny-copy.yaml" in message
    assert weights_checksum(zoo)[:12] in message


@pytest.mark.usefixtures("zoo")
def test_a_manifest_without_checksum_asks_for_none() -> None:
    write_manifest()
    assert load_model("tiny-copy").backbone.layers == 3


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "modle"}, "tiny-copy.yaml: kind:"),
        ({"colour": "red"}, "tiny-copy.yaml: colour:"),
        ({"licence": None}, "tiny-copy.yaml: licence:"),
        ({"name": "other"}, "is named 'other' inside"),
    ],
)
def test_a_wrong_manifest_is_refused_by_file_and_field(fields: dict, message: str) -> None:
    write_manifest(**fields)
    with pytest.raises(CoreheadError, match=message):
        manifest.read_manifests("model")


def test_the_projects_own_manifests_are_valid() -> None:
    assert "scenes" in manifest.read_manifests("dataset")
    manifest.read_manifests("model")


def edit_config(folder: Path, **changes: Any) -> None:
    """Change config.json; ``text`` holds changes of its text_config."""
    config = json.loads((folder / "config.json").read_text())
    config["text_config"].update(changes.pop("text", {}))
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize("method", ["awq", "gptq", "bitsandbytes", "fp8", "compressed-tensors", "new one"])
def test_a_quantised_checkpoint_is_refused(copy: Path, method: str) -> None:
    edit_config(copy, quantization_config={"quant_method": method, "bits": 4})
    with pytest.raises(CoreheadError) as error:
        load_model(str(copy))
    assert f"is a quantised checkpoint ({method})" in one_sentence(error)


@pytest.mark.parametrize("files", [["adapter_config.json"], ["adapter_model.safetensors"]])
def test_an_adapter_beside_the_weights_is_refused(copy: Path, files: list[str]) -> None:
    for name in files:
        (copy / name).write_bytes((copy / WEIGHTS).read_bytes() if name.endswith("tensors") else b"{}")
    with pytest.raises(CoreheadError, match="holds a LoRA adapter"):
        load_model(str(copy))


def test_layers_without_heads_are_refused(copy: Path) -> None:
    edit_config(copy, text={"layer_types": ["linear_attention", "full_attention", "linear_attention"]})
    with pytest.raises(CoreheadError, match="2 of 3, layer 0 first, have linear_attention"):
        load_model(str(copy))


def test_layers_of_several_geometries_are_refused_with_families_that_are_supported() -> None:
    with pytest.raises(CoreheadError) as error:
        check_config("x", Gemma4Config())
    assert one_sentence(error).startswith("'x' is a gemma4 model, whose layers differ in head_dim")
    assert str(error.value).endswith("such as Qwen3-VL, InternVL and LLaVA-OneVision.")


def test_sliding_windows_are_attention() -> None:
    text = SimpleNamespace(layer_types=["full_attention", "sliding_attention"])
    check_config("x", SimpleNamespace(get_text_config=lambda: text))


def test_a_config_with_fewer_layers_than_the_weights_is_refused(copy: Path) -> None:
    edit_config(copy, text={"num_hidden_layers": 2})
    with pytest.raises(CoreheadError, match=r"hold \d+ tensors that its config has no place for"):
        load_model(str(copy))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(copy: Path, value: float) -> None:
    weights = load_file(copy / WEIGHTS)
    name = next(name for name in weights if "q_proj" in name)
    weights[name][0, 0] = value
    save_file(weights, copy / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(CoreheadError, match=rf"NaN or infinity, in {name}"):
        load_model(str(copy))


@pytest.mark.parametrize("device", ["xpu", "mps", "meta", "tpu", "", "cpu:x"])
def test_a_device_that_is_not_there_is_refused(tiny_folder: Path, device: str) -> None:
    with pytest.raises(CoreheadError, match=f"device='{device}' is not to be had here"):
        load_model(str(tiny_folder), device=device)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "processor_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"model_type": "no such"}'])
def test_damaged_settings_are_refused_in_one_sentence(copy: Path, file: str, content: bytes) -> None:
    (copy / file).write_bytes(content)
    with pytest.raises(CoreheadError) as error:
        load_model(str(copy))
    assert one_sentence(error).startswith(f"Cannot load '{copy}'")


@pytest.mark.parametrize("dtype", ["flaot32", "Tensor", ""])
def test_an_unknown_dtype_is_refused(tiny_folder: Path, dtype: str) -> None:
    with pytest.raises(CoreheadError, match="Unknown dtype"):
        load_model(str(tiny_folder), dtype=dtype)


def test_cuda_without_a_gpu_is_refused(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CoreheadError, match="no CUDA GPU that torch can use"):
        load_model(str(tiny_folder), device="cuda:0")
