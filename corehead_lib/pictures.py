"""Any picture in eight bits of red, green and blue: upright, to scale, and on white where it is transparent."""

import numpy as np
from PIL import Image, ImageOps

from corehead_lib.errors import CoreheadError

SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")  # grey, 0 to 65535
BITS, PHOTOMETRIC = 258, 262  # tags of a TIFF: bits of a sample; 0 where white is zero
UNSCALED = {
    "I": "whole numbers of no known range",
    "F": "fractions of no known range",
    "LAB": "colours in Lab, which have no one RGB",
}


def check_mode(image: Image.Image) -> None:
    """Raise CoreheadError for pixels whose black and white nobody knows; reads no pixel."""
    if image.mode in UNSCALED:
        raise CoreheadError(
            f"unsupported picture: mode {image.mode} holds {UNSCALED[image.mode]}; convert it to RGB first"
        )
    if 0 in image.size:
        raise CoreheadError(f"unsupported picture: {image.size[0]} x {image.size[1]} pixels")
    if image.mode == "RGB" and "transparency" in image.info and _raw(image).startswith("RGB;16"):
        raise CoreheadError(
            "unsupported picture: one colour of 16 bits is transparent, which 8 bits cannot tell from others"
        )


def _raw(image: Image.Image) -> str:
    """How the file packs its pixels, such as "L;4"; "" once they are read."""
    tiles = getattr(image, "tile", None)
    args = tiles[0][3] if tiles else ""
    return args if isinstance(args, str) else str(args[0]) if args else ""


def rgb(image: Image.Image) -> Image.Image:
    """The picture as it is meant to be seen, mode RGB.

    It is turned by its EXIF flag; grey of 16 bits, or 12, is scaled to 8; what is transparent lies on white, as on paper.
    Raises CoreheadError as ``check_mode`` does.
    """
    check_mode(image)
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    white, inverted = 2 ** tags.get(BITS, (16,))[0] - 1, tags.get(PHOTOMETRIC) == 0
    if isinstance(
        image.info.get("transparency"), int
    ):  # in the file's grey, once; Pillow scales the pixels alone
        image.info["transparency"] *= {"L;2": 85, "L;4": 17}.get(_raw(image), 1)
    image = ImageOps.exif_transpose(image)
    if image.mode in SIXTEEN:
        values = np.asarray(image).astype(np.uint32)
        grey = ((values * 255 + white // 2) // white).astype(np.uint8)
        if inverted:  # Pillow turns such a TIFF round for 8 bits alone
            grey = 255 - grey
        grey[values == image.info.get("transparency", -1)] = 255
        return Image.fromarray(grey).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
