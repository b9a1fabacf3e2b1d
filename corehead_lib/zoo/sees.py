"""SmolLM2 with eyes: the language model of ``text_models``, behind a vision tower, a connector and low-rank adapters of ours.

A real InternVL of transformers. Only what was learned ships with the package; SmolLM2's own weights come from where ``text_models`` finds them.
"""

from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import torch
import yaml
from safetensors import safe_open
from transformers import InternVLForConditionalGeneration, InternVLProcessor

from corehead_lib.errors import CoreheadError
from corehead_lib.models import ZOO, LoadedModel, geometry
from corehead_lib.text_models import SMOLLM2, load_text_model

SEES = (
    ZOO / "smollm2-sees"
)  # learned.safetensors, its card and curve; beside it -seed1, and -frozen without adapters
NAMED = {  # tokens that SmolLM2 has and no chat holds, under the names that InternVL's processor looks for
    "start_image_token": "<issue_start>",
    "end_image_token": "<issue_closed>",
    "context_image_token": "<empty_output>",
    "video_token": "<jupyter_output>",
}


def assemble(text: LoadedModel, sizes: dict) -> tuple[InternVLForConditionalGeneration, InternVLProcessor]:
    """Put an untrained vision tower and connector in front of a language model, whose weights are shared and frozen.

    sizes: ``vision`` and ``tiles``, as in the recipe of a tiny InternVL.
    """
    from corehead_lib.zoo.training.families import internvl

    tokenizer = deepcopy(text.processor.tokenizer)
    tokenizer._set_model_specific_special_tokens(NAMED)
    hollow = {**text.model.config.to_dict(), "num_hidden_layers": 0}  # replaced below
    config = internvl.config(tokenizer, sizes, hollow)
    model = InternVLForConditionalGeneration(config).to(text.model.device, text.model.dtype)
    config.text_config.num_hidden_layers = text.model.config.num_hidden_layers
    model.model.language_model = text.model.model.requires_grad_(False)
    model.lm_head = text.model.lm_head.requires_grad_(False)
    model.generation_config = text.model.generation_config
    return model.eval(), internvl.processor(tokenizer, sizes)


def load_sees(
    device: str = "cpu", dtype: str = "float32", folder: Path = SEES, language: str = SMOLLM2
) -> tuple[LoadedModel, LoadedModel]:
    """Load SmolLM2 as it learned to see: as the model that sees, and as the text model that it has become, which share weights.

    Raises CoreheadError if SmolLM2 is not installed, or is not the one that was taught.
    """
    file = folder / "learned.safetensors"
    if not file.exists():
        raise CoreheadError(f"{file} is missing: `python -m corehead_lib.zoo.training.sees` makes it.")
    text = load_text_model(language, device, dtype)
    with safe_open(file, "pt", device=device) as saved:
        facts = saved.metadata()
        given = {key: saved.get_tensor(key).float() for key in saved.keys()}  # noqa: SIM118 (no mapping)
    if facts["language"] != text.checksum:
        raise CoreheadError(
            f"{file} was learned by another language model than {language!r}: sha256 {facts['language'][:12]}..., "
            f"not {text.checksum[:12]}...; `make real` installs the right one."
        )
    model, processor = assemble(text, yaml.safe_load(facts["sizes"]))
    merge(model, given)
    checksum = sha256(file.read_bytes()).hexdigest()
    sees = LoadedModel(folder.name, model, processor, geometry(model.config), checksum)
    return sees, replace(text, name=f"{folder.name}, reading", checksum=checksum)


@torch.no_grad()
def merge(model: InternVLForConditionalGeneration, learned: dict[str, torch.Tensor]) -> None:
    """Put what was learned into ``model``, in place: tower and connector as they are, adapters added to the weights they change.

    Raises CoreheadError if it does not fit.
    """
    downs = {key.removesuffix(".down"): w for key, w in learned.items() if key.endswith(".down")}
    others = {key: w for key, w in learned.items() if not key.endswith((".down", ".up"))}
    try:
        unexpected = model.load_state_dict(others, strict=False).unexpected_keys
        for name, down in downs.items():
            weight = model.get_submodule(name).weight
            weight.copy_(weight.float() + learned[f"{name}.up"] @ down)
    except (RuntimeError, AttributeError, KeyError) as error:
        raise CoreheadError(f"What was learned does not fit this model: {error}") from error
    if unexpected:
        raise CoreheadError(f"What was learned has other parts than this model: {unexpected[:3]}.")
