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
# **Claim.** One sum over attention weights, *Retrieval Attention Mass* ({term}`RAM`), tells the few
# heads that fetch the visual evidence from the many that do not, if it is read at the right tokens.
#
# We look at one question about one picture first, add up the attention of one head by hand, and
# only then write down the definition of {cite:t}`sun2026core`. Everything runs on
# `tiny-qwen3-vl`, a tiny model that we trained ourselves: a real Qwen3-VL architecture with 128 heads.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
dataset: str = "scenes"  # any with boxes, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
detection_samples: int = 96  # samples that RAM is averaged over {2..100000, quick 24}
batch_size: int = 16  # prompts that run at once {1..1024}
seed: int = 0  # seeds the samples {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
cost_tokens: int = 4096  # prompt length at which costs are compared {64..65536, quick 256}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %%
from dataclasses import replace
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown

from corehead_lib import plots
from corehead_lib.data import samples_checksum
from corehead_lib.datasets.evidence import load_pictures, remarks
from corehead_lib.encode import encode, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import HeadScores
from corehead_lib.hybrid.cost import compare_capture
from corehead_lib.models import load_model
from corehead_lib.ram import RetrievalAttentionMass, measure_ram
from corehead_lib.results import publish
from corehead_lib.samples import Box

plots.use_style()
samples = load_pictures(dataset, "detection", detection_samples, seed, data_dir)
loaded = load_model(model, device, dtype)
note = remarks(dataset, samples, detection_samples)
Markdown(note) if note else loaded.backbone

# %% [markdown]
# ## One question
#
# A scene holds shapes, each with a digit. The question names one of them; the answer is its digit.
# We know where the evidence is, because we drew the picture: the frame in the figure is never shown to the model.

# %% mystnb={"figure": {"name": "fig-ram-question", "caption": "A generated scene, its question, and the evidence: the pixel box of the shape that the question asks for."}, "image": {"alt": "A small picture of coloured shapes with digits. A frame marks the one shape that the question asks for."}}
last_task = [*dict.fromkeys(s.task for s in samples)][-1]  # of scenes: a colour and a shape
example = next(s for s in samples if s.task == last_task)
figure, axis = plt.subplots(figsize=(4, 3.4))
plots.picture(axis, example.media[0])
plots.evidence(axis, example)
_ = axis.set_title("\n".join(wrap(f"{example.question}  ({example.answer})", 42)))

# %% [markdown]
# The real processor turns this sample into a sequence of tokens. Each {term}`visual token` stands for one
# {term}`visual cell`, a small rectangle of the picture. Three groups of tokens matter to us:

# %%
batch = encode(loaded, [example])
question, target, visual = batch.question[0], batch.targets()[0], batch.visual[0]
ids = batch.inputs["input_ids"][0]
words = [loaded.processor.tokenizer.decode(i) for i in ids]
pd.DataFrame(
    {
        "group": ["all", "visual", "target", "question"],
        "tokens": [len(ids), int(visual.sum()), int(target.sum()), int(question.sum())],
        "what": [
            "the whole prompt",
            "one per cell of the picture",
            "cells that touch the evidence box",
            " ".join(words[i].strip() for i in question.nonzero().flatten()),
        ],
    }
)

# %% [markdown]
# ## By hand
#
# Let us ask the model for all its attention weights, once, the expensive way: eager attention with
# `output_attentions=True` gives one matrix per layer, (batch, heads, queries, keys). For every head we keep the
# question's rows and the target's columns, sum over the columns, and average over the rows.

# %%
loaded.model.set_attn_implementation("eager")
with torch.inference_mode():
    attentions = loaded.model(**batch.inputs, output_attentions=True).attentions
loaded.model.set_attn_implementation("sdpa")

attention = torch.stack(attentions)[:, 0]  # (layers, heads, queries, keys)
by_hand = attention[:, :, question][..., target].sum(-1).mean(-1)  # (layers, heads)
print("attention:", tuple(attention.shape), "-> RAM of this sample:", tuple(by_hand.shape))

