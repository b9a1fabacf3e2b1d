"""Load a model and its processor by zoo name, local folder or hub id, and read its geometry."""

import warnings
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    PretrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.utils import logging

from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.known import Known, known_model

ZOO = Path(__file__).with_name("zoo")


@dataclass(frozen=True)
class Backbone:
    """Geometry of the language model's attention: counts of layers and heads, and the head width."""

    layers: int
    heads: int  # query heads per layer
    kv_heads: int
    head_dim: int

    @property
    def group(self) -> int:
        """Query heads that share one key/value head; query head ``h`` uses KV head ``h // group``."""
        return self.heads // self.kv_heads


@dataclass(frozen=True)
class LoadedModel:
    """A model with its processor, ready to run, and the facts that a result must carry along."""

    name: str
    model: PreTrainedModel = field(repr=False)
    processor: ProcessorMixin = field(repr=False)
    backbone: Backbone
    checksum: str  # sha256 of the weights, or the hub's commit

    @property
    def provenance(self) -> dict[str, Any]:
        """Name, checksum and dtype, as results.json keeps them."""
        return {"name": self.name, "checksum": self.checksum, "dtype": str(self.model.dtype)}


def zoo_names() -> list[str]:
    """Names of the tiny models that ship with the package."""
    return sorted(path.parent.name for path in ZOO.glob("*/config.json"))


def weights_checksum(folder: Path) -> str:
    """sha256 over the folder's safetensors files, in the order of their names."""
    digest = sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def load_model(
    name: str, device: str = "cpu", dtype: str = "float32", known: Known | None = None
) -> LoadedModel:
    """Load ``name``: a zoo model, a folder with a checkpoint, or a hub id such as Qwen/Qwen3-VL-8B-Instruct.

    Only safetensors weights are read and no remote code is run. The language model and the vision
    tower use transformers' sdpa attention.

    Raises CoreheadError if there is no such model, if its weights are missing, damaged or differ
    from the checksum in data_manifests/, if its config contradicts the numbers there, or if ``device`` or ``dtype`` is not to be had.
    """
    if not isinstance(getattr(torch, dtype, None), torch.dtype):
        raise CoreheadError(f"Unknown dtype {dtype!r}; use float32, bfloat16 or float16.")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise CoreheadError(f"device={device!r}, but this machine has no CUDA GPU that torch can use.")
    folder = ZOO / name if name in zoo_names() else Path(name).expanduser()
    local = folder.is_dir()
    if not local and ("/" not in name or name.startswith((".", "/", "~"))):
        raise CoreheadError(f"There is no model {name!r}.{did_you_mean(name, zoo_names())}")
    if local and not list(folder.glob("*.safetensors")):
        raise CoreheadError(f"{folder} holds no *.safetensors file: no weights to load for {name!r}.")
    checksum = weights_checksum(folder) if local else ""
    known = known or known_model(name)
    if known and known.sha256 and local and checksum != known.sha256:
        raise CoreheadError(
            f"The weights in {folder} do not match data_manifests/{name}.yaml: sha256 is {checksum[:12]}..., "
            f"expected {known.sha256[:12]}...; restore the file."
        )
    source = folder if local else name
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        processor = AutoProcessor.from_pretrained(source)
        model, report = AutoModelForImageTextToText.from_pretrained(
            source, dtype=dtype, attn_implementation="sdpa", use_safetensors=True, output_loading_info=True
        )
        model = model.eval().to(device)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CoreheadError(f"Cannot load {name!r} from {source}: {reason}") from error
    finally:
        if bars:
            logging.enable_progress_bar()
    absent = sorted(report["missing_keys"])
    if absent:
        raise CoreheadError(
            f"The weights of {name!r} lack {len(absent)} tensors, {absent[0]} first: they would be random numbers."
        )
    text = model.config.get_text_config()
    heads = text.num_attention_heads
    backbone = Backbone(
        layers=text.num_hidden_layers,
        heads=heads,
        kv_heads=text.num_key_value_heads,
        head_dim=getattr(text, "head_dim", None) or text.hidden_size // heads,
    )
    if known:
        _agree(known, backbone, text)
    commit = checksum or str(getattr(model.config, "_commit_hash", None))
    return LoadedModel(name, model, processor, backbone, commit)


def _agree(known: Known, backbone: Backbone, text: PretrainedConfig) -> None:
    """Compare what is known with the config that was loaded; numbers written down from memory only warn."""
    hidden, context = getattr(text, "hidden_size", None), getattr(text, "max_position_embeddings", None)
    wrong = known.disagreements({**asdict(backbone), "hidden": hidden, "context": context})
    if not wrong:
        return
    message = f"{known.name} is not the model of data_manifests/{known.name}.yaml ({'; '.join(wrong)})"
    if known.from_memory:
        warnings.warn(f"{message}; the manifest's numbers are from memory, correct it.", stacklevel=3)
    else:
        raise CoreheadError(f"{message}: load the right checkpoint, or correct the manifest.")
