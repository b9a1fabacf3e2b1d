"""Gold answers behind their prompts, teacher forced; and the rows whose attention is measured, theirs among them."""

import torch
from torch.nn.functional import pad

from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError, did_you_mean

QUERIES = ("question", "last", "answer")
Queries = str | torch.Tensor  # one of QUERIES, or a mask (B, T), with the answer's tokens behind or not


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


def query_rows(batch: Batch, queries: Queries, longer: int = 0) -> torch.Tensor:
    """(B, T + longer) bool: the rows of a query set, in the batch's T tokens and ``longer`` ones of its answers.

    "question": the tokens of the question's own text. "last": the last prompt token. "answer": the rows from which
    the gold answer's tokens are predicted, the last prompt token and all of the answer but its last token. What
    these rows look at is what the model can write from; the row of the answer's last token comes too late for that.

    Raises CoreheadError for another name.
    """
    if isinstance(queries, str) and queries not in QUERIES:
        raise CoreheadError(f"queries={queries!r} is no set of query tokens.{did_you_mean(queries, QUERIES)}")
    if isinstance(queries, torch.Tensor) or queries != "answer":
        own = {"question": batch.question, "last": batch.last}
        rows = own[queries] if isinstance(queries, str) else queries
        return pad(rows, (0, batch.last.shape[1] + longer - rows.shape[1]))
    lengths = torch.tensor([len(answer) for answer in batch.answers], device=batch.last.device)[:, None]
    end = batch.last.shape[1]
    place = torch.arange(end + longer, device=batch.last.device)
    return (place >= end - 1) & (place < end - 1 + lengths)
