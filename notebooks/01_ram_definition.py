# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What is Retrieval Attention Mass?
#
# {term}`RAM` is a sum over attention weights: the share of a head's attention that falls on the evidence.
#
# **What came out.** At the last token of the prompt, the best of {glue:text}`heads` heads of a tiny model gives the evidence
# {glue:text}`best_last:.2f` of its attention, the median head {glue:text}`median_last:.2f`, about what attention spread evenly over the whole
# prompt would ({glue:text}`even:.2f`). Averaged over the tokens of the *question*, no head exceeds {glue:text}`best_question:.2f`: which tokens we
# read changes the answer. Measuring takes {glue:text}`ratio:.2f` times as long as a plain forward pass and leaves its output as it is, bit for bit.
#
# ```{glue:figure} fig_question
# :name: fig-ram-question
# :alt: The same small picture of coloured shapes with digits, three times. First as drawn, with a frame around the shape that the question asks about. Then darkened where a head does not look from the last prompt token: only the framed shape is lit. Then for the tokens of the question: the framed shape is dim, and so are some places beside it.
#
# One question, one head. Dark: no attention.
# ```

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
dataset: str = "scenes"  # any with boxes, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
max_pixels: int = 0  # most pixels of a picture, page or frame; 0: as the processor has it {0..}
detection_samples: int = 96  # samples that RAM is averaged over {2..100000, quick 24}
batch_size: int = 16  # prompts that run at once {1..1024}
seed: int = 0  # seeds the samples {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
cost_tokens: int = 2048  # prompt length at which costs are compared {64..65536, quick 256}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %% tags=["hide-input"]
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from corehead_lib import plots
from corehead_lib.answers import QUERIES
from corehead_lib.data import samples_checksum
from corehead_lib.datasets.evidence import load_pictures, that_fit
from corehead_lib.encode import encode, encode_all
from corehead_lib.models import load_model
from corehead_lib.results import keep, publish

plots.use_style()
loaded = load_model(model, device, dtype)
samples = load_pictures(dataset, "detection", detection_samples, seed, data_dir)
samples = that_fit(loaded, dataset, samples, max_pixels)
how = {"batch_size": batch_size, "max_pixels": max_pixels}

# %% [markdown]
# ## With six tokens
#
# Suppose a prompt has six tokens: three {term}`cells <visual cell>` of a picture, the words *red* and *star*, and a last token, from which the answer is
# written.
# The star is in the second and third cells.
# Here are one head's {term}`attention weights <attention weight>`; every row sums to one, and no token sees what comes after it.

# %%
attention = np.array(
    [  # cell, cell, cell, red, star, last
        [0.2, 0.1, 0.1, 0.6, 0.0, 0.0],  # the row of "red"
        [0.1, 0.4, 0.2, 0.1, 0.2, 0.0],  # the row of "star"
        [0.1, 0.6, 0.1, 0.0, 0.0, 0.2],  # the row of the last token
    ]
)
mass_on_star = attention[:, [1, 2]].sum(axis=1)
mass_on_star.round(2)

# %% [markdown]
# *Red* gives the star 0.2 of its attention, *star* 0.6, the last token 0.7.
# **RAM is the mean of these masses over the rows that we choose to read**: 0.4 over the question's two tokens, 0.7 at the last token.
# That choice matters, as we shall see.

# %%
question, last = mass_on_star[:2].mean(), mass_on_star[2]
selectivity = last / attention[2, :3].sum()  # of all that the picture gets
lift = selectivity / (2 / 3)  # two of three cells show the star
ram = {"RAM, question": question, "RAM, last": last}
pd.Series(ram | {"selectivity": selectivity, "lift": lift}).round(2)

