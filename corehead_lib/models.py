"""Load a model and its processor by zoo name, local folder or hub id, and read its geometry."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    PretrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.utils import find_adapter_config_file, logging

from corehead_lib.checkpoint import (
    AUTO,
    check_config,
    check_device,
    check_dtype,
    check_numbers,
    check_processor,
    check_weights,
    quantisation,
)
from corehead_lib.errors import CoreheadError
from corehead_lib.known import Known, known_model
from corehead_lib.model_names import find_model

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


def geometry(config: PretrainedConfig) -> Backbone:
    """Read the geometry off a model's config."""
    text = config.get_text_config()
    heads = text.num_attention_heads
    return Backbone(
        layers=text.num_hidden_layers,
        heads=heads,
        kv_heads=text.num_key_value_heads,
        head_dim=getattr(text, "head_dim", None) or text.hidden_size // heads,
    )


@dataclass(frozen=True)
class LoadedModel:
    """A model with its processor, ready to run, and the facts that a result must carry along."""

    name: str
    model: PreTrainedModel = field(repr=False)
    processor: ProcessorMixin = field(repr=False)
    backbone: Backbone
    checksum: str  # sha256 of the weights, or the hub's commit

    @property
    def device(self) -> torch.device:
        """Where inputs go; a split model's first weights may lie elsewhere, or nowhere until they are used."""
        hook = getattr(self.model.get_input_embeddings(), "_hf_hook", None)  # accelerate's
        place = getattr(hook, "execution_device", None)
        return self.model.device if place is None else torch.device(place)

    @property
    def provenance(self) -> dict[str, Any]:
        """Name, checksum and dtype, and how the weights are quantised if they are, as results.json keeps them."""
        facts = {"name": self.name, "checksum": self.checksum, "dtype": str(self.model.dtype)}
        method = quantisation(self.model.config)
        return {**facts, "quantised": method} if method else facts


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


@contextmanager
def without_bars() -> Iterator[None]:
    """Keep transformers from drawing progress bars."""
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            logging.enable_progress_bar()


@contextmanager
def reading(name: str, source: Path | str) -> Iterator[None]:
    """Turn whatever goes wrong while a checkpoint is read into one sentence, a CoreheadError."""
    try:
        yield
    except (CoreheadError, MemoryError):
        raise
    except Exception as error:  # every library that is used here has kinds of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CoreheadError(f"Cannot load {name!r} from {source}: {reason}") from error


def load_model(
    name: str,
    device: str = "cpu",
    dtype: str = "float32",
    known: Known | None = None,
    quantised: bool = False,
) -> LoadedModel:
    """Load ``name``: a zoo model, one that was fetched, a folder with a checkpoint, or a hub id (see ``find_model``).

    device: "cpu", "cuda", "cuda:1", ...; "auto" splits the model over all GPUs, and the rest over CPU and disk (needs accelerate).

    Only safetensors weights are read and no remote code is run. The language model and the vision
    tower use transformers' sdpa attention.

    known: what weights and config must be; data_manifests/ says so by default.
    quantised: load a quantised checkpoint, too (with the library of its method); results then say how it is quantised.

    Raises CoreheadError if there is no such model, if its weights are missing, damaged, quantised unasked, to be
    changed by an adapter, or differ from what is ``known``, if some layers have no attention heads, or if ``device`` or
    ``dtype`` is not to be had.
    """
    check_dtype(dtype)
    check_device(device)
    source = find_model(name, ZOO)
    folder, local = Path(source), isinstance(source, Path)
    checksum = weights_checksum(folder) if local else ""
    known = known or known_model(name)
    if known and known.sha256 and local and checksum != known.sha256:
        raise CoreheadError(
            f"The weights in {folder} do not match data_manifests/{name}.yaml: sha256 is {checksum[:12]}..., "
            f"expected {known.sha256[:12]}...; restore the file."
        )
    with reading(name, source), without_bars():
        config = AutoConfig.from_pretrained(source)
        check_config(name, config, quantised)
        if (local and any(folder.glob("adapter_*"))) or find_adapter_config_file(str(source)):
            raise CoreheadError(
                f"{name!r} holds a LoRA adapter (adapter_config.json), which would not be used: merge it into the weights "
                "(peft's merge_and_unload), or take it away."
            )
        # quantised weights must not move later
        placed = device if device == AUTO or quantisation(config) else None
        processor = AutoProcessor.from_pretrained(source)
        model, report = AutoModelForImageTextToText.from_pretrained(
            source,
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            output_loading_info=True,
            device_map=placed,
        )
        model = model.eval() if placed else model.eval().to(device)
    check_processor(name, processor, model.config)
    check_weights(name, model, report)
    backbone = geometry(model.config)
    if known:
        check_numbers(known, asdict(backbone), model.config.get_text_config())
    commit = checksum or str(getattr(model.config, "_commit_hash", None))
    return LoadedModel(name, model, processor, backbone, commit)
