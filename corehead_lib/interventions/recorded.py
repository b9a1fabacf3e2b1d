"""What heads say in a run that nothing disturbs."""

from dataclasses import dataclass, field

import torch

from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.encode import Batch
from corehead_lib.evaluate import evaluate
from corehead_lib.models import LoadedModel


@dataclass
class Record(Operator):
    """Keeps heads' outputs in one forward pass, (B, T, heads, D) for each layer; changes nothing."""

    outputs: dict[int, torch.Tensor] = field(default_factory=dict, repr=False)

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        output = inner(call)
        self.outputs[call.layer] = output
        return output


def head_outputs(loaded: LoadedModel, batch: Batch) -> dict[int, torch.Tensor]:
    """(B, T + A, H, D) of each layer, while prompts and gold answers are read."""
    with Record()(loaded.model) as kept:
        evaluate(loaded, [batch], progress=False)
    return kept.outputs
