"""Is a dataset on disk what its manifest says: sizes, checksums, number of records, and can samples be made of them."""

from dataclasses import dataclass
from hashlib import file_digest
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from corehead_lib.datasets.files import find
from corehead_lib.datasets.manifest import DataFile, Manifest
from corehead_lib.datasets.real import SOURCES, Source
from corehead_lib.datasets.records import Record, made
from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Clip, Sample

BUILT, OPENED = 200, 10  # records that are tried, and those of them whose pixels are decoded
Status = Literal["ok", "partly", "absent", "unverified", "WRONG"]


@dataclass(frozen=True)
class Finding:
    """One line of a check; "absent" alone is no failure, a dataset has several forms."""

    subject: str
    status: Status
    detail: str


def check(manifest: Manifest, folder: Path) -> list[Finding]:
    """Compare ``folder`` with ``manifest``, file by file, then count records, and make samples of some of them.

    A file is "ok" if its size or sha256 is known and equal, "unverified" if the manifest knows neither. Records count
    whether or not they are usable; why some are not is in the detail. Of BUILT records, drawn by a fixed seed, samples are
    made, of OPENED their pixels decoded: "partly" if that fails for some, WRONG if for all, as it does
    where annotations and media do not belong together.
    """
    findings = [_file(file, folder) for file in manifest.files]
    for number, (name, source) in enumerate(
        (n, s) for n, s in SOURCES.items() if s.manifest == manifest.name
    ):
        findings += _records(name, source, manifest, folder, main=number == 0)
    return findings


def verified(findings: list[Finding]) -> bool:
    """No finding is wrong."""
    return all(finding.status != "WRONG" for finding in findings)


def _file(file: DataFile, folder: Path) -> Finding:
    found = [path for path in find(folder, (file.path,)) if path.is_file()]
    if not found:
        for pattern in file.instead:
            if other := find(folder, (pattern,)):
                return Finding(file.path, "unverified", f"in another form: {pattern}, {_amount(other)}")
        return Finding(file.path, "absent", "optional" if file.optional else file.holds)
    if len(found) > 1:
        return Finding(file.path, "unverified", _amount(found))
    size = found[0].stat().st_size
    if file.size is not None and size != file.size:
        return Finding(file.path, "WRONG", f"{size:,} bytes, expected {file.size:,}")
    if file.sha256:
        with found[0].open("rb") as stream:
            actual = file_digest(stream, "sha256").hexdigest()
        if actual != file.sha256:
            return Finding(file.path, "WRONG", f"sha256 {actual[:12]}..., expected {file.sha256[:12]}...")
        return Finding(file.path, "ok", f"{size:,} bytes, sha256")
    return Finding(file.path, "unverified" if file.size is None else "ok", f"{size:,} bytes")


def _amount(found: list[Path]) -> str:
    files = [
        p for path in found for p in ([path] if path.is_file() else find(path, ("**/*",))) if p.is_file()
    ]
    return f"{len(files):,} files, {sum(path.stat().st_size for path in files):,} bytes"


def _records(name: str, source: Source, manifest: Manifest, folder: Path, main: bool) -> list[Finding]:
    module, report = import_module(f"corehead_lib.datasets.{source.module}"), Report(name)
    try:
        records = list(module.records(folder, report, **source.options))
    except Exception as error:  # whatever a file makes it raise
        said = str(error) if isinstance(error, CoreheadError) else f"{type(error).__name__} {error}"
        return [Finding(name, "WRONG" if main else "absent", said)]
    wanted = getattr(module, "DEFAULT_TASKS", module.TASKS)
    total = len(records) + len(report.refused) - len(report.files)
    findings = _counts(manifest, report, records, total) if main else []
    usual = [record for record in records if record.task in wanted]
    return [*findings, *_media(name, usual, len(usual) + total - len(records), main)]


def _counts(manifest: Manifest, report: Report, records: list[Record], total: int) -> list[Finding]:
    reasons = dict(report.refused)
    findings = [Finding(file, "WRONG", reasons[file]) for file in report.files]
    for name, count in {"records": total, "groups": len({record.group for record in records})}.items():
        expected = manifest.expected.get(name)
        status: Status = "unverified" if expected is None else "ok" if expected == count else "WRONG"
        findings.append(
            Finding(name, status, f"{count:,}" + (f", expected {expected:,}" if expected else ""))
        )
    kinds = report.reasons()
    kinds.subtract(reasons[file].split(": ")[0] for file in report.files)
    return findings + [
        Finding("refused", "unverified", f"{n:,}: {kind}") for kind, n in kinds.items() if n > 0
    ]


def _media(name: str, records: list[Record], total: int, main: bool) -> list[Finding]:
    """Make samples of some records; ``total`` counts also those of which none can be made, as the annotations show."""
    if not records:
        return [Finding(name, "WRONG", "no record can be used")]
    report = Report(name)
    samples: list[Sample] = []
    chosen = np.random.default_rng(0).permutation(len(records))[:BUILT]
    for i in chosen:
        with report.guard(records[i].id):
            samples.append(made(records[i], check_pixels=len(samples) < OPENED))
    share = len(samples) / len(chosen) * len(records) / total
    detail = f"about {share:.1%} of {total:,} records can be used: samples made of {len(samples)} of {len(chosen)} tried"
    for kind, count in report.reasons().most_common():
        id, reason = next(pair for pair in report.refused if pair[1].startswith(kind))
        detail += f"; {count} refused, {reason} (first: {id})"
    status: Status = "ok" if len(samples) == len(chosen) else "partly"
    if not samples:
        status = "WRONG" if main else "absent"
        detail += "; do these annotations and these media belong together?" if main else ""
    return [Finding(name, status, detail), *(_sizes(samples[:OPENED]) if main else [])]


def _sizes(samples: list[Sample]) -> list[Finding]:
    media = [item for sample in samples for item in sample.media]
    sizes = sorted({(m.frames[0] if isinstance(m, Clip) else m).size for m in media}, key=prod)
    if not sizes:
        return []
    (w0, h0), (w1, h1) = sizes[0], sizes[-1]
    return [Finding("pixels", "ok", f"{w0} x {h0} to {w1} x {h1}, of {len(media):,} media that were decoded")]
