"""What a number depends on besides its notebook: versions of the libraries, and this package itself."""

import sys
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from corehead_lib import __version__

PACKAGES = ("torch", "transformers", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python, of the packages that can change a number, and of this one."""
    found = {"python": ".".join(map(str, sys.version_info[:3])), "corehead_lib": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


LIBRARY = Path(__file__).resolve().parent


def library_sha256(root: Path = LIBRARY) -> str:
    """Return one checksum over every file of the package, its code, schemas and weights."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    total = sha256()
    for path in files:
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + sha256(path.read_bytes()).digest())
    return total.hexdigest()


def other_library(place: Path) -> Path | None:
    """Return the `corehead_lib` of the clone that ``place`` lies in, if it is another one than this; else None.

    A copy with the same content is no other one.
    """
    place = place.resolve()
    clones = (folder / "corehead_lib" for folder in (place, *place.parents))
    beside = next((clone for clone in clones if (clone / "__init__.py").is_file()), None)
    if beside is None or beside == LIBRARY or library_sha256(beside) == library_sha256():
        return None
    return beside
