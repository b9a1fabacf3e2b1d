"""Read and check data_manifests/: one YAML file per model or dataset, with its source, licence and checksums."""

import shlex
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corehead_lib.errors import CoreheadError, did_you_mean

FOLDER = Path(__file__).parents[2] / "data_manifests"
Kind = Literal["model", "dataset"]


class DataFile(BaseModel):
    """One file of a dataset, or a glob pattern for several; ``size`` in bytes, null where nobody measured it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str  # in the dataset's folder; a file on the hub has the same path there
    holds: str
    size: int | None = Field(default=None, ge=0)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    hub: str | None = None  # the hub dataset that holds it
    url: str | None = None
    instead: tuple[str, ...] = ()  # where the same may lie in the other layouts that are read
    unpack: bool = False  # an archive that `fetch` unpacks into the same folder
    optional: bool = False


class Manifest(BaseModel):
    """What is known of one model or dataset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Kind
    description: str
    source: str
    licence: str
    format: str
    licence_conflict: str | None = None
    fetch: Literal["open", "terms", "by hand", "nothing"] = "nothing"  # what the licence lets a command do
    revision: str | None = None  # commit on the hub; null: whatever is newest
    citation: str | None = None
    # datasets
    files: tuple[DataFile, ...] = ()
    layout: str | None = None  # how the folder must look
    evidence: str | None = None
    conventions: str | None = None
    expected: dict[str, int] = Field(default_factory=dict)  # counts, see check.py
    # models
    hub: str | None = None
    sha256: str | None = None  # over the safetensors files, see models.weights_checksum
    numbers_from: Literal["hub", "derivative", "memory"] | None = None  # where the geometry was read
    layers: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    hidden: int | None = None
    context: int | None = None


def read_manifests(kind: Kind) -> dict[str, Manifest]:
    """Read every manifest of one kind, by name.

    Raises CoreheadError naming the file and the field if one does not fit the schema.
    """
    found = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        try:
            manifest = Manifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except yaml.YAMLError as error:
            raise CoreheadError(f"data_manifests/{path.name} is not YAML: {error}.") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise CoreheadError(f"data_manifests/{path.name}: {where}: {first['msg']}.") from error
        if manifest.name != path.stem:
            raise CoreheadError(
                f"data_manifests/{path.name} is named {manifest.name!r} inside; use one name."
            )
        if manifest.kind == kind:
            found[manifest.name] = manifest
    return found


def find_manifest(name: str, kind: Kind) -> Manifest:
    """The manifest of that name. Raises CoreheadError, with the nearest name, if there is none."""
    known = read_manifests(kind)
    if name not in known:
        raise CoreheadError(f"data_manifests/ has no {kind} {name!r}.{did_you_mean(name, known)}")
    return known[name]


def how_to_get(manifest: Manifest, folder: Path | None = None) -> str:
    """Where a dataset comes from, under which terms, how its folder must look, and the commands: one line."""
    place = f" --data-dir {shlex.quote(str(folder))}" if folder else ""
    where = {
        "by hand": "no command may fetch it, download it yourself",
        "terms": f"read its terms, then `corehead data fetch {manifest.name} --accept-terms{place}` fetches it",
        "open": f"`corehead data fetch {manifest.name}{place}` fetches it",
        "nothing": "nothing needs fetching",
    }[manifest.fetch]
    return (
        f"It comes from {manifest.source}; licence: {manifest.licence}; {where}. The folder must hold: {manifest.layout}. "
        f"`corehead data check {manifest.name}{place}` says what is there and what is missing."
    )
