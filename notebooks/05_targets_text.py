# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From words to tokens
#
# In a text we know the evidence to the character, but which of its tokens do heads look at, and does the model need those heads?
#
# **What came out.** The first head of a tiny model gives {glue:text}`first_separator:.2f` of its attention to one full stop, the one that ends the right
# sentence; the top {glue:text}`top_heads` give it {glue:text}`top_separator:.2f` on average. Without these {glue:text}`top_heads` the model is still right
# in {glue:text}`text_top:.2f` of the cases, without the {glue:text}`top_heads` heads of **lowest** RAM in {glue:text}`text_bottom:.2f`. In the median of
# {glue:text}`models` models the top costs {glue:text}`top_median:.2f` of accuracy and the lowest heads {glue:text}`bottom_median:.2f`: a low rank is no
# sign that the model can spare a head. Part of that is their layer: in the first model, other sets from the same layers leave a
# median accuracy of {glue:text}`low_median:.2f`.
#
# ```{glue:figure} fig_tokens
# :name: fig-text-tokens
# :alt: The same short text twice, one tile per token. Above, one sentence is coloured: its key, its digit and its full stop. Below, shaded by attention, nearly all tiles are white and only the full stop of that sentence is dark.
#
# Above: a needle and its parts. Below: where the first head looks from the last prompt token.
# ```

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
others: str = "tiny-qwen3-vl-s tiny-qwen3-vl-l tiny-qwen3-vl-seed1 tiny-qwen3-vl-seed2 tiny-internvl tiny-internvl-seed1 tiny-llava-onevision tiny-llava-onevision-seed1"  # to set beside {models, empty, quick tiny-qwen3-vl-seed1}
dataset: str = "haystacks"  # any with spans of text, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
max_pixels: int = 0  # most pixels of a picture, page or frame; 0: as the processor has it {0..}
detection_samples: int = 96  # samples that RAM is averaged over {2..100000, quick 24}
samples: int = 60  # samples on which accuracy is measured {2..100000, quick 12}
samples_each: int = 30  # of these, for each of the other models {2..100000, quick 6}
draws: int = 6  # random sets of heads of each kind {1..10000, quick 3}
batch_size: int = 12  # prompts that run at once {1..1024}
seed: int = 0  # seeds the samples and the random heads {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %% tags=["hide-input"]
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from corehead_lib import plots
from corehead_lib.chance import chance
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.datasets.evidence import load_evidence, that_fit
from corehead_lib.datasets.judged import judged_outcomes
from corehead_lib.encode import encode, encode_all
from corehead_lib.heads import HeadScores
from corehead_lib.models import load_model
from corehead_lib.ram import mass, measure_ram
from corehead_lib.results import keep, publish
from corehead_lib.samples import TextSpan

plots.use_style()
loaded = load_model(model, device, dtype)
find = {"kinds": (TextSpan,), "data_dir": data_dir}
detection = load_evidence(dataset, "detection", detection_samples, seed, **find)
evaluation = load_evidence(dataset, "evaluation", samples, seed, **find)
detection, evaluation = (
    that_fit(loaded, dataset, part, max_pixels)
    for part in (detection, evaluation)
)
how = {"batch_size": batch_size, "max_pixels": max_pixels}
scenes = load_samples("scenes", "detection", detection_samples, seed)
asked_scenes = load_samples("scenes", "evaluation", samples, seed)

# %% [markdown]
# Attention to texts and accuracy on them are measured on `dataset`. The example of {numref}`fig-text-tokens` and the scenes are generated,
# whatever `dataset` is, and only in generated haystacks are the parts of a needle known. Generated texts are judged by exact answers, a dataset on disk by
# its own score of what the model writes; for the latter, prompt lengths are printed first, and prompts that the model cannot hold are left out.
#
# ## One needle
#
# A haystack hides facts such as "The red star holds 7." among sentences that say nothing, and the question asks for one digit.
# The tokenizer tells which characters each token stands for, so a span of characters becomes exactly the tokens that hold one of them.
#
# A needle has parts: the *key*, which the question names, the *value*, which answers it, and the *separator*, which ends the needle.

