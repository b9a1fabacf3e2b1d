"""`corehead score`: killed and resumed, by one process or two, one by one or in batches, it is the same result."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from corehead_lib.cli import main
from corehead_lib.data import load_samples
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.ram import measure_ram
from corehead_lib.scoring import score as scoring
from corehead_lib.scoring.estimate import estimate
from corehead_lib.scoring.job import Job
from corehead_lib.scoring.score import forget_failures, read_scores, score

RESULT = ("scores.safetensors", "scores.json", "heads.json")


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def job(tiny_folder: Path) -> Job:
    return Job(str(tiny_folder), "scenes", samples=9, shard=2, batch_size=2)


@pytest.fixture(scope="module")
def whole(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in one go."""
    out = tmp_path_factory.mktemp("whole")
    assert score(job, out, say=quiet)
    return out


def same(one: Path, other: Path, drafts: bool = False) -> None:
    """The same result, to the byte; DRAFTS: those of a killed process may lie about."""
    for name in RESULT:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert drafts or not list(other.rglob("*.part"))


def test_it_is_what_measure_ram_finds(job: Job, whole: Path, tiny: LoadedModel) -> None:
    samples = load_samples("scenes", "detection", 9, 0)
    wanted = measure_ram(tiny, encode_all(tiny, samples, 1), ("question", "last", "answer"))
    found = read_scores(whole)
    for rows, ram in wanted.items():
        np.testing.assert_allclose(found[rows].target, ram.target, atol=1e-5)
        np.testing.assert_allclose(found[rows].visual, ram.visual, atol=1e-5)
        np.testing.assert_allclose(found[rows].share, ram.share, atol=1e-6)
    said = json.loads((whole / "scores.json").read_text())
    assert [one["id"] for one in said["samples"]] == [sample.id for sample in samples]
    assert said["counts"] == {"scored": 9, "failed": 0, "refused by the dataset": 0}
    assert said["model"]["checksum"] == tiny.checksum


def test_one_by_one_or_eight_at_a_time(job: Job, tmp_path: Path) -> None:
    for size in (1, 8):
        score(replace(job, batch_size=size, shard=8), tmp_path / str(size), say=quiet)
    one, eight = (read_scores(tmp_path / size)["last"].target for size in ("1", "8"))
    np.testing.assert_allclose(one, eight, atol=1e-5)
    assert np.ptp(one) > 0.1


def _process(job: Job, out: Path, rank: int, world: int) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
    score(job, out, say=quiet)


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Fresh processes that have the package imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["corehead_lib.scoring.score"])
    return context


def test_two_processes_as_a_launcher_starts_them(
    job: Job, whole: Path, tmp_path: Path, processes: multiprocessing.context.ForkServerContext
) -> None:
    both = [processes.Process(target=_process, args=(job, tmp_path, rank, 2)) for rank in (0, 1)]
    for one in both:
        one.start()
    for one in both:
        one.join()
        assert one.exitcode == 0
    same(whole, tmp_path)


IN_A_GROUP = """import sys, torch.distributed as group
from corehead_lib.cli import main
group.init_process_group("gloo")
main(sys.argv[1:], standalone_mode=False)
group.barrier()
group.destroy_process_group()
"""


