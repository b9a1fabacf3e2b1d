"""Qwen3-VL (technical report, arXiv 2511.21631): images at their own size, frames in pairs."""

from transformers import (
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from corehead_lib.zoo.training.families.chat import CENTRED, chat_template, text_config

TOKENS = (
    "<|endoftext|> <|im_start|> <|im_end|> <|vision_start|> <|vision_end|> "
    "<|vision_pad|> <|image_pad|> <|video_pad|>"
).split()
NAMED: dict[str, str] = {}


def processor(tokenizer: Qwen2Tokenizer, recipe: dict) -> Qwen3VLProcessor:
    """``recipe['pixels']`` is the (least, most) area of an image; ``clip_pixels``, if given, of a whole clip."""
    vision = recipe["vision"]
    shared = {
        "patch_size": vision["patch_size"],
        "merge_size": vision["spatial_merge_size"],
        "temporal_patch_size": vision["temporal_patch_size"],
        **CENTRED,
    }
    least, most = recipe["pixels"]
    shortest, longest = recipe.get("clip_pixels", recipe["pixels"])
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(size={"shortest_edge": least, "longest_edge": most}, **shared),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(
            size={"shortest_edge": shortest, "longest_edge": longest}, **shared
        ),
        chat_template=chat_template(
            "<|vision_start|><|image_pad|><|vision_end|>", "<|vision_start|><|video_pad|><|vision_end|>"
        ),
    )


def model(tokenizer: Qwen2Tokenizer, recipe: dict) -> Qwen3VLForConditionalGeneration:
    """``recipe['text']`` and ``recipe['vision']`` hold the sizes of Qwen3VLTextConfig and Qwen3VLVisionConfig."""
    ids = dict(zip(TOKENS, tokenizer.convert_tokens_to_ids(TOKENS), strict=True))
    config = Qwen3VLConfig(
        text_config=text_config(tokenizer, recipe),
        vision_config={**recipe["vision"], "out_hidden_size": recipe["text"]["hidden_size"]},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    return Qwen3VLForConditionalGeneration(config)