# %%
PARTS = ("fact", "key", "value", "separator")
small = {"facts": (3, 3), "filler": (2, 2)}
example, marked = {}, {}
for part in PARTS:
    made = load_samples("haystacks", "evaluation", 3, seed, part=part, **small)
    example[part] = made[2]
    batch = encode(loaded, made[2:])
    marked[part] = batch.targets()[0].cpu().numpy()

# %% [markdown]
# The question of this example, and the tokens of each part:

# %%
decode = loaded.processor.tokenizer.decode
words = [decode(token) for token in batch.inputs["input_ids"][0]]
print(made[2].question, "Answer:", made[2].answer)
for part, mask in marked.items():
    at = np.flatnonzero(mask)
    print(f"{part}, tokens {at[0]} to {at[-1]}:", [words[i] for i in at])

# %% [markdown]
# The whole needle is {glue:text}`needle_tokens` of {glue:text}`prompt_tokens` tokens.
#
# ## Four targets, two sets of rows
#
# We try each part as the {term}`target` and read RAM at the last prompt token, from which the answer is written, and over the tokens of the question.

# %%
parts, found = PARTS if dataset == "haystacks" else PARTS[:1], {}
for part in parts:
    some = detection
    if part != "fact":
        which = ("haystacks", "detection", detection_samples, seed)
        some = load_samples(*which, part=part)
    encoded = encode_all(loaded, some, **how)
    found[part] = measure_ram(loaded, encoded, ("last", "question"))
ranked = {part: HeadScores(ram["last"].ram) for part, ram in found.items()}
top = ranked["fact"].top(top_fraction)

# %%
first, table = top[0], {}
for rows in ("last", "question"):
    table[f"best, {rows} rows"] = {p: found[p][rows].ram.max() for p in parts}
even = {p: found[p]["last"].share.mean() for p in parts}
leaders = {p: {*ranked[p].top(top_fraction)} for p in parts}
table["even attention"] = even
table["top shared with fact"] = {p: len({*top} & leaders[p]) for p in parts}
pd.DataFrame(table).round(3)

# %% [markdown]
# Ranking by the key or by the value puts other heads first, but these targets get little: no head gives the key more than {glue:text}`best_key:.2f` of its
# attention, or the value more than {glue:text}`best_value:.2f`.
#
# At the question's rows the best head gives the needle {glue:text}`best_question:.2f`, more than attention spread evenly over the text would
# ({glue:text}`even_fact:.2f`), but far less than {glue:text}`best_last:.2f`, the best at the last prompt token.
#
# ## All for a full stop
#
# What do the first head and the whole top look at? Each bar adds up to all of a head's attention.

# %%
look = {p: found[p]["last"].ram for p in parts if p != "fact"}
needle, text = ranked["fact"].score, found["fact"]["last"].visual.mean(0)
look["rest of the needle"] = needle - sum(look.values())
look["other sentences"] = text - needle
look["question and chat format"] = 1 - text
names = [head.name for head in top]
looks = {name: [of[h] for h in top] for name, of in look.items()}
looks = pd.DataFrame(looks, names)
looks.loc["all of them"] = looks.mean()
looks.round(2)

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=(6.5, 3.4))
fill = (plots.SKY, plots.AMBER, plots.RED, "#F0E442", "#999999", "#E5E5E5")[
    -len(looks.columns) :
]
left = np.zeros(len(looks))
for name, colour in zip(looks.columns, fill, strict=True):
    width = looks[name].clip(0).to_numpy()
    axis.barh(
        looks.index,
        width,
        left=left,
        color=colour,
        label=name,
        ec="white",
        lw=0.5,
    )
    left += width
