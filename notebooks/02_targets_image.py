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
# Which of a model's tokens show the evidence in a picture? Every family answers differently, and a wrong answer raises no error.
#
# **What came out.** The same box covers {glue:text}`first_target` of {glue:text}`first_tokens` visual tokens in Qwen3-VL,
# {glue:text}`second_target` of {glue:text}`second_tokens` in InternVL, {glue:text}`third_target` of {glue:text}`third_tokens` in LLaVA-OneVision.
# Counting row by row is exact in the first; in the others {glue:text}`second_wrong_grid:.0%` and {glue:text}`third_wrong_grid:.0%` of
# the tokens it takes are wrong, and the {term}`RAM` of a tiny model's best head reads {glue:text}`second_ram_grid:.2f` and
# {glue:text}`third_ram_grid:.2f` instead of {glue:text}`second_ram:.2f` and {glue:text}`third_ram:.2f`.
#
# ```{glue:figure} fig_families
# :name: fig-image-families
# :alt: One picture of shapes under three grids, with a red frame around one shape. Orange cells cover the frame on every grid. Cells outlined in blue, which counting row by row takes, are the same ones on the first grid and different ones on the second and third.
#
# Orange: cells that show the framed shape. Outlined in blue: what counting row by row takes.
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
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %% tags=["hide-input"]
from dataclasses import astuple, replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from corehead_lib import plots
from corehead_lib.data import samples_checksum
from corehead_lib.datasets.evidence import load_evidence, one_picture
from corehead_lib.encode import encode, encode_all
from corehead_lib.models import load_model
from corehead_lib.results import keep, publish
from corehead_lib.samples import Box
from corehead_lib.worlds.synthetic import ask, make_scene

plots.use_style()
loaded = [load_model(name, device, dtype) for name in (model, *others.split())]
families = {one.model.config.model_type: one for one in loaded}

# %% [markdown]
# ## One picture
#
# RAM asks how much attention falls on *the evidence*. Evidence comes in pixels, attention in tokens; what lies between is geometry, which we can draw and
# check by eye.
# Our first picture is generated, whatever `dataset` says; the question is about its right-most shape.


# %%
def drawn(number):
    rng = np.random.default_rng([seed, number])
    return make_scene(rng, unique=True, size=(224, 160))


scene = next(s for s in map(drawn, range(99)) if s.background == "white")
right_most = max(scene.things, key=lambda thing: thing.box.x1)
example = ask(scene, "shape", np.random.default_rng(seed), right_most)
print(example.question, example.answer, example.evidence[0])

# %% [markdown]
# Qwen3-VL stretches a picture to whole cells, never crops or pads it, and writes one token per cell, row by row.
# The table of {term}`cells <visual cell>` says for each {term}`visual token` where it stands in the sequence and which rectangle it sees, in pixels of
# the picture *as we hand it over*.
# The {term}`target` is the set of tokens whose cells share some area with the evidence.

# %%
from corehead_lib.targets import target_cells

cells = encode(loaded[0], [example]).cells[0]
table = pd.DataFrame(cells.box, columns=["x0", "y0", "x1", "y1"])
table.index = pd.Index(cells.position, name="position")
table[target_cells(example.evidence, cells)]

# %% [markdown]
# ## Three families
#
# *InternVL* stretches a picture to a canvas of square tiles, writes it tile by tile, and then once more as a whole, the *thumbnail*.
# *LLaVA-OneVision* writes the whole picture first, the *base view*, and then a map of all tiles with the padding cut away and a {term}`newline`
# after each row, a token that shows nothing.
# So evidence may be in the prompt twice, and by default both places belong to the target.

# %%
views = {}
for name, one in families.items():
    seen = encode(one, [example]).cells[0]
    hit = target_cells(example.evidence, seen)
    for view in dict.fromkeys(seen.view):
        here = seen.view == view
        views[name, view] = {"tokens": here.sum(), "target": (here & hit).sum()}
pd.DataFrame(views).T

# %% [markdown]
# ## How much of a cell must the box cover?
#
# A box seldom ends where a cell ends. Three policies are common: take every cell that the box touches (*any*, used in this book
# unless said otherwise), those whose *centre* it covers, or those of which it covers *at least half*.

# %% tags=["hide-input", "remove-output"]
policies = {"any": "any", "centre": "centre", "at least half": 0.5}
figure, axes = plt.subplots(1, 3, figsize=(8, 2.3))
for axis, (name, overlap) in zip(axes, policies.items(), strict=True):
    chosen = target_cells(example.evidence, cells, overlap)
    main = cells.view == "main"
    plots.cells_over(axis, example.media[0], cells.box[main])
    plots.mark_cells(axis, cells.box[main & chosen])
    plots.evidence(axis, example)
    axis.set_title(f"{name}: {chosen.sum()} tokens", fontsize=12)
