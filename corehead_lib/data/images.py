"""Pictures that are read when somebody looks, and not kept."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from corehead_lib.errors import CoreheadError
from corehead_lib.pictures import check_mode, rgb

MOST_PIXELS = 2**27  # of one picture; more is taken for a decompression bomb


class LazyImage(Image.Image):
    """A PIL image, as ``pictures.rgb`` shows it, whose pixels are read on first use.

    Only the picture that was read last keeps its pixels, so thousands of pages can wait in a list of samples. A
    picture that is written to keeps what was written. Damaged pixels raise CoreheadError.
    """

    _latest: ClassVar[tuple["LazyImage", Image.Image] | None] = None

    def __init__(self, size: tuple[int, int], read: Callable[[], Image.Image], name: str) -> None:
        super().__init__()
        self._mode, self._size, self._read, self._name = "RGB", size, read, name
        self.readonly = 1  # PIL copies the pixels before it writes to them

    def _pixels(self) -> Image.Image:
        latest = LazyImage._latest
        if latest and latest[0] is self:
            return latest[1]
        try:
            upright = rgb(self._read())
        except CoreheadError:
            raise
        except Exception as error:  # PIL raises OSError, SyntaxError, struct.error, ... on damaged files
            raise CoreheadError(f"damaged picture: {self._name}: {error}") from error
        if upright.size != self._size:
            raise CoreheadError(f"damaged picture: {self._name} is {upright.size}, not {self._size}")
        LazyImage._latest = (self, upright)
        return upright

    @property
    def im(self) -> Any:
        """PIL's own pixels; every method of PIL asks here."""
        return self._pixels().im if self._im is None else self._im

    @im.setter
    def im(self, im: Any) -> None:
        self._im = im

    def load(self) -> Any:
        """Pixel access, as PIL's."""
        return self._pixels().load() if self._im is None else super().load()


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
            check_mode(header)
            width, height = header.size
            if header.getexif().get(0x0112, 1) in (5, 6, 7, 8):  # orientation on its side
                width, height = height, width
    except CoreheadError as error:
        raise CoreheadError(f"{error}: {name}") from error
    except Exception as error:
        raise CoreheadError(f"unreadable picture: {name}: {error}") from error
    if width * height > MOST_PIXELS:
        raise CoreheadError(f"oversized picture: {name} has {width} x {height} pixels")
    return LazyImage((width, height), read, name)
