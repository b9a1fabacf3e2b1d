"""Gold answers behind their prompts, teacher forced: one forward pass shows every step of writing them."""

import torch

from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError


def with_answers(batch: Batch) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Append the answers, padded on the right with their own last token; (B, A) labels, -100 for padding.

    Padding stands behind everything that counts, so that causal attention never sees it.
    Raises CoreheadError for a sample whose gold answer is empty.
    """
    empty = [sample.id for sample, answer in zip(batch.samples, batch.answers, strict=True) if not answer]
    if empty:
        raise CoreheadError(f"{empty[0]}: the gold answer is empty, so there is nothing to append.")
    longest = max(len(answer) for answer in batch.answers)
    padded = [[*answer, *[answer[-1]] * (longest - len(answer))] for answer in batch.answers]
    labels = [[*answer, *[-100] * (longest - len(answer))] for answer in batch.answers]
    inputs = dict(batch.inputs)
    ids = inputs["input_ids"]
    tail = torch.tensor(padded, device=ids.device)
    inputs["input_ids"] = torch.cat([ids, tail], 1)
    inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(tail)], 1)
    for name in {"mm_token_type_ids", "token_type_ids"} & set(inputs):  # zero: text
        inputs[name] = torch.cat([inputs[name], torch.zeros_like(tail)], 1)
    return inputs, torch.tensor(labels, device=ids.device)


def predicting(batch: Batch) -> torch.Tensor:
    """(B, T + A) bool: the rows from which the gold answer's tokens are predicted.

    They are the last prompt token and all of the answer but its last token. What these rows look at is what the
    model can write from; the row of the answer's last token comes too late for that.
    """
    lengths = torch.tensor([len(answer) for answer in batch.answers], device=batch.last.device)[:, None]
    end = batch.last.shape[1]
    place = torch.arange(end + int(lengths.max()), device=batch.last.device)
    return (place >= end - 1) & (place < end - 1 + lengths)