# %% mystnb={"figure": {"name": "fig-ram-rows", "caption": "Where each question token, and the last prompt token, of one head look over the picture: bright cells get attention, the scale is shared. The number is the mass on the target. The head is the one whose attention to the target is highest in any of these rows."}, "image": {"alt": "Copies of the same scene, one for each token, darkened except where the token looks. Most tokens look nowhere in the picture; a few put their light on the framed shape."}}
rows = question.nonzero().flatten().tolist()
most = (
    attention[:, :, rows][..., target].sum(-1).amax((0, 1))
)  # of a long question, the 15 tokens that look most
rows = [rows[i] for i in sorted(most.argsort(descending=True)[:15].tolist())] + [len(ids) - 1]
on_target = attention[:, :, rows][..., target].sum(-1)  # (layers, heads, rows)
layer, head = divmod(int(on_target.amax(-1).argmax()), by_hand.shape[1])
weights = attention[layer, head][rows][:, visual].float().cpu().numpy()  # (rows, cells)
columns = int(np.ceil(len(rows) / 2))
figure, axes = plt.subplots(2, columns, figsize=(1.6 * columns, 3.9))
for axis in axes.flat:
    axis.axis("off")
for axis, row, weight, mass in zip(axes.flat, rows, weights, on_target[layer, head].tolist(), strict=False):
    plots.cells_over(axis, example.media[0], batch.cells[0].box, weight, top=float(weights.max()))
    plots.evidence(axis, example)
    name = "last token" if row == rows[-1] else f"“{words[row].strip()}”"
    axis.set_title(f"{name} {mass:.2f}", fontsize=9)
_ = figure.suptitle(f"Layer {layer}, head {head}: few tokens look, and they look at the target")

# %% [markdown]
# The number above each panel is that token's attention mass on the target; RAM is the mean of these numbers over the
# question's tokens. Words that come before the name of the shape cannot know yet what to look for, and those that
# come after it need not look: such rows dilute the average. The last panel is no part of the question: it is the last token of the
# prompt, from which the answer is written, and in this model it is there that heads look.
#
# ## The definition
#
# For head $h$, question tokens $Q$, target tokens $V^*$ and attention $A_h$ after the softmax,
#
# $$\mathrm{RAM}_h = \mathbb{E}_{\text{samples}}\; \frac{1}{|Q|} \sum_{q \in Q} \sum_{v \in V^*} A_h[q, v].$$
#
# The paper does not tell us its exact normalisation; this is our choice, in the form of
# {cite:t}`li2026mmretheads`. A variant that stands beside it reads the **last prompt token** alone,
# the place from which the answer is written: then $Q$ holds one token. Which of the two finds the heads that a model needs is a
# question about the model; for this one [](08_ablation) answers it.
#
# To get RAM we need no full attention matrix. The operator below looks in on every layer's queries and keys,
# computes the question's rows alone, in float32, sums them up, and leaves the forward pass as it was: bit for bit.

# %%
with torch.inference_mode():
    untouched = loaded.model(**batch.inputs).logits
    with RetrievalAttentionMass(batch.question, batch.targets())(loaded.model) as ram:
        watched = loaded.model(**batch.inputs).logits

difference = float((ram.mass[0].cpu() - by_hand.float().cpu()).abs().max())
print("operator equals the sum by hand within 1e-5:", difference < 1e-5)
print("forward pass unchanged, bit for bit:", torch.equal(untouched, watched))

# %% [markdown]
# ## Over many samples
#
# One sample is an anecdote. Averaged over a detection set, the scores separate:

# %%
batches = encode_all(loaded, samples, batch_size)
scores = measure_ram(loaded, batches, progress=False)
last = measure_ram(loaded, batches, queries="last", progress=False)
core = HeadScores(last.ram).top(top_fraction)
uniform = float(
    (scores.share * np.array([float(v) for b in batches for v in b.visual.float().mean(1)])).mean()
)

