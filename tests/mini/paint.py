"""Pictures, videos and PDFs with a red block where the evidence is."""

import io
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

RED, GREY = (220, 20, 20), (180, 180, 180)
Corners = tuple[float, float, float, float]


def painted(size: tuple[int, int], block: Corners | None = None) -> Image.Image:
    """A grey picture with a red block ``(x0, y0, x1, y1)``, the far corner excluded."""
    image = Image.new("RGB", size, GREY)
    if block:
        x0, y0, x1, y1 = (round(c) for c in block)
        ImageDraw.Draw(image).rectangle((x0, y0, x1 - 1, y1 - 1), fill=RED)
    return image


def jpeg(image: Image.Image) -> bytes:
    """JPEG bytes without chroma subsampling, so that red ends where it should."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(image))


def red_box(image: Image.Image) -> tuple[int, int, int, int]:
    """The smallest box around everything red, (x0, y0, x1, y1), the far corner excluded."""
    pixels = np.asarray(image.convert("RGB")).astype(int)
    rows, columns = np.nonzero((pixels[..., 0] > 140) & (pixels[..., 1] < 110) & (pixels[..., 2] < 110))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def film(path: Path, frames: int, size: tuple[int, int] = (64, 48), fps: int = 24) -> None:
    """A video whose red block, 12 x 16 pixels, starts at x = the frame's number: position-coded time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 4_000_000
        for number in range(frames):
            image = painted(size, (number, 16, number + 12, 32))
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())


def time_of(image: Image.Image) -> float:
    """The number of the frame, read off the middle of its red block; lossy, so to about half a frame."""
    x0, _, x1, _ = red_box(image)
    return (x0 + x1) / 2 - 6


def pdf(path: Path, pages: Sequence[Image.Image]) -> None:
    """A PDF of one picture per page, one point per pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pages[0].save(path, "PDF", save_all=True, append_images=pages[1:], resolution=72)
