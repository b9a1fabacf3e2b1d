"""Read RefCOCOg's refs, Python 2 pickles, without running anything that they say."""

import pickle
from pathlib import Path
from typing import Any

from corehead_lib.errors import CoreheadError

# Numbers, texts, lists and dicts need no name at all; these containers do in old protocols.
ADMITTED = {
    (module, name): kind
    for module in ("__builtin__", "builtins")
    for name, kind in {"set": set, "frozenset": frozenset}.items()
}
MOST_BYTES = 2**29  # refs(umd).p has about 40 MB


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ADMITTED:
            return ADMITTED[module, name]
        raise CoreheadError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise CoreheadError("it refers to things outside the file")


def read_pickle(path: Path) -> Any:
    """Unpickle builtin containers and scalars; byte strings of Python 2 become text (latin1).

    Raises CoreheadError, before anything is called, if the pickle names any other class or function, if it is
    truncated, or if it is far too large.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CoreheadError("it is larger than any refs file")
        with path.open("rb") as file:
            return _Plain(file, encoding="latin1").load()
    except Exception as error:  # a broken stream raises almost anything
        raise CoreheadError(
            f"refused pickle: {path}: {error}; only lists, dicts, numbers and texts are read, so take one of the parquet "
            "mirrors of RefCOCOg instead"
        ) from error
