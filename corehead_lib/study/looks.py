"""What heads look at and what they write, measured in one pass that changes nothing."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch

from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.errors import CoreheadError
from corehead_lib.ram_operator import ROWS_AT_ONCE, attention_rows


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
    return weight(module.o_proj).float().T.unflatten(0, (call.query.shape[1], -1))


def weight(part: Any) -> torch.Tensor:
    """Its weight, which accelerate fetches where it is left on disk or in memory until it is used."""
    if not part.weight.is_meta:
        return part.weight.detach()
    from accelerate.utils import align_module_device

    with align_module_device(part):
        return part.weight.detach()
