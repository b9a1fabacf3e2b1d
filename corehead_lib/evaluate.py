"""Is the answer right, and how likely was it? Teacher forced, so one forward pass per batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from corehead_lib.answers import with_answers
from corehead_lib.chat import ANSWER
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.progress import watched


@dataclass(frozen=True)
class Evaluation:
    """Per sample: whether greedy decoding would give the gold answer and stop, the answer's log-probability, and what is written first."""

    correct: np.ndarray  # (S,) bool
    logprob: np.ndarray  # (S,) float, natural log, summed over the answer's tokens, its end not among them
    task: np.ndarray  # (S,) str
    first: np.ndarray = field(
        default_factory=lambda: np.zeros(0, int)
    )  # (S,) int, the token that greedy decoding begins with

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())

    def by_task(self) -> dict[str, float]:
        """Accuracy of each task, in order of first appearance."""
        return {str(t): float(self.correct[self.task == t].mean()) for t in dict.fromkeys(self.task)}


def evaluate(loaded: LoadedModel, batches: Sequence[Batch], progress: bool = False) -> Evaluation:
    """Run every batch with its gold answers appended, and compare each step with greedy decoding.

    An answer counts as correct if each of its tokens is the most likely one given those before, and one
    of ``ends(loaded)`` is the most likely one after the last: then greedy decoding would write this answer and stop.
    Anything else counts as wrong: another wording or spelling of the same answer, text before it, and text
    after it ("red star" for "red", "12" for "1"). For what a dataset itself would count, see ``judge``.

    Raises CoreheadError for a sample whose gold answer is empty, and for a model that cannot end an answer.
    """
    stops = torch.tensor(ends(loaded))
    correct, logprob, task, first = [], [], [], []
    for batch in watched(batches, "evaluate", progress):
        inputs, answers = with_answers(batch)
        with torch.inference_mode():
            logits = loaded.model(**inputs, use_cache=False, logits_to_keep=answers.shape[1] + 1).logits
        asked = answers != -100
        logs = logits[:, :-1].float().log_softmax(-1)
        gold = logs.gather(-1, answers.clamp(min=0)[..., None])[..., 0]
        written = logits.argmax(-1)  # (B, A + 1): the most likely token at each step
        after = written.gather(1, asked.sum(1, keepdim=True))[:, 0]  # ... and the one after the answer
        right = ((written[:, :-1] == answers) | ~asked).all(1)
        correct += (right & torch.isin(after, stops.to(after.device))).tolist()
        logprob += (gold * asked).sum(1).tolist()
        task += [sample.task for sample in batch.samples]
        first += written[:, 0].tolist()
    return Evaluation(np.array(correct), np.array(logprob), np.array(task), np.array(first))


def ends(loaded: LoadedModel) -> list[int]:
    """Token ids that end an answer: what the chat template writes behind one, and where generation stops.

    A template that goes straight on to the next turn leaves the end to ``generation_config.eos_token_id``.
    Raises CoreheadError if neither names a token.
    """
    stop = loaded.model.generation_config.eos_token_id
    found = set() if stop is None else {stop} if isinstance(stop, int) else set(stop)
    turns = [("user", "Q"), ("assistant", ANSWER)]
    chat = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
    behind = loaded.processor.apply_chat_template(chat).partition(ANSWER)[2].lstrip()
    following = loaded.processor.tokenizer(behind, add_special_tokens=False)["input_ids"]
    marks = loaded.processor.tokenizer.get_added_vocab().values()  # tokens that no text can hold
    found.update(token for token in following[:1] if token in marks)
    if not found:
        raise CoreheadError(
            f"{loaded.name} names no token that ends an answer, neither in its chat template nor as eos_token_id of its "
            "generation_config, so no answer can be told from the beginning of a longer one: set eos_token_id."
        )
    return sorted(found)
