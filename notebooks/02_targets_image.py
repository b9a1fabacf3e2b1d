# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From a box to tokens
#
# Which of a model's tokens show the evidence in a picture? Each family answers differently, and a wrong answer raises no error.
#
# **What came out.** One and the same box is {glue:text}`first_target` of {glue:text}`first_tokens` tokens in Qwen3-VL,
# {glue:text}`second_target` of {glue:text}`second_tokens` in InternVL and {glue:text}`third_target` of {glue:text}`third_tokens` in LLaVA-OneVision.
# Taking the tokens as one grid, row by row, is right for the first family; in the other two
# {glue:text}`second_wrong_grid:.0%` and {glue:text}`third_wrong_grid:.0%` of the tokens taken are wrong.
# The {term}`RAM` of a tiny model's best head then reads {glue:text}`second_ram_grid:.2f` instead of {glue:text}`second_ram:.2f`,
# and {glue:text}`third_ram_grid:.2f` instead of {glue:text}`third_ram:.2f`.
#
# ```{glue:figure} fig_families
# :name: fig-image-families
# :alt: One picture of shapes under three grids of different fineness, with a red frame around one shape. Orange cells cover the frame on every grid. Blue cells, which counting row by row would take, lie on the orange ones on the left and elsewhere in the picture on the middle and right grids.
#
# Orange: the cells that show the framed shape. Blue: what counting row by row takes instead.
# ```

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
others: str = "tiny-internvl tiny-llava-onevision"  # two more families to set beside it {models}
dataset: str = "scenes"  # any with boxes, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
max_pixels: int = 0  # most pixels of a picture; 0: as the processor has it {0..}
detection_samples: int = 96  # samples that RAM is averaged over {2..100000, quick 24}
batch_size: int = 16  # prompts that run at once {1..1024}
seed: int = 0  # seeds the samples {0..}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %% tags=["hide-input"]
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from corehead_lib import plots
from corehead_lib.data import samples_checksum
from corehead_lib.datasets.evidence import load_evidence, one_picture
from corehead_lib.encode import encode, encode_all
from corehead_lib.models import load_model
from corehead_lib.results import keep, publish
from corehead_lib.samples import Box
from corehead_lib.worlds.synthetic import ask, make_scene

plots.use_style()
families = [load_model(name, device, dtype) for name in (model, *others.split())]
kinds = [one.model.config.model_type for one in families]
loaded = families[0]

# %% [markdown]
# ## One picture
#
# RAM asks how much attention falls on *the evidence*. Evidence comes in pixels, attention in tokens; between the two lies geometry, which we
# can draw and check by eye.
#
# Our first picture is generated, whatever `dataset` says: shapes of several sizes anywhere, and a question about one of them.

# %%
rng = np.random.default_rng([seed, 3])
scene = make_scene(rng, unique=True, size=(224, 160), anywhere=True)
example = ask(scene, "shape", rng)
box = example.evidence[0]
print(example.question, example.answer, box)

# %% [markdown]
# Qwen3-VL stretches a picture to whole cells, never crops or pads it, and writes one token per cell, row by row.
# The table of {term}`cells <visual cell>` has a row for each {term}`visual token`: its place in the sequence, and the rectangle that
# it sees, in pixels of the picture *as it was handed over*.

# %%
cells = encode(loaded, [example]).cells[0]
table = pd.DataFrame(cells.box, columns=["x0", "y0", "x1", "y1"])
table = table.assign(view=cells.view)
table.index = pd.Index(cells.position, name="position")
table.iloc[[0, 1, 7, -1]]

# %% [markdown]
# The {term}`target` is the set of tokens whose cells share some area with the evidence box.

# %%
from corehead_lib.targets import target_cells

taken = target_cells(example.evidence, cells)
cells.position[taken]

# %% [markdown]
# ## How much of a cell must the box cover?
#
# A box seldom ends where a cell ends. Three policies are common: take every cell that the box touches (*any*, used in this book
# unless said otherwise), those whose *centre* it covers, or those that it covers by *at least half*.

# %% tags=["hide-input", "remove-output"]
policies = {"any": "any", "centre": "centre", "at least half": 0.5}
figure, axes = plt.subplots(1, 3, figsize=(8, 2.4))
for axis, (name, overlap) in zip(axes, policies.items(), strict=True):
    chosen = target_cells(example.evidence, cells, overlap)
    plots.cells_over(axis, example.media[0], cells.box[cells.view == "main"])
    plots.mark_cells(axis, cells.box[chosen & (cells.view == "main")])
    plots.evidence(axis, example)
    axis.set_title(f"{name}: {chosen.sum()} tokens", fontsize=11)
keep("fig_overlap", figure)