# %% [markdown]
# Two ratios accompany RAM, because a head that stares at the whole picture puts some mass on the star as well.
# {term}`Selectivity <selectivity>` is the star's share of the attention that the picture gets.
# {term}`Lift <lift>` divides selectivity by the star's share of the cells: 1 is what even attention would give.
#
# ## The definition
#
# For head $h$, question tokens $Q$, target tokens $V^*$ and attention $A_h$ after the softmax,
#
# $$\mathrm{RAM}_h = \mathbb{E}_{\text{samples}}\; \frac{1}{|Q|} \sum_{q \in Q} \sum_{v \in V^*} A_h[q, v].$$
#
# This is the measure of {cite:t}`sun2026core`.
# We do not know their exact normalisation; ours is a choice, in the form used by {cite:t}`li2026mmretheads`.
# $Q$ is one of three sets of rows: the tokens of the *question*, the *last* prompt token, or the rows from which the *answer* is
# written, with the gold answer filled in (the idea of {cite:t}`park2026vrh`).
#
# ## One real question
#
# The example and everything we measure come from `dataset`; only the toy above and the costs at the end do not. For a dataset on disk, we first
# print how long its prompts will be; what the model's context cannot hold is left out.
#
# A scene holds shapes with digits; the question names one shape, and the answer is its digit.
# We know where the evidence is because we drew the picture; the frame in {numref}`fig-ram-question` is never shown to the model.

# %%
from corehead_lib.ram import mass

last_task = samples[-1].task
example = next(s for s in samples if s.task == last_task)
batch = encode(loaded, [example], max_pixels)
found = mass(loaded, batch, batch.targets(), queries=QUERIES)[:, 0]
found.shape  # (sets of rows, layers, heads)

# %%
masks = {"visual": batch.visual, "target": batch.targets()}
masks |= {"question": batch.question, "last": batch.last}
tokens = {name: int(mask.sum()) for name, mask in masks.items()}
pd.Series(tokens, name="tokens")

# %% [markdown]
# The target consists of all cells that touch the evidence; [](02_targets_image) is about that step.
#
# ## The same by brute force
#
# Is the measurement right? *Eager* attention returns every weight of every head, so the sum can be taken by hand.

# %%
loaded.model.set_attn_implementation("eager")
with torch.inference_mode():
    weights = loaded.model(**batch.inputs, output_attentions=True).attentions
loaded.model.set_attn_implementation("sdpa")
full = torch.stack(weights)[:, 0].float()  # (layers, heads, queries, keys)

# %%
on_target = full[..., batch.targets()[0]].sum(-1)  # (layers, heads, queries)
rows = (batch.question[0], batch.last[0])
by_hand = [on_target[..., row].mean(-1) for row in rows]
difference = np.abs(torch.stack(by_hand).cpu().numpy() - found[:2]).max()
print("the same within 1e-5:", bool(difference < 1e-5))

# %% [markdown]
# Eager attention writes the full table of weights, which no long prompt can afford.
# The operator behind `mass` instead reads the queries and keys, computes the few rows that it needs, in float32, and leaves the fast
# forward pass alone.

# %%
from corehead_lib.ram import RetrievalAttentionMass

with torch.inference_mode():
    untouched = loaded.model(**batch.inputs).logits
    with RetrievalAttentionMass(batch.question, batch.targets())(loaded.model):
        watched = loaded.model(**batch.inputs).logits
print("unchanged, bit for bit:", torch.equal(untouched, watched))

# %% [markdown]
# ## Which rows?
#
# Here is the head that leads at the last token, row by row: what each token of the question gives to the target, and what the last
# token gives.

# %%
layer, head = np.unravel_index(found[1].argmax(), found[1].shape)
asking = batch.question[0] | batch.last[0]
ids = batch.inputs["input_ids"][0, asking]
words = [loaded.processor.tokenizer.decode(i).strip() for i in ids]
by_row = pd.Series(on_target[layer, head, asking].cpu(), words)
by_row = by_row.set_axis([*words[:-1], "(last token)"])

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=(5.5, 0.28 * len(by_row) + 0.9))
place = np.arange(len(by_row))
axis.barh(place, by_row, color=[plots.BLUE] * (len(by_row) - 1) + [plots.RED])
axis.set_yticks(place, by_row.index)
axis.invert_yaxis()
axis.set(
    xlim=(0, 1),
    xlabel="attention mass on the target",
    title="The name looks, and so does the last token",
)
keep("fig_rows", figure)

