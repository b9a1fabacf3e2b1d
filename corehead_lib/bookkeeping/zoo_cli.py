"""`corehead train` and its like: how the tiny models are trained and put into the package."""

from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of this run.")
@click.option("--seed", default=0, show_default=True, help="Seeds weights and lessons.")
@click.option("--snapshots", default=0, help="Keep the model every so many steps; 0 keeps only the last one.")
def train(name: str, out: Path, seed: int, snapshots: int) -> None:
    """Train the tiny model NAME from scratch by its recipe, or go on where a run in OUT stopped."""
    from corehead_lib.zoo.training.train import train_model

    summary = train_model(name, out, seed, snapshots=snapshots)
    click.echo(f"{name}: {summary['steps']} steps in {summary['minutes']} minutes; model in {out}")


@click.command()
@click.argument("name")
@click.option("--seed", default=0, show_default=True, help="Seeds weights and pictures.")
def tower(name: str, seed: int) -> None:
    """Train the vision tower that the recipe NAME starts from, into the package; for maintainers."""
    from corehead_lib.zoo.training.train import make_tower

    click.echo(f"vision tower in {make_tower(name, seed)}")


@click.command()
@click.argument("name")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("others", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--note", default="None.", help="Anything in which RUN differs from the recipe.")
@click.option(
    "--recipe", default="", help="What RUN was trained by; what its summary says, or NAME, if left out."
)
def ship(name: str, run: Path, others: tuple[Path, ...], note: str, recipe: str) -> None:
    """Copy the trained RUN into the package as NAME, with its card; OTHERS are runs to list; for maintainers."""
    from corehead_lib.zoo.training.ship import ship as ship_run

    click.echo(f"shipped {ship_run(name, run, others, note, recipe)}")


@click.command()
@click.argument("name")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--samples", default=48, show_default=True, help="Questions about each kind of evidence.")
def snapshots(name: str, run: Path, samples: int) -> None:
    """Score all snapshots of RUN into the package's NAME; for maintainers."""
    from corehead_lib.zoo.snapshots import keep_snapshots

    click.echo(f"scores are in {keep_snapshots(name, run, samples)}")


@click.command()
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="The table; the package's own if left out."
)
@click.option("--seeds", default=3, show_default=True, help="How many seeds of each setting there shall be.")
def grid(out: Path | None, seeds: int) -> None:
    """Train the small models of chapter 11 that are not yet in the table, and add them one by one."""
    from corehead_lib.zoo.training.grid import TABLE, grow_grid

    click.echo(f"{len(grow_grid(out or TABLE, range(seeds)))} runs in {out or TABLE}")
