"""What the three families share: sizes of the text, the scale of pixels, and the chat format but for its media."""

from transformers import Qwen2Tokenizer

CENTRED = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}  # pixels from -1 to 1

TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}IMAGE
{%- elif part.type == 'video' -%}VIDEO
{%- elif part.type == 'text' -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""


def chat_template(image: str, video: str) -> str:
    """Write the Jinja template; ``image`` and ``video`` are Jinja; a newline at their end
    has to stand in an expression, or the template swallows it."""
    return TEMPLATE.replace("IMAGE", image).replace("VIDEO", video)


def text_config(tokenizer: Qwen2Tokenizer, recipe: dict) -> dict:
    """``recipe['text']``, with what the tokenizer decides."""
    return {**recipe["text"], "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
