"""500 seeded hostile pictures, texts and checkpoints: each is right, or refused in one sentence with its id.

Where an input is the clean one in another guise, it gives the same numbers.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tiny import SAMPLES, forward

from corehead_lib.data.images import picture
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.known import Known
from corehead_lib.models import LoadedModel, load_model, weights_checksum
from corehead_lib.samples import MEDIA

PICTURES, TEXTS, CHECKPOINTS = 230, 230, 40


def attempt(work: Callable[[], Any], name: str, outcomes: Counter) -> Any:
    """The result, or None after a refusal in one sentence that begins with the id."""
    try:
        made = work()
    except CoreheadError as error:
        said = str(error)
    else:
        outcomes["right"] += 1
        return made
    assert name in said
    assert len(said.splitlines()) == 1, said
    outcomes["refused"] += 1
    return None


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(image: Image.Image, flag: int) -> bytes:
    """Stored so that the EXIF flag brings it upright."""
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    for step in undo[flag]:
        image = image.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = flag
    return saved(image, "png", exif=exif)


def in_another_guise(grey: Image.Image, rng: np.random.Generator) -> bytes:
    """The same grey picture in another file."""
    sixteen = np.asarray(grey).astype("<u2") * 257
    return [
        lambda: saved(grey, "png"),
        lambda: saved(grey.convert("RGB"), "tiff"),
        lambda: saved(grey.convert("RGB"), "bmp"),
        lambda: saved(grey.convert("RGBA"), "png"),
        lambda: saved(grey.convert("LA"), "png"),
        lambda: saved(grey.convert("P"), "gif"),
        lambda: saved(grey.convert("RGB"), "webp", lossless=True),
        lambda: saved(Image.fromarray(sixteen), "png"),
        lambda: saved(Image.fromarray(sixteen), "tiff"),
        lambda: turned(grey, int(rng.integers(2, 9))),
    ][rng.integers(10)]()


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    broken = bytearray(content)
    for _ in range(rng.integers(1, 20)):
        broken[rng.integers(len(broken))] = rng.integers(256)
    return bytes(broken[: rng.integers(1, len(broken) + 1)])


def odd(rng: np.random.Generator) -> Image.Image:
    size = tuple(int(2 ** rng.uniform(0, 9)) for _ in range(2))
    mode = str(
        rng.choice(["1", "L", "LA", "La", "P", "PA", "RGBA", "RGBa", "CMYK", "HSV", "LAB", "I", "F", "I;16"])
    )
    return Image.new(mode, size)  # type: ignore[arg-type]


def test_hostile_pictures(tiny: LoadedModel) -> None:
    rng, outcomes = np.random.default_rng(0), Counter[str]()
    grey = Image.fromarray(rng.integers(0, 256, (48, 80), dtype=np.uint8))
    clean = replace(SAMPLES[0], media=(grey,), evidence=())
    expected = encode(tiny, [clean]).inputs
    for number in range(PICTURES):
        name, kind = f"picture-{number}", number % 3

        def work(kind: int = kind, name: str = name) -> Batch:
            guise = in_another_guise(grey, rng)
            if kind == 0:
                image = Image.open(BytesIO(guise)) if rng.integers(2) else picture(lambda: guise, name)
            elif kind == 1:
                broken = damaged(guise, rng)
                image = picture(lambda: broken, name)
            else:
                image = odd(rng)  # type: ignore[assignment]
            return encode(tiny, [replace(clean, id=name, media=(image,))])

        made = attempt(work, name, outcomes)
        if kind == 0:
            assert made is not None
            assert all(torch.equal(made.inputs[key], expected[key]) for key in expected)
        if made is not None:
            assert made.inputs["pixel_values"].isfinite().all()
            assert len(made.cells[0]) == int(
                (made.inputs["input_ids"] == tiny.model.config.image_token_id).sum()
            )
    assert sum(outcomes.values()) == PICTURES
    assert min(outcomes["right"], outcomes["refused"]) > 30, outcomes


PIECES = [
    *(
        "What",
        " is",
        " on",
        "?",
        "\n",
        "\t",
        " ",
        "{{ 7 * 7 }}",
        "{% for %}",
        "{# x #}",
        "\\n",
        "%s",
        "{}",
        "<b>",
        "</s>",
    ),
    *(
        "\x00",
        "\x07",
        "\x1b[31m",
        "\r",
        "\x85",
        "\u2028",
        "\u202e",
        "\u200b",
        "\ufeff",
        "e\u0301",
        "é",
        "中文",
        "😀",
        "🏳️‍🌈",
    ),
    *(
        "\ud83d",
        "\udfff",
        "\uffff",
        "\ue000",
        "\ue001",
        "\ue0000\ue001",
        "\ue002",
        MEDIA,
        "<|im_end|>",
        "<|im_start|>",
    ),
    *(
        "<|image_pad|>",
        "<|video_pad|>",
        "<|vision_start|>",
        "<|endoftext|>",
        "<think>",
        "<|im_",
        "end|>",
        "word " * 50,
    ),
]


def test_hostile_texts(tiny: LoadedModel) -> None:
    rng, outcomes = np.random.default_rng(1), Counter[str]()
    tokenizer = tiny.processor.tokenizer
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")
    usual = len(encode(tiny, SAMPLES[:1]).cells[0])
    for number in range(TEXTS):
        name, pieces = f"text-{number}", rng.choice(PIECES, rng.integers(1, 7))
        place = ("question", "context", "answer")[number % 3]
        changes: dict[str, Any] = {"id": name, place: "".join(pieces)}
        sample = replace(SAMPLES[0], **changes)
        made = attempt(partial(encode, tiny, [sample]), name, outcomes)
        if made is None:
            continue
        ids = made.inputs["input_ids"][0]
        assert ids.tolist().count(start) == 2
        assert len(made.cells[0]) == usual
        assert tokenizer.decode(ids[made.question[0]]) == tokenizer.decode(
            tokenizer(sample.question)["input_ids"]
        )
        text = torch.from_numpy(made.context[0, :, 0] < made.context[0, :, 1])
        plain = sample.context.replace(MEDIA, "")
        assert "".join(tokenizer.decode(ids[text]).split()) == "".join(
            tokenizer.decode(tokenizer(plain)["input_ids"]).split()
        )
    assert sum(outcomes.values()) == TEXTS
    assert min(outcomes["right"], outcomes["refused"]) > 30, outcomes


def test_hostile_checkpoints(tiny: LoadedModel, tiny_folder: Path, tmp_path: Path) -> None:
    rng, outcomes = np.random.default_rng(2), Counter[str]()
    shape = tiny.backbone
    known = Known(
        "tiny",
        sha256=weights_checksum(tiny_folder),
        numbers={
            "layers": shape.layers,
            "heads": shape.heads,
            "kv_heads": shape.kv_heads,
            "head_dim": shape.head_dim,
        },
    )
    batch = encode(tiny, SAMPLES)
    expected = forward(tiny, batch)
    for number in range(CHECKPOINTS):
        folder = Path(shutil.copytree(tiny_folder, tmp_path / f"checkpoint-{number}"))
        harmless = number % 4 == 0
        if harmless:
            (
                folder / str(rng.choice(["notes.txt", "pytorch_model.bin", "optimizer.pt", ".DS_Store"]))
            ).write_bytes(b"x")
        elif number % 4 == 1:
            content = (folder / "model.safetensors").read_bytes()
            (folder / "model.safetensors").write_bytes(damaged(content, rng))
        elif number % 4 == 2:
            config = json.loads((folder / "config.json").read_text())
            key = str(
                rng.choice(
                    [
                        "num_hidden_layers",
                        "num_attention_heads",
                        "num_key_value_heads",
                        "head_dim",
                        "hidden_size",
                    ]
                )
            )
            value = [0, -1, None, "x", [], 1.5, 10**6, config["text_config"][key] * 2][rng.integers(8)]
            config["text_config"][key] = value
            (folder / "config.json").write_text(json.dumps(config))
        else:
            files = ["model.safetensors", "config.json", "tokenizer.json", "processor_config.json"]
            (folder / str(rng.choice(files))).unlink()
        made = attempt(partial(load_model, str(folder), known=known), str(folder), outcomes)
        assert (made is not None) or not harmless
        if made is not None:
            assert torch.equal(forward(made, encode(made, SAMPLES)), expected)
        shutil.rmtree(folder)
    assert sum(outcomes.values()) == CHECKPOINTS
    assert min(outcomes["right"], outcomes["refused"]) > 5, outcomes


def test_there_are_five_hundred() -> None:
    assert PICTURES + TEXTS + CHECKPOINTS == 500
