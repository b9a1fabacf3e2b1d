"""Coloured shapes with a digit on a badge, drawn smoothly at any size."""

from functools import cache

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 150, 60),
    "blue": (40, 90, 200),
    "yellow": (240, 200, 30),
    "purple": (140, 80, 180),
    "orange": (250, 130, 20),
    "brown": (130, 80, 50),
    "pink": (240, 130, 190),
}
BACKGROUNDS = {"white": (250, 250, 250), "grey": (190, 190, 190), "black": (25, 25, 25)}
DIGITS = tuple("0123456789")
SHAPES = ("circle", "square", "triangle", "star", "diamond", "cross", "bow", "heart", "moon", "arrow")
SIDE = 32  # pixels: the smallest shape, a cell of the tiny models
_ZOOM = 4  # sprites are drawn this much larger, then reduced, for smooth edges


def _outline(shape: str, side: float) -> list[tuple[float, float]]:
    """Corners of ``shape`` in a square of ``side`` pixels; round shapes are drawn apart."""
    corners = {
        "square": [(0.06, 0.06), (0.94, 0.06), (0.94, 0.94), (0.06, 0.94)],
        "triangle": [(0.5, 0.0), (1.0, 1.0), (0.0, 1.0)],
        "diamond": [(0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)],
        "cross": [(0.3, 0), (0.7, 0), (0.7, 0.3), (1, 0.3), (1, 0.7), (0.7, 0.7)]
        + [(0.7, 1), (0.3, 1), (0.3, 0.7), (0, 0.7), (0, 0.3), (0.3, 0.3)],
        "bow": [(0, 0), (0.5, 0.35), (1, 0), (1, 1), (0.5, 0.65), (0, 1)],
        "arrow": [(0, 0.25), (0.55, 0.25), (0.55, 0), (1, 0.5), (0.55, 1), (0.55, 0.75), (0, 0.75)],
    }
    if shape == "star":
        angles = np.pi * (np.arange(10) / 5 - 0.5)
        radii = np.where(np.arange(10) % 2, 0.3, 0.54)
        points = zip(0.5 + radii * np.cos(angles), 0.52 + radii * np.sin(angles), strict=True)
    elif shape == "heart":
        t = np.linspace(0, 2 * np.pi, 60)
        x = np.sin(t) ** 3
        y = (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 17
        points = zip(0.5 + 0.5 * x, 0.42 - 0.52 * y, strict=True)
    else:
        return [(x * side, y * side) for x, y in corners[shape]]
    return [(float(x) * side, float(y) * side) for x, y in points]


@cache
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans:bold"), pixels)


@cache
def sprite(shape: str, colour: str, digit: str, side: int = SIDE) -> Image.Image:
    """Draw one shape with its digit on a white badge, RGBA, ``side`` x ``side`` pixels."""
    big = side * _ZOOM
    image = Image.new("RGBA", (big, big), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    paint = (*COLOURS[colour], 255)
    if shape in ("circle", "moon"):
        draw.ellipse((0, 0, big - 1, big - 1), fill=paint)
        if shape == "moon":
            draw.ellipse((0.45 * big, -0.05 * big, 1.25 * big, 0.75 * big), fill=(0, 0, 0, 0))
    else:
        draw.polygon(_outline(shape, big - 1), fill=paint)
    middle, radius = big / 2, 0.24 * big
    badge = (middle - radius, middle - radius, middle + radius, middle + radius)
    draw.ellipse(badge, fill=(255, 255, 255, 255))
    draw.text((middle, middle), digit, fill=(0, 0, 0, 255), font=_font(int(0.48 * big)), anchor="mm")
    return image.resize((side, side), Image.Resampling.LANCZOS)
