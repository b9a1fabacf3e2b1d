"""Measure what is claimed: kernels take turns in one run, the fastest round of each counts.

python tests/benchmarks attention prefill decode capture --out benchmarks.json
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import torch
from attention import attention
from backbone import capture, decode, prefill

from corehead_lib.provenance import versions

BENCHMARKS: dict[str, Callable[..., Iterator[dict[str, Any]]]] = {
    "attention": attention,
    "prefill": prefill,
    "decode": decode,
    "capture": capture,
}


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True, type=click.Choice(list(BENCHMARKS)))
@click.option("--lengths", default="512,1024,2048,4096,8192,16384", show_default=True, help="Tokens.")
@click.option("--rounds", default=3, show_default=True, help="Turns of each kernel, after one to warm up.")
@click.option("--layers", default=1, show_default=True, help="Of the backbone; a real one has 28.")
@click.option("--heads", default="32,8,2", show_default=True, help="Attention: query heads, KV heads, dense.")
@click.option("--dtype", default="float32", show_default=True, help="float32 or bfloat16.")
@click.option("--window", default=256, show_default=True)
@click.option("--sinks", default=16, show_default=True)
@click.option("--peers/--no-peers", default=False, help="Attention: other ways to the same result, too.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON for the rows; they are printed anyway.")
def main(names: tuple[str, ...], lengths: str, heads: str, out: Path | None, **options: Any) -> None:
    options["heads"] = tuple(int(n) for n in heads.split(","))
    machine = {"threads": torch.get_num_threads(), "load": os.getloadavg()[0], "versions": versions()}
    rows = []
    print(json.dumps(machine))
    with torch.inference_mode():
        for name in names:
            for length in lengths.split(","):
                for row in BENCHMARKS[name](int(length), **options):
                    rows.append({"benchmark": name, "length": int(length), **row})
                    print(json.dumps(rows[-1]), flush=True)
    if out:
        out.write_text(json.dumps({"machine": machine, "options": options, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
