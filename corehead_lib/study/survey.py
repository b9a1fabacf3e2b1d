"""One look at the heads of a model: where they look, what they write, how the answer hangs on them. Rankings read it off."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

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
from corehead_lib.ram_operator import ROWS_AT_ONCE, attention_rows

NULL_QUESTION = "N/A"  # arXiv 2605.27243


@dataclass
class Looks(Operator):
    """Measures heads in one pass over prompts and answers (B, T); changes nothing.

    queries: (Q, B, T) bool; the mean is taken over the rows of each of Q sets.
    targets, source, sink: (B, T) bool keys; real: (B, T) bool, without padding.
    direction: (B, T, hidden), what raises the logit of the token that each row predicts; zero in rows that predict none.

    ``found[name]`` collects (Q, B, H) for each layer, (B, H) for "norm".
    """

    queries: torch.Tensor
    targets: torch.Tensor
    source: torch.Tensor
    sink: torch.Tensor
    real: torch.Tensor
    direction: torch.Tensor
    found: dict[str, list[torch.Tensor]] = field(default_factory=dict)

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        output = inner(call)
        here = self._on(output.device)
        for name, value in here._reduced(call, output).items():
            self.found.setdefault(name, []).append(value.to(self.queries.device))
        return output

    def _on(self, device: torch.device) -> "Looks":
        """The same with masks where a layer is: a model may be split over several devices."""
        masks = ("queries", "targets", "source", "sink", "real", "direction")
        return replace(self, **{name: getattr(self, name).to(device) for name in masks})

    def _reduced(self, call: Call, output: torch.Tensor) -> dict[str, torch.Tensor]:
        """What is found in one layer, by name."""
        weights = self.queries.float() / self.queries.sum(-1, keepdim=True)
        write = _output_projection(call)  # (H, D, hidden)
        sums: dict[str, torch.Tensor] = {}
        for rows in self.queries.any((0, 1)).nonzero().flatten().split(ROWS_AT_ONCE):
            for name, value in self._measured(call, rows, write).items():  # (B, H, R)
                mean = torch.einsum("bhr,qbr->qbh", value, weights[:, :, rows])
                sums[name] = sums.get(name, 0) + mean
        gram = write @ write.transpose(1, 2)
        said = output.float()
        length = torch.einsum("bthd,hde,bthe->bth", said, gram, said).clamp(min=0).sqrt()
        sums["norm"] = (length * self.real[..., None]).sum(1) / self.real.sum(1, keepdim=True)
        return sums

    def _measured(self, call: Call, rows: torch.Tensor, write: torch.Tensor) -> dict[str, torch.Tensor]:
        """Per head and row, (B, H, R)."""
        attention = attention_rows(call, rows)
        target, source, sink = (x[:, None, None].float() for x in (self.targets, self.source, self.sink))
        batch, groups = call.value.shape[:2]
        toward = torch.einsum("brn,hdn->bhrd", self.direction[:, rows], write)
        value = call.value.float().transpose(2, 3)  # (B, G, D, T)
        written = (toward.reshape(batch, groups, -1, toward.shape[-1]) @ value).reshape(attention.shape)
        written = attention * written  # what each key adds to the gold token's logit through this head
        best = attention.argmax(-1)  # (B, H, R)
        return {
            "target": (attention * target).sum(-1),
            "source": (attention * source).sum(-1),
            "nonsink": (attention * (1 - sink)).sum(-1),
            "entropy": torch.special.entr(attention).sum(-1),
            "hit": self.targets[:, None].expand(-1, best.shape[1], -1).gather(2, best).float(),
            "write": (written * (2 * target - 1)).sum(-1),  # from the target, minus from elsewhere
        }


def _output_projection(call: Call) -> torch.Tensor:
    """(H, D, hidden): what each head's output is multiplied by on its way into the residual stream."""
    module: Any = call.module
    if not hasattr(module, "o_proj"):
        raise CoreheadError(f"{type(module).__name__} has no o_proj, so what its heads write is not known.")
    if type(module.o_proj) is not torch.nn.Linear:
        raise CoreheadError(
            f"o_proj is a {type(module.o_proj).__name__}: what heads write is read off full weights, not quantised ones."
        )
    return _weight(module.o_proj).float().T.unflatten(0, (call.query.shape[1], -1))


def _weight(part: Any) -> torch.Tensor:
    """Its weight, which accelerate fetches where it is left on disk or in memory until it is used."""
    if not part.weight.is_meta:
        return part.weight.detach()
    from accelerate.utils import align_module_device

    with align_module_device(part):
        return part.weight.detach()


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
    table = _weight(loaded.model.get_output_embeddings()).float()
    scale, labels = (x.to(table.device) for x in (_weight(loaded.model.get_decoder().norm).float(), labels))
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
