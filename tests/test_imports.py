"""The arrows between modules: the core knows nothing of datasets, training or manifests, and there are no circles."""

import ast
from graphlib import TopologicalSorter

from conftest import ROOT

PACKAGE = ROOT / "corehead_lib"
CORE = """samples models known prompt media encode batches answers tokens cells targets attention ram heads
interventions evaluate stats hybrid hybrid_cache hybrid_cuda causal stream padding cost timing backbone plan
controls replay study survey rankings""".split()


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


def test_the_core_knows_nothing_of_what_stands_on_it() -> None:
    above = (
        "corehead_lib.data",
        "corehead_lib.zoo",
        "corehead_lib.cli",
        "corehead_lib.runs",
        "corehead_lib.parameters",
    )
    wrong = [
        f"{name} -> {other}"
        for name, others in imports().items()
        if name.split(".")[1:2] and name.split(".")[1] in CORE
        for other in others
        if other.startswith(above)
    ]
    assert not wrong


def test_there_are_no_circles() -> None:
    assert tuple(TopologicalSorter(imports()).static_order())
