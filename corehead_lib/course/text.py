"""Checks of chapter 05."""

import numpy as np
import torch

from corehead_lib.course import Expected, exercise, unlike
from corehead_lib.data import load_samples
from corehead_lib.encode import encode
from corehead_lib.heads import Head
from corehead_lib.ram import mass


@exercise("ex-text-read", "answer = ...  # two numbers: models whose top is behind every set, the least p")
def read(long, by_aim, draws) -> Expected:
    def behind(kind, asked):
        at = [long.xs((model, asked), level=("model", "asked")) for model in by_aim]
        return sum(bool(t.loc[kind, "median"] < t.loc["layer", "low"]) for t in at if "layer" in t.index)

    number, least = behind("needle", "text"), 1 / (1 + draws)
    mistakes = {
        "The count is that of the right panel, the scenes; texts are on the left.": (
            behind("needle", "scenes"),
            least,
        ),
        "The count is that of the blue triangles; the top is red.": (behind("bottom", "text"), least),
        "The least p is not 0: the top itself is one of the sets that chance could have drawn.": (number, 0),
        "The least p counts the top, too: one of `draws` + 1 sets is the worst.": (number, 1 / draws),
        "0.05 is a line that is often drawn; which p can so few sets reach at best?": (number, 0.05),
    }
    why = "The count says how often, the p how sure one model can make you."
    return Expected((number, least), why, unlike((number, least), mistakes, 0.002), 0.002)


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


@exercise("ex-text-stops", "answer = ...  # two numbers: mass on the needle's full stop, on all others")
def stops(loaded, seed, first) -> Expected:
    head, found = Head(*first), []
    for sample in load_samples("haystacks", "detection", 24, seed, part="separator"):
        batch = encode(loaded, [sample])
        signs = [place for place, sign in enumerate(sample.context) if sign == "."]
        holds = (batch.context[0, :, :1] <= signs) & (signs < batch.context[0, :, 1:])
        own = batch.targets()
        other = torch.from_numpy(holds.any(1)).to(own.device)[None] & ~own
        both = mass(loaded, batch, torch.stack([own, other]), ("last", "question"))[:, :, 0, *head]
        number = max(int(other.sum()), 1)
        found.append([*both[0], both[0][1] / number, *both[1]])
    own, other, each, own_asked, other_asked = np.mean(found, axis=0).tolist()
    mistakes = {
        "The second is what one other full stop gets; give what all of them get together.": (own, each),
        "The second holds the needle's own full stop, too; leave it out.": (own, own + other),
        "Those are the rows of the question; take the last prompt token.": (own_asked, other_asked),
    }
    why = "Divide the second by how many they are before you compare."
    return Expected((own, other), why, unlike((own, other), mistakes, 0.003), 0.003)