axis.invert_yaxis()
axis.axhline(len(looks) - 1.5, color=plots.BLACK, lw=0.8)
axis.set(xlim=(0, 1.001), xlabel="share of a head's attention")
most = looks.loc["all of them"].idxmax()
axis.set_title("The top heads look most at the " + most)
figure.legend(loc="outside lower center", ncols=2, fontsize=9)
keep("fig_parts", figure)

# %% [markdown]
# ```{glue:figure} fig_parts
# :name: fig-text-parts
# :alt: Stacked bars, one for each of the top six heads and one for their mean. In every bar the separator, the full stop of the needle, takes the largest part, from four fifths in the first to half in the last; dark grey, other sentences, and yellow, the rest of the needle, share most of what is left. Key and question are narrow, the value cannot be seen.
#
# The top heads by needle RAM, from first to last, and their mean.
# ```
#
# The first head gives the full stop of the right needle {glue:text}`first_separator:.2f` of its attention; the top {glue:text}`top_heads` on average give
# it {glue:text}`top_separator:.2f`, and all other sentences {glue:text}`top_other:.2f`. So "the best heads look at the full stop" holds for the whole set
# that we silence below.
#
# A full stop can stand for its sentence because in a causal model every token may gather information from those before it. {cite:t}`wu2024retrieval`
# search for heads that look at the very token to be copied, here the value; this tiny model has none.
#
# ## Which target finds heads that matter?
#
# We silence the top of each ranking ({term}`zero ablation`) and ask again, on other texts.

# %%
from corehead_lib.study import by_task

sets = {
    f"by {part}": scores.top(top_fraction) for part, scores in ranked.items()
}
over_question = HeadScores(found["fact"]["question"].ram)
sets["by fact, question rows"] = over_question.top(top_fraction)
by_target = by_task(judged_outcomes(loaded, evaluation, sets, **how))
by_target[["set", "heads", "accuracy", "logprob"]].round(2)

# %% [markdown]
# Guessing one of the digits in the text is right in {glue:text}`chance_text:.2f` of the cases; always giving the same answer is right in
# {glue:text}`constant_text:.2f`.
#
# The model can do without most of these sets. Without the top by the needle or by its full stop, accuracy stays at {glue:text}`text_top:.2f` and
# {glue:text}`text_separator:.2f`, though the log-probability of the digit falls to {glue:text}`logprob_fact:.2f` and {glue:text}`logprob_separator:.2f`:
# these heads help but are not needed. Without the top by the key, or by the needle at the question's rows, accuracy is {glue:text}`text_key:.2f` and
# {glue:text}`text_question:.2f`, with log-probabilities of {glue:text}`logprob_key:.2f` and {glue:text}`logprob_question:.2f`.
#
# The top by the value, which gives the value so little attention, costs most: an accuracy of {glue:text}`text_value:.2f` is left. But the digit keeps a
# log-probability of {glue:text}`logprob_value:.2f`. What goes wrong comes after the digit: an answer has to *end* to be right. RAM would have told us none
# of this, since every ranking has a first place.
#
# ## Controls, in other models, too
#
# A loss means something only beside what other sets of the same size cost. We use three kinds: the lowest heads by the same score ("bottom"), random heads
# from the same layers ("layer"), and random heads from the whole model ("model").
#
# Two other rankings join them: by the *sentence behind* the needle, since later tokens may carry the needle, too, and by the evidence in scenes.


# %%
def sentence_behind(sample):
    """The sentence behind the needle as evidence; None if there is none."""
    start = sample.evidence[0].stop
    stop = sample.context.find(".", start) + 1
    span = TextSpan(start, stop)
    return replace(sample, evidence=(span,)) if stop else None


behind = [moved for s in detection if (moved := sentence_behind(s))]
aims = {"needle": detection, "sentence behind": behind, "scenes": scenes}

# %% [markdown]
# Every set is tried on texts and, without a new ranking, on scenes, in the other models on {glue:text}`samples_each` questions of each.

# %%
from corehead_lib.study import controls, summarise


