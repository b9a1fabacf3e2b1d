"""InternVL3.5-8B and LLaVA-OneVision-7B as the hub keeps them: older names of weights, an output layer of its own, sharded bfloat16.

Two layers of random numbers with the checkpoints' query and KV heads, head width and rope. What the config does not say is as in the
older files: InternVL's says nothing of tied embeddings, LLaVA-OneVision's generation config samples.
"""

import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from tiny import RECIPES, build, corpus, eager_attention

from corehead_lib.cli import main
from corehead_lib.data import load_samples
from corehead_lib.datasets.judge import judge
from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.scoring.estimate import estimate
from corehead_lib.scoring.job import Job
from corehead_lib.scoring.score import read_scores

GEOMETRY: dict[str, dict[str, Any]] = {
    "internvl": {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "hidden_size": 256},
    "llava_onevision": {"num_attention_heads": 28, "num_key_value_heads": 4, "hidden_size": 28 * 128},
}
OLDER = (  # names in these repositories, from transformers 4.4x
    ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
    ("model.", ""),
)


def older(name: str) -> str:
    return next((old + name.removeprefix(new) for new, old in OLDER if name.startswith(new)), name)


@pytest.fixture(scope="module", params=GEOMETRY)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp(request.param)
    recipe = deepcopy(RECIPES[request.param])
    recipe["text"] |= GEOMETRY[request.param] | {"num_hidden_layers": 2, "intermediate_size": 64}
    recipe["text"]["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e6}
    model, processor = build(recipe, corpus(), seed=0)
    model.config.tie_word_embeddings = model.config.text_config.tie_word_embeddings = False
    table = model.get_output_embeddings().weight
    model.get_output_embeddings().weight = torch.nn.Parameter(torch.randn_like(table) * 0.02)
    model.generation_config.update(do_sample=True, temperature=0.7, top_p=0.8, top_k=20)
    model.to(torch.bfloat16).save_pretrained(made, max_shard_size="1MB")
    processor.save_pretrained(made)
    index = json.loads((made / "model.safetensors.index.json").read_text())
    for path in sorted(made.glob("*.safetensors")):
        save_file({older(name): x for name, x in load_file(path).items()}, path, metadata={"format": "pt"})
    index["weight_map"] = {older(name): path for name, path in index["weight_map"].items()}
    (made / "model.safetensors.index.json").write_text(json.dumps(index))
    config = json.loads((made / "config.json").read_text())
    if request.param == "internvl":
        config.pop("tie_word_embeddings")
    (made / "config.json").write_text(json.dumps(config))
    return made


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: x for path in folder.glob("*.safetensors") for name, x in load_file(path).items()}


def test_it_loads_with_the_output_layer_of_its_files(folder: Path) -> None:
    loaded, files = load_model(str(folder), dtype="bfloat16"), weights(folder)
    assert any(name.startswith("language_model.model.layers.1.") for name in files)
    head, table = (files[f"language_model.{name}.weight"] for name in ("lm_head", "model.embed_tokens"))
    assert not torch.equal(head, table)
    assert torch.equal(loaded.model.get_output_embeddings().weight, head)
    assert torch.equal(loaded.model.get_input_embeddings().weight, table)
    assert loaded.backbone.head_dim == 128
    assert loaded.backbone.group in (4, 7)


def test_a_tower_with_more_layers_than_its_config_says_is_refused(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] = 1
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(CoreheadError, match=r"that its config has no place for, .*vision_tower.*\.1\."):
        load_model(str(other))


def test_the_estimate_counts_all_weights_of_its_files(folder: Path) -> None:
    samples = load_samples("scenes", "detection", 2, 0)
    found = estimate(Job(str(folder), "scenes"), samples, 2)
    assert found.parameters == sum(x.numel() for x in weights(folder).values())


def test_scores_in_both_dtypes_are_eager_attention(folder: Path, tmp_path: Path) -> None:
    found = {}
    for dtype in ("float32", "bfloat16"):
        options = ["--samples", "2", "--dtype", dtype, "--out", str(tmp_path / dtype)]
        done = CliRunner().invoke(main, ["score", str(folder), "scenes", *options])
        assert done.exit_code == 0, done.output
        assert "2 scored, 0 failed" in done.output
        found[dtype] = read_scores(tmp_path / dtype)["last"].target
    loaded = load_model(str(folder))
    for number, sample in enumerate(load_samples("scenes", "detection", 2, 0)):
        batch = encode(loaded, [sample])
        attention = eager_attention(loaded, batch)[:, 0]
        wanted = attention[:, :, -1, batch.targets()[0].numpy()].sum(-1)
        np.testing.assert_allclose(found["float32"][number], wanted, atol=1e-5)
    np.testing.assert_allclose(found["bfloat16"], found["float32"], atol=0.05)
    assert (found["bfloat16"] != found["float32"]).any()


def test_answers_are_greedy_whatever_the_checkpoint_samples_with(folder: Path) -> None:
    loaded: LoadedModel = load_model(str(folder))
    assert loaded.model.generation_config.do_sample
    samples = load_samples("scenes", "detection", 3, 0)
    one, other = (judge(loaded, samples, "exact", 8).text for _ in range(2))
    assert list(one) == list(other)
