"""Is the answer right, and how likely was it? Teacher forced, so one forward pass per batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel


@dataclass(frozen=True)
class Evaluation:
    """Per sample: whether greedy decoding would give the gold answer, and the answer's log-probability."""

    correct: np.ndarray  # (S,) bool
    logprob: np.ndarray  # (S,) float, natural log, summed over the answer's tokens
    task: np.ndarray  # (S,) str

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())

    def by_task(self) -> dict[str, float]:
        """Accuracy of each task, in order of first appearance."""
        return {str(t): float(self.correct[self.task == t].mean()) for t in dict.fromkeys(self.task)}


def evaluate(loaded: LoadedModel, batches: Sequence[Batch], progress: bool = True) -> Evaluation:
    """Run every batch with its gold answers appended.

    An answer counts as correct if each of its tokens is the most likely one given those before,
    which is when greedy decoding would write it; anything else, also text that is no answer at
    all, counts as wrong.

    Raises CoreheadError for a sample whose gold answer is empty.
    """
    correct, logprob, task = [], [], []
    for batch in tqdm(batches, desc="evaluate", disable=not progress, leave=False):
        inputs, answers = _with_answers(batch)
        longest = answers.shape[1]
        with torch.inference_mode():
            logits = loaded.model(**inputs, use_cache=False, logits_to_keep=longest + 1).logits
        logs = logits[:, :-1].float().log_softmax(-1)
        asked = answers != -100
        gold = logs.gather(-1, answers.clamp(min=0)[..., None])[..., 0]
        right = (logs.argmax(-1) == answers) | ~asked
        correct += right.all(1).tolist()
        logprob += (gold * asked).sum(1).tolist()
        task += [sample.task for sample in batch.samples]
    return Evaluation(np.array(correct), np.array(logprob), np.array(task))


def _with_answers(batch: Batch) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Append the answers, padded on the right with their own last token; (B, A) labels, -100 there."""
    empty = [sample.id for sample, answer in zip(batch.samples, batch.answers, strict=True) if not answer]
    if empty:
        raise CoreheadError(f"{empty[0]}: the gold answer is empty, so there is nothing to evaluate.")
    longest = max(len(answer) for answer in batch.answers)
    ids = batch.inputs["input_ids"]
    padded = [[*answer, *[answer[-1]] * (longest - len(answer))] for answer in batch.answers]
    tail = torch.tensor(padded, device=ids.device)
    labels = torch.tensor(
        [[*answer, *[-100] * (longest - len(answer))] for answer in batch.answers], device=ids.device
    )
    ones = torch.ones_like(tail)
    inputs = dict(batch.inputs)
    inputs["input_ids"] = torch.cat([ids, tail], 1)
    inputs["attention_mask"] = torch.cat([inputs["attention_mask"], ones], 1)
    for name in {"mm_token_type_ids", "token_type_ids"} & set(inputs):  # zero: text
        inputs[name] = torch.cat([inputs[name], ones * 0], 1)
    return inputs, labels
