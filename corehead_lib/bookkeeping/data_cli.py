"""`corehead data`: what is known of datasets and models, what is on disk, and fetching it."""

from pathlib import Path

import click

DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The dataset's own folder; else its name under $COREHEAD_DATA.",
)


@click.group()
def data() -> None:
    """Datasets and models: what is known, what is on disk, and fetching it."""


@data.command("list")
@click.option("--markdown", is_flag=True, help="Print the tables of the book's page on data.")
def list_(markdown: bool) -> None:
    """List every dataset and model that has a manifest."""
    from corehead_lib.datasets import tables
    from corehead_lib.datasets.manifest import read_manifests

    if markdown:
        click.echo(tables.markdown())
        return
    for kind in ("dataset", "model"):
        known = read_manifests(kind).values()
        width = max(len(m.name) for m in known)
        click.echo(f"{kind}s")
        for m in known:
            click.echo(f"  {m.name.ljust(width)}  {m.fetch.ljust(7)}  {m.description}")


@data.command()
@click.argument("names", nargs=-1)
@DATA_DIR
def check(names: tuple[str, ...], data_dir: Path | None) -> None:
    """Compare what is on disk with the manifests: sizes, checksums, counts of records.

    Without NAMES, every dataset that has a folder under $COREHEAD_DATA. Exits with 1 if anything is wrong.
    """
    from corehead_lib.datasets.check import check as look
    from corehead_lib.datasets.check import verified
    from corehead_lib.datasets.manifest import find_manifest, read_manifests
    from corehead_lib.errors import CoreheadError
    from corehead_lib.known import data_root

    if data_dir and len(names) != 1:
        raise click.UsageError("--data-dir is the folder of one dataset: give its name.")
    root = data_root()
    chosen = names or [name for name in read_manifests("dataset") if (root / name).is_dir()]
    if not chosen:
        click.echo(f"There is no dataset in {root}.")
    wrong = []
    for name in chosen:
        manifest, folder = find_manifest(name, "dataset"), data_dir or root / name
        click.echo(f"{name} in {folder}")
        findings = look(manifest, folder)
        for finding in findings:
            click.echo(f"  {finding.status.ljust(10)}  {finding.subject}: {finding.detail}")
        if not verified(findings):
            wrong.append(name)
    if wrong:
        raise CoreheadError(f"Not as the manifest says: {', '.join(wrong)}.")


@data.command()
@click.argument("name")
@DATA_DIR
@click.option("--only", multiple=True, metavar="PATTERN", help="Fetch these files, optional ones too.")
@click.option("--accept-terms", is_flag=True, help="You read the licence and accept it.")
def fetch(name: str, data_dir: Path | None, only: tuple[str, ...], accept_terms: bool) -> None:
    """Fetch dataset or model NAME, as far as its licence lets a command do so.

    An interrupted download goes on where it stopped. Archives are unpacked in place.
    """
    from corehead_lib.datasets.fetch import fetch as bring
    from corehead_lib.datasets.manifest import find_manifest, read_manifests
    from corehead_lib.known import data_root

    manifest = read_manifests("model").get(name) or find_manifest(name, "dataset")
    folder = data_dir or data_root() / name
    bring(manifest, folder, only, accept_terms, click.echo)
    click.echo(
        f"{name} is in {folder}" + (f"; run with -p model {folder}" if manifest.kind == "model" else "")
    )