# %% mystnb={"figure": {"name": "fig-ram-sorted", "caption": "RAM of every head, sorted, averaged over the detection samples: over the question's tokens, and at the last prompt token. In red, the top heads of each. The dashed line is the mass that attention spread evenly over the whole prompt would give."}, "image": {"alt": "Two falling bar charts of all heads. The chart of the question tokens stays near zero; on the chart of the last prompt token a handful on the left stand far above the rest."}}
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True)
for axis, view, rows_read in ((axes[0], scores, "question tokens"), (axes[1], last, "last prompt token")):
    values = np.sort(view.ram.ravel())[::-1]
    axis.bar(np.arange(values.size), values, width=1.0, color=plots.BLUE)
    axis.bar(np.arange(len(core)), values[: len(core)], width=1.0, color=plots.RED)
    axis.axhline(uniform, color="black", ls="--", lw=1)
    share = values[: len(core)].sum() / values.sum()
    axis.set(xlabel="head, by rank", title=f"{rows_read}: {share:.0%} in the top {len(core)}")
axes[0].text(values.size, uniform, "even attention ", ha="right", va="bottom", fontsize=9)
_ = axes[0].set_ylabel("RAM (attention mass)")

# %%
first, rest, first_last = float(scores.ram.max()), float(np.median(scores.ram)), float(last.ram.max())
Markdown(
    f"Averaged over the question's tokens, the best head gives the evidence **{first:.2f}** of its attention, the median head "
    f"{rest:.3f}; even attention would give {uniform:.2f}. At the last prompt token the best head gives **{first_last:.2f}**."
)

# %% [markdown]
# ## Mass, selectivity, lift
#
# A head that stares at the whole picture also puts some mass on the target. Two ratios take that out:
#
# - **selectivity**: of the mass on the picture, the part on the target;
# - {term}`lift`: selectivity divided by the target's share of the cells, so that 1 is what even attention gives.
#
# They answer another question (*where* in the picture a head looks, even if it rarely looks), and they need not agree.

# %%
views = {
    "RAM, question": scores.ram,
    "RAM, last token": last.ram,
    "selectivity, last token": last.selectivity,
    "lift, last token": last.lift,
}
chosen = {name: HeadScores(view).top(top_fraction) for name, view in views.items()}
pd.DataFrame(
    {
        "best head": [f"layer {c[0].layer}, head {c[0].head}" for c in chosen.values()],
        "its score": [f"{view.max():.2f}" for view in views.values()],
        "median score": [f"{np.median(view):.2f}" for view in views.values()],
        f"top {len(core)} shared with RAM, last token": [len(set(c) & set(core)) for c in chosen.values()],
    },
    index=list(views),
)

# %% [markdown]
# ## A negative control: another box
#
# If RAM only measured "likes pictures", it would not matter which shape we call the target. So we keep the question and
# move the box to another shape of the same scene.


# %%
def moved(sample, others):
    """The same sample with a box of another one that lies inside its picture and apart from its own; None if none does."""
    width, height = sample.media[0].size

    def apart(b):
        inside = b.x1 <= width and b.y1 <= height
        return inside and all(
            b.x1 <= own.x0 or b.x0 >= own.x1 or b.y1 <= own.y0 or b.y0 >= own.y1 for own in sample.evidence
        )

    box = next((o.evidence[0] for o in others if apart(o.evidence[0])), None)
    return box and replace(sample, evidence=(box,))


control = [moved(s, samples[i + 1 :] + samples[:i]) for i, s in enumerate(samples)]
able = np.array([c is not None for c in control])
if not able.any():
    raise CoreheadError(
        f"No picture of these {len(samples)} has room for another one's box: take more samples."
    )
elsewhere = measure_ram(
    loaded, encode_all(loaded, [c for c in control if c], batch_size), queries="last", progress=False
)
on_evidence = float(np.mean([last.target[able].mean(0)[h] for h in core]))
off_evidence = float(np.mean([elsewhere.ram[h] for h in core]))
Markdown(
    f"Mean RAM of the top {len(core)} heads at the last prompt token: **{on_evidence:.3f}** on the evidence, **{off_evidence:.3f}** on a box elsewhere"
    + (
        "."
        if able.all()
        else f" ({able.sum()} of {len(able)} samples, whose picture has room for another box)."
    )
)

# %% [markdown]
# ## What does measuring cost?
#
# One long prompt of many pictures, three ways: the plain forward pass, the same with the operator, and eager
# attention with all weights returned. The last is skipped where the machine has too little free memory for it.

