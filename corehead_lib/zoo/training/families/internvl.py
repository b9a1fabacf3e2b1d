"""InternVL3.5 (arXiv 2508.18265) on a Qwen3 backbone: square tiles, a thumbnail, frames as single tiles."""

from transformers import (
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    PreTrainedTokenizerBase,
    Qwen2Tokenizer,
)

from corehead_lib.zoo.training.families.chat import CENTRED, chat_template, text_config

NAMED = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *NAMED.values()]
SHUFFLE = 0.5  # share of rows, and of columns, that is left when patches are joined into tokens


def processor(tokenizer: PreTrainedTokenizerBase, recipe: dict) -> InternVLProcessor:
    """``recipe['vision']['image_size']`` is the side of a tile, ``recipe['tiles']`` the (least, most) of them."""
    vision = recipe["vision"]
    side = vision["image_size"]
    shared = {"size": {"height": side, "width": side}, **CENTRED}
    least, most = recipe["tiles"]
    picture, clip = tokenizer.context_image_token, tokenizer.video_token
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(
            crop_to_patches=True, min_patches=least, max_patches=most, **shared
        ),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(**shared),
        image_seq_length=int(side // vision["patch_size"] * SHUFFLE) ** 2,
        chat_template=chat_template(f"{{{{ '{picture}\\n' }}}}", f"{{{{ '{clip}\\n' }}}}"),
    )


def model(tokenizer: Qwen2Tokenizer, recipe: dict) -> InternVLForConditionalGeneration:
    """``recipe['text']`` and ``recipe['vision']`` hold the sizes of Qwen3Config and InternVLVisionConfig."""
    text = {"model_type": "qwen3", **text_config(tokenizer, recipe)}
    return InternVLForConditionalGeneration(config(tokenizer, recipe, text))


def config(tokenizer: PreTrainedTokenizerBase, recipe: dict, text: dict) -> InternVLConfig:
    """Of a model whose language model has the settings ``text``."""
    vision = recipe["vision"]
    return InternVLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=int(vision["image_size"] // vision["patch_size"] * SHUFFLE) ** 2,
        downsample_ratio=SHUFFLE,
        tie_word_embeddings=True,
    )
