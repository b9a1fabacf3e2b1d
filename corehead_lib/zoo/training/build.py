"""Build an untrained tiny model and its processor from the real transformers classes.

The classes, token names and chat formats are the families' own (``families/``); only the sizes are ours.
The tokenizer is trained on the project's own text.
"""

import json
from collections.abc import Iterable

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedModel, ProcessorMixin, Qwen2Tokenizer

from corehead_lib.zoo.training.families import find_family

QWEN = "qwen3_vl"


def build(recipe: dict, text: Iterable[str], seed: int) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Build a model of ``recipe['text']`` and ``recipe['vision']`` sizes, of ``recipe['family']``, and its processor.

    text: what the tokenizer learns ``recipe['vocab_size']`` tokens from.
    seed: of the model's random weights, float32.
    """
    tokenizer = build_tokenizer(text, recipe["vocab_size"], recipe.get("family", QWEN))
    family = find_family(recipe.get("family", QWEN))
    torch.manual_seed(seed)
    model = family.model(tokenizer, recipe)
    assert model.generation_config is not None
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, family.processor(tokenizer, recipe)


def build_tokenizer(text: Iterable[str], vocab_size: int, family: str = QWEN) -> Qwen2Tokenizer:
    """Train byte-level BPE on ``text`` and dress it as a Qwen2Tokenizer with the family's special tokens."""
    special, named = find_family(family).TOKENS, find_family(family).NAMED
    plain = Qwen2Tokenizer()
    trainee = Tokenizer(models.BPE())
    trainee.normalizer = plain.backend_tokenizer.normalizer
    trainee.pre_tokenizer = plain.backend_tokenizer.pre_tokenizer
    assert isinstance(trainee.pre_tokenizer, pre_tokenizers.Sequence)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(special),
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    trainee.train_from_iterator(text, trainer)
    learned = json.loads(trainee.to_str())["model"]
    vocab = dict(learned["vocab"])
    for token in special:  # inside the vocabulary before construction, so that ids stay put
        vocab[token] = len(vocab)
    return Qwen2Tokenizer(
        vocab=vocab,
        merges=[tuple(m) for m in learned["merges"]],
        extra_special_tokens=[token for token in special[1:] if token not in named.values()],
        model_specific_special_tokens=named,
        padding_side="left",
    )
