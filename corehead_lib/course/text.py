"""Checks of chapter 05."""

import numpy as np

from corehead_lib.course import Expected, exercise
from corehead_lib.encode import encode


@exercise(
    "ex-text-depth",
    "answer = ...  # three numbers: mean RAM of the first head, needle in the first third, second, last",
)
def depth(detection, found, first) -> Expected:
    ram = found["fact"]["last"].target[:, first.layer, first.head]
    start = np.array([s.evidence[0].start / len(s.context) for s in detection])
    third = np.minimum((3 * start).astype(int), 2)
    means = [float(ram[third == t].mean()) for t in range(3)]
    mistakes = {
        "Those are numbers of samples.": [int((third == t).sum()) for t in range(3)],
        "Those are means over all heads; take the first one alone.": [
            float(found["fact"]["last"].target[third == t].mean()) for t in range(3)
        ],
    }
    return Expected(means, "Compare the differences with how much single samples differ.", mistakes)


@exercise(
    "ex-text-search",
    "answer = ...  # one number: the share of prompts in which the needle's own tokens are found",
)
def search(loaded, detection) -> Expected:
    tokenizer, hits, some = loaded.processor.tokenizer, [], detection[:24]
    for sample in some:
        span = sample.evidence[0]
        alone = tokenizer(sample.context[span.start : span.stop], add_special_tokens=False)["input_ids"]
        text = " ".join(map(str, encode(loaded, [sample]).inputs["input_ids"][0].tolist()))
        hits.append(f" {' '.join(map(str, alone))} " in f" {text} ")
    share = float(np.mean(hits))
    mistakes = {
        "That is a number of prompts; give their share.": len(some) + share,
        "The text is found always. Search for its *tokens* among the prompt's.": 2.0 if share == 1 else 1.0,
    }
    return Expected(share, "Tokens of a piece are not a piece of the tokens.", mistakes, 0.02)
