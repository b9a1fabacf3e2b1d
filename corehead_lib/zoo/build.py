"""Build an untrained tiny model and its processor from the real transformers classes.

The classes, token names and chat format are Qwen3-VL's (Qwen3-VL technical report,
arXiv 2511.21631); only the sizes are ours. The tokenizer is trained on the project's own text.
"""

import json
from collections.abc import Iterable

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

SPECIAL_TOKENS = (
    "<|endoftext|> <|im_start|> <|im_end|> <|vision_start|> <|vision_end|> "
    "<|vision_pad|> <|image_pad|> <|video_pad|>"
).split()

CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>
{%- elif part.type == 'text' -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""


def build_tokenizer(text: Iterable[str], vocab_size: int) -> Qwen2Tokenizer:
    """Train byte-level BPE on ``text`` and dress it as a Qwen2Tokenizer with Qwen's special tokens."""
    plain = Qwen2Tokenizer()
    trainee = Tokenizer(models.BPE())
    trainee.normalizer = plain.backend_tokenizer.normalizer
    trainee.pre_tokenizer = plain.backend_tokenizer.pre_tokenizer
    assert isinstance(trainee.pre_tokenizer, pre_tokenizers.Sequence)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    trainee.train_from_iterator(text, trainer)
    learned = json.loads(trainee.to_str())["model"]
    vocab = dict(learned["vocab"])
    for token in SPECIAL_TOKENS:  # inside the vocabulary before construction, so that ids stay put
        vocab[token] = len(vocab)
    return Qwen2Tokenizer(
        vocab=vocab,
        merges=[tuple(m) for m in learned["merges"]],
        extra_special_tokens=SPECIAL_TOKENS[1:],
        padding_side="left",
    )


def build_processor(tokenizer: Qwen2Tokenizer, recipe: dict) -> Qwen3VLProcessor:
    """Join tokenizer, image and video processor; ``recipe['pixels']`` is the (least, most) pixel area."""
    least, most = recipe["pixels"]
    vision = recipe["vision"]
    shared = {
        "patch_size": vision["patch_size"],
        "merge_size": vision["spatial_merge_size"],
        "temporal_patch_size": vision["temporal_patch_size"],
        "size": {"shortest_edge": least, "longest_edge": most},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**shared),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**shared),
        chat_template=CHAT_TEMPLATE,
    )


def build_model(tokenizer: Qwen2Tokenizer, recipe: dict, seed: int) -> Qwen3VLForConditionalGeneration:
    """Make a randomly initialised model of ``recipe['text']`` and ``recipe['vision']`` sizes, float32."""
    ids = dict(zip(SPECIAL_TOKENS, tokenizer.convert_tokens_to_ids(SPECIAL_TOKENS), strict=True))
    config = Qwen3VLConfig(
        text_config={**recipe["text"], "vocab_size": len(tokenizer), "pad_token_id": ids["<|endoftext|>"]},
        vision_config={**recipe["vision"], "out_hidden_size": recipe["text"]["hidden_size"]},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config)
    for name, parameter in model.named_parameters():
        # QK-norm caps attention logits at weight^2 * sqrt(head_dim): with heads this narrow, weights of
        # one would keep attention blunt until the optimiser has slowly grown them.
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            torch.nn.init.constant_(parameter, recipe["qk_norm"])
    model.generation_config.eos_token_id = ids["<|im_end|>"]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    return model
