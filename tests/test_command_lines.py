"""The `corehead` lines of the documents (all blocks, and what has an --out in running text) are taken: options, parameters, values, names."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from corehead_lib.bookkeeping import runs
from corehead_lib.cli import main
from corehead_lib.datasets.manifest import read_manifests

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("book/*.md")),
    *sorted(ROOT.glob("notebooks/*.py")),
]
FENCED = re.compile(r"^(?:# )?```\s*(?:bash|sh|console)\n(.*?)^(?:# )?```", re.M | re.S)
INLINE = re.compile(r"`(corehead [^`\n]+ --out [^`\n]+)`")  # others name a command and do not call it
OURS = "corehead", "torchrun"  # what a block may call; all else is not found, and not run
SAYS = '#!/bin/bash\nprintf "%s\\t" "$@"\necho\n'
LAUNCHES = '#!/bin/bash\nuntil [ "$1" = --no-python ]; do shift; done\nshift\n"$@"\n'


def lines() -> Iterator[tuple[str, str]]:
    """Where, and what: blocks as they are, loops and all, and each command in running text."""
    for page in PAGES:
        text = page.read_text()
        blocks = [re.sub(r"^# ", "", block, flags=re.M) for block in FENCED.findall(text)]
        spans = [one for one in INLINE.findall(text) if not re.search(r"\.\.\.|[{}<]", one)]
        yield from ((page.name, one) for one in dict.fromkeys(blocks + spans) if "corehead" in one)


def commands(script: str, folder: Path) -> list[list[str]]:
    """The words of each `corehead` that a shell would run."""
    for name, body in zip(OURS, (SAYS, LAUNCHES), strict=True):
        (folder / name).write_text(body)
        (folder / name).chmod(0o755)
    environment = os.environ | {"PATH": str(folder)}
    said = subprocess.run(
        ["/bin/bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    return [line.rstrip("\t").split("\t") for line in said.stdout.splitlines()]


def understood(words: list[str]) -> click.Context:
    """Parse as `corehead` does, and run nothing."""
    context, command = main.make_context("corehead", [*words]), main.commands[words[0]]
    if isinstance(command, click.Group):
        context, words = command.make_context(words[0], words[1:], parent=context), words[1:]
        command = command.commands[words[0]]
    return command.make_context(words[0], words[1:], parent=context)


@pytest.mark.parametrize(
    ("page", "script"), [pytest.param(*one, id=f"{one[0]}: {one[1][:50]}") for one in lines()]
)
def test_a_command_line_of_the_documents_is_taken(
    page: str, script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, names = tmp_path / "data", {*read_manifests("model"), *read_manifests("dataset")}
    for name in names:
        (data / name).mkdir(parents=True)
        (data / name / "model.safetensors").touch()
    monkeypatch.setenv("COREHEAD_DATA", str(data))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 8)
    monkeypatch.setattr(click.Path, "convert", lambda self, value, parameter, context: Path(value))
    found = commands(script, tmp_path)
    assert found, f"no shell would run a corehead here: {script}"
    for words in found:
        context = understood(["2" if word == "N" else word.replace("/data", str(data)) for word in words])
        given = context.params
        if context.command.name in ("run", "params"):
            runs.plan(given["notebook"], given.get("given", ()), given.get("quick", False))
        for name in ("model", "dataset", "name"):
            assert str(given.get(name, "NAME")).isupper() or given[name] in names


def test_a_wrong_line_is_not_taken(tmp_path: Path) -> None:
    for wrong in ("corehead score a b --out c --sample 3", "corehead data fetches b", "corehead heads"):
        (words,) = commands(wrong, tmp_path)
        with pytest.raises((click.UsageError, KeyError)):
            understood(words)
    assert commands("for n in 1 2; do torchrun --x 8 --no-python corehead a $n; done; ls", tmp_path) == [
        ["a", "1"],
        ["a", "2"],
    ]