# %% tags=["hide-input", "remove-output"]
from textwrap import fill

shown = full[layer, head][:, batch.visual[0]]  # (queries, cells)
light = {
    "at the last token": batch.last[0],
    "at the question's tokens": batch.question[0],
}
figure, axes = plt.subplots(1, 3, figsize=(6.5, 2.6))
plots.picture(axes[0], example.media[0])
axes[0].set_title("the evidence")
for axis, (name, rows) in zip(axes[1:], light.items(), strict=True):
    cell = shown[rows].mean(0).cpu().numpy()
    plots.cells_over(
        axis, example.media[0], batch.cells[0].box, cell, top=float(shown.max())
    )
    axis.set_title(
        f"{name}\nRAM {on_target[layer, head, rows].mean():.2f}", fontsize=9
    )
for axis in axes:
    plots.evidence(axis, example)
figure.suptitle(fill(f"{example.question} ({example.answer})", 60), fontsize=11)
keep("fig_question", figure)

# %% [markdown]
# ```{glue:figure} fig_rows
# :name: fig-ram-rows
# :alt: Horizontal bars, one for each token of the question and one for the last token of the prompt. The bars of the two words that name the shape fill about two thirds of the axis, the bar of the last token nearly fills it, and all other words have none.
#
# One head's attention to the target, row by row.
# ```
#
# In a causal model, words before the name of the shape cannot know what to look for, and this head does not guess.
# The name looks, and then the last token does. A mean over the question dilutes two tokens that look with six that do not.
#
# ## Over many samples
#
# One sample is an anecdote; a {term}`detection set` of {glue:text}`detection_samples` is a measurement.
# One pass gives RAM for all three sets of rows.

# %%
from corehead_lib.heads import HeadScores
from corehead_lib.ram import measure_ram

batches = encode_all(loaded, samples, **how)
views = measure_ram(loaded, batches, queries=QUERIES)
core = HeadScores(views["last"].ram).top(top_fraction)
by_head = {name: view.ram.ravel() for name, view in views.items()}
pd.DataFrame(by_head).agg(["max", "median"]).astype(float).round(4)

# %% tags=["hide-input", "remove-output"]
even = np.mean(
    np.concatenate(
        [
            (b.targets().sum(1) / b.inputs["attention_mask"].sum(1))
            .cpu()
            .numpy()
            for b in batches
        ]
    )
)
figure, axes = plt.subplots(1, 2, figsize=(6.5, 2.8), sharey=True)
for axis, rows, name in zip(
    axes, QUERIES, ("question: no head stands out", "last token: a few do"), strict=False
):
    values = np.sort(views[rows].ram.ravel())[::-1]
    axis.bar(np.arange(values.size), values, width=1.0, color=plots.BLUE)
    axis.bar(
        np.arange(len(core)), values[: len(core)], width=1.0, color=plots.RED
    )
    axis.axhline(even, color="black", ls="--", lw=1)
    axis.set(xlabel="head, by rank", title=name)
axes[0].text(
    values.size, even, "even, over all ", ha="right", va="bottom", fontsize=9
)
axes[0].set_ylabel("RAM")
keep("fig_sorted", figure)

# %% [markdown]
# ```{glue:figure} fig_sorted
# :name: fig-ram-sorted
# :alt: Two bar charts of all heads, sorted. For the question's tokens the bars fall slowly from 0.27. For the last prompt token some fifteen bars stand between 0.84 and 0.4, and the rest fall slowly from 0.2. A dashed line for attention that is even over the whole prompt lies at 0.09 in both.
#
# RAM of every head; red: the top 5 % in each panel.
# ```
#
# Attention spread evenly over the prompt would give {glue:text}`even:.2f`.
# At the last token {glue:text}`above_last` heads exceed that, at the question's tokens {glue:text}`above_question`; but at the last token a few stand far above
# it.
# The two definitions do not merely differ in scale: they rank different heads first, see [](06_head_ranking).
#
# *Last* and *answer* agree to the last digit, because every answer here is one token: the row that writes it is the last row of the prompt.
#
# ## What RAM is not
#
# **Not a liking for pictures.** As a negative control, we keep the picture and the target but ask another sample's question.