def scored(one, some):
    encoded = encode_all(one, some, **how)
    return HeadScores(measure_ram(one, encoded, "last").ram)


def tried(one, scores, asked):
    """Accuracy without the top by each aim, and without the controls."""
    sets = {aim: of.top(top_fraction) for aim, of in scores.items()}
    sets |= controls(sets["needle"], scores["needle"], draws, seed)
    table = by_task(judged_outcomes(one, asked, sets, **how))
    return summarise(table, "needle").set_index("kind")


# %%
tests = {"text": evaluation, "scenes": asked_scenes}
models = [loaded, *(load_model(n, device, dtype) for n in others.split())]
by_aim, tables = {}, {}
for one in models:
    by_aim[one.name] = {aim: scored(one, some) for aim, some in aims.items()}
    most = samples if one is loaded else samples_each
    for name, asked_of in tests.items():
        tables[one.name, name] = tried(one, by_aim[one.name], asked_of[:most])
long = pd.concat(tables, names=["model", "asked"])

# %%
wide = long["median"].unstack().drop(columns=["layer", "model"])
for kind in ("layer", "model"):
    part = long.xs(kind, level="kind")
    wide[f"{kind}, median"] = part["median"]
    wide[f"{kind}, least"] = part["low"]
wide.loc[list(by_aim)].round(2)

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.9), sharex=True, sharey=True)
marks = {
    "needle": (plots.RED, "o", "top"),
    "bottom": (plots.BLUE, "v", "bottom"),
}
marks |= {
    "none": (plots.BLACK, "|", "all heads"),
    "layer": (plots.AMBER, "s", "same layers: median, least"),
    "model": (plots.GREEN, "D", "whole model: median, least"),
}
levels = {"text": chance(evaluation), "scenes": chance(asked_scenes)}
for axis, (task, level) in zip(axes, levels.items(), strict=True):
    for place, (kind, (colour, shape, label)) in enumerate(marks.items()):
        part = long.xs((task, kind), level=("asked", "kind")).loc[list(by_aim)]
        y = np.arange(len(part)) + 0.15 * (place - 2)
        axis.plot(part["median"], y, shape, color=colour, ms=6, label=label)
        axis.hlines(y, part["low"], part["median"], color=colour, lw=2)
    axis.axvline(level.line, color=plots.BLACK, lw=1, ls=":")
    axis.set(
        xlim=(-0.03, 1.05), xlabel=f"accuracy on {task}", title=f"On {task}"
    )
axes[0].set_yticks(
    range(len(by_aim)), [name.removeprefix("tiny-") for name in by_aim]
)
axes[0].invert_yaxis()
figure.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=3,
    fontsize=9,
)
left_on = long.xs("text", level="asked")["median"].unstack()
worse = (left_on["bottom"] < left_on["needle"]).sum()
figure.suptitle(
    "Texts: the lowest heads cost more than the highest in "
    f"{worse} of {len(left_on)} models",
    fontweight="bold",
    fontsize=11,
)
keep("fig_controls", figure)

