"""`corehead sweep`: which runs a grid means, what is collected, and, where Snakemake is installed, killed and resumed."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from conftest import FIXTURES, ROOT

from corehead_lib.bookkeeping import runs
from corehead_lib.cli import main
from corehead_lib.errors import CoreheadError
from corehead_lib.results import Results
from corehead_lib.sweep.collect import RUNS, TABLE, collect
from corehead_lib.sweep.grid import Run, load_grid
from corehead_lib.whole import whole

OK = str(FIXTURES / "01_ok.py")
PAGE = ROOT / "corehead_lib" / "sweep" / "compare_runs.py"
needs_the_engine = pytest.mark.skipif(
    not any(map(shutil.which, [str(Path(sys.executable).with_name("snakemake")), "snakemake"])),
    reason="there is no snakemake on the path (pipx install snakemake)",
)


def write_grid(folder: Path, parameters: object, notebook: object = OK, **more: object) -> Path:
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({"runs": [{"notebook": notebook, "parameters": parameters}], **more}))
    return path


def sweep(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["sweep", *map(str, arguments)])


def test_every_combination_is_a_run(tmp_path: Path) -> None:
    lists = {"seed": [1, 2, 3], "loud": [True, False], "label": "it's", "noise": [0.25]}
    found = load_grid(write_grid(tmp_path, lists))
    wanted = {
        (("label", "it's"), ("loud", loud), ("noise", "0.25"), ("seed", seed))
        for seed, loud in product("123", ("true", "false"))
    }
    assert {run.given for run in found} == wanted  # safe_dump sorts
    assert len({run.name for run in found}) == 6
    for run in found:
        assert run.arguments[0] == OK
        assert run.arguments[1:3] == ["-p", "label"]
        assert runs.plan(run.notebook, run.given).parameters["label"] == "it's"


def test_a_name_follows_from_the_run_alone(tmp_path: Path) -> None:
    one, other = ("seed", "1"), ("label", "a/../b c")
    name = Run(OK, (one, other), False).name
    assert name == Run(OK, (other, one), False).name
    assert name.startswith("01_ok/a-..-b-c_1-")
    assert name.count("/") == 1
    assert name != Run(OK, (one, other), True).name
    assert name != Run(OK, (one, ("label", "a/../b_c")), False).name


def test_numbers_name_notebooks_and_quick_runs_are_quick(tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text("{quick: true, runs: [{notebook: 06}, {notebook: 10}]}")
    assert [run.arguments for run in load_grid(tmp_path / "grid.yaml")] == [
        ["06_head_ranking", "--quick"],
        ["10_acceleration", "--quick"],
    ]


def test_paths_are_relative_to_the_grid_and_devices_are_left_to_the_node(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    where = Path.cwd()
    path = write_grid(tmp_path, {"data_dir": "here", "device": "cuda:7"}, "08")
    assert load_grid(path)[0].given == (("data_dir", "here"), ("device", "cuda:7"))
    with pytest.raises(CoreheadError, match="no folder 'there'"):
        load_grid(write_grid(tmp_path, {"data_dir": "there"}, "08"))
    assert Path.cwd() == where


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("runs: [", "cannot be read as YAML"),
        ("runs: []", "names no runs"),
        ("run: []", "no grid of runs: runs: Field required"),
        ("runs: [{notebook: 06, parameter: {}}]", "runs.0.parameter: Extra inputs"),
        ("runs: [{notebook: 06, parameters: {seed: [[1]]}}]", "runs.0.parameters.seed"),
        ("runs: [{notebook: 77}]", "There is no notebook '77'"),
        ("runs: [{notebook: 06, parameters: {seeds: 1}}]", "no parameter 'seeds'. Did you mean 'seed'"),
        ("runs: [{notebook: 06, parameters: {model: [tiny-qwen3-vl, tiny]}}]", "There is no model 'tiny'"),
    ],
)
def test_a_wrong_grid_stops_before_anything_runs(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "grid.yaml").write_text(text)
    result = sweep(tmp_path / "grid.yaml", "--out", tmp_path / "out")
    assert result.exit_code in (1, 2)
    assert message in result.output
    assert not (tmp_path / "out").exists()


def put(out: Path, run: Run, numbers: dict[str, float]) -> None:
    """Results as `corehead run` leaves them, without running."""
    planned = runs.plan(run.notebook, run.given)
    results = Results(inputs={}, rows=[], numbers=numbers, **planned.provenance())
    path = out / RUNS / run.name / "results.json"
    path.parent.mkdir(parents=True)
    path.write_text(results.to_json())


def test_numbers_are_collected_in_one_table(tmp_path: Path) -> None:
    found = load_grid(write_grid(tmp_path, {"label": ["a", "b"], "seed": [1, 2]}))
    with pytest.raises(CoreheadError, match="no complete run"):
        collect(tmp_path, found)
    for value, run in enumerate(found[:3]):
        put(tmp_path, run, {"draw": value / 3, "other": value})
    result = sweep(tmp_path / "grid.yaml", "--out", tmp_path, "--collect")
    assert result.output.startswith("3 of 4 runs in ")
    table, missing = collect(tmp_path, found)
    assert missing == [found[3].name]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / TABLE), table)
    assert list(table.columns) == ["notebook", "run", "label", "seed", "number", "value"]
    assert table[["label", "seed", "number", "value"]].to_numpy().tolist() == [
        ["a", 1, "draw", 0.0],
        ["a", 1, "other", 0.0],
        ["a", 2, "draw", 1 / 3],
        ["a", 2, "other", 1.0],
        ["b", 1, "draw", 2 / 3],
        ["b", 1, "other", 2.0],
    ]
    (tmp_path / RUNS / found[0].name / "results.json").write_text("{")
    with pytest.raises(CoreheadError, match="delete it and run again"):
        collect(tmp_path, found)


@pytest.mark.slow
def test_the_page_compares_the_models(tmp_path: Path) -> None:
    rows = [
        ("06_x", f"r{model}{data}{seed}", model, data, seed, number, float(value))
        for value, (model, data, seed, number) in enumerate(product("xy", "pq", (0, 1), ("m", "n")))
    ]
    columns = ["notebook", "run", "model", "dataset", "seed", "number", "value"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / TABLE, index=False)
    out = tmp_path / "page"
    result = CliRunner().invoke(
        main, ["run", str(PAGE), "--out", str(out), "-p", "table", str(tmp_path / TABLE)]
    )
    assert result.exit_code == 0, result.output
    kept = json.loads((out / "results.json").read_text())
    assert kept["numbers"] == {"runs": 8, "settings": 4}
    for row in kept["rows"]:
        model, data = row["line"].split(", ")
        values = [
            value for *_, m, d, _, n, value in rows if (m, d, f"06: {n}") == (model, data, row["panel"])
        ]
        assert (row["mean"], row["min"], row["max"], row["size"]) == (
            np.mean(values),
            min(values),
            max(values),
            2,
        )
    assert len(kept["rows"]) == 8


def test_without_the_engine_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    result = sweep(write_grid(tmp_path, {}), "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "pipx install snakemake" in result.output


def test_the_engine_is_told_everything_and_two_sweeps_do_not_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/bin/snakemake")
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, words: started.append(words))
    path = write_grid(tmp_path, {"seed": [1, 2]})
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = sweep(path, "--out", tmp_path)
        assert result.exit_code == 1
        assert "Another sweep is at work" in result.output
    assert sweep(path, "--out", tmp_path, "-j", 3, "--executor", "slurm", "-n").exit_code == 0
    assert started[0][0] == "/bin/snakemake"
    assert started[0][-3:] == ["--executor", "slurm", "-n"]
    said = json.loads((tmp_path / "runs.json").read_text())
    assert said["runs"] == {run.name: run.arguments for run in load_grid(path)}
    assert said["made_by"]["library"] == runs.plan(OK).provenance()["library_sha256"]


def test_a_process_killed_while_it_writes_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("before")
    child = os.fork()
    if not child:
        with whole(path) as draft:
            draft.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.read_text() == "before"
    with whole(path) as draft:
        draft.write_text("after")
    assert path.read_text() == "after"


@needs_the_engine
@pytest.mark.slow
def test_killed_at_random_moments_and_resumed(tmp_path: Path) -> None:
    """Runs of a sweep are those of `corehead run`, whatever was killed; then there is nothing left to do."""
    path, out = write_grid(tmp_path, {"seed": [1, 2], "samples": 3}), tmp_path / "sweep"
    words = [sys.executable, "-m", "corehead_lib.cli", "sweep", str(path), "--out", str(out), "-j", "2"]
    for _ in range(3):
        before = len([*out.rglob("*")])
        one = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        while one.poll() is None and len([*out.rglob("*")]) == before:
            time.sleep(0.05)
        time.sleep(random.uniform(0, 3))
        os.killpg(one.pid, signal.SIGKILL)
        one.wait()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for number, run in enumerate(load_grid(path)):
        plain = tmp_path / str(number)
        assert CliRunner().invoke(main, ["run", *run.arguments, "--out", str(plain)]).exit_code == 0
        assert (plain / "results.json").read_bytes() == (out / RUNS / run.name / "results.json").read_bytes()
    assert len(pd.read_csv(out / TABLE)) == 2
    assert "The runs of a sweep, compared" in (out / "page" / "html" / "compare_runs.html").read_text()
    again = subprocess.run([*words, "-n"], capture_output=True, text=True, check=False)
    assert "Nothing to be done" in again.stdout + again.stderr