# %%
from corehead_lib.study import other_question

asked = other_question(samples, seed)
pairs = zip(asked, samples, strict=True)
control = [replace(other, evidence=mine.evidence) for other, mine in pairs]
moved = measure_ram(loaded, encode_all(loaded, control, **how), "last")
at = tuple(np.array(core).T)
own, other = (float(view.ram[at].mean()) for view in (views["last"], moved))
pd.Series({"own question": own, "another": other}).round(3)

# %% [markdown]
# The mean RAM of the top {glue:text}`top_heads` falls from {glue:text}`core_own:.3f` to {glue:text}`core_other:.3f`: these heads look where the
# question sends them.
# It does not fall to zero, since the other question may ask about the same shape, or about one that is not in the picture.
#
# **Not independent of the target's size.** A large target gets mass by being large. Lift corrects for that, but answers a different question: where in the
# picture a head looks, even if it hardly looks at the picture.
#
# **Not a proof of need.** A head may look without being used; [](08_ablation) switches heads off.
#
# **Not retrieval as such.** That RAM sits in few heads says little if attention to pictures as such does, too; [](06_head_ranking) has that control.
#
# **Not available without evidence.** Somebody must say where the answer is; [](02_targets_image) to [](05_targets_text) turn that into tokens.
#
# ## What does measuring cost?
#
# One long prompt, three ways: the plain forward pass, the same with the operator, and eager attention with all weights returned. Plain and
# operator take turns, and the fastest of three rounds counts. Eager is left out if its tables do not fit into free memory.

# %% tags=["nbval-ignore-output"]
from corehead_lib.hybrid.cost import compare_capture

costs = pd.DataFrame(compare_capture(loaded, cost_tokens)).set_index("kernel")
costs["times plain"] = costs["seconds"] / costs["seconds"]["plain"]
costs["extra GB"] = costs.pop("extra_bytes") / 1e9
costs.round(2)

# %% [markdown]
# At {glue:text}`cost_tokens` tokens the operator takes {glue:text}`ratio:.2f` times as long as the plain pass in this run.
# Eager attention has to write {glue:text}`eager_gigabytes:.1f` GB of weights for this tiny model.
# Timings on a small, busy machine are noisy: read them as ratios.
#
# ## Exercises
#
# ```{exercise-start} By eye
# :label: ex-ram-read
# ```
#
# Difficulty: 1/5, 3 minutes. From {numref}`fig-ram-rows`, estimate this head's RAM over the tokens of the *question* to within 0.04. `answer` is one number.
#
# :::{dropdown} Hint 1
# RAM over several rows is a mean of their bars.
# :::
#
# :::{dropdown} Hint 2
# All bars but the bottom one belong to the question, including those of no length.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ram-read
# :class: dropdown
# ```

# %%
answer = by_row.iloc[:-1].mean()
print(f"{answer:.2f}")

# %% [markdown]
# Two words look, and the mean divides their mass by the number of all tokens of the question.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} By hand
# :label: ex-ram-hand
# ```
#
# Difficulty: 1/5, 3 minutes. In the prompt of six tokens, let only the second cell show the star. What are RAM at the last token, selectivity and lift?
# `answer` is these three numbers, in this order.
#
# :::{dropdown} Hint 1
# The last token's row is the third of `attention`; its first three entries are the cells.
# :::
#
# :::{dropdown} Hint 2
# Selectivity divides by what all cells get; lift divides selectivity by the star's share of the cells.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ram-hand
# :class: dropdown
# ```

# %%
smaller = attention[2, 1]
chosen = smaller / attention[2, :3].sum()
answer = smaller, chosen, 3 * chosen
print("RAM {:.2f}, selectivity {:.2f}, lift {:.2f}".format(*answer))

