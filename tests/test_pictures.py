"""Pictures of every mode, against what a person would call the same picture."""

import struct
import zlib
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny import SAMPLES, clip, noise

from corehead_lib.data.images import picture
from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.pictures import rgb
from corehead_lib.samples import Clip

RAMP = np.linspace(0, 65535, 128)[None].repeat(16, 0)


def stored(image: Image.Image, kind: str = "png", **options: Any) -> Image.Image:
    file = BytesIO()
    image.save(file, kind, **options)
    return Image.open(BytesIO(file.getvalue()))


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_grey_of_sixteen_bits_is_scaled(kind: str, order: str) -> None:
    mode = "I;16" if order == "<u2" else "I;16B"
    grey = Image.frombytes(mode, (128, 16), np.rint(RAMP).astype(order).tobytes())
    expected = np.rint(np.rint(RAMP) / 65535 * 255).astype(np.uint8)
    for image in (grey, stored(Image.fromarray(np.rint(RAMP).astype("<u2")), kind)):
        assert image.mode.startswith("I;16")
        np.testing.assert_array_equal(np.asarray(rgb(image)), expected[..., None].repeat(3, 2))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"])
def test_opaque_modes_are_as_before(mode: str) -> None:
    image = noise(40, 30).convert(mode)
    assert rgb(image).tobytes() == image.convert("RGB").tobytes()


