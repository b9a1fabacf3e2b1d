"""What is refused in a checkpoint: all that would load without a word and be another model than it seems."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import logging

from corehead_lib.errors import CoreheadError
from corehead_lib.known import Known

AUTO = "auto"  # in place of a device: all there are
LARGEST = {  # far above any model; what a damaged config says beyond would fill the memory first
    "num_hidden_layers": 1000,
    "num_attention_heads": 1024,
    "num_key_value_heads": 1024,
    "head_dim": 4096,
    "hidden_size": 65536,
}


@contextmanager
def loading(what: str) -> Iterator[None]:
    """No progress bars of transformers in the block, and one sentence for whatever a library raises in it."""
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    except (CoreheadError, MemoryError):
        raise
    except Exception as error:  # every library that is used here has kinds of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CoreheadError(f"Cannot load {what}: {reason}") from error
    finally:
        if bars:
            logging.enable_progress_bar()


def check_dtype(dtype: str) -> None:
    """Raise CoreheadError unless torch has a type of that name."""
    if not isinstance(getattr(torch, dtype, None), torch.dtype):
        raise CoreheadError(f"Unknown dtype {dtype!r}; use float32, bfloat16 or float16.")


def check_device(device: str) -> None:
    """Raise CoreheadError unless tensors with numbers in them can be made on ``device``, or, for "auto", accelerate is there."""
    if device == AUTO:
        if find_spec("accelerate") is None:
            raise CoreheadError(
                "device='auto' needs accelerate: `pip install accelerate` into this environment."
            )
        return
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise CoreheadError(f"device={device!r}, but this machine has no CUDA GPU that torch can use.")
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # RuntimeError, AssertionError, ...: as the device's backend likes
        raise CoreheadError(
            f"device={device!r} is not to be had here; use 'cpu', 'cuda' or 'auto'."
        ) from error


def quantisation(config: PretrainedConfig) -> str:
    """How a checkpoint's weights are quantised, "" if they are not."""
    text = config.get_text_config()
    found = getattr(config, "quantization_config", None) or getattr(text, "quantization_config", None)
    method = found.get("quant_method") if isinstance(found, dict) else getattr(found, "quant_method", "")
    return str(getattr(method, "value", method))


def check_config(name: str, config: PretrainedConfig, quantised: bool = False) -> None:
    """Refuse what would load, but is not what scores are made for; reads no weights."""
    text = config.get_text_config()
    if (method := quantisation(config)) and not quantised:
        raise CoreheadError(
            f"{name!r} is a quantised checkpoint ({method}): its heads are not those of the model that was trained; "
            "load the full weights, with dtype='bfloat16' to save memory. If it is the quantised heads that you want, "
            "say so: quantised=True, or `corehead score --quantised`."
        )
    for field, most in LARGEST.items():
        try:
            value = getattr(text, field, None)
        except RuntimeError as error:  # so transformers refuses what differs between layers, as in Gemma 4
            raise CoreheadError(
                f"{name!r} is a {config.model_type} model, whose layers differ in {field}: only models with layers of one "
                "geometry are supported, such as Qwen3-VL, InternVL and LLaVA-OneVision."
            ) from error
        if value is not None and not (isinstance(value, int) and 0 < value <= most):
            raise CoreheadError(
                f"{name!r} has {field}={value!r} in its config.json: no model is made like this."
            )
    kinds = getattr(text, "layer_types", None) or []
    linear = [layer for layer, kind in enumerate(kinds) if "attention" not in kind or "linear" in kind]
    if linear:
        raise CoreheadError(
            f"{name!r} mixes attention with other layers: {len(linear)} of {len(kinds)}, layer {linear[0]} first, have "
            f"{kinds[linear[0]]}, so no heads that look at tokens; only models with heads in every layer are supported."
        )


def check_processor(name: str, processor: Any, config: PretrainedConfig) -> None:
    """Refuse a processor that is none for images, or whose placeholder is not the one that the model replaces."""
    if not hasattr(processor, "image_processor") or not hasattr(processor, "image_token"):
        raise CoreheadError(
            f"{name!r} has no processor for images: its processor_config.json is missing or not its own."
        )
    written = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    if written != getattr(config, "image_token_id", written):
        raise CoreheadError(
            f"{name!r} writes images as token {written}, its model looks for {config.image_token_id}: tokenizer and "
            "config.json belong to different models."
        )


def check_weights(name: str, model: PreTrainedModel, report: dict[str, Any]) -> None:
    """Refuse weights that are missing, left over or no numbers: each would be another model, without a word."""
    absent = sorted(report["missing_keys"])
    if absent:
        raise CoreheadError(
            f"The weights of {name!r} lack {len(absent)} tensors, {absent[0]} first: they would be random numbers."
        )
    unused = sorted(
        key for key in report["unexpected_keys"] if re.search(r"layers?\.\d|blocks\.\d|lora", key)
    )
    if unused:
        raise CoreheadError(
            f"The weights of {name!r} hold {len(unused)} tensors that its config has no place for, {unused[0]} first: "
            "weights and config.json belong to different models."
        )
    here = ((key, part) for key, part in model.named_parameters() if not part.is_meta)  # not left on disk
    broken = [key for key, part in here if not torch.isfinite(part).all()]
    if broken:
        raise CoreheadError(
            f"The weights of {name!r} hold NaN or infinity, in {broken[0]} first: the file is damaged, or does not fit "
            f"into {model.dtype}."
        )


def check_numbers(known: Known, geometry: dict[str, int], text: PretrainedConfig) -> None:
    """Compare what is known with the config that was loaded; numbers written down from memory only warn."""
    hidden, context = getattr(text, "hidden_size", None), getattr(text, "max_position_embeddings", None)
    wrong = known.disagreements({**geometry, "hidden": hidden, "context": context})
    if not wrong:
        return
    message = f"{known.name} is not the model of data_manifests/{known.name}.yaml ({'; '.join(wrong)})"
    if known.from_memory:
        warnings.warn(f"{message}; the manifest's numbers are from memory, correct it.", stacklevel=3)
    else:
        raise CoreheadError(f"{message}: load the right checkpoint, or correct the manifest.")
