"""A model's chat template, asked with care: texts that would steer it are refused, and a thought is closed."""

import re
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError
from transformers import ProcessorMixin

from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Sample

ANSWER = "\ue000"  # a private use character: stands for an answer in the chat template
THOUGHT = re.compile(
    r"[<\[]\|?(/|end_of_)?(?:\w+:|begin_of_)?(?:think|thinking|thought|reasoning)\|?[>\]]", re.IGNORECASE
)


def check_texts(processor: ProcessorMixin, sample: Sample) -> None:
    """Raise CoreheadError if a text holds what the tokenizer would read as one of its own marks, or no characters."""
    marks = {processor.image_token: "this model's placeholder; write samples.MEDIA instead"}
    marks |= dict.fromkeys(
        filter(None, [getattr(processor, "video_token", None)]), marks[processor.image_token]
    )
    control = "which this model reads as a mark of its own, not as text; write it with a space inside"
    marks |= dict.fromkeys(sorted(set(processor.tokenizer.get_added_vocab()) - set(marks), key=len), control)
    texts = {"question": sample.question, "context": sample.context, "answer": sample.answer}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise CoreheadError(f"{sample.id}: its {name} is no text but {text!r:.80}; write it as one.")
        found = [mark for mark in marks if mark in text]
        if found:
            raise CoreheadError(f"{sample.id}: the text holds {found[0]}, {marks[found[0]]}; see its {name}.")
        half = re.search("[\ud800-\udfff]", text)
        if half:
            raise CoreheadError(
                f"{sample.id}: character {half.start()} of the {name} is half a surrogate pair ({half[0]!a}), "
                "which is no character: repair the text where it was read."
            )


@lru_cache(maxsize=64)
def _opened(processor: ProcessorMixin, template: str, can_think: bool) -> str:
    """What the template writes where an answer begins, beyond what stands before an answer that was given earlier."""
    options: dict[str, Any] = {"enable_thinking": False} if can_think else {}
    turns = [("user", "Q"), ("assistant", ANSWER), ("user", "Q")]
    chat = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
    try:
        before = processor.apply_chat_template(chat, **options).partition(ANSWER)[0]
        asked = processor.apply_chat_template(chat[:1], add_generation_prompt=True, **options)
    except (TemplateError, ValueError, TypeError, KeyError, AttributeError):
        return ""  # a template for one turn, which has nothing to compare with
    shared = next(
        (n for n, pair in enumerate(zip(before, asked, strict=False)) if len({*pair}) > 1), len(before)
    )
    return asked[shared:].strip()


def ask_template(processor: ProcessorMixin, messages: list[dict], name: str) -> str:
    """Render a chat up to where the answer begins; where the template opens a thought there, close it again.

    Without thinking is how templates are asked that can be (``enable_thinking``). ``name`` is the sample's id.
    Raises CoreheadError if there is no template, if it fails, or if it begins the answer itself, as with a thought in a
    form that is not known.
    """
    template = getattr(processor, "chat_template", None)
    if not template:
        raise CoreheadError(
            f"{name}: this model's processor has no chat template, as base models have none; load an instruct "
            "checkpoint, or set processor.chat_template."
        )
    options: dict[str, Any] = {"enable_thinking": False} if "enable_thinking" in str(template) else {}
    try:
        text = processor.apply_chat_template(messages, add_generation_prompt=True, **options)
    except (TemplateError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CoreheadError(f"{name}: the chat template fails: {type(error).__name__}: {error}.") from error
    tags = [match for match in THOUGHT.finditer(text) if not text[match.end() :].strip()]
    if tags and tags[-1][1]:
        return text
    if not tags:
        more = _opened(processor, str(template), bool(options))
        if more and not more.endswith("<channel|>"):  # as Gemma 4 closes a thought
            raise CoreheadError(
                f"{name}: the chat template begins the answer with {more[:60]!r}, so that it would be scored as the end of "
                "that; load an instruct checkpoint, or change processor.chat_template."
            )
        return text
    if tags[-1][0] != "<think>":
        raise CoreheadError(
            f"{name}: the chat template ends in {tags[-1][0]}, so that the answer would be scored as the beginning of a "
            "thought; load an instruct checkpoint, or change processor.chat_template."
        )
    return text[: tags[-1].end()] + "\n\n</think>\n\n"  # as Qwen's templates write it without thinking
