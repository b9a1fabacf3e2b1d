"""Which model a name means: one that ships, one that was fetched, a folder, or one on the hub. Loads nothing."""

import re
from pathlib import Path

from corehead_lib.errors import CoreheadError, did_you_mean, shown
from corehead_lib.known import data_root, known_models

ZOO = Path(__file__).with_name("zoo")
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)


def find_model(name: str, zoo: Path = ZOO) -> Path | str:
    """Return the folder that ``name`` means, or the name itself for one on the hub.

    name: a model of ``zoo``; one of data_manifests/ that `corehead data fetch` brought; a folder with a checkpoint; or
        a hub id such as Qwen/Qwen3-VL-8B-Instruct, which is taken from where it was fetched, if it was.

    Raises CoreheadError if it is none of these, if the folder holds no weights, or if the model was not fetched yet.
    """
    shipped = {path.parent.name: path.parent for path in zoo.glob("*/config.json")}
    folder = shipped.get(name) or _folder(name)
    manifests = {name: model for name, model in known_models().items() if model.hub}
    known = manifests.get(name) or next((m for m in manifests.values() if m.hub == name), None)
    if not folder and known:
        folder = _folder(str(data_root() / known.name))
    if folder and not any(folder.glob("*.safetensors")):
        raise CoreheadError(f"{folder} holds no *.safetensors file: no weights to load for {name!r}.")
    if folder:
        return folder
    if name in manifests:
        raise CoreheadError(
            f"The model {name!r} is not on this machine: `corehead data fetch {name}` brings it to "
            f"{data_root() / name}, or give its hub id, {manifests[name].hub}."
        )
    if HUB_ID.fullmatch(name) and ".." not in name:
        return name
    raise CoreheadError(f"There is no model {shown(name)}.{did_you_mean(name, {*shipped, *manifests})}")


def _folder(name: str) -> Path | None:
    """The folder of that name, if it is one."""
    try:
        folder = Path(name).expanduser()
        return folder if name and folder.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, an unknown user
        return None
