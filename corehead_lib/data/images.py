"""Pictures that are read when somebody looks, and kept by nobody."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from corehead_lib.errors import CoreheadError

MOST_PIXELS = 2**27  # of one picture; more is taken for a decompression bomb


class LazyImage(Image.Image):
    """A PIL image, RGB and upright (EXIF rotation applied), whose pixels are read on first use.

    ``copy``, ``convert``, ``tobytes`` and ``numpy.asarray`` read them anew and keep none, so thousands of pages can wait in
    a list of samples; other methods load and keep them as PIL does. Damaged pixels raise CoreheadError.
    """

    def __init__(self, size: tuple[int, int], read: Callable[[], Image.Image], name: str) -> None:
        super().__init__()
        self._mode, self._size, self._read, self._name = "RGB", size, read, name

    def _fresh(self) -> Image.Image:
        try:
            picture = ImageOps.exif_transpose(self._read()).convert("RGB")
        except CoreheadError:
            raise
        except Exception as error:  # PIL raises OSError, SyntaxError, struct.error, ... on damaged files
            raise CoreheadError(f"damaged picture: {self._name}: {error}") from error
        if picture.size != self._size:
            raise CoreheadError(f"damaged picture: {self._name} is {picture.size}, not {self._size}")
        return picture

    def load(self) -> Any:
        if getattr(self, "_im", None) is None:
            self._im = self._fresh().im
        return super().load()

    def copy(self) -> Image.Image:
        return self._fresh()

    def convert(self, *args: Any, **kwargs: Any) -> Image.Image:
        return self._fresh().convert(*args, **kwargs)

    def tobytes(self, *args: Any, **kwargs: Any) -> bytes:
        return self._fresh().tobytes(*args, **kwargs)


def picture(source: Path | Callable[[], bytes], name: str = "") -> LazyImage:
    """Open an image file, or the bytes of one, reading its header only.

    Raises CoreheadError if the file is missing, is no image, or is too large to be one.
    """
    name = name or str(source)
    if isinstance(source, Path) and not source.is_file():
        raise CoreheadError(f"missing picture: {source}")

    def read() -> Image.Image:
        return Image.open(io.BytesIO(source.read_bytes() if isinstance(source, Path) else source()))

    try:
        with Image.open(source) if isinstance(source, Path) else read() as header:
            width, height = header.size
            if header.getexif().get(0x0112, 1) in (5, 6, 7, 8):  # orientation on its side
                width, height = height, width
    except CoreheadError:
        raise
    except Exception as error:
        raise CoreheadError(f"unreadable picture: {name}: {error}") from error
    if width * height > MOST_PIXELS:
        raise CoreheadError(f"oversized picture: {name} has {width} x {height} pixels")
    return LazyImage((width, height), read, name)