# %% [markdown]
# ```{glue:figure} fig_controls
# :name: fig-text-controls
# :alt: Two panels, accuracy on texts and on scenes, with one group of five marks for each model: top, bottom, all heads, and the medians of two kinds of random sets, with bars that reach left to the worst set. In the first group, tiny-qwen3-vl, the top is close to all heads, on scenes a little less so, and the bottom is far to the left of them.
#
# Accuracy without sets of equal size, by kind. Bars end at the worst random set; dotted: guessing.
# ```
#
# With all heads the models are right on {glue:text}`dense_low:.2f` to {glue:text}`dense_high:.2f` of the texts; the cost of a set is the loss from there.
#
# - **Top.** In `tiny-qwen3-vl` the top by needle RAM costs {glue:text}`main_top:.2f` on texts and {glue:text}`main_top_scenes:.2f` on scenes.
#   Over all models it costs {glue:text}`top_low:.2f` to {glue:text}`top_high:.2f` on texts, with a median of {glue:text}`top_median:.2f`.
# - **Bottom, a control that fails.** The heads of lowest needle RAM cost {glue:text}`bottom_low:.2f` to {glue:text}`bottom_high:.2f` on texts and
#   {glue:text}`bottom_scenes_low:.2f` to {glue:text}`bottom_scenes_high:.2f` on scenes; on texts that is more than the top costs in
#   {glue:text}`bottom_worse` of {glue:text}`models` models. Of these heads, {glue:text}`bottom_first:.0f` of {glue:text}`bottom_all:.0f` sit in layer 0.
#   At the last prompt token they look nowhere near the needle; what else they do there, or at other rows, RAM does not see. So this does not refute RAM,
#   but a low RAM does not mean that a head can go.
# - **Same layers.** On texts, the median random set from the layers of the top costs at most {glue:text}`layer_median:.2f` in any model, the worst set
#   of all {glue:text}`layer_most:.2f`.
# - **Whole model.** For sets from anywhere these costs are {glue:text}`model_median:.2f` and {glue:text}`model_most:.2f`; such sets may contain heads of
#   layer 0. The layer-matched control, often called the stricter one, never draws from a layer without top heads: in `tiny-qwen3-vl` not from layer 0.
#
# So are the lowest heads of `tiny-qwen3-vl` themselves needed, or would any heads of their layers do as much damage? Here is the same control, drawn for
# the lowest:

# %%
low = ranked["fact"].bottom(top_fraction)
drawn = controls(low, ranked["fact"], draws, seed, kinds=("layer",))
without = judged_outcomes(loaded, evaluation, {"bottom": low, **drawn}, **how)
of_low = summarise(by_task(without), "bottom")
of_low[["kind", "sets", "median", "low", "high"]].round(2)

# %% [markdown]
# Both: other heads of these layers cost a good deal ({glue:text}`low_median:.2f` is left in the median, {glue:text}`low_least:.2f` at worst), and the
# lowest cost more ({glue:text}`text_bottom:.2f` is left). So part of what looks like a finding about low RAM is a finding about a layer, and the
# {glue:text}`low_sets` sets are too few to test the rest. [](08_ablation) finds two heads of layer 0 that are behind much of it in scenes.
#
# In `tiny-qwen3-vl`, then, the top costs a little and other heads from its layers cost nothing, but heads elsewhere cost far more. [](08_ablation)
# silences more heads and compares them with more random sets.
#
# ## Words and pixels
#
# Another column of the table shows the cost of silencing heads that were found with scenes. In `tiny-qwen3-vl` they share {glue:text}`shared_scenes` of
# {glue:text}`top_heads` heads with the top by needles. In every model the two lists share {glue:text}`shared_low` heads or more, yet their costs on texts
# differ by up to {glue:text}`apart:.2f`: overlap between two lists is not overlap in what the heads do.
#
# The top by the sentence behind the needle costs {glue:text}`behind_median:.2f` in the median over models and {glue:text}`behind_high:.2f` at most.
#
# ## Exercises
#
# ```{exercise-start} Worse than every control
# :label: ex-text-read
# ```
#
# Difficulty: 1/5, 5 minutes. Read from {numref}`fig-text-controls`, on texts: in how many models does the top by needle RAM stand to the left of the worst
# set from its own layers, which is the end of that bar? And what is the smallest p that `draws` such sets allow in one model, however far to the left the
# top is? `answer` is both, a count and a p of three digits or more.
#
# :::{dropdown} Hint 1
# The top is red, the sets from its layers are amber. A mark that hides the bar's end stands at it, not to the left of it.
# :::
#
# :::{dropdown} Hint 2
# If the top were a random set, too, it would be one of `draws` + 1. How likely is it that this very one is the worst of them?
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-text-read
# :class: dropdown
# ```

