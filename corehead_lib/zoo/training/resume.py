"""A training run that may be killed at any time: where it stands, its curve and its checkpoint."""

import json
import platform
import re
import time
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from corehead_lib.whole import whole


def is_over(stage: dict, steps: int, average: dict[str, float]) -> bool:
    """Say whether a stage has had its most steps, or 100 at least and each task of its ``until`` is that accurate."""
    goals = stage.get("until", {})
    learned = bool(goals) and all(average.get(task, 0.0) >= goal for task, goal in goals.items())
    return steps >= stage["steps"] or (learned and steps >= 100)


class Run:
    """A run in the folder ``out``: where its checkpoint is, if there is one, ``saved`` holds it, and the curve is cut back to it.

    newest: the weight of a step in the running averages of accuracy.
    """

    def __init__(self, out: Path, stages: list[dict], newest: float, name: str, progress: bool) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.stages, self.newest = stages, newest
        self.checkpoint, self.curve = out / "checkpoint.pt", out / "curve.jsonl"
        there = self.checkpoint.exists()
        self.saved: dict[str, Any] = torch.load(self.checkpoint, weights_only=True) if there else {}
        new = {"step": 0, "stage": 0, "stage_step": 0, "seconds": 0.0, "average": {}}
        self.state: dict[str, Any] = self.saved.get("state", new)
        kept = self.curve.read_text().splitlines()[: self.state["step"]] if self.curve.exists() else []
        self.curve.write_text("".join(line + "\n" for line in kept))
        total = sum(stage["steps"] for stage in stages)
        self.bar = tqdm(
            desc=name, initial=self.state["step"], total=total, disable=not progress, mininterval=10
        )

    @property
    def stage(self) -> dict | None:
        """The stage of the next step; None at the end."""
        return self.stages[self.state["stage"]] if self.state["stage"] < len(self.stages) else None

    def note(self, started: float, loss: float, accuracy: dict[str, float]) -> None:
        """Count a step that began at ``started`` (time.perf_counter), and write its line of the curve."""
        state, average = self.state, self.state["average"]
        for task, share in accuracy.items():
            average[task] = (1 - self.newest) * average.get(task, share) + self.newest * share
        line = {"step": state["step"], "stage": state["stage"], "loss": round(loss, 4)}
        with self.curve.open("a") as log:
            log.write(json.dumps(line | {task: round(share, 3) for task, share in accuracy.items()}) + "\n")
        shown = {task: f"{average[task]:.2f}" for task in accuracy}
        self.bar.set_postfix({"stage": state["stage"], "loss": f"{loss:.2f}"} | shown, refresh=False)
        self.bar.update()
        state["step"] += 1
        state["stage_step"] += 1
        if is_over(self.stages[state["stage"]], state["stage_step"], average):
            state["stage"], state["stage_step"] = state["stage"] + 1, 0
        state["seconds"] += time.perf_counter() - started

    def save(self, **parts: Any) -> None:
        """Write the checkpoint: ``parts``, such as weights, and where the run stands."""
        with whole(self.checkpoint) as draft:
            torch.save({**parts, "state": self.state}, draft)

    @property
    def cost(self) -> dict[str, Any]:
        """Steps and minutes so far, and the hardware of this process."""
        minutes = round(self.state["seconds"] / 60, 1)
        return {"steps": self.state["step"], "minutes": minutes, "hardware": _hardware()}


def _hardware() -> str:
    """Say what this process computes on."""
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    named = re.search(r"^model name.*?: (.*)", told, re.M)
    kind = named[1] if named else platform.processor() or platform.machine()
    threads = torch.get_num_threads()
    return f"{threads} core{'s' * (threads > 1)} of a CPU ({kind})"