# %% tags=["nbval-ignore-output"]
costs = compare_capture(loaded, cost_tokens)
pd.DataFrame(costs).assign(
    seconds=lambda t: t.seconds.round(2), extra_MB=lambda t: (t.extra_bytes / 1e6).round(0)
).drop(columns="extra_bytes")

# %% tags=["nbval-ignore-output"]
cost = {row["kernel"]: row for row in costs}
against = (
    ""
    if "eager" not in cost
    else (
        f" Eager attention takes {cost['eager']['seconds'] / cost['plain']['seconds']:.1f} times the plain forward "
        f"pass and {cost['eager']['extra_bytes'] / 1e9:.1f} GB."
    )
)
Markdown(
    f"At {cost_tokens} tokens the operator takes {cost['operator']['seconds'] / cost['plain']['seconds']:.2f} times "
    f"the plain forward pass and {cost['operator']['extra_bytes'] / 1e9:.2f} GB of memory beside the model "
    f"(plain: {cost['plain']['extra_bytes'] / 1e9:.2f} GB).{against} Timings on a small machine are noisy; read them as ratios."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise-start} The last word
# :label: ex-ram-last
# ```
#
# Difficulty: 1/5. For the head of {numref}`fig-ram-rows`, which token puts the most mass on the target?
# Why can it not be the first?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ram-last
# :class: dropdown
# ```
#
# In a causal model a token knows only what stands before it. Only from the word that names the shape on
# can a head look for it.

# %%
per_row = on_target[layer, head].float().cpu().numpy()
pd.DataFrame({"token": [words[r].strip() for r in rows], "mass on target": per_row.round(2)})

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise-start} Bigger targets
# :label: ex-ram-size
# ```
#
# Difficulty: 2/5. RAM grows with the size of the target. Widen every evidence box by 16 pixels on all sides, as far as its
# picture goes. How does the number of target tokens change, and how do RAM and lift of the best head?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ram-size
# :class: dropdown
# ```


# %%
def widened(sample, pixels=16):
    """The same sample with larger evidence boxes."""
    width, height = sample.media[0].size
    boxes = (
        (max(0, b.x0 - pixels), max(0, b.y0 - pixels), min(width, b.x1 + pixels), min(height, b.y1 + pixels))
        for b in sample.evidence
    )
    return replace(sample, evidence=tuple(Box(*corners) for corners in boxes))


wide = measure_ram(
    loaded, encode_all(loaded, [*map(widened, samples)], batch_size), queries="last", progress=False
)
pd.DataFrame(
    {
        "target share of cells": [m.share.mean().round(3) for m in (last, wide)],
        "RAM of the best head": [m.ram[core[0]].round(2) for m in (last, wide)],
        "its lift": [m.lift[core[0]].round(1) for m in (last, wide)],
    },
    index=["as drawn", "widened"],
)

# %% [markdown]
# A larger target can only gain mass; lift divides by the size, and falls when the head was looking at the right place already.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# Attention is not explanation: a head may look without using what it sees, and RAM cannot tell. That takes an
# intervention, in [](08_ablation). A tiny model trained on scenes shows that the measure works where we know the
# truth; it does not show that large models are built the same way.
#
# ## Where to go from here
#
# - How boxes become tokens: [](02_targets_image)
# - All heads at once: [](06_head_ranking)
# - Retrieval heads of text models: {cite:t}`wu2024retrieval`
# - The same idea with output tokens as queries: {cite:t}`park2026vrh`

# %%
publish(
    rows=[
        {
            "layer": int(la),
            "head": int(he),
            "ram": scores.ram[la, he],
            "ram_last": last.ram[la, he],
            "selectivity_last": last.selectivity[la, he],
            "lift_last": last.lift[la, he],
        }
        for la, he in np.ndindex(scores.ram.shape)
    ],
    numbers={
        "best_ram": first,
        "median_ram": rest,
        "uniform_ram": uniform,
        "best_ram_last": first_last,
        "core_ram_on_target": on_evidence,
        "core_ram_elsewhere": off_evidence,
        **{f"{k}_{f}": float(r[f]) for k, r in cost.items() for f in ("seconds", "extra_bytes")},
    },
    inputs={
        "model": loaded.provenance,
        "data": {"name": dataset, "split": "detection", "sha256": samples_checksum(samples)},
    },
)