# %%
of_text = long.xs("text", level="asked")[["median", "low"]].unstack()
behind_all = of_text["median"]["needle"] < of_text["low"]["layer"]
answer = int(behind_all.sum()), 1 / (1 + draws)
print(f"{answer[0]} of {len(behind_all)} models, p = {answer[1]:.3f}")

# %% [markdown]
# One model with so few random sets cannot give a p below 0.05, and a top that is far worse gives the same p as one that is slightly worse. That model
# after model says the same is another kind of evidence, if the models were trained apart. [](08_ablation) draws more sets.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Depth
# :label: ex-text-depth
# ```
#
# Difficulty: 2/5, 10 minutes. Needle-in-a-haystack tests vary the depth of the needle: where it begins, as a share of the text. Sort each detection sample
# into the first, second or last third of depths. `answer` is the mean RAM of the first head at the last prompt token in each third. Is the difference
# between thirds large compared with that between single samples?
#
# :::{dropdown} Hint 1
# `sample.evidence[0].start` is where the needle begins in `sample.context`, in characters.
# :::
#
# :::{dropdown} Hint 2
# `found["fact"]["last"].target` has the RAM of each sample, layer and head; `first` is the head. `np.digitize(depth, [1 / 3, 2 / 3])` gives the third.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-text-depth
# :class: dropdown
# ```

# %%
single = found["fact"]["last"].target[:, first.layer, first.head]
depth = np.array([s.evidence[0].start / len(s.context) for s in detection])
third = np.digitize(depth, [1 / 3, 2 / 3]) + 1
by_depth = pd.Series(single).groupby(third).agg(["size", "mean", "std"])
answer = by_depth["mean"].tolist()
by_depth.rename_axis("third").round(2)

# %% [markdown]
# Hardly: the means of the thirds lie between {glue:text}`depth_low:.2f` and {glue:text}`depth_high:.2f`. `std` says how far apart single samples of a
# third lie; divided by the square root of their number, it says how far off a mean may be.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Search instead of asking
# :label: ex-text-search
# ```
#
# Difficulty: 3/5, 15 minutes. A common habit is to tokenize the needle alone and search for its tokens in the prompt. In what share of the first 24
# detection samples does that find the needle? `answer` is this share.
#
# :::{dropdown} Hint 1
# `tokenizer(text, add_special_tokens=False)["input_ids"]` are the tokens of a piece of text; the prompt's are
# `encode(loaded, [sample]).inputs["input_ids"][0]`.
# :::
#
# :::{dropdown} Hint 2
# Compare the needle's tokens with each run of equally many tokens in the prompt.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-text-search
# :class: dropdown
# ```

# %%
tokenizer, hits = loaded.processor.tokenizer, []
for sample in detection[:24]:
    span = sample.evidence[0]
    needle = sample.context[span.start : span.stop]
    alone = tokenizer(needle, add_special_tokens=False)["input_ids"]
    ids = encode(loaded, [sample]).inputs["input_ids"][0].tolist()
    starts = range(len(ids) - len(alone) + 1)
    hits.append(any(ids[i : i + len(alone)] == alone for i in starts))
answer = np.mean(hits)
print(f"found in {answer:.0%} of the prompts")

# %% [markdown]
# A word is one token at the start of a text and another after a space. Ask the tokenizer for offsets instead.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Any full stop?
# :label: ex-text-stops
# ```
#
# Difficulty: 4/5, 25 minutes. Does the first head look at full stops, or at the full stop of the right sentence? Take the 24 texts of `load_samples("haystacks", "detection", 24, seed, part="separator")`.
# `answer` is the mean attention that `first` gives at the last prompt token to the full stop of the needle, and to all other full stops of the text
# together. Then design, in words, a text that tells whether the head looks there because the sentence ends, or because that token is the first to have
# seen key and digit.
#
# :::{dropdown} Hint 1
# `batch.context[row, t]` is the start and the end of token t in `sample.context`; a token is a full stop if its characters include one. `batch.targets()`
# marks the needle's.
# :::
#
# :::{dropdown} Hint 2
# `mass(loaded, batch, masks, "last")` takes both masks at once, stacked by `torch.stack`; the result is (masks, samples, layers, heads).
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-text-stops
# :class: dropdown
# ```