def tiff(values: np.ndarray, bits: int, white_is_zero: bool) -> Image.Image:
    """A TIFF of grey of 16 or 12 bits, as scanners and microscopes write it, Pillow does not."""
    high, wide = values.shape
    content = values.astype("<u2").tobytes()
    if bits == 12:
        digits = "".join(f"{value:03x}" for value in values.ravel())
        content = bytes.fromhex(digits)
    tags = {256: wide, 257: high, 258: bits, 259: 1, 262: int(not white_is_zero), 273: 122, 277: 1, 278: high}
    tags |= {279: len(content)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", 0)
    assert len(head) == tags[273]
    return Image.open(BytesIO(head + content))


@pytest.mark.parametrize(("bits", "white_is_zero"), [(12, False), (16, False), (16, True)])
def test_grey_of_a_tiff_is_scaled_from_its_black_to_its_white(bits: int, white_is_zero: bool) -> None:
    values = np.rint(RAMP / 65535 * (2**bits - 1)).astype(int)
    image = tiff(values, bits, white_is_zero)
    assert image.mode == "I;16"
    expected = np.rint(values / (2**bits - 1) * 255).astype(np.uint8)
    for _ in range(2):  # also when its pixels are read already
        shown = np.asarray(rgb(image))[..., 0]
        np.testing.assert_array_equal(shown, 255 - expected if white_is_zero else expected)


def png(depth: int, kind: int, row: bytes, transparent: bytes) -> Image.Image:
    """A PNG of 16 x 8 pixels with a transparent colour."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", 16, 8, depth, kind, 0, 0, 0)
    body = (
        chunk(b"tRNS", transparent) + chunk(b"IDAT", zlib.compress((b"\0" + row) * 8)) + chunk(b"IEND", b"")
    )
    return Image.open(BytesIO(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body))


@pytest.mark.parametrize(("depth", "row"), [(2, b"\xaa\xaa\0\0"), (4, b"\x88" * 4 + b"\0" * 4)])
def test_a_transparent_grey_of_few_bits_lies_on_white(depth: int, row: bytes) -> None:
    image = png(depth, 0, row, struct.pack(">H", row[0] & (2**depth - 1)))
    for _ in range(2):
        shown = np.asarray(rgb(image))
        assert (shown[:, :8] == 255).all()
        assert (shown[:, 8:] == 0).all()


def test_a_transparent_colour_of_sixteen_bits_is_refused() -> None:
    """Its neighbours have the same eight bits, and would turn white with it."""
    image = png(16, 2, struct.pack(">HHH", 0x1234, 0, 0) * 16, struct.pack(">HHH", 0x0012, 0, 0))
    with pytest.raises(CoreheadError, match="16 bits is transparent"):
        rgb(image)


def on_white(pixels: np.ndarray) -> np.ndarray:
    share = pixels[..., 3:].astype(float) / 255
    return pixels[..., :3] * share + 255 * (1 - share)


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "PA"])
def test_transparency_lies_on_white(mode: str) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 40, 4), dtype=np.uint8)
    pixels[:10, :, 3], pixels[10:20, :, 3] = 0, 255
    if mode in ("LA", "La", "PA"):
        pixels[..., :3] = pixels[..., :1]
    full = Image.fromarray(pixels)
    image = full.convert("LA") if mode in ("LA", "La", "PA") else full
    image = image if image.mode == mode else image.convert(mode)
    if mode == "PA":
        image.putalpha(full.getchannel("A"))  # which the conversion loses
    shown = np.asarray(rgb(image)).astype(float)
    assert (shown[:10] == 255).all()
    np.testing.assert_allclose(shown[10:20], pixels[10:20, :, :3], atol=0 if mode in ("RGBA", "LA") else 2)
    np.testing.assert_allclose(shown, on_white(pixels), atol=3)


def test_one_transparent_colour_lies_on_white() -> None:
    """As PNG keeps it in its tRNS chunk: for palettes, grey, RGB and grey of sixteen bits."""
    grey = np.full((8, 8), 10, dtype=np.uint8)
    grey[2:4] = 0
    sixteen = grey.astype("<u2") * 1000
    palette = Image.fromarray(grey).convert("P")
    index = np.asarray(palette)[2, 2]
    for image in (
        stored(Image.fromarray(grey), transparency=0),
        stored(Image.fromarray(grey).convert("RGB"), transparency=(0, 0, 0)),
        stored(palette, transparency=int(index)),
        stored(Image.fromarray(sixteen), transparency=0),
    ):
        shown = np.asarray(rgb(image))
        assert (shown[2:4] == 255).all(), image.mode
        assert (shown[4:] < 60).all(), image.mode


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)),
        Image.fromarray(np.arange(64, dtype=np.int32).reshape(8, 8)),
        Image.new("LAB", (8, 8)),
        Image.new("RGB", (0, 8)),
    ],
    ids=["float", "int", "lab", "empty"],
)
def test_pixels_without_scale_are_refused_with_the_samples_id(tiny: LoadedModel, image: Image.Image) -> None:
    with pytest.raises(CoreheadError, match=r"^a: item 0 cannot be shown: unsupported picture: "):
        encode(tiny, [replace(SAMPLES[0], media=(image,), evidence=())])
    if image.mode == "F":
        file = BytesIO()
        image.save(file, "tiff")
        with pytest.raises(CoreheadError, match=r"unsupported picture: mode F.*: x.tiff"):
            picture(file.getvalue, "x.tiff")


def test_files_clips_and_samples_show_the_same(tiny: LoadedModel) -> None:
    """A transparent page, from disk or from memory, as an image or as frames of a clip."""
    pixels = np.zeros((64, 96, 4), np.uint8)
    pixels[24:40, 8:56, 3] = 255
    page = Image.fromarray(pixels)
    file = BytesIO()
    page.save(file, "png")
    white = rgb(page)
    assert set(np.unique(np.asarray(white))) == {0, 255}
    expected = encode(tiny, [replace(SAMPLES[0], media=(white,), evidence=())]).inputs["pixel_values"]
    for image in (page, picture(file.getvalue, "x.png"), stored(page)):
        found = encode(tiny, [replace(SAMPLES[0], media=(image,), evidence=())]).inputs["pixel_values"]
        assert (found == expected).all()
    films = [Clip([frame] * 4) for frame in (page, white)]
    clips = [encode(tiny, [replace(SAMPLES[0], media=(film,), evidence=())]).inputs for film in films]
    assert (clips[0]["pixel_values_videos"] == clips[1]["pixel_values_videos"]).all()


def test_a_damaged_picture_is_refused_with_the_samples_id(tiny: LoadedModel) -> None:
    file = BytesIO()
    noise(64, 64).save(file, "png")
    broken = Image.open(BytesIO(file.getvalue()[: len(file.getvalue()) // 2]))
    with pytest.raises(CoreheadError, match=r"^c: item 1 cannot be shown: "):
        encode(tiny, [*SAMPLES[:2], replace(SAMPLES[2], media=(noise(64, 64), broken), evidence=())])


def test_a_shape_that_the_processor_refuses_names_its_sample(family: LoadedModel) -> None:
    thin = replace(SAMPLES[0], id="thin", media=(noise(1000, 4),), evidence=())
    if family.model.config.model_type != "qwen3_vl":
        assert len(encode(family, [SAMPLES[1], thin]).cells[1])
        return
    with pytest.raises(CoreheadError, match=r"^thin: the model's processor refuses it: "):
        encode(family, [SAMPLES[1], thin])


@pytest.mark.parametrize(
    "change", [{"fps": float("inf")}, {"index": (3, 2, 1, 0, 0)}, {"index": (-1, 0, 1, 2, 3)}]
)
def test_impossible_clips_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CoreheadError, match=r"frame rate|counted from 0"):
        replace(clip(), **change)
