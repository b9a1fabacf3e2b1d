"""LLaVA-OneVision (arXiv 2408.03326) on SigLIP and Qwen2: a base view, then tiles joined and unpadded."""

from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    Qwen2Tokenizer,
)

from corehead_lib.zoo.training.families.chat import CENTRED, chat_template, text_config

TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"]
NAMED: dict[str, str] = {}


def pinpoints(recipe: dict) -> list[list[int]]:
    """All canvases of up to ``recipe['grid']`` rows and columns of tiles, (height, width) in pixels."""
    side, most = recipe["vision"]["image_size"], recipe["grid"]
    return [[side * rows, side * columns] for rows in range(1, most + 1) for columns in range(1, most + 1)]


def aspect(recipe: dict) -> str:
    """The setting that shrinks the map of tiles once it holds more cells than ``recipe['most_tiles']`` do."""
    return f"anyres_max_{recipe['most_tiles']}"


def processor(tokenizer: Qwen2Tokenizer, recipe: dict) -> LlavaOnevisionProcessor:
    """``recipe['vision']['image_size']`` is the side of the base view and of a tile."""
    vision = recipe["vision"]
    side = vision["image_size"]
    shared = {"size": {"height": side, "width": side}, **CENTRED}
    return LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(image_grid_pinpoints=pinpoints(recipe), **shared),
        tokenizer=tokenizer,
        video_processor=LlavaOnevisionVideoProcessor(**shared),
        num_image_tokens=(side // vision["patch_size"]) ** 2,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=aspect(recipe),
        chat_template=chat_template("{{ '<image>\\n' }}", "{{ '<video>\\n' }}"),
    )


def model(tokenizer: Qwen2Tokenizer, recipe: dict) -> LlavaOnevisionForConditionalGeneration:
    """``recipe['text']`` and ``recipe['vision']`` hold the sizes of Qwen2Config (or of its ``model_type``) and SiglipVisionConfig."""
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **text_config(tokenizer, recipe)},  # or as the recipe says
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **recipe["vision"]},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints(recipe),
        vision_aspect_ratio=aspect(recipe),
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
        tie_word_embeddings=True,
    )
    return LlavaOnevisionForConditionalGeneration(config)