# %%
import torch

stops = load_samples("haystacks", "detection", 24, seed, part="separator")
asked_stops = encode(loaded, stops)
its_own = asked_stops.targets()
every_stop = torch.zeros_like(its_own)
for row, (sample, spans) in enumerate(
    zip(stops, asked_stops.context, strict=True)
):
    for token, (begin, end) in enumerate(spans):
        every_stop[row, token] = "." in sample.context[begin:end]

# %%
masks = torch.stack([its_own, every_stop & ~its_own])
on_stops = mass(loaded, asked_stops, masks, "last").mean(1)
answer = on_stops[:, first.layer, first.head]
each = (masks[1].sum(1)).float().mean()
print("its own {:.3f}, all others {:.3f}".format(*answer))
print(f"{each:.1f} others in the mean text")

# %% [markdown]
# A head that liked full stops would give *each* of the others as much as the right one. This one tells them apart by what they have gathered. A text that
# could tell why: let words follow between the digit and the full stop ("holds 7 today."), or end the sentence without one. If the mass stays on the full
# stop, it is the end that counts; if it moves to the word behind the digit, it is the first token that knows. This tiny model never saw such sentences, so
# look at its answers, too.
#
# ```{solution-end}
# ```
#
# ## Look for yourself
#
# Click a head in the map; a second head is shown beside it. The target is underlined; the bluer a token, the more attention it gets. The first text is the
# example from above.

# %%
from corehead_lib.explorer import explorer

texts = load_samples("haystacks", "evaluation", 3, seed, **small)
explorer(loaded, texts[::-1], ranked["fact"])

# %% tags=["hide-input", "remove-output"]
tint = {
    "fact": "#FFF2CC",
    "key": plots.SKY,
    "value": plots.AMBER,
    "separator": plots.RED,
}
inside = (batch.context[0][:, 0] < batch.context[0][:, 1]).nonzero()[0]
shown = slice(inside[0], inside[-1] + 1)
paint = np.full(len(words), "#FFFFFF", dtype=object)
for part, mask in marked.items():
    paint[mask] = tint[part]
eye = np.eye(len(words), dtype=bool)[:, None]
every = mass(loaded, batch, batch.last.new_tensor(eye), "last")[
    :, 0, first.layer, first.head
]
share = every / every[shown].max()
figure, axes = plt.subplots(2, 1, figsize=(6.5, 3.3))
plots.tiles(axes[0], words[shown], paint[shown])
plots.tiles(
    axes[1], words[shown], [plt.cm.Blues(0.95 * s) for s in share[shown]]
)
axes[0].set_title("A needle and its parts: " + example["fact"].question)
full_stop = share[marked["separator"]].sum() / share.sum()
axes[1].set_title(
    f"Layer {first.layer}, head {first.head}: {full_stop:.0%} on its full stop"
)
keep("fig_tokens", figure)

# %% [markdown]
# ## Limits
#
# Every needle has the same form, and the answer is one token. Retrieval heads of large models copy long spans and are measured while the model writes; we
# read one row, before the answer. These tiny models learned texts and scenes side by side, and answer both in the same words: that the same heads may
# serve both says little about a large model that learned text first.
#
# ## Where to go from here
#
# - Pixels: [](02_targets_image), [](03_targets_document), [](04_targets_video)
# - Are the heads the same elsewhere? [](07_stability)
# - Ablation with intervals and tests: [](08_ablation)
# - Retrieval heads of language models: {cite:t}`wu2024retrieval`, {cite:t}`zhang2025qrhead`; of multimodal ones: {cite:t}`li2026mmretheads`,
#   {cite:t}`park2026vrh`

