"""Where this machine keeps what was fetched."""

import os
from pathlib import Path

VARIABLE = "COREHEAD_DATA"  # the environment variable that says where datasets and models are kept


def data_root() -> Path:
    """Where datasets and models are kept: $COREHEAD_DATA, else a cache folder of the user."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE]).expanduser()
    import pooch  # here, so that importing this package stays quick

    return Path(pooch.os_cache("corehead"))
