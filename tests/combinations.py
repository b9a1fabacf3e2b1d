"""Run chapters 08, 09 and 11 quickly over models, kinds of evidence and rankings, a line for each run; by hand, not by pytest.

nice python tests/combinations.py 08 09 11 --out combinations

Models, kinds and rankings (11: rows) take turns, and in each round of the models the kinds move on by one. So 24 runs have each of them, and 40 each model with
each kind. Runs that are in OUT are left out: a second call goes on where the first stopped.
"""

import subprocess
import sys
import time
from pathlib import Path

import click

from corehead_lib.bookkeeping import notebooks
from corehead_lib.bookkeeping.parameters import declared
from corehead_lib.models import zoo_names

WORLDS = ("scenes", "documents", "clips", "haystacks", "interleaved")


def choices(chapter: str, parameter: str) -> list[str]:
    """What a parameter of a chapter may be: worlds and models of the zoo, or the values that it names."""
    found = declared(notebooks.read(notebooks.find(chapter)))[parameter].choices
    return list(found.values) or {"model": zoo_names(), "dataset": list(WORLDS)}[found.kind]


def runs(chapter: str, number: int) -> list[dict[str, str]]:
    """The parameters of each run; names of what is looked into, what it is asked about, and a third thing."""
    names = ("trained", "kind", "queries") if chapter == "11" else ("model", "dataset", "ranking")
    models, kinds, others = (choices(chapter, name) for name in names)
    found = []
    for n in range(number):
        kind = kinds[(n + n // len(models)) % len(kinds)]
        values = models[n % len(models)], kind, others[n % len(others)]
        found.append(dict(zip(names, values, strict=True)))
    return found


def run(chapter: str, parameters: dict[str, str], place: Path) -> str:
    """Run a chapter into ``place``; how long it took, and its error or "ok". Empty if the results are there."""
    if (place / "results.json").exists():
        return ""
    given = [word for name, value in parameters.items() for word in ("-p", name, value)]
    words = [sys.executable, "-m", "corehead_lib.cli", "run", chapter, "--quick", "--out", str(place)]
    begun = time.monotonic()
    ended = subprocess.run([*words, *given], capture_output=True, text=True)
    said = ended.stderr.strip().splitlines() or [""]
    wrong = next((line for line in said if line.startswith("Error")), said[-1])
    return f"{time.monotonic() - begun:.0f} s {wrong if ended.returncode else 'ok'}"


@click.command(help=__doc__)
@click.argument("chapters", nargs=-1, required=True, type=click.Choice(["08", "09", "11"]))
@click.option("--number", default=24, show_default=True, help="Runs of each chapter.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
def main(chapters: tuple[str, ...], number: int, out: Path) -> None:
    failed = 0
    for given in zip(*(runs(chapter, number) for chapter in chapters), strict=True):
        for chapter, parameters in zip(chapters, given, strict=True):
            told = run(chapter, parameters, out / chapter / "-".join(parameters.values()))
            failed += bool(told) and not told.endswith(" ok")
            if told:
                print(chapter, *parameters.values(), told, flush=True)
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
