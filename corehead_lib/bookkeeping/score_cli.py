"""`corehead score` and `corehead heads`: RAM of a whole dataset, and files of heads beside each other."""

import json
from pathlib import Path

import click


def _value(text: str) -> object:
    """An option's value: JSON where it is some, else the text itself; a list becomes a tuple."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value


@click.command()
@click.argument("model")
@click.argument("dataset")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the run."
)
@click.option("--split", default="detection", show_default=True, help="detection, evaluation or tuning.")
@click.option("--samples", default=200, show_default=True, help="How many.")
@click.option("--seed", default=0, show_default=True, help="Seeds the choice of samples.")
@click.option(
    "--task", "tasks", multiple=True, help="Only this task; may be repeated. [default: the usual ones]"
)
@click.option("--data-dir", default="", help="The dataset's folder; empty: its name under $COREHEAD_DATA.")
@click.option(
    "-o",
    "options",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="An option of the dataset: -o pages 30.",
)
@click.option("--max-pixels", default=0, help="Shrink pictures, pages and frames that have more; 0: do not.")
@click.option("--batch-size", default=1, show_default=True, help="Prompts that run at once.")
@click.option(
    "--shard", default=32, show_default=True, help="Samples a file; a kill loses one of them at most."
)
@click.option("--dtype", default="float32", show_default=True, help="float32, bfloat16 or float16.")
@click.option("--quantised", is_flag=True, help="Take a quantised checkpoint: its heads are what is scored.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ..., or auto: split it.")
@click.option("--part", default="", metavar="K/N", help="Be process K (from 0) of N, without a launcher.")
@click.option(
    "--estimate", "only_estimate", is_flag=True, help="Say how much memory and time it takes, and stop."
)
@click.option("--retry-failed", is_flag=True, help="Measure the shards again in which samples failed.")
def score(
    out: Path,
    options: tuple[tuple[str, str], ...],
    device: str,
    part: str,
    only_estimate: bool,
    retry_failed: bool,
    **given: object,
) -> None:
    """Measure RAM of MODEL (of the zoo, a folder, or a hub id) on DATASET, into OUT.

    OUT/scores.safetensors holds the masses of every sample and head, OUT/scores.json what they are of and which samples failed,
    OUT/heads.json the ranking. The same command again goes on where a killed run stopped. Under `torchrun` or `accelerate launch`
    the samples are split among all processes, which must share OUT.
    """
    from corehead_lib.errors import CoreheadError
    from corehead_lib.scoring.estimate import estimate
    from corehead_lib.scoring.job import Job
    from corehead_lib.scoring.score import ABOUT, forget_failures, place
    from corehead_lib.scoring.score import score as run

    names = [name for name, _ in options]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise click.UsageError(f"-o {twice[0]} is given twice: give it once.")
    job = Job(options={name: _value(value) for name, value in options}, **given)  # type: ignore[arg-type]
    try:
        mine = tuple(map(int, part.split("/"))) if part else place()
        rank, world = mine
    except ValueError as error:
        raise click.UsageError(f"--part {part}: write K/N, such as 0/4.") from error
    if only_estimate:
        samples, refused = job.load()
        click.echo(
            f"{len(samples)} samples, {len(refused)} refused; {estimate(job, samples, len(samples), device)}"
        )
        return
    if retry_failed and world == 1 and out.is_dir():
        click.echo(f"{forget_failures(out)} shards are measured again")
    elif retry_failed:
        raise CoreheadError("--retry-failed is for one process: run it alone once, or with --part 0/1.")
    if run(job, out, device, (rank, world), click.echo):
        counts = json.loads((out / ABOUT).read_text())["counts"]
        click.echo(
            ", ".join(f"{number} {what}" for what, number in counts.items()) + f"; scores are in {out}"
        )


@click.command()
@click.argument("one", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("other", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--top", default=0, help="Heads to look at in each; 0: 5 % of the model, or of the shorter list."
)
def heads(one: Path, other: Path, top: int) -> None:
    """Say how many of their first heads the rankings ONE and OTHER share, ours or published ones."""
    from corehead_lib.heads import how_many
    from corehead_lib.scoring.head_files import HeadFile, compare

    first, second = HeadFile.load(one), HeadFile.load(other)
    fewest = min(len(first.ranking), len(second.ranking))
    whole = max(len(first.scores.score.ravel()) if first.scores else 0, fewest)
    found = compare(first, second, top or min(fewest, how_many(0.05, whole)))
    click.echo(f"{first.model} ({first.measure}) and {second.model} ({second.measure}):")
    click.echo(
        f"{found.shared} of the first {found.top} heads shared, {found.expected:.1f} by luck (p = {found.p:.2g})"
    )
    if found.spearman == found.spearman:
        click.echo(f"Spearman {found.spearman:.2f} over all heads")