keep("fig_overlap", figure)

# %% [markdown]
# ```{glue:figure} fig_overlap
# :name: fig-image-overlap
# :alt: The same picture and frame three times. Under the first policy every cell that the frame touches is filled, under the other two fewer.
#
# One box under three policies.
# ```
#
# From here on everything is measured on `dataset`. Generated scenes get ten pixels more than whole cells in width and height, since real pictures are not
# made to fit a model's cells.


# %%
def uneven(sample, more=10):
    image, b = sample.media[0], sample.evidence[0]
    size = (image.width + more, image.height + more)
    x, y = size[0] / image.width, size[1] / image.height
    moved = Box(b.x0 * x, b.y0 * y, b.x1 * x, b.y1 * y)
    return replace(sample, media=(image.resize(size),), evidence=(moved,))


# %% tags=["hide-input"]
generated = dataset == "scenes"
asked = (dataset, "detection", detection_samples, seed, (Box,), data_dir)
samples = [one_picture(sample) for sample in load_evidence(*asked)]
samples = [uneven(sample) for sample in samples] if generated else samples

# %% [markdown]
# How long the prompts will be is known before any pixel is read. What a model's context cannot hold is left out and counted; `max_pixels` shrinks large
# pictures, and their boxes stay valid.

# %%
from corehead_lib.tokens import fitting

lengths = {}
for name, one in families.items():
    fit = fitting(one, samples, max_pixels)
    samples, mean = fit.samples, np.mean(fit.tokens)
    row = {"samples": len(samples), "left out": len(fit.refused)}
    lengths[name] = row | {"mean tokens": round(mean), "most": max(fit.tokens)}
pd.DataFrame(lengths).T

# %% [markdown]
# RAM is read at the last prompt token, for the reasons in [](01_ram_definition); the *best head* is the one with the highest RAM.

# %%
from corehead_lib.ram import measure_ram

batches = encode_all(loaded[0], samples, batch_size, max_pixels=max_pixels)
under = {}
for overlap in ("any", "centre"):
    ram = measure_ram(loaded[0], batches, "last", overlap).ram
    tokens = np.concatenate([b.targets(overlap).sum(1) for b in batches])
    under[overlap] = {"tokens": tokens.mean(), "RAM": ram.max()}
pd.DataFrame(under).T.round(2)

# %% [markdown]
# *Centre* takes {glue:text}`tokens_centre:.1f` tokens instead of {glue:text}`tokens_any:.1f`, and the best head's RAM reads
# {glue:text}`ram_centre:.2f` instead of {glue:text}`ram_any:.2f`: every reported number needs its policy beside it.
#
# ## What goes wrong with naive slicing
#
# Three careless ways, none of which raises an error. Each makes a table of cells as if there were no tiles, no second view and no newlines.
#
# - *One grid*: the picture's tokens are one grid, read row by row.
# - *Swapped*: the same, with rows taken for columns: the processor reports rows before columns, PIL width before height.
# - *Resize forgotten*: pixels are divided by the cell's side, as if nothing had been stretched.
#
# On our example in LLaVA-OneVision, these are the exact places and those that each way takes:

# %%
from corehead_lib.targets_naive import naive_targets, naive_ways

batch = encode(loaded[-1], [example])
print("exact:", batch.targets()[0].nonzero().flatten().tolist())
for way, make in naive_ways(loaded[-1]).items():
    print(f"{way}:", naive_targets(batch, make)[0].nonzero().flatten().tolist())

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(1, 3, figsize=(8, 2.5))
counts = []
for axis, (name, one) in zip(axes, families.items(), strict=True):
    batch = encode(one, [example])
    exact, main = batch.cells[0], batch.cells[0].view == "main"
    grid = naive_targets(batch, naive_ways(one)["one grid"])[0].cpu().numpy()
    right, guess = target_cells(example.evidence, exact), grid[exact.position]
    counts.append((right.sum(), len(exact)))
    plots.cells_over(axis, example.media[0], exact.box[main])
    plots.mark_cells(axis, exact.box[main & right])
    for place in exact.box[main & guess]:
        plots.outline(axis, place, plots.BLUE)
    plots.evidence(axis, example)
    axis.set_title(
        f"{name}:\n{right.sum()} of {len(exact)} tokens", fontsize=12
    )
keep("fig_families", figure)

