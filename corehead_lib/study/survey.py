"""One look at the heads of a model: where they look, what they write, how the answer hangs on them. Rankings read it off."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch.nn.functional import pad
from transformers import PreTrainedModel

from corehead_lib.answers import QUERIES, query_rows, with_answers
from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.ram import RamScores, mass
from corehead_lib.study.looks import Looks, weight

NULL_QUESTION = "N/A"  # arXiv 2605.27243


@dataclass
class Gates(Operator):
    """Multiplies each head's output by a gate of one, per sample: the gradient of the gate is gradient times output."""

    gates: dict[int, torch.Tensor] = field(default_factory=dict)

    def begin(self, model: PreTrainedModel) -> None:
        self.gates.clear()

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        output = inner(call)
        gate = output.new_ones(len(output), 1, output.shape[2], 1, requires_grad=True)
        self.gates[call.layer] = gate
        return output * gate


@dataclass
class Survey:
    """What rankings are read off; each kind of pass runs once, when it is first asked for. S samples, Q sets of rows."""

    loaded: LoadedModel
    batches: Sequence[Batch]

    def __post_init__(self) -> None:
        if not len(self.batches):
            raise CoreheadError("There are no batches to rank heads on.")

    @cached_property
    def looks(self) -> dict[str, np.ndarray]:
        """(Q, S, layers, heads) of "target", "source", "nonsink", "entropy", "hit", "write"; (S, layers, heads) of "norm"; (S,) of "share"."""
        parts = [_look(self.loaded, batch) for batch in self.batches]
        return {
            name: np.concatenate([p[name] for p in parts], max(0, parts[0][name].ndim - 3))
            for name in parts[0]
        }

    @cached_property
    def null(self) -> np.ndarray:
        """(2, S, layers, heads): RAM of the rows "question" and "last" when the question is "N/A"."""
        parts = []
        for batch in self.batches:
            asked = encode(self.loaded, [replace(s, question=NULL_QUESTION) for s in batch.samples])
            parts.append(mass(self.loaded, asked, asked.targets(), QUERIES[:2]))
        return np.concatenate(parts, 1)

    @cached_property
    def gradient(self) -> np.ndarray:
        """(S, layers, heads): how the gold answer's log-probability falls if a head is turned down, to first order."""
        return np.concatenate([_gradient(self.loaded, batch) for batch in self.batches])

    def ram(self, rows: str) -> RamScores:
        """RAM at one of ``answers.QUERIES``, as ``measure_ram`` returns it."""
        at = QUERIES.index(rows)
        return RamScores(self.looks["target"][at], self.looks["source"][at], self.looks["share"])

    def mean(self, name: str, rows: str = "last") -> np.ndarray:
        """(layers, heads): mean of one of ``looks`` over the samples."""
        value = self.looks[name]
        return (value if name == "norm" else value[QUERIES.index(rows)]).mean(0)


def _look(loaded: LoadedModel, batch: Batch) -> dict[str, np.ndarray]:
    inputs, labels = with_answers(batch)
    longer = labels.shape[1]
    real = inputs["attention_mask"].bool()
    operator = Looks(
        queries=torch.stack([query_rows(batch, name, longer) for name in QUERIES]),
        targets=pad(batch.targets(), (0, longer)),
        source=pad(batch.source, (0, longer)),
        sink=real & (real.cumsum(1) == 1),
        real=real,
        direction=_directions(loaded, labels, batch.last.shape[1]),
    )
    with torch.inference_mode(), operator(loaded.model):
        loaded.model(**inputs, use_cache=False, logits_to_keep=1)
    found = {name: torch.stack(parts, -2).cpu().numpy() for name, parts in operator.found.items()}
    found["share"] = (operator.targets.sum(1) / operator.source.sum(1)).cpu().numpy()
    return found


def _directions(loaded: LoadedModel, labels: torch.Tensor, length: int) -> torch.Tensor:
    """(B, T + A, hidden): for the rows that predict the answer, the gold token's unembedding less the mean one, through the last norm."""
    table = weight(loaded.model.get_output_embeddings()).float()
    scale, labels = (x.to(table.device) for x in (weight(loaded.model.get_decoder().norm).float(), labels))
    direction = table.new_zeros(*labels.shape[:1], length + labels.shape[1], table.shape[1])
    gold = (table[labels.clamp(min=0)] - table.mean(0)) * scale * (labels >= 0)[..., None]
    direction[:, length - 1 : -1] = gold
    return direction


def _gradient(loaded: LoadedModel, batch: Batch) -> np.ndarray:
    inputs, labels = with_answers(batch)
    with torch.enable_grad(), Gates()(loaded.model) as operator:
        logits = loaded.model(**inputs, use_cache=False, logits_to_keep=labels.shape[1] + 1).logits
        logs = logits[:, :-1].float().log_softmax(-1)
        gold = logs.gather(-1, labels.clamp(min=0)[..., None])[..., 0] * (labels >= 0)
        found = torch.autograd.grad(gold.sum(), [operator.gates[n] for n in sorted(operator.gates)])
    return torch.stack([one[:, 0, :, 0].cpu() for one in found], 1).numpy()
