"""Kill a run at random moments with SIGKILL, resume it, and compare with one that was left alone; by hand, not by pytest.

python tests/kills.py score --kills 20 --out kills
python tests/kills.py sweep --kills 20 --out kills      (needs Snakemake)
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import yaml

COREHEAD = [sys.executable, "-m", "corehead_lib.cli"]
KEPT = {  # what must be the same to the byte
    "score": ["scores.safetensors", "scores.json", "heads.json", "shards/*.safetensors"],
    "sweep": ["runs/*/*/results.json", "table.csv"],
}


def words(what: str, out: Path, here: Path) -> list[str]:
    """The command to kill."""
    if what == "score":
        options = ["--samples", "240", "--shard", "8"]
        return [*COREHEAD, "score", "tiny-qwen3-vl", "scenes", *options, "--out", str(out)]
    grid = here / "grid.yaml"
    notebook = str(Path(__file__).resolve().parent / "fixtures" / "01_ok.py")
    lists = {"seed": [1, 2, 3], "label": ["one", "it's two"]}
    grid.write_text(yaml.safe_dump({"runs": [{"notebook": notebook, "parameters": lists}]}))
    until = [
        "--until",
        "table",
    ]  # the page behind it takes as long as all the runs, and nothing of it is kept
    return [*COREHEAD, "sweep", str(grid), "--out", str(out), "-j", "2", *until]


def start(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def contents(out: Path, what: str) -> dict[str, bytes]:
    """What is kept, by name."""
    found = [path for pattern in KEPT[what] for path in out.glob(pattern)]
    return {str(path.relative_to(out)): path.read_bytes() for path in found}


def finished(command: list[str]) -> None:
    if start(command).wait():
        raise click.ClickException(f"{' '.join(command)} failed")


@click.command(help=__doc__)
@click.argument("what", type=click.Choice(list(KEPT)))
@click.option("--kills", default=20, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
@click.option("--alone", default=0.5, show_default=True, help="Sweep: how often only the engine is killed.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
def main(what: str, kills: int, seed: int, alone: float, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    moments, begun = random.Random(seed), time.monotonic()
    finished(words(what, out / "whole", out))
    long, wanted = time.monotonic() - begun, contents(out / "whole", what)
    print(f"left alone: {long:.0f} s, {len(wanted)} files", flush=True)
    killed, number, orphans = 0, 0, 0
    while killed < kills:
        place = out / f"killed{number}"
        fresh, begun = not place.exists(), time.monotonic()
        one = start(words(what, place, out))
        try:
            if one.wait(moments.uniform(0, long)):
                raise click.ClickException(f"{place}: the run failed")
            _compare(place, what, wanted)  # it came to its end: begin another
            number += 1
            long = min(long, time.monotonic() - begun) if fresh else long
            continue
        except subprocess.TimeoutExpired:
            only = what == "sweep" and moments.random() < alone
            (os.kill if only else os.killpg)(one.pid, signal.SIGKILL)
            one.wait()
        killed, orphans = killed + 1, orphans + only
        half = contents(place, what)
        wrong = [name for name, content in half.items() if wanted.get(name) != content]
        print(f"kill {killed}: {len(half)} of {len(wanted)} files, {len(wrong)} wrong", flush=True)
        if wrong:
            raise click.ClickException(f"after a kill: {wrong}")
    finished(words(what, out / f"killed{number}", out))
    _compare(out / f"killed{number}", what, wanted)
    print(f"{killed} kills, {orphans} of the engine alone, {number + 1} runs resumed to the same bytes")


def _compare(place: Path, what: str, wanted: dict[str, bytes]) -> None:
    found = contents(place, what)
    if found != wanted:
        differ = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
        raise click.ClickException(f"{place}: {differ} differ")


if __name__ == "__main__":
    main()
