"""One run as a page of its own, rendered like the book."""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from corehead_lib.errors import CoreheadError
from corehead_lib.provenance import LIBRARY

PLAIN = {
    "title": "corehead",
    "only_build_toc_files": True,
    "execute": {"execute_notebooks": "off", "stderr_output": "remove"},
}


def render(run: Path) -> Path:
    """Render the executed notebook of ``run`` into ``run/html`` and return the page.

    References to other chapters stay plain text; citations work where the command runs from a clone.
    Raises CoreheadError if ``run`` does not hold one executed notebook, or if it cannot be rendered.
    """
    found = sorted(run.glob("*.ipynb"))
    if len(found) != 1:
        raise CoreheadError(
            f"{run} holds {len(found)} notebooks instead of one: give a folder that `corehead run` left."
        )
    notebook, clone = found[0], LIBRARY.parent
    with TemporaryDirectory() as folder:
        stage = Path(folder)
        shutil.copy(notebook, stage)
        if (clone / "_config.yml").is_file():
            shutil.copy(clone / "_config.yml", stage)
            shutil.copytree(clone / "book", stage / "book")
        else:
            (stage / "_config.yml").write_text(yaml.safe_dump(PLAIN))
        (stage / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": notebook.stem}))
        command = [str(Path(sys.executable).with_name("jupyter-book")), "build", "-q", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise CoreheadError(
                f"Cannot start jupyter-book beside {sys.executable} ({error.strerror}): run `make env`."
            ) from error
        made = stage / "_build" / "html"
        if not (made / f"{notebook.stem}.html").is_file():
            raise CoreheadError(f"jupyter-book could not render {notebook}: {done.stderr.strip()[-500:]}")
        shutil.rmtree(run / "html", ignore_errors=True)
        shutil.copytree(made, run / "html")
    return run / "html" / f"{notebook.stem}.html"
