"""Unpack archives that come from elsewhere: nothing of them lands outside the folder."""

import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

from corehead_lib.errors import CoreheadError


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar (with the "data" filter of the standard library) or a zip into ``folder``; all of it or nothing.

    Raises CoreheadError if a member would leave the folder, is a link out of it or a device, if the archive is
    damaged, or if a zip says that it holds more than the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = folder / f".unpacking-{archive.name}"
    shutil.rmtree(waiting, ignore_errors=True)
    waiting.mkdir()
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as bundle:
                _check_zip(bundle, waiting)
                bundle.extractall(waiting)
        else:
            with tarfile.open(archive) as bundle:
                bundle.extractall(waiting, filter="data")
        moves = [(path, folder / path.relative_to(waiting)) for path in sorted(waiting.rglob("*"))]
        for path, target in moves:  # all of them first: nothing is moved if one cannot be
            if target.exists() and _is_folder(path) != target.is_dir():
                raise CoreheadError(f"{target} is in the way: a file here and a folder there")
        for path, target in moves:
            if _is_folder(path):
                target.mkdir(exist_ok=True)
            else:
                os.replace(path, target)
    except Exception as error:  # both modules raise a dozen kinds on damaged files
        raise CoreheadError(f"refused archive: {archive}: {error}") from error
    finally:
        shutil.rmtree(waiting, ignore_errors=True)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _check_zip(bundle: zipfile.ZipFile, folder: Path) -> None:
    for member in bundle.infolist():
        name = member.filename
        parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
        if name.startswith(("/", "\\")) or PureWindowsPath(name).drive or ".." in parts:
            raise CoreheadError(f"{name} would land outside the folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise CoreheadError(f"{name} is a link")
    size = sum(member.file_size for member in bundle.infolist())
    if size > shutil.disk_usage(folder).free:
        raise CoreheadError(f"it says that it holds {size:,} bytes, more than the disk has left")