@pytest.mark.slow
def test_torchrun_with_two_gloo_processes(job: Job, whole: Path, tmp_path: Path) -> None:
    script, out = tmp_path / "score.py", tmp_path / "out"
    script.write_text(IN_A_GROUP)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--samples", "9", "--shard", "2", "--batch-size", "2"]
    command = [*launcher, str(script), "score", job.model, job.dataset, "--out", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "9 scored, 0 failed" in done.stdout
    same(whole, out)


def test_killed_at_random_moments_and_resumed(
    job: Job, whole: Path, tmp_path: Path, processes: multiprocessing.context.ForkServerContext
) -> None:
    moments, killed, number = random.Random(), 0, 0
    while killed < 3:
        out = tmp_path / str(number)
        before = len([*out.rglob("*")])
        one = processes.Process(target=_process, args=(job, out, 0, 1))
        one.start()
        while one.is_alive() and len([*out.rglob("*")]) == before:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        one.kill()
        one.join()
        if one.exitcode == 0:  # it came to its end first: begin another
            same(whole, out, drafts=True)
            number += 1
            continue
        assert one.exitcode == -signal.SIGKILL
        killed += 1
        for path in out.glob("shards/*.safetensors"):
            assert path.read_bytes() == (whole / "shards" / path.name).read_bytes()
    assert score(job, tmp_path / str(number), say=quiet)
    same(whole, tmp_path / str(number), drafts=True)


def test_stopped_before_and_after_each_file_that_is_written(
    job: Job, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, writes = Path.replace, 9  # the job, five shards, three files of the result
    for stop in range(2 * writes):
        out, left = tmp_path / str(stop), [stop]

        def replace_or_stop(draft: Path, target: Path, left: list[int] = left) -> Path:
            for step in (lambda: None, lambda: put(draft, target)):
                if left[0] == 0:
                    raise KeyboardInterrupt
                left[0] -= 1
                step()
            return target

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", replace_or_stop)
            with pytest.raises(KeyboardInterrupt):
                score(job, out, say=quiet)
        assert score(job, out, say=quiet)
        same(whole, out)


def test_what_fails_is_listed_and_the_rest_of_its_batch_kept(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = replace(job, samples=4, tasks=("shape", "sum"))  # sums have no evidence
    assert score(mixed, tmp_path, say=quiet)
    said = json.loads((tmp_path / "scores.json").read_text())
    assert [one["task"] for one in said["samples"]] == ["shape", "shape"]
    assert len(said["failed"]) == 2
    assert all("no evidence" in reason for _, reason in said["failed"])
    assert read_scores(tmp_path)["last"].target.shape[0] == 2
    before = (tmp_path / "scores.safetensors").read_bytes()
    assert forget_failures(tmp_path) == 2
    assert not (tmp_path / "scores.json").exists()
    assert score(mixed, tmp_path, say=quiet)
    assert (tmp_path / "scores.safetensors").read_bytes() == before
    with pytest.raises(CoreheadError, match=r"Not one of 2 samples.*no evidence"):
        score(replace(job, samples=2, tasks=("sum",)), tmp_path / "none", say=quiet)


def test_another_run_in_the_same_folder_is_refused(job: Job, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(CoreheadError, match="seed was 0, is 1"):
        score(replace(job, seed=1), whole, say=quiet)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(CoreheadError, match="other things"):
        score(job, tmp_path, say=quiet)
    with pytest.raises(CoreheadError, match="Part 2 of 2"):
        score(job, whole, part=(2, 2), say=quiet)
    with pytest.raises(CoreheadError, match="no complete run"):
        read_scores(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "foo"}, "Unknown dtype 'foo'"),
        ({"options": {"seed": 3}}, "seed: no option of the dataset"),
        ({"options": {"nonsense": 3}}, "scenes cannot take {'nonsense': 3}"),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_a_folder_is_claimed(
    job: Job, change: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CoreheadError, match=message):
        score(replace(job, **change), tmp_path / "out", say=quiet)
    assert not (tmp_path / "out").exists()


def test_a_device_or_a_folder_that_is_not_there_is_refused(job: Job, tmp_path: Path) -> None:
    with pytest.raises(CoreheadError, match="device='xpu'"):
        score(job, tmp_path / "out", device="xpu", say=quiet)
    assert not (tmp_path / "out").exists()
    with pytest.raises(CoreheadError, match="device='xpu'"):
        estimate(job, [], 0, device="xpu")
    (tmp_path / "file").write_text("")
    with pytest.raises(CoreheadError, match="cannot be written to"):
        score(job, tmp_path / "file" / "out", say=quiet)


def test_an_estimate_of_what_cannot_be_loaded_is_refused_in_one_sentence(job: Job, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text('{"model_type": "no such"}')
    with pytest.raises(CoreheadError, match=r"Cannot load .*model type `no such`"):
        estimate(replace(job, model=str(tmp_path)), [], 0)
    config = json.loads((Path(job.model) / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "awq", "bits": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CoreheadError, match=r"is a quantised checkpoint \(awq\)"):
        estimate(replace(job, model=str(tmp_path)), [], 0)


def test_an_option_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    given = [
        "score",
        "tiny-qwen3-vl",
        "documents",
        "--out",
        str(tmp_path),
        "-o",
        "pages",
        "2",
        "-o",
        "pages",
        "5",
    ]
    found = CliRunner().invoke(main, given)
    assert found.exit_code == 2
    assert "-o pages is given twice" in found.output


def test_a_complete_run_loads_no_model(job: Job, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "load_model", None)
    assert score(job, whole, say=quiet)


def test_a_part_leaves_the_others_to_others(job: Job, whole: Path, tmp_path: Path) -> None:
    said: list[str] = []
    assert not score(job, tmp_path, part=(1, 2), say=said.append)
    assert "3 of 5 shards are missing" in said[-1]
    assert score(job, tmp_path, part=(0, 2), say=said.append)
    same(whole, tmp_path)


def test_the_estimate_counts_the_model_that_will_be_loaded(job: Job, tiny: LoadedModel) -> None:
    samples = load_samples("scenes", "detection", 9, 0)
    found = estimate(job, samples, 9)
    assert found.parameters == sum(weight.numel() for weight in tiny.model.parameters())
    assert found.memory > 4 * found.parameters
    assert found.tokens <= found.longest
    longest = max(b.inputs["input_ids"].shape[1] + len(b.answers[0]) for b in encode_all(tiny, samples, 1))
    assert found.longest == longest
    assert found.seconds > 0
    assert "parameters" in str(found)