# %% [markdown]
# The last way, *at random*, is the negative control: the exact boxes, shuffled, make a target that has nothing to do with the question.
# One pass per batch gives the mass of every head on all of these targets.

# %%
from corehead_lib.targets_compare import EXACT, summary
from corehead_lib.targets_naive import compare_naive

rows, found = [], {}
for name, one in families.items():
    some = encode_all(one, samples, batch_size, max_pixels=max_pixels)
    found[name] = compare_naive(one, some, seed)
    rows += summary(found[name], top_fraction, family=name)
ways = pd.DataFrame(rows).set_index(["way", "family"])
ways[["wrong", "ram_best"]].unstack(sort=False).round(2)

# %% [markdown]
# *One grid* fails in InternVL wherever there are several tiles, and in LLaVA-OneVision nearly always, since its visual tokens begin with the base view.
#
# *Swapped* fails where a picture is not square, and wherever *one grid* does.
#
# *Resize forgotten* is the most treacherous: {glue:text}`first_wrong_resize:.0%` of the tokens that it takes in Qwen3-VL are wrong, and yet RAM rises, from
# {glue:text}`first_ram:.2f` to {glue:text}`first_ram_resize:.2f`, because its targets are larger.
#
# The control is not at zero: it reads {glue:text}`first_ram_random:.2f`, {glue:text}`second_ram_random:.2f` and {glue:text}`third_ram_random:.2f`, as
# {glue:text}`first_right_random:.0%` of the shuffled cells of Qwen3-VL happen to show evidence. In LLaVA-OneVision it even scores above
# *one grid*: a low score looks just like a model without such heads.
#
# Nor does the ranking of heads give a mistake away. On random cells it still agrees with the exact ranking (Spearman
# {glue:text}`first_spearman_random:.2f` in Qwen3-VL), since heads that look at pictures at all come first either way.
#
# ## What RAM adds up

# %% tags=["hide-input", "remove-output"]
import torch

from corehead_lib.explorer import attention_to
from corehead_lib.heads import HeadScores
from corehead_lib.targets_naive import over_main