# %% [markdown]
# ```{glue:figure} fig_overlap
# :name: fig-image-overlap
# :alt: The same picture and frame three times. Under the first policy every cell that the frame touches is filled, under the second and third only some of them.
#
# One box under three policies.
# ```
#
# From here on, everything is measured on `dataset`.
# Generated scenes are handed over ten pixels wider and higher than whole cells, as real pictures are never cut to a model's measure.


# %%
def uneven(sample, more=10):
    image, b = sample.media[0], sample.evidence[0]
    size = (image.width + more, image.height + more)
    x, y = size[0] / image.width, size[1] / image.height
    moved = Box(b.x0 * x, b.y0 * y, b.x1 * x, b.y1 * y)
    return replace(sample, media=(image.resize(size),), evidence=(moved,))


# %% tags=["hide-input"]
anywhere = {"anywhere": True} if dataset == "scenes" else {}
found = load_evidence(
    dataset, "detection", detection_samples, seed, (Box,), data_dir, **anywhere
)
samples = [one_picture(sample) for sample in found]
samples = [uneven(sample) for sample in samples] if anywhere else samples

# %% [markdown]
# How long the prompts will be is known before any pixel is read.
# What a model's context cannot hold is left out and counted; `max_pixels` shrinks large pictures, and boxes keep their meaning.

# %%
from corehead_lib.tokens import fitting

rows = []
for name, one in zip(kinds, families, strict=True):
    fit = fitting(one, samples, max_pixels)
    samples, t = fit.samples, fit.tokens
    rows.append([name, len(t), len(fit.refused), int(np.mean(t)), max(t)])
columns = ["family", "samples", "left out", "mean tokens", "most"]
pd.DataFrame(rows, columns=columns).set_index("family")

# %% [markdown]
# One forward pass serves all policies, since `mass` takes several targets at once.
# We read it at the last prompt token, for the reasons in [](01_ram_definition), and call the head with the highest RAM under *any* the best head.

# %%
from corehead_lib.ram import measure_ram

batches = encode_all(loaded, samples, batch_size, max_pixels=max_pixels)
under = {}
for overlap in ("any", "centre"):
    scores = measure_ram(loaded, batches, "last", overlap)
    sizes = [b.targets(overlap).sum(1).tolist() for b in batches]
    under[overlap] = {"tokens": np.mean(sum(sizes, [])), "RAM": scores.ram.max()}
pd.DataFrame(under).T.round(2)

# %% [markdown]
# *Centre* takes {glue:text}`tokens_centre:.1f` tokens instead of {glue:text}`tokens_any:.1f`, and the best head's RAM reads
# {glue:text}`ram_centre:.2f` instead of {glue:text}`ram_any:.2f`: the policy belongs to every number that is reported.
# A threshold can also leave nothing. `target_cells` refuses an empty target, because it would give every head a silent zero.
#
# ## Three families
#
# *InternVL* stretches a picture to a canvas of square tiles, writes it tile by tile, and then once more as a whole, the *thumbnail*.
# *LLaVA-OneVision* writes the whole first, the *base view*, then a map of all tiles, from which it cuts the padding, with a {term}`newline` behind
# each row: a token that shows nothing.
# So evidence may be in the prompt twice, and by default both places are the target.

# %%
views = {}
for name, one in zip(kinds, families, strict=True):
    table = encode(one, [example]).cells[0]
    hit = target_cells(example.evidence, table)
    for view in dict.fromkeys(table.view):
        there = table.view == view
        views[name, view] = {"tokens": sum(there), "target": sum(there & hit)}
pd.DataFrame(views).T

# %% [markdown]
# ## What goes wrong with naive slicing
#
# Three habits, none of which raises an error.
# *One grid*: all visual tokens are one grid, read row by row. *Swapped*: the processor reports rows before columns, PIL width before height.
# *Resize forgotten*: pixels are divided by the cell's side, as if nothing had been stretched.
# Each is a way to cut the picture into columns and rows, of which a table is made as if no family had tiles, base views or newlines:

# %%
from corehead_lib.cells.table import even, lattice

naive = {
    "one grid": lambda c, r, w, h, side: (even(w, c), even(h, r)),
    "swapped": lambda c, r, w, h, side: (even(w, r), even(h, c)),
    "resize forgotten": lambda c, r, w, h, side: (
        even(c * side, c),
        even(r * side, r),
    ),
}

# %%
from corehead_lib.cells import cell_side


def sliced(one, cells, cut):
    main = cells.box[cells.view == "main"].round(3)
    c, r = (len(np.unique(main[:, axis])) for axis in (0, 1))
    box = lattice(*cut(c, r, *cells.sizes[0], cell_side(one)))
    places = cells.position[0] + np.arange(c * r)
    rest = {k: getattr(cells, k)[: c * r] for k in ("item", "view", "frames")}
    return replace(cells, position=places, box=box, **rest)


