"""Any picture in eight bits of red, green and blue: upright, to scale, and on white where it is transparent."""

import numpy as np
from PIL import Image, ImageOps

from corehead_lib.errors import CoreheadError

SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")  # grey, 0 to 65535
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


def rgb(image: Image.Image) -> Image.Image:
    """The picture as it is meant to be seen, mode RGB.

    It is turned by its EXIF flag; grey of 16 bits is scaled to 8; what is transparent lies on white, as on paper.
    Raises CoreheadError as ``check_mode`` does.
    """
    check_mode(image)
    image = ImageOps.exif_transpose(image)
    if image.mode in SIXTEEN:
        values = np.asarray(image).astype(np.uint32)
        grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
        grey[values == image.info.get("transparency", -1)] = 255
        return Image.fromarray(grey).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
