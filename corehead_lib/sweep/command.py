"""`corehead sweep`: check the grid, say in runs.json what it means, then become Snakemake."""

import fcntl
import json
import os
import shutil
import sys
from pathlib import Path

import click

from corehead_lib.errors import CoreheadError

SNAKEFILE, PAGE = (Path(__file__).with_name(name) for name in ("Snakefile", "compare_runs.py"))


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("grid", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the sweep."
)
@click.option("-j", "--jobs", default=1, show_default=True, help="Runs at once.")
@click.option("--collect", "only_collect", is_flag=True, help="Only gather what is there into OUT/table.csv.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def sweep(grid: Path, out: Path, jobs: int, only_collect: bool, options: tuple[str, ...]) -> None:
    """Run notebooks over all combinations of values in GRID, a YAML file, and compare the results on one page.

    OUT/runs holds what each run left, OUT/table.csv all their numbers, OUT/page/html/compare_runs.html the page. The same command
    again goes on where a killed sweep stopped, and repeats what a changed grid or package asks for. OPTIONS go to Snakemake: -n
    says what would run, --summary what is there, --executor slurm sends the runs to a cluster.
    """
    from corehead_lib.bookkeeping.parameters import ParameterError
    from corehead_lib.provenance import library_sha256, versions
    from corehead_lib.sweep.collect import TABLE, collect
    from corehead_lib.sweep.grid import load_grid
    from corehead_lib.whole import whole

    try:
        runs = load_grid(grid)
    except ParameterError as error:
        raise click.UsageError(str(error)) from error
    if only_collect:
        _, missing = collect(out, runs)
        click.echo(f"{len(runs) - len(missing)} of {len(runs)} runs in {out / TABLE}")
        return
    engine, out = _engine(), out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    _lock(out)
    said = {"corehead": [sys.executable, "-m", "corehead_lib.cli"], "page": str(PAGE), "out": str(out)}
    said |= {"grid": str(grid.resolve()), "folder": str(grid.resolve().parent)}
    made_by = versions() | {"library": library_sha256()}
    with whole(out / "runs.json") as draft:
        named = {run.name: run.arguments for run in runs}
        draft.write_text(json.dumps({**said, "made_by": made_by, "runs": named}, indent=1))
    print(f"{len(runs)} runs in {out}", flush=True)
    where = ["--snakefile", str(SNAKEFILE), "--directory", str(out)]
    how = ["--cores", str(jobs), "--jobs", str(jobs), "--rerun-incomplete", "--keep-going", "--nolock"]
    os.execv(engine, [engine, *where, *how, *options])


def _engine() -> str:
    """Snakemake of this environment, or else the one on the path."""
    beside = str(Path(sys.executable).with_name("snakemake"))
    found = shutil.which(beside) or shutil.which("snakemake")
    if found is None:
        raise CoreheadError(
            "A sweep needs Snakemake on the path: `pipx install snakemake` gives it an environment of its own."
        )
    return found


def _lock(out: Path) -> None:
    """Keep other sweeps out of ``out`` until this process ends, whatever it becomes: Snakemake's own lock outlives a kill."""
    lock = os.open(out / ".lock", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(lock, True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise CoreheadError(
            f"Another sweep is at work in {out}: wait for it, or choose another folder."
        ) from error