# %% [markdown]
# Two more ways stand beside them. *Exact* is this book's table.
# *At random* is the negative control: the exact table with its boxes shuffled, a target that has nothing to do with the question.

# %%
from corehead_lib.targets_compare import target_of


def ways(one):
    shuffled = np.random.default_rng(seed).permutation
    mix = lambda cells: replace(cells, box=shuffled(cells.box))
    slices = {k: lambda c, v=v: sliced(one, c, v) for k, v in naive.items()}
    return {"exact": lambda cells: cells, **slices, "at random": mix}


# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(1, 3, figsize=(8, 2.5))
shown = {}
for axis, name, one in zip(axes, kinds, families, strict=True):
    batch = encode(one, [example])
    truth = batch.cells[0]
    main = truth.view == "main"
    guess = target_of(batch, ways(one)["one grid"])[0, truth.position].cpu().numpy()
    right = target_cells(example.evidence, truth)
    shown[name] = (right.sum(), len(truth))
    plots.cells_over(axis, example.media[0], truth.box[main])
    plots.mark_cells(axis, truth.box[main & right])
    plots.mark_cells(axis, truth.box[main & guess], plots.BLUE)
    plots.evidence(axis, example)
    axis.set_title(f"{name}\n{right.sum()} of {len(truth)} tokens", fontsize=11)
keep("fig_families", figure)

# %% [markdown]
# ## RAM on those cells
#
# Every way gives a target, and one pass a batch gives the mass of every head on all of them.

# %%
from corehead_lib.ram import mass


def measured(one, batch):
    """Target tokens, wrong ones (K, samples); mass (K, samples, layers, heads)."""
    masks = torch.stack([target_of(batch, way) for way in ways(one).values()])
    wrong = (masks & ~masks[0]).sum(-1)
    counts = [x.cpu().numpy() for x in (masks.sum(-1), wrong)]
    return *counts, mass(one, batch, masks, "last")


# %% tags=["hide-input"]
from corehead_lib.heads import HeadScores

results, best = [], {}
for name, one in zip(kinds, families, strict=True):
    group = encode_all(one, samples, batch_size, max_pixels=max_pixels)
    parts = zip(*(measured(one, batch) for batch in group), strict=True)
    number, wrong, masses = (np.concatenate(part, axis=1) for part in parts)
    best[name] = HeadScores(masses[0].mean(0)).ranking()[0]
    on_best = masses[..., best[name].layer, best[name].head]
    share = np.where(number > 0, wrong / np.maximum(number, 1), 1)
    for k, way in enumerate(ways(one)):
        means = (share[k].mean(), (number[k] == 0).mean(), on_best[k].mean())
        results.append(dict(zip(("wrong", "empty", "RAM"), means, strict=True)))
        results[-1] |= {"family": name, "way": way, "tokens": number[k].mean()}
    per_sample = share[:-1] if one is loaded else per_sample
    ram = masses[0].mean(0) if one is loaded else ram
compared = pd.DataFrame(results).set_index(["way", "family"])
compared.unstack()[["wrong", "RAM"]].reindex(list(ways(loaded))).round(2)

# %% [markdown]
# *One grid* is exact for Qwen3-VL, wrong in InternVL where there are several tiles, and hopeless in LLaVA-OneVision, whose prompt begins with the base view.
# *Swapped* fails wherever a picture is not square.
# *Resize forgotten* is the most treacherous: with Qwen3-VL {glue:text}`first_wrong_resize:.0%` of its tokens are wrong, yet RAM reads
# {glue:text}`first_ram_resize:.2f` beside the exact {glue:text}`first_ram:.2f`.
# The negative control gives {glue:text}`first_ram_random:.2f`, {glue:text}`second_ram_random:.2f` and {glue:text}`third_ram_random:.2f`: not zero, since
# some shuffled boxes hit, and large targets collect some mass wherever they lie.
# A low score therefore looks just like a model without such heads, and only the table of cells can tell the two apart.

# %% tags=["hide-input", "remove-output"]
from corehead_lib.targets_compare import attention_maps, on_main

figure, axes = plt.subplots(1, 3, figsize=(8, 2.7))
for axis, name, one in zip(axes, kinds, families, strict=True):
    batch = encode(one, [example])
    truth, head = batch.cells[0], best[name]
    weight = attention_maps(one, batch, batch.last)[truth.position, 0, head.layer, head.head]
    landed = weight[target_cells(example.evidence, truth)].sum()
    main = truth.box[truth.view == "main"]
    plots.cells_over(axis, example.media[0], main, on_main(weight, truth))
    plots.evidence(axis, example)
    axis.set_title(f"{name}\nlayer {head.layer}, head {head.head}: {landed:.2f}", fontsize=11)
