"""Is a dataset on disk what its manifest says: sizes, checksums, and how many records its annotations hold."""

from dataclasses import dataclass
from hashlib import file_digest
from importlib import import_module
from pathlib import Path
from typing import Literal

from corehead_lib.data.manifest import DataFile, Manifest
from corehead_lib.data.real import SOURCES
from corehead_lib.data.report import Report
from corehead_lib.errors import CoreheadError


@dataclass(frozen=True)
class Finding:
    """One line of a check; "absent" alone is no failure, a dataset has several forms."""

    subject: str
    status: Literal["ok", "absent", "unverified", "WRONG"]
    detail: str


def check(manifest: Manifest, folder: Path) -> list[Finding]:
    """Compare ``folder`` with ``manifest``, file by file, then scan the annotations, but no pixels.

    A file is "ok" if its size or sha256 is known and equal, "unverified" if the manifest knows neither. Records count
    whether or not they are usable; why some are not is in the detail.
    """
    findings = [finding for file in manifest.files for finding in _files(file, folder)]
    source = SOURCES.get(manifest.name)
    return findings + (_records(source.module, manifest, folder) if source else [])


def verified(findings: list[Finding]) -> bool:
    """No finding is wrong."""
    return all(finding.status != "WRONG" for finding in findings)


def _files(file: DataFile, folder: Path) -> list[Finding]:
    found = sorted(path for path in folder.glob(file.path) if path.is_file())
    if not found:
        return [Finding(file.path, "absent", "optional" if file.optional else file.holds)]
    if len(found) > 1:
        size = sum(path.stat().st_size for path in found)
        return [Finding(file.path, "unverified", f"{len(found)} files, {size:,} bytes")]
    size = found[0].stat().st_size
    if file.size is not None and size != file.size:
        return [Finding(file.path, "WRONG", f"{size:,} bytes, expected {file.size:,}")]
    if file.sha256:
        with found[0].open("rb") as stream:
            actual = file_digest(stream, "sha256").hexdigest()
        if actual != file.sha256:
            return [Finding(file.path, "WRONG", f"sha256 {actual[:12]}..., expected {file.sha256[:12]}...")]
        return [Finding(file.path, "ok", f"{size:,} bytes, sha256")]
    return [Finding(file.path, "unverified" if file.size is None else "ok", f"{size:,} bytes")]


def _records(module: str, manifest: Manifest, folder: Path) -> list[Finding]:
    report = Report(manifest.name)
    groups, usable = set(), 0
    try:
        for record in import_module(f"corehead_lib.data.{module}").records(folder, report):
            groups.add(record.group)
            usable += 1
    except CoreheadError as error:
        return [Finding("annotations", "WRONG", str(error))]
    counts = {"records": usable + len(report.refused), "groups": len(groups)}
    lines = []
    for name, count in counts.items():
        expected = manifest.expected.get(name)
        status: Literal["ok", "unverified", "WRONG"] = "unverified" if expected is None else "ok"
        if expected not in (None, count):
            status = "WRONG"
        lines.append(Finding(name, status, f"{count:,}" + (f", expected {expected:,}" if expected else "")))
    refused = [
        Finding("refused", "unverified", f"{count:,}: {kind}") for kind, count in report.reasons().items()
    ]
    return lines + refused
