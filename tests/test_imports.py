"""The arrows between modules: the core knows nothing of datasets, training or manifests, and there are no circles."""

import ast
from graphlib import TopologicalSorter

from conftest import ROOT

PACKAGE = ROOT / "corehead_lib"
CORE = """samples models model_names known checkpoint prompt chat media pictures encode batches answers tokens cells
targets targets_paper targets_compare targets_naive attention ram ram_operator heads interventions evaluate chance stats plots explorer hybrid study
rankings""".split()
ABOVE = {  # what each part of the house must not know
    **dict.fromkeys(CORE, ("data", "worlds", "datasets", "zoo", "bookkeeping", "cli")),
    "worlds": ("data", "datasets", "zoo", "bookkeeping", "cli"),
    "datasets": ("zoo", "bookkeeping", "cli"),
    "zoo": ("bookkeeping", "cli"),
}


def module(path: str) -> str:
    """The file's name as it is imported."""
    return ".".join(path.removesuffix(".py").removesuffix("/__init__").split("/"))


def imports() -> dict[str, set[str]]:
    """For each module of the package, the modules of the package that it imports, anywhere in its text."""
    files = {module(str(path.relative_to(ROOT))): path for path in PACKAGE.rglob("*.py")}
    found: dict[str, set[str]] = {name: set() for name in files}
    for name, path in files.items():
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [w if w in files else node.module for w in whole]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            found[name].update(set(names) & set(files) - {name})
    return found


def part(name: str) -> str:
    return (name.split(".") + [""])[1]


def test_the_arrows_go_one_way() -> None:
    found = imports()
    assert {part(name) for name in found} >= set(ABOVE)
    wrong = [
        f"{name} -> {other}"
        for name, others in found.items()
        for other in others
        if part(other) in ABOVE.get(part(name), ())
    ]
    assert not wrong


def test_there_are_no_circles() -> None:
    assert tuple(TopologicalSorter(imports()).static_order())


def test_a_file_of_the_package_is_read_in_one_go() -> None:
    long = {path.name for path in PACKAGE.rglob("*.py") if len(path.read_text().splitlines()) > 200}
    assert not long
