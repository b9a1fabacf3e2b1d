"""Read and check data_manifests/: one YAML file per model or dataset, with its source and checksum."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from corehead_lib.errors import CoreheadError

FOLDER = Path(__file__).parents[2] / "data_manifests"


class Manifest(BaseModel):
    """What is known of one model or dataset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["model", "dataset"]
    description: str
    source: str
    licence: str
    format: str
    revision: str | None = None
    citation: str | None = None
    # datasets
    evidence: str | None = None
    conventions: str | None = None
    # models
    sha256: str | None = None  # over the safetensors files, see models.weights_checksum
    layers: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    context: int | None = None


def read_manifests(kind: Literal["model", "dataset"]) -> dict[str, Manifest]:
    """Read every manifest of one kind, by name.

    Raises CoreheadError naming the file and the field if one does not fit the schema.
    """
    found = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        try:
            manifest = Manifest.model_validate(yaml.safe_load(path.read_text()))
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