keep("fig_heads", figure)

# %% [markdown]
# ```{glue:figure} fig_heads
# :name: fig-image-heads
# :alt: The same picture three times, dark except where the best head of each family looks; a red frame marks the evidence, and the title says how much attention falls on it.
#
# Where each family's best head looks; the number is its mass on the frame.
# ```
#
# {numref}`fig-image-heads` draws what RAM adds up, in the manner of the paper's figures 1 and 8 {cite:p}`sun2026core`. Bright cells get attention, each panel is scaled to its own
# maximum, and a second view's attention is laid over the cells that share its area.
#
# ## Exercises
#
# ```{exercise-start} The test that passed
# :label: ex-image-square
# ```
#
# Difficulty: 1/5, five minutes. Your colleague tested *swapped* on pictures of 128 x 128 pixels and found nothing wrong.
# Split the share of wrong tokens by whether the picture is square.
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-image-square
# :class: dropdown
# ```

# %%
sizes = [sample.media[0].size for sample in samples]
by_shape = pd.DataFrame(per_sample.T, columns=[*ways(loaded)][:-1])
by_shape["picture"] = ["square" if w == h else "not square" for w, h in sizes]
by_shape.groupby("picture").mean().round(2)

# %% [markdown]
# On a square picture the swapped grid *is* the right grid. Test geometry on pictures that are not square, whose sides are no
# multiples of the cell, and that differ within a batch.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Too small to be seen
# :label: ex-image-small
# ```
#
# Difficulty: 2/5, ten minutes. Slide boxes of 6, 12 and 24 pixels over a cell in steps of two pixels. How often does *centre* find no cell at all?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-image-small
# :class: dropdown
# ```

# %%
middle = (cells.box[:, :2] + cells.box[:, 2:]) / 2


def lost(size, steps=range(0, 32, 2)):
    corners = np.array([(x, y) for x in steps for y in steps])[:, None]
    hit = (corners <= middle) & (middle < corners + size)
    return float(1 - hit.all(-1).any(-1).mean())


print({size: round(lost(size), 2) for size in (6, 12, 24)})

# %% [markdown]
# *Any* always finds a cell; *centre* loses most small boxes, and with them the samples. That is why *any* is the default.
#
# ```{solution-end}
# ```
#
# ```{exercise} A batch of one
# :label: ex-image-padding
#
# Difficulty: 2/5, five minutes. Prompts of a batch are padded on the left. Someone computes the positions for each sample alone. Why does a test with one sample pass?
# ```
#
# ```{solution} ex-image-padding
# :class: dropdown
#
# Only the longest prompt of a batch has no padding, and a lone prompt is the longest. All shorter ones are off by their padding, so their targets point at text
# or at other cells. `Cells.position` counts in the padded sequence.
# ```
#
# ## Limits
#
# The table says which pixels a token was *made from*, not what it knows: the vision encoder mixes all cells before the language model sees them.
# Where a picture is in the prompt twice, RAM over both views does not say which one a head reads; `measure_ram(..., views="parts")` does.
# Attention is not yet use {cite:p}`jain2019attention`; that is [](08_ablation).
#
# ## Look for yourself
#
# Choose a head, or slide along the ranking from the first to the last. The frame is the target; dark places get little attention.

# %% tags=["hide-input"]
from corehead_lib.explorer import explorer

explorer(loaded, samples[:4], HeadScores(ram))

# %% [markdown]
# ## Where to go from here
#
# - Many pages in one prompt: [](03_targets_document); clips: [](04_targets_video); words: [](05_targets_text)
# - The paper's own ways to find tokens, side by side: [](13_paper_targets)
# - All heads at once: [](06_head_ranking)

# %% tags=["hide-input"]
short = {"exact": "", "one grid": "_grid", "swapped": "_swapped"}
short |= {"resize forgotten": "_resize", "at random": "_random"}
numbers = {}
for place, name in zip(("first", "second", "third"), kinds, strict=True):
    numbers[f"{place}_target"], numbers[f"{place}_tokens"] = shown[name]
    for way, end in short.items():
        numbers[f"{place}_ram{end}"] = compared.loc[(way, name), "RAM"]
        numbers[f"{place}_wrong{end}"] = compared.loc[(way, name), "wrong"]
for overlap, row in under.items():
    numbers |= {f"tokens_{overlap}": row["tokens"], f"ram_{overlap}": row["RAM"]}
publish(
    rows=results,
    numbers=numbers,
    inputs={
        **{f"model_{i}": one.provenance for i, one in enumerate(families)},
        "data": {"name": dataset, "split": "detection", "sha256": samples_checksum(samples)},
    },
)
