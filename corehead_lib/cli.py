"""The command `corehead`. Each command imports what it needs when it runs, so that help is instant."""

from pathlib import Path
from typing import Any

import click

from corehead_lib import __version__
from corehead_lib.bookkeeping.data_cli import data
from corehead_lib.bookkeeping.score_cli import heads, score
from corehead_lib.bookkeeping.zoo_cli import grid, ship, snapshots, tower, train
from corehead_lib.errors import CoreheadError
from corehead_lib.sweep.command import sweep


class FriendlyGroup(click.Group):
    """A group whose commands may raise `CoreheadError`: its sentence is printed, the exit status is 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CoreheadError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=FriendlyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="corehead")
def main() -> None:
    """Find, test and use CoRe heads: the attention heads that fetch visual evidence.

    \b
    corehead params 08                               what notebook 08 lets you change
    corehead run 08 --out my_run -p samples 50       run it with your own values
    """


for command in (data, score, heads, sweep, train, tower, ship, snapshots, grid):
    main.add_command(command)


@main.command()
@click.argument("notebook")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for what the run leaves.")
@click.option(
    "-p", "given", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter; may be repeated."
)
@click.option("--if-changed", is_flag=True, help="Do nothing when OUT holds the results of this very run.")
@click.option("--quick", is_flag=True, help="Small values where the notebook names some: does it run at all?")
def run(notebook: str, out: Path, given: tuple[tuple[str, str], ...], if_changed: bool, quick: bool) -> None:
    """Execute NOTEBOOK and leave OUT/NOTEBOOK.ipynb and OUT/results.json.

    NOTEBOOK is a name such as 08_ablation, the start of one such as 08, or a path.
    Names, types and values of all parameters are checked before anything runs.
    """
    from corehead_lib.bookkeeping import runs
    from corehead_lib.bookkeeping.parameters import ParameterError

    try:
        planned = runs.plan(notebook, given, quick)
    except ParameterError as error:
        raise click.UsageError(str(error)) from error
    if if_changed and runs.up_to_date(planned, out):
        click.echo(f"{planned.name}: up to date in {out}")
        return
    found = runs.run(planned, out)
    click.echo(
        f"{planned.name}: {len(found.rows)} rows and {len(found.numbers)} numbers in {out}/results.json"
    )


@main.command()
@click.argument("notebook")
def params(notebook: str) -> None:
    """List the parameters of NOTEBOOK with type, default, meaning, and what they may be."""
    from corehead_lib.bookkeeping import notebooks
    from corehead_lib.bookkeeping.parameters import declared

    known = declared(notebooks.read(notebooks.find(notebook))).values()
    if not known:
        click.echo("This notebook has no parameters.")
        return
    table = [(p.name, p.type, repr(p.default), p.help) for p in known]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row, parameter in zip(table, known, strict=True):
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())
        quick = parameter.choices.quick
        said = [str(parameter.choices), f"quick: {quick}" if quick else ""]
        if any(said):
            click.echo(" " * (sum(widths[:3]) + 8) + "; ".join(filter(None, said)))


@main.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
def html(run: Path) -> None:
    """Render the one RUN (a folder that `corehead run` left) as a page."""
    from corehead_lib.bookkeeping.one_page import render

    click.echo(f"open {render(run)}")


@main.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.argument("other", type=click.Path(exists=True, path_type=Path))
def compare(run: Path, other: Path) -> None:
    """Show in what the runs RUN and OTHER differ: parameters, versions, and the numbers that they found."""
    from corehead_lib.bookkeeping.compare import compare as look

    click.echo(look(run, other))


@main.command()
@click.argument("model")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--if-changed", is_flag=True, help="Do nothing when OUT holds the lab of these very weights.")
def lab(model: str, out: Path, if_changed: bool) -> None:
    """Write the live lab of MODEL, a Qwen3-VL of the zoo, into OUT: it computes in the reader's browser."""
    from corehead_lib.lab.export import write_lab

    made = write_lab(model, out, if_changed=if_changed)
    click.echo(f"{model}: {'open' if made else 'up to date in'} {out}/index.html")


@main.command()
def schema() -> None:
    """Print the JSON Schema of results.json."""
    import json

    from corehead_lib import results

    click.echo(json.dumps(results.schema(), indent=1))


@main.command()
@click.argument("master", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("executed", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def pair(master: Path, executed: Path) -> None:
    """Refresh the committed twin of MASTER (.py) from an EXECUTED copy; for maintainers."""
    import nbformat

    from corehead_lib.bookkeeping import notebooks

    target = master.with_suffix(".ipynb")
    notebooks.write(notebooks.twin(master, nbformat.read(executed, as_version=4)), target)
    click.echo(f"refreshed {target}")


if __name__ == "__main__":
    main()
