"""`pytest --nbval` as `make test` calls it does compare: a changed number fails, an unchanged one passes."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from click.testing import CliRunner
from conftest import FIXTURES, ROOT

from corehead_lib.cli import main


def nbval(notebook: Path) -> int:
    options = ["-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    command = [sys.executable, "-m", "pytest", *options, str(notebook)]
    return subprocess.run(command, cwd=notebook.parent, capture_output=True, check=False).returncode


def test_a_changed_output_is_noticed(tmp_path: Path) -> None:
    master = shutil.copy(FIXTURES / "01_ok.py", tmp_path)
    shutil.copy(ROOT / "conftest.py", tmp_path)
    for arguments in (
        ["run", master, "--out", tmp_path / "run"],
        ["pair", master, tmp_path / "run" / "01_ok.ipynb"],
    ):
        assert CliRunner().invoke(main, [str(a) for a in arguments]).exit_code == 0
    twin = tmp_path / "01_ok.ipynb"
    assert nbval(twin) == 0

    notebook = nbformat.read(twin, as_version=4)
    printed = next(o for c in notebook.cells for o in c.get("outputs", []) if o.get("name") == "stdout")
    printed["text"] = printed["text"].replace("4", "5")
    nbformat.write(notebook, twin)
    assert nbval(twin) == 1
