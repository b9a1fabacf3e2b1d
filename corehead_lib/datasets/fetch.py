"""Fetch what a manifest's licence allows: resumable, verified, unpacked. Nothing else in the package downloads data."""

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

from tqdm import tqdm

from corehead_lib.datasets.archives import unpack
from corehead_lib.datasets.manifest import DataFile, Manifest, how_to_get
from corehead_lib.errors import CoreheadError

MODEL_FILES = ["*.safetensors", "*.json", "*.txt", "*.jinja"]
BLOCK = 1 << 20


def fetch(
    manifest: Manifest,
    folder: Path,
    only: tuple[str, ...] = (),
    accept_terms: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Bring the files of ``manifest`` into ``folder``: those that are not optional, or those that match ``only``.

    Broken downloads go on where they stopped; what is there and verifies is not fetched again; archives are unpacked
    once. A model's weights and processor come from the hub as a whole.

    Raises CoreheadError if the licence does not let a command do it, if its terms are not accepted, or if a download
    fails or does not have the size or checksum of the manifest.
    """
    if manifest.fetch in ("by hand", "nothing"):
        raise CoreheadError(f"{manifest.name} is not fetched by a command. {how_to_get(manifest)}")
    if manifest.fetch == "terms" and not accept_terms:
        raise CoreheadError(
            f"{manifest.name} has terms: {manifest.licence}; {manifest.licence_conflict or 'no conflict known'}. "
            "Read them at the source, then add --accept-terms."
        )
    wanted = [
        file
        for file in manifest.files
        if (any(fnmatch(file.path, pattern) for pattern in only) if only else not file.optional)
    ]
    if manifest.kind == "dataset" and not wanted:
        known = ", ".join(file.path for file in manifest.files)
        raise CoreheadError(f"{manifest.name} has no file {' or '.join(only)}. Known: {known}.")
    folder.mkdir(parents=True, exist_ok=True)
    if manifest.kind == "model":
        _from_hub(manifest.hub or manifest.name, "model", manifest.revision, MODEL_FILES, folder)
    for repository in sorted({file.hub for file in wanted if file.hub}):
        patterns = [file.path for file in wanted if file.hub == repository]
        say(f"{repository}: {', '.join(patterns)}")
        _from_hub(repository, "dataset", manifest.revision, patterns, folder)
    for file in wanted:
        if file.url:
            say(file.url)
            _from_url(file, folder)
    for file in wanted:
        for path in folder.glob(file.path):
            _verify_size(file, path)
            if file.unpack:
                _unpack_once(path, folder, say)


def _from_hub(repository: str, kind: str, revision: str | None, patterns: list[str], folder: Path) -> None:
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(
            repository, repo_type=kind, revision=revision, allow_patterns=patterns, local_dir=folder
        )
    except Exception as error:  # the hub's client has a dozen kinds
        reason = " ".join(str(error).split())[:300]
        raise CoreheadError(f"Fetching {repository} failed: {reason}. Run it again, it goes on.") from error


def _from_url(file: DataFile, folder: Path) -> None:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    target = folder / file.path
    try:
        pooch.retrieve(
            file.url,
            known_hash=file.sha256 and f"sha256:{file.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=_Resuming(target.with_name(target.name + ".part")),
        )
    except (OSError, ValueError) as error:  # pooch says ValueError for a wrong checksum
        reason = " ".join(str(error).split())[:300]
        raise CoreheadError(f"Fetching {file.url} failed: {reason}. Run it again, it goes on.") from error


class _Resuming:
    """A downloader for pooch that keeps a ``.part`` file and asks the server for the rest of it."""

    def __init__(self, part: Path) -> None:
        self.part, self.tag = part, part.with_name(part.name + ".etag")

    def __call__(self, url: str, output_file: str, _: object) -> None:
        done = self.part.stat().st_size if self.part.exists() and self.tag.exists() else 0
        request = urllib.request.Request(url, headers={"User-Agent": "corehead"})
        if done:  # If-Range: the rest, or everything if the file changed meanwhile
            request.add_header("Range", f"bytes={done}-")
            request.add_header("If-Range", self.tag.read_text())
        with urllib.request.urlopen(request) as answer:
            resumed = getattr(answer, "status", None) == 206
            if tag := answer.headers.get("ETag") or answer.headers.get("Last-Modified"):
                self.tag.write_text(tag)
            length = answer.headers.get("Content-Length")
            total = int(length) + (done if resumed else 0) if length else None
            with (
                self.part.open("ab" if resumed else "wb") as out,
                tqdm(
                    total=total, initial=done if resumed else 0, unit="B", unit_scale=True, disable=None
                ) as bar,
            ):
                while block := answer.read(BLOCK):
                    out.write(block)
                    bar.update(len(block))
        if total is not None and self.part.stat().st_size < total:
            raise OSError(f"the connection ended after {self.part.stat().st_size} of {total} bytes")
        shutil.move(self.part, output_file)
        self.tag.unlink(missing_ok=True)


def _verify_size(file: DataFile, path: Path) -> None:
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise CoreheadError(
            f"{path} has {size:,} bytes, the manifest says {file.size:,}: delete it and fetch again."
        )


def _unpack_once(archive: Path, folder: Path, say: Callable[[str], None]) -> None:
    stamp = folder / f".unpacked-{archive.name}"
    state = f"{archive.stat().st_size} {os.path.getmtime(archive)}"
    if not (stamp.exists() and stamp.read_text() == state):
        say(f"unpacking {archive.name}")
        unpack(archive, folder)
        stamp.write_text(state)