mine = found[next(iter(families))]
head = HeadScores(mine[EXACT].mass.mean(0)).ranking()[0]
middle = np.argsort(mine[EXACT].mass[:, *head])[len(samples) // 2]
typical = samples[middle]
figure, axes = plt.subplots(1, 3, figsize=(8, 2.9))
for axis, (name, one) in zip(axes, families.items(), strict=True):
    batch = encode(one, [typical], max_pixels)
    exact = batch.cells[0]
    head = HeadScores(found[name][EXACT].mass.mean(0)).ranking()[0]
    weight = attention_to(one, batch, torch.from_numpy(exact.position))
    weight = weight[:, *head]
    landed = weight[target_cells(typical.evidence, exact)].sum()
    light, main = over_main(weight, exact), exact.view == "main"
    plots.cells_over(axis, typical.media[0], exact.box[main], light)
    plots.evidence(axis, typical)
    title = f"{name},\nlayer {head.layer}, head {head.head}:\n{landed:.2f} on the frame"
    axis.set_title(title, fontsize=11)
keep("fig_heads", figure)

# %% [markdown]
# ```{glue:figure} fig_heads
# :name: fig-image-heads
# :alt: The same picture three times, dark except where each family's best head looks. A frame marks the evidence; each title says how much of the head's attention falls on it.
#
# Where each family's best head looks.
# ```
#
# {numref}`fig-image-heads` shows the attention that RAM adds up, after figures 1 and 8 of {cite:t}`sun2026core`, on the picture
# where the first family's best head is at its median. Each panel is scaled to its own maximum; attention to a second view is
# laid over the cells that share its area.
#
# ## Exercises
#
# ```{exercise-start} Twice as large
# :label: ex-image-count
# ```
#
# Difficulty: 1/5, 5 minutes. Suppose `example` is twice as wide and twice as high, and its box with it. How many {term}`visual tokens <visual token>`
# does it have in Qwen3-VL, and how many of them are target? Use a pencil; the check encodes the picture. `answer` is two whole numbers.
#
# :::{dropdown} Hint 1
# A cell of this model is 32 pixels square, whatever the size of the picture.
# :::
#
# :::{dropdown} Hint 2
# Divide the corners of the larger box by 32. Round the first two down and the other two up: between them lie the cells that it touches.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-image-count
# :class: dropdown
# ```

# %%
corners = np.array(astuple(example.evidence[0])[:4]) * 2 / 32
first, stop = np.floor(corners[:2]), np.ceil(corners[2:])
cells_in_all = np.prod(np.array(example.media[0].size) * 2 // 32)
answer = int(cells_in_all), int(np.prod(stop - first))
answer

# %% [markdown]
# Four times the cells, but not four times the target: the smaller the cells relative to the box, the less they take in around it.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} The test that passed
# :label: ex-image-square
# ```
#
# Difficulty: 1/5, 5 minutes. Your colleague tested *swapped* on pictures of 128 x 128 pixels and found nothing wrong.
# `mine["swapped"].share_wrong` has the share of wrong tokens for each of `samples`, in the first family. `answer` is its mean over square pictures, then
# over the others.
#
# :::{dropdown} Hint 1
# `sample.media[0]` is the picture, with `width` and `height`.
# :::
#
# :::{dropdown} Hint 2
# List for each sample whether its picture is square, and group by that.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-image-square
# :class: dropdown
# ```

# %%
shares = pd.DataFrame({way: f.share_wrong for way, f in mine.items()})
square = [s.media[0].width == s.media[0].height for s in samples]
split = shares.groupby(pd.Series(square, name="square")).mean()
answer = split["swapped"].reindex([True, False]).tolist()
split.drop(columns="at random").round(2)

# %% [markdown]
# On a square picture the swapped grid *is* the right grid. Test geometry on pictures that are not square, whose sides are not
# multiples of the cell, and that differ within a batch.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Too small to be seen
# :label: ex-image-small
# ```
#
# Difficulty: 2/5, 10 minutes. Put the upper left corner of a square box on each whole pixel of a cell of 32 x 32 pixels in turn. In what share of these
# places does *centre* find no cell at all, if the box has sides of 6, 12 and 24 pixels? `answer` is three shares.
#
# :::{dropdown} Hint 1
# Begin with one direction: the centres are at 16 and 48, and the box reaches from its corner to its corner plus its side.
# :::
#
# :::{dropdown} Hint 2
# A cell is found if the box covers a centre in width *and* in height.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-image-small
# :class: dropdown
# ```

# %%
corner, answer = np.arange(32), []
for side in (6, 12, 24):
    along = (corner <= 16) & (corner + side > 16)  # the next centre is at 48
    along |= (corner <= 48) & (corner + side > 48)
    answer.append(1 - along.mean() ** 2)
    print(f"{side} pixels: lost in {answer[-1]:.0%} of the places")

# %% [markdown]
# *Any* always finds a cell; *centre* loses small boxes, and their samples with them: `target_cells` refuses an empty target, which would silently
# give every head a zero. That is why *any* is the default.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# The table says which pixels a token was *made from*, not what it knows: the vision encoder mixes all cells before the language model sees them.
# If a picture is in the prompt twice, RAM over both views does not say which one a head reads; `measure_ram(..., views="parts")` does.
#
# ## Look for yourself
#
# Click a head in the map, or slide along the ranking; a second head is shown beside it. The frame is the evidence; dark places get little attention.
# Choose whose attention it is, too: that of one token of the question, or of the last one, where the answer begins.

# %% tags=["hide-input"]
from corehead_lib.explorer import explorer

explorer(loaded[0], samples[:4], HeadScores(mine[EXACT].mass.mean(0)))

# %% [markdown]
# ## Where to go from here
#
# - Many pages in one prompt: [](03_targets_document); clips: [](04_targets_video); words: [](05_targets_text)
# - The paper's own ways to find target tokens: [](13_paper_targets)
# - All heads at once: [](06_head_ranking); how far to trust a picture of attention: {cite:t}`jain2019attention`

# %% tags=["hide-input"]
short = {
    EXACT: "",
    "one grid": "_grid",
    "resize forgotten": "_resize",
    "at random": "_random",
}
numbers = {}
for place, name, count in zip(
    ("first", "second", "third"), families, counts, strict=False
):
    numbers |= {f"{place}_target": count[0], f"{place}_tokens": count[1]}
    for way, end in short.items():
        row = ways.loc[(way, name)]
        numbers |= {
            f"{place}_ram{end}": row["ram_best"],
            f"{place}_wrong{end}": row["wrong"],
        }
    numbers[f"{place}_spearman_random"] = ways.loc[
        ("at random", name), "spearman"
    ]
    numbers[f"{place}_right_random"] = 1 - numbers[f"{place}_wrong_random"]
for overlap, row in under.items():
    numbers |= {
        f"tokens_{overlap}": row["tokens"],
        f"ram_{overlap}": row["RAM"],
    }
data = {
    "name": dataset,
    "split": "detection",
    "sha256": samples_checksum(samples),
}
models = {f"model_{i}": one.provenance for i, one in enumerate(loaded)}
publish(rows=rows, numbers=numbers, inputs={**models, "data": data})
