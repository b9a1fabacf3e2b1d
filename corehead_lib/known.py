"""What data_manifests/ says of models, what their weights and config must be; and where data is kept."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from corehead_lib.errors import CoreheadError

FOLDER = Path(__file__).parents[1] / "data_manifests"
VARIABLE = "COREHEAD_DATA"  # the environment variable that says where data is kept
NUMBERS = ("layers", "heads", "kv_heads", "head_dim", "hidden", "context")


@dataclass(frozen=True)
class Known:
    """One model's facts, to be compared with what is loaded."""

    name: str
    hub: str | None = None
    sha256: str | None = None  # over the safetensors files, see models.weights_checksum
    numbers: dict[str, int] = field(default_factory=dict)  # of NUMBERS, those that are known
    from_memory: bool = False  # nobody read them from the model's own config

    def disagreements(self, actual: dict[str, int | None]) -> list[str]:
        """The numbers that ``actual`` contradicts, as "layers: 36 in the manifest, 28 in the config"."""
        return [
            f"{name}: {self.numbers[name]} in the manifest, {value} in the config"
            for name, value in actual.items()
            if value is not None and self.numbers.get(name, value) != value
        ]


def data_root() -> Path:
    """Where datasets and fetched models are kept: $COREHEAD_DATA, else a cache folder of the user."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE]).expanduser()
    import pooch  # here, so that importing this package stays quick

    return Path(pooch.os_cache("corehead"))


def known_models() -> dict[str, Known]:
    """Every model that has a manifest, by name. Raises CoreheadError naming a file that cannot be read."""
    found = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        try:
            said = yaml.safe_load(path.read_text(encoding="utf-8"))
            if said["kind"] != "model":
                continue
            numbers = {name: int(said[name]) for name in NUMBERS if said.get(name) is not None}
            memory = said.get("numbers_from") == "memory"
            found[path.stem] = Known(path.stem, said.get("hub"), said.get("sha256"), numbers, memory)
        except (yaml.YAMLError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise CoreheadError(
                f"data_manifests/{path.name} does not describe a model or dataset: {error}."
            ) from error
    return found


def known_model(name: str) -> Known | None:
    """A model by its name here, its hub id, or a folder of that name; None if it has no manifest."""
    known, folder = known_models(), Path(name).name
    alike = (
        model
        for model in known.values()
        if model.hub
        and name != model.name
        and (model.hub == name or folder in (model.name, model.hub.split("/")[-1]))
    )
    return known.get(name) or next(alike, None)
