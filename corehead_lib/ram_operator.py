"""The operator that measures RAM: some rows of attention, in float32, beside the plain forward pass."""

from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from corehead_lib.attention import Attend, Call, Operator, allowed
from corehead_lib.errors import CoreheadError

ROWS_AT_ONCE = 64


def attention_rows(call: Call, rows: torch.Tensor) -> torch.Tensor:
    """Attention weights of some rows (R,): (B, H, R, T), float32; zero where a row of padding sees nothing."""
    batch, heads, _, width = call.query.shape
    key = call.key.float().transpose(2, 3)  # (B, G, D, T)
    query = call.query[:, :, rows].float().reshape(batch, key.shape[1], -1, width)
    logits = (query @ key).reshape(batch, heads, len(rows), -1) * call.scaling
    seen = allowed(call, rows)
    attention = logits.masked_fill(~seen, -torch.inf).softmax(-1)
    return attention.masked_fill(~seen.any(-1, keepdim=True), 0)


@dataclass
class RetrievalAttentionMass(Operator):
    """Sums the attention that query tokens give to target tokens; changes nothing.

    queries: (B, T) bool, the query tokens; the mean is taken over them (floats: a weighted mean). Or
        (Q, B, T) for Q query sets at once.
    targets: (B, T) bool, or (K, B, T) for K target sets at once.

    After one forward pass over these T tokens, ``mass`` is (B, layers, heads), float32, behind a dimension Q and
    one of K where there are several sets. Decoding steps (one new token) are left out.
    Raises CoreheadError for empty queries or targets, another number of tokens, and if entered twice at a time.
    """

    queries: torch.Tensor
    targets: torch.Tensor
    _layers: dict[int, torch.Tensor] = field(default_factory=dict, init=False, repr=False)
    _expected: int = field(default=0, init=False, repr=False)
    _doubled: bool = field(default=False, init=False, repr=False)

    def begin(self, model: PreTrainedModel) -> None:
        if self.busy:
            raise CoreheadError("This operator is measuring already: make one for each block and thread.")
        if self.targets.shape[-2:] != self.queries.shape[-2:]:
            raise CoreheadError(
                f"queries are {tuple(self.queries.shape)}, targets {tuple(self.targets.shape)}: "
                "both end in (batch, tokens)."
            )
        for name, mask in (("query", self.queries), ("target", self.targets)):
            if not mask.any(-1).all():
                raise CoreheadError(
                    f"At least one sample has no {name} token: its mass would be meaningless."
                )
        self._layers.clear()
        self._doubled, self._expected = False, model.config.get_text_config().num_hidden_layers

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        if call.query.shape[2] > 1 or self.queries.shape[-1] == 1:
            self._doubled |= call.layer in self._layers
            self._layers[call.layer] = self._reduce(call).to(self.targets.device)
        return inner(call)

    def _reduce(self, call: Call) -> torch.Tensor:
        """(Q, K, B, H) mass of one layer."""
        batch, heads, tokens, _ = call.query.shape
        if (batch, tokens) != tuple(self.queries.shape[-2:]) or call.key.shape[2] != tokens:
            raise CoreheadError(
                f"The forward pass holds {batch} x {tokens} tokens, the masks {tuple(self.queries.shape[-2:])}: "
                "encode the same batch for both."
            )
        place = call.key.device  # a model may be split over several
        queries, targets = (
            x.to(place).reshape(-1, batch, tokens).float() for x in (self.queries, self.targets)
        )
        weights = queries / queries.sum(-1, keepdim=True)
        mass = targets.new_zeros(len(queries), len(targets), batch, heads)
        for rows in queries.any((0, 1)).nonzero().flatten().split(ROWS_AT_ONCE):
            on_target = torch.einsum("bhrt,kbt->kbhr", attention_rows(call, rows), targets)
            mass += torch.einsum("kbhr,qbr->qkbh", on_target, weights[:, :, rows])
        return mass

    @property
    def mass(self) -> torch.Tensor:
        """The result; CoreheadError unless exactly one forward pass has run, to its end."""
        if not self._layers:
            raise CoreheadError("No forward pass has run inside this operator's `with` block yet.")
        if self._doubled or len(self._layers) != self._expected:
            raise CoreheadError(
                f"This operator saw {'more than one forward pass' if self._doubled else 'a part of a forward pass'}"
                f" ({len(self._layers)} of {self._expected} layers): open a new `with` block for each pass."
            )
        mass = torch.stack([self._layers[layer] for layer in sorted(self._layers)], dim=3)
        if not mass.isfinite().all():
            raise CoreheadError("Attention is not a number: the model overflows in this dtype; try another.")
        mass = mass if self.targets.ndim == 3 else mass[:, 0]
        return mass if self.queries.ndim == 3 else mass[0]
