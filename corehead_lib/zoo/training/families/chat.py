"""The chat format that the three families share, apart from what stands for an image and for a clip."""

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