# %% tags=["hide-input"]
text = long.xs("text", level="asked")["median"].unstack()
pixels = long.xs("scenes", level="asked")["median"].unstack()
lows = [h for of in by_aim.values() for h in of["needle"].bottom(top_fraction)]
lost, lost_scenes = (
    table.rsub(table["none"], axis=0) for table in (text, pixels)
)
numbers = {}
for name, of in (
    ("dense", text["none"]),
    ("top", lost["needle"]),
    ("behind", lost["sentence behind"]),
    ("bottom", lost["bottom"]),
    ("bottom_scenes", lost_scenes["bottom"]),
):
    numbers[f"{name}_low"], numbers[f"{name}_high"] = of.min(), of.max()
    numbers[f"{name}_median"] = of.median()
numbers |= {
    "top_heads": len(top),
    "needle_tokens": marked["fact"].sum(),
    "prompt_tokens": len(words),
    "even_fact": even["fact"],
    "best_question": found["fact"]["question"].ram.max(),
    "chance_text": levels["text"].option,
    "constant_text": levels["text"].constant,
    "top_other": looks.loc["all of them", "other sentences"],
    "best_last": found["fact"]["last"].ram.max(),
    "models": len(text),
    "bottom_worse": (text["bottom"] < text["needle"]).sum(),
    "depth_low": by_depth["mean"].min(),
    "depth_high": by_depth["mean"].max(),
    "bottom_first": sum(layer == 0 for layer, _ in lows),
    "bottom_all": len(lows),
}

# %% tags=["hide-input"]
of_set = by_target.set_index("set")
for kind in ("layer", "model"):
    part = long.xs(("text", kind), level=("asked", "kind"))
    numbers[f"{kind}_median"] = (text["none"] - part["median"]).max()
    numbers[f"{kind}_most"] = (text["none"] - part["low"]).max()
numbers |= {
    "samples_each": samples_each,
    "text_top": text.loc[loaded.name, "needle"],
    "text_bottom": text.loc[loaded.name, "bottom"],
    "main_top": lost.loc[loaded.name, "needle"],
    "main_top_scenes": lost_scenes.loc[loaded.name, "needle"],
    "apart": (text["needle"] - text["scenes"]).abs().max(),
    "text_question": of_set.accuracy["by fact, question rows"],
    "logprob_question": of_set.logprob["by fact, question rows"],
    "logprob_fact": of_set.logprob["by fact"],
}
shared = {
    name: len(
        {*of["needle"].top(top_fraction)} & {*of["scenes"].top(top_fraction)}
    )
    for name, of in by_aim.items()
}
numbers |= {
    "shared_scenes": shared[loaded.name],
    "shared_low": min(shared.values()),
}
of_layer = of_low.set_index("kind").loc["layer"]
numbers |= {"low_median": of_layer["median"], "low_least": of_layer["low"]}
numbers["low_sets"] = of_layer["sets"]
for part in parts[1:]:
    numbers |= {
        f"text_{part}": of_set.accuracy[f"by {part}"],
        f"logprob_{part}": of_set.logprob[f"by {part}"],
        f"best_{part}": ranked[part].score.max(),
    }
if "separator" in parts:
    numbers["first_separator"] = look["separator"][first]
    numbers["top_separator"] = looks.loc["all of them", "separator"]

# %% tags=["hide-input"]
publish(
    rows=[{"part": "targets", **row} for row in by_target.to_dict("records")]
    + [
        {"part": "models", **row}
        for row in long.drop(columns="p").reset_index().to_dict("records")
    ],
    numbers=numbers,
    inputs={
        **{one.name: one.provenance for one in models},
        "data": {
            "name": dataset,
            "split": "detection",
            "sha256": samples_checksum(detection),
        },
        "evaluation": {
            "name": dataset,
            "split": "evaluation",
            "sha256": samples_checksum(evaluation),
        },
        "scenes": {
            "name": "scenes",
            "split": "evaluation",
            "sha256": samples_checksum(asked_scenes),
        },
    },
)