# %% [markdown]
# RAM falls and lift rises: the head hits the smaller target more exactly.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Bigger targets
# :label: ex-ram-size
# ```
#
# Difficulty: 2/5, 10 minutes. Widen every evidence box by 16 pixels on all sides, as far as its picture allows, and measure again at the last token.
# Which rises, RAM or lift? Predict before you run it. `answer` is RAM and lift of the best head, `core[0]`, on the widened boxes.
#
# :::{dropdown} Hint 1
# `replace(sample, evidence=...)` copies a sample; a `Box` has its corners in pixels: `Box(x0, y0, x1, y1)`.
# :::
#
# :::{dropdown} Hint 2
# Encode the copies as above, `encode_all(loaded, copies, **how)`, and hand the batches to `measure_ram`.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ram-size
# :class: dropdown
# ```

# %%
from corehead_lib.samples import Box


def widened(sample, by=16):
    size = sample.media[0].size * 2  # width, height, width, height
    sides = [np.array([b.x0, b.y0, b.x1, b.y1]) for b in sample.evidence]
    wider = [np.clip(s + [-by, -by, by, by], 0, size) for s in sides]
    return replace(sample, evidence=tuple(Box(*corners) for corners in wider))

# %%
larger = encode_all(loaded, [*map(widened, samples)], **how)
wide = measure_ram(loaded, larger, "last")
for name, view in (("as drawn", views["last"]), ("widened", wide)):
    answer = view.ram[core[0]], view.lift[core[0]]
    print("{}: RAM {:.2f}, lift {:.1f}".format(name, *answer))

# %% [markdown]
# A larger target can only gain mass. Lift divides by its size, and falls, because the head was already looking at the right place.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} A control of your own
# :label: ex-ram-control
# ```
#
# Difficulty: 3/5, 20 minutes. Asking another question was one negative control. Find one that keeps the question but replaces the evidence with
# another target, one that these heads should not look at. `answer` is the mean RAM of the top heads on that target.
#
# :::{dropdown} Hint 1
# The target should be about as large as the evidence; otherwise you compare sizes.
# :::
#
# :::{dropdown} Hint 2
# A box on the other side of the picture, for instance, or the evidence of another shape.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ram-control
# :class: dropdown
# ```


# %%
def mirrored(sample):
    wide, high = sample.media[0].size
    boxes = [
        Box(wide - b.x1, high - b.y1, wide - b.x0, high - b.y0)
        for b in sample.evidence
    ]
    return replace(sample, evidence=tuple(boxes))

# %%
turned = encode_all(loaded, [*map(mirrored, samples)], **how)
answer = measure_ram(loaded, turned, "last").ram[at].mean()
print(f"evidence {own:.3f}, its mirror image {answer:.3f}")

# %% [markdown]
# Turned about the centre, a box keeps its size and hits other shapes or none, except near the middle. That rules out a head that
# looks at any place of that size; it does not rule out one that looks at all shapes alike.
#
# ```{solution-end}
# ```
#
# ## Where to go from here
#
# - How boxes become tokens: [](02_targets_image)
# - All heads, all models, all rows: [](06_head_ranking)
# - Retrieval heads of text models: {cite:t}`wu2024retrieval`

# %% tags=["hide-input"]
shape = loaded.backbone
publish(
    rows=[
        {
            "layer": layer,
            "head": head,
            "selectivity": views["last"].selectivity[layer, head],
        }
        | {f"ram_{rows}": view.ram[layer, head] for rows, view in views.items()}
        for layer, head in np.ndindex(found[1].shape)
    ],
    numbers={
        "heads": found[1].size,
        "top_heads": len(core),
        "detection_samples": len(samples),
        "cost_tokens": cost_tokens,
        **{f"best_{rows}": view.ram.max() for rows, view in views.items()},
        **{
            f"above_{rows}": int((view.ram > even).sum())
            for rows, view in views.items()
        },
        "median_last": np.median(views["last"].ram),
        "even": even,
        "core_own": own,
        "core_other": other,
        "ratio": costs["times plain"]["operator"],
        "eager_gigabytes": 4e-9
        * shape.layers
        * shape.heads
        * int(costs["length"]["plain"]) ** 2,
    },
    inputs={
        "model": loaded.provenance,
        "data": {
            "name": dataset,
            "split": "detection",
            "sha256": samples_checksum(samples),
        },
    },
)
