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
# **Claim.** Every {term}`visual token` sees one known rectangle of its picture, so a box in pixels becomes an exact set of
# tokens; the usual ways to get this wrong raise no error, and the score alone does not always notice.
#
# {term}`RAM` asks how much attention falls on *the evidence*. Evidence comes in pixels, attention in tokens.
# Everything that this book measures rests on the step between the two, and it is only geometry: we can draw it, and check it by eye.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
others: str = "tiny-internvl tiny-llava-onevision"  # other families to set beside {models, empty}
dataset: str = "scenes"  # any with boxes, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
detection_samples: int = 96  # samples that RAM is averaged over {2..100000, quick 24}
batch_size: int = 16  # prompts that run at once {1..1024}
seed: int = 0  # seeds the samples {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %%
from contextlib import suppress
from dataclasses import replace
from math import ceil, floor
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from matplotlib.cbook import get_sample_data
from PIL import Image, ImageOps

from corehead_lib import plots, targets_compare
from corehead_lib.data import samples_checksum
from corehead_lib.datasets.evidence import load_pictures, remarks
from corehead_lib.encode import encode, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.explorer import explorer
from corehead_lib.heads import HeadScores
from corehead_lib.models import load_model
from corehead_lib.ram import measure_ram
from corehead_lib.results import publish
from corehead_lib.samples import Box, Pages, Sample
from corehead_lib.targets import target_cells
from corehead_lib.targets_compare import attention_maps, compare, summary
from corehead_lib.worlds.synthetic import ask, make_scene

plots.use_style()
samples = load_pictures(dataset, "detection", detection_samples, seed, data_dir)
loaded = load_model(model, device, dtype)
batches = encode_all(loaded, samples, batch_size)
families = [loaded, *(load_model(name, device, dtype) for name in others.split())]
family = loaded.model.config.model_type


def cell_side(one):
    """Pixels of a cell after the processor's resize: merged patches, or a square of so many tokens."""
    made_by = one.processor.image_processor
    if hasattr(made_by, "merge_size"):
        return made_by.patch_size * made_by.merge_size
    tokens = getattr(one.processor, "image_seq_length", None) or one.processor.num_image_tokens
    return round(made_by.size["height"] / tokens**0.5)


side = cell_side(loaded)
print(", ".join(f"{one.model.config.model_type}: a cell of {cell_side(one)} pixels" for one in families))
note = remarks(dataset, samples, detection_samples)
Markdown(note) if note else None

# %% [markdown]
# ## One picture
#
# Qwen3-VL stretches a picture to whole cells, never crops or pads it, and writes one token per cell, row by row. (Other families
# do other things, see below; the parameter `model` runs the whole chapter with one of them.)
# The table of {term}`cells <visual cell>` keeps, for each visual token, its place in the sequence, the picture that it belongs to,
# and the rectangle that it sees, in pixels of the picture *as it was handed over*:


# %%
def off_lattice(number=0):
    """A question about a shape in the lower right of a wide picture, cropped so that no shape fills its cell."""
    rng = np.random.default_rng([seed, number])
    scene = make_scene(rng, unique=True, size=(10 * side, 8 * side))
    right, down = 3 * side // 8, side // 8  # pixels that are cut off on the left and above
    image = scene.image.crop((right, down, right + 9 * side, down + 7 * side))
    for thing in scene.things:
        b = thing.box
        moved = (b.x0 - right, b.y0 - down, b.x1 - right, b.y1 - down)
        inside = 5 * side < moved[0] <= 8 * side and 3 * side < moved[1] <= 6 * side
        if scene.background == "white" and inside:
            return replace(ask(scene, "shape", rng, thing), media=(image,), evidence=(Box(*moved),))
    return off_lattice(number + 1)


example = off_lattice()
batch = encode(loaded, [example])
cells, box = batch.cells[0], example.evidence[0]
table = pd.DataFrame(cells.box.astype(int), columns=["x0", "y0", "x1", "y1"])
table.insert(0, "position", cells.position)
table.insert(1, "item", cells.item)
table.assign(view=cells.view).iloc[[0, 1, 2, -1]]

# %% [markdown]
# The {term}`target` is the set of cells that share some area with the evidence box:

# %% mystnb={"figure": {"name": "fig-image-cells", "caption": "Left: a scene with the evidence box of its question. Right: its cells, each with the position of its token in the sequence; filled: the target."}, "image": {"alt": "Two copies of a picture of coloured shapes. The left one has a frame around one shape. The right one is divided by a grid with a number in every cell, counting up row by row; the cells that touch the frame are filled."}}
taken = target_cells(example.evidence, cells)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.9))
plots.picture(left, example.media[0])
left.set_title(example.question)
main = cells.view == "main"
plots.cells_over(right, example.media[0], cells.box[main])
plots.mark_cells(right, cells.box[main & taken])
plots.label_cells(right, cells.box[main], cells.position[main])
right.set_title(f"{taken.sum()} of {len(cells)} visual tokens are the target")
for axis in (left, right):
    plots.evidence(axis, example)

# %% [markdown]
# ## How much of a cell must the box cover?
#
# A box seldom ends where a cell ends. Three policies are common: take every cell that the box touches (*any*,
# used in this book unless said otherwise), those whose *centre* it covers, or those that it covers by *at least a quarter*.

# %% mystnb={"figure": {"name": "fig-image-overlap", "caption": "The same box under three policies. The box ends where no cell ends, as boxes of real data do."}, "image": {"alt": "Three copies of a picture with the same framed shape. Under the first policy all four touched cells are filled, under the second one of them, under the third two."}}
policies = {"any overlap": "any", "centre inside": "centre", "at least a quarter": 0.25}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.1))
for axis, (name, overlap) in zip(axes, policies.items(), strict=True):
    chosen = np.zeros(len(cells), dtype=bool)
    with suppress(CoreheadError):  # no cell at all: an error elsewhere in this book, here an empty picture
        chosen = target_cells(example.evidence, cells, overlap)
    plots.cells_over(axis, example.media[0], cells.box[main])
    plots.mark_cells(axis, cells.box[main & chosen])
    plots.outline(axis, (box.x0, box.y0, box.x1, box.y1))
    axis.set_title(f"{name}: {chosen.sum()} tokens")

# %% [markdown]
# Over the detection set, with the head that has the highest RAM under each policy, read at the last prompt token (in this
# model the place where heads look, see [](01_ram_definition)). The operator takes several targets at once, so that one
# forward pass serves all policies:


# %%
def mass_on(batch, targets, queries=None, one=None):
    """Attention from the queries (the last prompt token) to K targets (K, batch, tokens): (K, batch, layers, heads)."""
    return targets_compare.mass_on(one or loaded, batch, targets, batch.last if queries is None else queries)


def target_of(batch, make=lambda cells: cells, overlap="any"):
    """The target (batch, tokens) by the tables that ``make`` makes; empty where they show nothing of the evidence."""
    batch.targets()  # raises where the evidence itself is impossible
    mask = torch.zeros_like(batch.question)
    for row, (sample, cells) in enumerate(zip(batch.samples, batch.cells, strict=True)):
        table = make(cells)
        with suppress(
            CoreheadError
        ):  # an empty target is an error elsewhere in this book; here we count such samples
            mask[row, table.position[target_cells(sample.evidence, table, overlap)]] = True
    return mask


targets = [torch.stack([*(target_of(b, overlap=o) for o in policies.values()), b.visual]) for b in batches]
masses = np.concatenate([mass_on(b, t) for b, t in zip(batches, targets, strict=True)], axis=1).mean(1)
by_policy, on_picture = masses[:-1], masses[-1]  # (policies, layers, heads), (layers, heads)
tokens = torch.cat([t.sum(-1) for t in targets], dim=1).cpu().numpy()[:-1]  # (policies, samples)
scores = by_policy[0]
core = HeadScores(scores).top(top_fraction)
best, bottom = core[0], HeadScores(scores).bottom(top_fraction)[0]
pd.DataFrame(
    {
        "target tokens, fewest": tokens.min(1),
        "mean": tokens.mean(1).round(1),
        "most": tokens.max(1),
        "RAM of the best head": by_policy.max((1, 2)).round(2),
        f"top {len(core)} shared": [len({*HeadScores(m).top(top_fraction)} & {*core}) for m in by_policy],
    },
    index=list(policies),
)

# %%
mean_any, mean_centre = tokens[0].mean(), tokens[1].mean()
agree = (
    "the shapes of our scenes fill one cell each, so here the policies agree. Boxes of real data end anywhere, as in the figure "
    "above; then"
    if dataset == "scenes" and mean_any == mean_centre
    else "where boxes end anywhere, as in the figure above,"
)
Markdown(
    f"*Any* takes {mean_any:.1f} tokens on average, *centre* {mean_centre:.1f}: {agree} the policy moves the value of RAM, and "
    f"belongs to every number that is reported."
)

# %% [markdown]
# ## A negative control: wrong in silence
#
# Three mistakes that are easily made and hardly noticed, because each of them still yields a target of a sensible size:
#
# - **width and height swapped**: the processor reports rows before columns, PIL width before height;
# - **column by column**: the right grid, read in the wrong order;
# - **resize forgotten**: dividing pixels by the cell size as if the picture had been in whole cells.
#
# Our scenes come in whole cells, so that the last one would do no harm. We therefore hand every picture over 7 pixels larger in
# both directions, box included; the processor stretches it back. Then each mistake is a wrong table for the same tokens:


# %%
def enlarged(sample, pixels=7):
    """The sample with its picture stretched by some pixels, and its box with it, to whole pixels inside."""
    image = sample.media[0]
    width, height = image.width + pixels, image.height + pixels
    x, y = width / image.width, height / image.height
    moved = tuple(
        Box(
            ceil(b.x0 * x),
            ceil(b.y0 * y),
            max(floor(b.x1 * x), ceil(b.x0 * x) + 1),
            max(floor(b.y1 * y), ceil(b.y0 * y) + 1),
        )
        for b in sample.evidence
    )
    return replace(sample, media=(image.resize((width, height), Image.Resampling.LANCZOS),), evidence=moved)


def grid(column, row, cell_width, cell_height):
    """Boxes of one size, (n, 4)."""
    box = [column * cell_width, row * cell_height, (column + 1) * cell_width, (row + 1) * cell_height]
    return np.stack(box, axis=1).astype(float)


def shape_of(box):
    """(rows, columns) of one view's cells."""
    return len(np.unique(box[:, 1])), len(np.unique(box[:, 0]))


def for_each_view(make):
    """A table with other boxes: ``make(box, width, height)`` for each view of the picture by itself."""

    def made(cells):
        box = cells.box.copy()
        for view in np.unique(cells.view):
            box[cells.view == view] = make(box[cells.view == view], *cells.sizes[0])
        return replace(cells, box=box)

    return made


# %%
def swapped(box, width, height):
    rows, columns = shape_of(box)
    row, column = divmod(np.arange(len(box)), rows)  # right: divided by the number of columns
    return grid(column, row, width / rows, height / columns)


def by_column(box, width, height):
    rows, columns = shape_of(box)
    column, row = divmod(np.arange(len(box)), rows)  # right: row first
    return grid(column, row, width / columns, height / rows)


def by_row(box, width, height):
    rows, columns = shape_of(box)
    row, column = divmod(np.arange(len(box)), columns)  # right where there are no tiles and no padding
    return grid(column, row, width / columns, height / rows)


def no_resize(box, width, height):
    row, column = divmod(np.arange(len(box)), shape_of(box)[1])
    return grid(column, row, side, side)  # right: width / columns, height / rows


def no_newlines(cells):
    return replace(cells, position=cells.position[0] + np.arange(len(cells)))


tables = {
    "right": lambda cells: cells,
    "width and height swapped": for_each_view(swapped),
    "column by column": for_each_view(by_column),
    "resize forgotten": for_each_view(no_resize),
}
rng = np.random.default_rng(seed)
baseline = {"cells at random": lambda cells: replace(cells, box=rng.permutation(cells.box))}

# %% [markdown]
# Each table gives its own target; a last one takes as many cells
# drawn at random: the baseline of a target that has nothing to do with the question.


# %%
def compare_tables(batches, tables):
    """Target tokens and the wrong ones among them (tables, samples), mass (tables, samples, layers, heads)."""
    number, wrong, mass = [], [], []
    for batch in batches:
        targets = torch.stack([target_of(batch, make) for make in tables.values()])
        number.append(targets.sum(-1).cpu().numpy())
        wrong.append((targets & ~targets[0]).sum(-1).cpu().numpy())
        mass.append(mass_on(batch, targets))
    return tuple(np.concatenate(part, axis=1) for part in (number, wrong, mass))


odd = [enlarged(s) for s in samples]
number, wrong, mass = compare_tables(encode_all(loaded, odd, batch_size), tables | baseline)
share = np.where(
    number > 0, wrong / np.maximum(number, 1), 1
)  # (tables, samples); missed altogether: all wrong
best_mass = mass[:, :, best.layer, best.head]  # (tables, samples)
seen, per_token = best_mass.mean(1), (best_mass / np.maximum(number, 1)).mean(1)
true_top = {*HeadScores(mass[0].mean(0)).top(top_fraction)}
pd.DataFrame(
    {
        "target tokens": number.mean(1).round(1),
        "wrong": [f"{w:.0%}" for w in share.mean(1)],
        "samples without a wrong one": [f"{w:.0%}" for w in (share == 0).mean(1)],
        "RAM of the best head": seen.round(2),
        "... per target token": per_token.round(3),
        f"top {len(core)} still found": [
            len({*HeadScores(m).top(top_fraction)} & true_top) for m in mass.mean(1)
        ],
    },
    index=list(tables | baseline),
)

# %% mystnb={"figure": {"name": "fig-image-mistakes", "caption": "Where the tokens that each table takes for the evidence really are, in the sample of the detection set where all three mistakes show most. The title above is about the whole set."}, "image": {"alt": "Four copies of one picture with a framed shape. With the right table the filled cells cover the frame. With width and height swapped, or read column by column, they are scattered over other places. With the resize forgotten they are off by a column or a row of cells."}}
bright = np.array([np.median(s.media[0]) > 100 for s in odd])  # colours show on light pictures
worst = int((share[1:4].min(0) + bright).argmax())
image, alone = odd[worst].media[0], encode(loaded, [odd[worst]])
truth = alone.cells[0]
figure, axes = plt.subplots(1, 4, figsize=(11, 3))
for axis, (name, make), off in zip(axes, tables.items(), wrong[:, worst], strict=False):
    chosen = np.isin(truth.position, target_of(alone, make)[0].nonzero().flatten().cpu())
    first_view = truth.view == "main"
    plots.cells_over(axis, image, truth.box[first_view])
    plots.mark_cells(axis, truth.box[first_view & chosen])
    plots.evidence(axis, odd[worst])
    axis.set_title(f"{name}\n{off} of {chosen.sum()} tokens wrong", fontsize=10)
_ = figure.suptitle(
    f"No mistake raises an error: the best head's RAM just reads {seen[1]:.2f}, {seen[2]:.2f} or {seen[3]:.2f} "
    f"instead of {seen[0]:.2f}",
    fontweight="bold",
)

# %%
Markdown(
    f"With the right table the best head has a RAM of **{seen[0]:.2f}**, with cells drawn at random {seen[4]:.2f}. Swapping width and "
    f"height gives **{seen[1]:.2f}**, reading by column {seen[2]:.2f}: nothing complains, and a low score looks just like a model "
    f"without such heads. "
    + (
        "The forgotten resize is the most treacherous. Its cells are a little too small, so that a box takes "
        if dataset == "scenes" and seen[3] >= seen[0]
        else "With the resize forgotten a box takes "
    )
    + f"{number[3].mean():.1f} tokens instead of {number[0].mean():.1f}"
    + (", and a larger target collects more mass: " if seen[3] > seen[0] else ": ")
    + f"RAM reads **{seen[3]:.2f}**. Divided by the number of target tokens it is {per_token[3]:.3f} instead of {per_token[0]:.3f}."
)

# %% [markdown]
# ## Three families
#
# *InternVL* stretches a picture to a canvas of square tiles, writes it tile by tile, and then once more as a whole, the *thumbnail*. *LLaVA-OneVision* writes the
# whole first, the *base view*, then a map of all tiles, from which it cuts the padding, with a *newline* behind each row: a token
# that shows nothing. So evidence may be in the prompt twice. By default both places are the target.

# %% mystnb={"figure": {"name": "fig-image-families", "caption": "The same picture and box in each family: the main view with its cells, and the second view, where there is one. Filled: the target."}, "image": {"alt": "One row for each model family with two copies of a picture of shapes under grids, one fine and one coarse; in both the cells that touch a framed shape are filled. A family with one view has an empty place on the right."}}
figure, axes = plt.subplots(len(families), 2, figsize=(7.4, 2.9 * len(families)), squeeze=False)
family_tokens = []
for line, one in zip(axes, families, strict=True):
    table = encode(one, [example]).cells[0]
    chosen, name = target_cells(example.evidence, table), one.model.config.model_type
    family_tokens.append({"family": name, "tokens": len(table), "target": int(chosen.sum())})
    line[1].axis("off")
    for axis, view in zip(line, sorted(set(table.view), key=lambda v: v != "main"), strict=False):
        mine = table.view == view
        plots.cells_over(axis, example.media[0], table.box[mine])
        plots.mark_cells(axis, table.box[mine & chosen])
        plots.evidence(axis, example)
        axis.set_title(f"{name}, {view}: {(mine & chosen).sum()} of {mine.sum()} tokens", fontsize=10)
_ = figure.suptitle(
    "One box, " + " / ".join(str(f["target"]) for f in family_tokens) + " target tokens", fontweight="bold"
)

# %% [markdown]
# Each family has mistakes of its own. *Row by row* ignores that tiles come one after another, *newlines forgotten* counts on as if each token showed
# something. Shares of wrong tokens on the same enlarged pictures, and what each view is worth to the best head:

# %%
mistakes = tables | {"row by row": for_each_view(by_row), "newlines forgotten": no_newlines}
family_rows = []
for one in families:
    groups = encode_all(one, odd[: 3 * batch_size], batch_size)
    result = {"family": one.model.config.model_type}
    for name, make in mistakes.items():
        pairs_of = [(target_of(g), target_of(g, make)) for g in groups]
        off = np.concatenate([((t & ~r).sum(1) / t.sum(1).clamp(min=1)).cpu().numpy() for r, t in pairs_of])
        result |= {} if name == "right" else {name: float(off.mean())}
    both = measure_ram(one, groups, "last", progress=False)
    lead = HeadScores(both.ram).ranking()[0]
    result["RAM, both views"] = both.ram[lead]
    twice_shown = any(
        set(c.view) == {"main", name} for g in groups for c in g.cells for name in ("thumbnail", "base")
    )
    for views in ("parts", "whole") if twice_shown else ():
        part = measure_ram(one, groups, "last", views=views, progress=False)
        result[f"RAM, {views} alone"] = part.ram[lead]
    family_rows.append({key: float(v) if not isinstance(v, str) else v for key, v in result.items()})
pd.DataFrame(family_rows).set_index("family").round(2).T.fillna("")

# %%
blame = max(family_rows, key=lambda r: max(v for k, v in r.items() if k in mistakes))
heaviest = max((k for k in blame if k in mistakes), key=blame.get)
Markdown(
    "Which mistake does harm depends on the family: "
    + "; ".join(
        f"{r['family']} gets {r['row by row']:.0%} wrong tokens from reading row by row and {r['newlines forgotten']:.0%} from forgotten newlines"
        for r in family_rows
    )
    + f". The worst of all is *{heaviest}* on {blame['family']} with {blame[heaviest]:.0%}. A test on one family says nothing about the next."
)

# %% [markdown]
# ## A real photograph
#
# Matplotlib ships a photograph of Grace Hopper, 512 x 600 pixels. 600 is no whole number of cells, so it really is stretched.
# We looked at it and wrote down the box of her name plate. The tiny model has never seen a photograph and
# could not read this one: *only the geometry is real here*, from the same processor classes that the real models use.

# %%
photo = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False))
plate = Box(79, 484, 168, 518)
hopper = Sample("hopper", "photo", "Which name is on the plate?", "Hopper", (photo,), (plate,))


def twice(sample):
    """The sample with its picture and box at twice the size, as a better camera would deliver it."""
    b, (width, height) = sample.evidence[0], sample.media[0].size
    return replace(
        sample,
        media=(sample.media[0].resize((2 * width, 2 * height)),),
        evidence=(Box(2 * b.x0, 2 * b.y0, 2 * b.x1, 2 * b.y1),),
    )


shots = {"as shipped": hopper, "twice the size": twice(hopper)}
photo_cells = {name: encode(loaded, [shot]).cells[0] for name, shot in shots.items()}
photo_rows, shot_of = [], {}
for name, shot in shots.items():
    c = photo_cells[name]
    shot_of[name] = encode(loaded, [shot])
    right, careless = (
        target_of(shot_of[name], make)[0].cpu().numpy()[c.position]
        for make in (tables["right"], tables["resize forgotten"])
    )
    rows, columns = shape_of(c.box[c.view == "main"])
    photo_rows.append(
        {
            "picture": name,
            "pixels": "{} x {}".format(*c.sizes[0]),
            "after the resize": f"{columns * side} x {rows * side}",
            "tokens": len(c),
            "on the plate": int(right.sum()),
            "wrong, if the resize is forgotten": f"{1 - (right & careless).sum() / max(careless.sum(), 1):.0%}",
        }
    )
pd.DataFrame(photo_rows).set_index("picture")

# %% mystnb={"figure": {"name": "fig-image-photo", "caption": "A real photograph through the real processor. Left: all cells and the hand-drawn box of the name plate. Middle: the tokens that show it. Right: the same at twice the size, where the processor has to shrink the picture; blue are the tokens that are taken if that is forgotten. Photograph: Grace Hopper, US Navy, public domain."}, "image": {"alt": "A portrait of Grace Hopper in uniform under a fine grid, with a small frame around the name plate on her chest. Two enlarged views of the plate: filled cells cover it; in the second view blue cells lie below it, on her jacket."}}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.9), width_ratios=(0.8, 1, 1))
views = ("as shipped", "as shipped", "twice the size")
for axis, name, zoom in zip(axes, views, (False, True, True), strict=True):
    shot, c = shots[name], photo_cells[name]
    first_view = c.view == "main"
    plots.cells_over(axis, shot.media[0], c.box[first_view])
    plots.mark_cells(axis, c.box[first_view & target_cells(shot.evidence, c)])
    plots.evidence(axis, shot)
    if zoom:
        scale = shot.media[0].width / 512
        axis.set(xlim=(60 * scale, 190 * scale), ylim=(590 * scale, 450 * scale))
plots.mark_cells(axes[2], c.box[first_view & careless], plots.SKY)
axes[0].set_title(f"{len(photo_cells['as shipped'])} tokens")
axes[1].set_title(f"{photo_rows[0]['on the plate']} of them show the plate")
_ = axes[2].set_title(f"Resize forgotten: {photo_rows[1]['wrong, if the resize is forgotten']} wrong")

# %% [markdown]
# The smaller the evidence and the stronger the resize, the farther off is the careless target. A full-size scan
# has to be shrunk several times over; there it has nothing left to do with the evidence.
#
# ## Where heads look
#
# Now that tokens have places, attention can be drawn over the picture. A heat map is nothing new: it is RAM with *every
# token as a target of its own*, again in a single forward pass.


# %%
def on_main(weight, table):
    """Weights of the main view's cells, to which a second view adds its own by the area that they share."""
    first = table.view == "main"
    (x0, y0, x1, y1), (u0, v0, u1, v1) = table.box[first].T[..., None], table.box[~first].T[:, None]
    wide = np.clip(np.minimum(x1, u1) - np.maximum(x0, u0), 0, None)
    high = np.clip(np.minimum(y1, v1) - np.maximum(y0, v0), 0, None)
    return weight[first] + (wide * high / np.maximum((u1 - u0) * (v1 - v0), 1e-9)) @ weight[~first]


# %% [markdown]
# We look at three heads: the best and the worst by RAM at the *last prompt token*, which has read the whole question and must write the
# answer next, and the best by RAM averaged over the question's own tokens.

# %%
by_question = np.concatenate([mass_on(b, b.targets()[None], b.question)[0] for b in batches]).mean(0)
best_question = HeadScores(by_question).ranking()[0]
light = [s for s in samples if np.median(s.media[0]) > 100] or samples  # shading shows on light pictures
shown = [next(s for s in light if s.task == task) for task in dict.fromkeys(s.task for s in light)][:4]
group = encode(loaded, shown)
maps = {rows: attention_maps(loaded, group, getattr(group, rows)) for rows in ("question", "last")}
print("attention adds up to 1 for every head:", np.allclose(maps["last"].sum(0), 1, atol=1e-4))

# %% mystnb={"figure": {"name": "fig-image-heads", "caption": "Where heads look (the paper's figures 1 and 8), for one scene of each kind of question. Second column: the head with the highest RAM on the detection set, at the last prompt token. Third: the head with the highest RAM averaged over the question's tokens, averaged in the same way. Fourth: the head with the lowest RAM, at the last prompt token. Bright cells get attention; each panel is scaled to its own maximum. The number is the mass on the framed evidence."}, "image": {"alt": "A table of pictures, one scene to a row. First the scene, with a frame around the shape that the question names. Then the scene three times, darkened except where a head looks. In the second column the light falls on the framed shape; in the others it is spread over other places."}}
columns = [
    ("highest RAM", best, "last"),
    ("highest, question", best_question, "question"),
    ("lowest RAM", bottom, "last"),
]
figure, axes = plt.subplots(len(shown), 4, figsize=(9.5, 2.35 * len(shown)), squeeze=False)
for row, sample in enumerate(shown):
    c = group.cells[row]
    inside = target_cells(sample.evidence, c)
    plots.picture(axes[row, 0], sample.media[0])
    asked = sample.question.removeprefix("Which digit is on ").rstrip("?")
    axes[row, 0].set_title("\n".join(wrap(asked, 28)[:3]))
    for axis, (title, head, rows) in zip(axes[row, 1:], columns, strict=True):
        weight = maps[rows][c.position, row, head.layer, head.head]
        plots.cells_over(axis, sample.media[0], c.box[c.view == "main"], on_main(weight, c))
        heading = f"{title}\nlayer {head.layer}, head {head.head}\n" if row == 0 else ""
        axis.set_title(f"{heading}mass {weight[inside].sum():.2f}", fontsize=10)
    for axis in axes[row]:
        plots.evidence(axis, sample)
_ = figure.suptitle(
    f"On the evidence: {scores[best]:.2f} for the best head by RAM, {by_question[best_question]:.2f} over the question, "
    f"{scores[bottom]:.2f} for the lowest",
    fontweight="bold",
)

# %%
Markdown(
    f"Over the whole detection set the best head (layer {best.layer}, head {best.head}) puts {on_picture[best]:.2f} of its "
    f"attention on the picture and **{scores[best]:.2f}** on the evidence; the lowest (layer {bottom.layer}, head {bottom.head}) "
    f"{on_picture[bottom]:.2f} and **{scores[bottom]:.3f}**. Averaged over the question's tokens the best (layer "
    f"{best_question.layer}, head {best_question.head}) gives **{by_question[best_question]:.2f}**: a mean over the question also "
    f"counts words that cannot know yet what to look for"
    + (
        ", and this model waits with looking until the question is over."
        if 2 * by_question[best_question] < scores[best]
        else "."
    )
)

# %% [markdown]
# ## Two pictures in one prompt
#
# A box belongs to a picture. With two pictures in the prompt, the table has two items, with text tokens between them,
# and the same coordinates mean other tokens.


# %%
def two_pictures(number):
    """A question about the second of two pictures; the first has no such shape. Box 0 is in the wrong one."""
    rng = np.random.default_rng([seed, number])
    first, second = (make_scene(rng, unique=True, size=(128, 96)) for _ in range(2))
    others = {thing.shape for thing in first.things}
    new = [thing for thing in second.things if thing.shape not in others]
    if not new:
        return two_pictures(number + 1000)
    asked = ask(second, "shape", rng, new[0])
    return replace(
        asked, id=f"two/{number}", media=(first.image, second.image), evidence=(replace(new[0].box, item=1),)
    )


def in_the_other(sample):
    """The same sample, its box in the other picture: same coordinates, wrong item."""
    return replace(sample, evidence=tuple(replace(b, item=1 - b.item) for b in sample.evidence))


pair = two_pictures(0)
both = encode(loaded, [pair])
items, positions = both.cells[0].item, both.cells[0].position
for item in (0, 1):
    print(f"item {item}: positions {positions[items == item].min()} to {positions[items == item].max()}")
print("its target:", both.targets()[0].nonzero().flatten().tolist())
print(
    "the same box in item 0:", encode(loaded, [in_the_other(pair)]).targets()[0].nonzero().flatten().tolist()
)

# %% mystnb={"figure": {"name": "fig-image-two", "caption": "Two pictures in one prompt, with the cells of each, and the sequence that the model reads. The question is about a shape of the second picture; the frame in the first has the same coordinates and is not the target."}, "image": {"alt": "Two pictures side by side under a grid. In the right one the cells of a framed shape are filled; in the left one only an empty frame stands at the same place. Below, a strip of tokens: text, the first picture, the second picture with the target inside it, and the question."}}
kinds = {
    "text": "#DDDDDD",
    "item 0": plots.SKY,
    "item 1": plots.BLUE,
    "target": plots.AMBER,
    "question": plots.BLACK,
}
kind = np.zeros(both.question.shape[1], dtype=int)
kind[positions] = 1 + items
kind[both.targets()[0].cpu().numpy()] = 3
kind[both.question[0].cpu().numpy()] = 4
figure, panels = plt.subplot_mosaic("01;ss", figsize=(8, 4.6), height_ratios=(5, 1))
for item in (0, 1):
    axis, b, mine = panels[str(item)], pair.evidence[0], (items == item) & (both.cells[0].view == "main")
    own = both.cells[0].box[mine]
    plots.cells_over(axis, pair.media[item], own)
    plots.mark_cells(axis, own[target_cells(pair.evidence, both.cells[0])[mine]])
    plots.outline(axis, (b.x0, b.y0, b.x1, b.y1), plots.RED if item == b.item else plots.BLUE)
    axis.set_title(f"item {item}: {(kind[positions][items == item] == 3).sum()} target tokens")
for name, value in zip(kinds, range(len(kinds)), strict=True):
    panels["s"].bar(np.flatnonzero(kind == value), 1, width=1, color=kinds[name], label=name)
panels["s"].set(yticks=[], xlim=(-0.5, len(kind) - 0.5), xlabel="position in the sequence")
panels["s"].spines["left"].set_visible(False)
panels["s"].legend(ncols=len(kinds), loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=9)
_ = figure.suptitle(f"{pair.question} The target lies in item 1 alone", fontweight="bold")

# %% [markdown]
# The table also makes a sharper control than before: same coordinates, same size, other picture. The tiny model was trained with one
# picture at a time, so that whether its best head looks into the right one is an open question; we ask it.

# %%
pairs = [two_pictures(number) for number in range(max(1, detection_samples // 4))]
found = []
for b, o in zip(encode_all(loaded, pairs), encode_all(loaded, list(map(in_the_other, pairs))), strict=True):
    found.append(mass_on(b, torch.stack([b.targets(), o.targets()]))[..., best.layer, best.head])
right_item, wrong_item = np.concatenate(found, axis=1)
more = float((right_item > wrong_item).mean())
Markdown(
    f"Over {len(pairs)} pairs of pictures the best head gives **{right_item.mean():.2f}** to the evidence, and "
    f"**{wrong_item.mean():.2f}** to the same box in the other picture; it prefers the right picture in {more:.0%} of them."
)

# %% [markdown]
# ## Counting instead of asking
#
# The appendix of {cite:t}`sun2026core` does not ask what a token shows. It counts: tags around a picture, equal slices of all visual tokens, or so many blocks a picture; [](03_targets_document)
# has them in detail. Where a box lies *within* a picture no count can say, so that the target becomes the whole picture. For our pairs that is item 1,
# once with both pictures of one size, once with a white margin on the first:


# %%
def with_margin(sample):
    """The sample with 64 white pixels on the right of the first picture."""
    return replace(
        sample, media=(ImageOps.expand(sample.media[0], (0, 0, 64, 0), "white"), *sample.media[1:])
    )


whole = [replace(s, evidence=(Pages((1,)),)) for s in pairs]
ways = pd.DataFrame(
    [
        row
        for one in families
        for kind, some in (("one size", whole), ("with a margin", [with_margin(s) for s in whole]))
        for row in summary(
            compare(one, encode_all(one, some, batch_size)),
            top_fraction,
            family=one.model.config.model_type,
            pictures=kind,
        )
    ]
)
ways.set_index(["family", "pictures", "way"]).round(2)

# %%
by_way = ways[ways["family"] == family].set_index(["pictures", "way"])
sliced = [by_way.loc[(kind, "uniform slices")] for kind in ("one size", "with a margin")]
Markdown(
    f"On {family} equal slices are {sliced[0]['wrong']:.0%} wrong for pictures of one size, and with a margin on one of them {sliced[1]['wrong']:.0%} "
    f"(missed: {sliced[1]['missed']:.0%}; Spearman with the exact ranking {sliced[1]['spearman']:.2f}, {sliced[1]['top_shared']:.0%} of the top heads found)."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise-start} The test that passed
# :label: ex-image-square
# ```
#
# Difficulty: 1/5. Your colleague tested the swap of width and height on pictures of 128 x 128 pixels and found nothing wrong.
# Split the share of wrong tokens by whether the picture is square.
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-image-square
# :class: dropdown
# ```

# %%
per_sample = pd.DataFrame(dict(zip(tables, share, strict=False)))
per_sample["picture"] = ["square" if s.media[0].width == s.media[0].height else "not square" for s in odd]
per_sample.groupby("picture").mean().round(2)

# %% [markdown]
# On a square picture the swapped grid *is* the right grid. Test geometry on pictures that are not square, whose sides are no
# multiples of the cell, and that differ within a batch.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} The padding forgotten
# :label: ex-image-padding
# ```
#
# Difficulty: 2/5. Prompts in a batch are padded on the left to the same length. Suppose the positions were computed for each
# sample alone. How many target tokens are wrong, and what is left of the best head's RAM?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-image-padding
# :class: dropdown
# ```
#
# Alone, every prompt has its first visual token at the same position, that of our first example:


# %%
def unpadded(table):
    return replace(table, position=table.position - table.position[0] + cells.position[0])


shifted, shifted_wrong, shifted_mass = compare_tables(
    batches, {"right": tables["right"], "padding forgotten": unpadded}
)
pd.DataFrame(
    {
        "wrong tokens": [f"{w:.0%}" for w in (shifted_wrong / shifted).mean(1)],
        "RAM of the best head": shifted_mass.mean(1)[:, best.layer, best.head].round(2),
    },
    index=["right", "padding forgotten"],
)

# %% [markdown]
# Only the longest prompt of each batch, which has no padding, comes out right. With a batch size of one the mistake disappears,
# so a small test does not find it.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Too small to be seen
# :label: ex-image-small
# ```
#
# Difficulty: 2/5. Slide square boxes of 6, 12 and 24 pixels over a cell in steps of one pixel. How often does each policy find *no*
# cell at all? Which policy would you take for small print?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-image-small
# :class: dropdown
# ```


# %%
def empty(size, overlap):
    """Share of places in which a box of this size has no cell."""
    misses = 0
    for x, y in np.ndindex(side, side):
        try:
            target_cells((Box(x, y, x + size, y + size),), cells, overlap, views="parts")
        except CoreheadError:  # an empty target is an error here: it would give every head a silent zero
            misses += 1
    return misses / side**2


pd.DataFrame(
    {name: [f"{empty(size, o):.0%}" for size in (6, 12, 24)] for name, o in policies.items()},
    index=["6 pixels", "12 pixels", "24 pixels"],
)

# %% [markdown]
# *Any* always finds a cell, the other two lose small boxes, and with them the samples. That is why it is the default here.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# The table says which pixels a token was *made from*, not what it knows: the vision encoder mixes all cells of a picture before
# the language model sees them, and its tokens may carry news from anywhere. A box is a coarse answer to "where is the evidence";
# outlines, or two pieces of evidence, would need more. Where a picture is in the prompt twice, RAM over both views does not say which one a
# head reads.
#
# ## Look for yourself
#
# Choose a head, or slide along the ranking from the first to the last. The frame is the {term}`target`; dark places get little attention.

# %%
explorer(loaded, shown, HeadScores(scores))

# %% [markdown]
# ## Where to go from here
#
# - What is done with the target: [](01_ram_definition)
# - All heads at once: [](06_head_ranking)
# - The model's own account of its pictures: {cite:t}`bai2025qwen3vl`
# - Attention over pictures, and how far to trust it: {cite:t}`jain2019attention`
# - The figures that {numref}`fig-image-heads` follows: {cite:t}`sun2026core`

# %%
publish(
    rows=[
        {
            "table": name,
            "sample": i,
            "task": sample.task,
            "width": sample.media[0].width,
            "height": sample.media[0].height,
            "target_tokens": number[t, i],
            "wrong_tokens": wrong[t, i],
            "mass_best_head": best_mass[t, i],
        }
        for t, name in enumerate(tables | baseline)
        for i, sample in enumerate(odd)
    ],
    numbers={
        "tokens_any": mean_any,
        "tokens_centre": mean_centre,
        **{f"ram_{n.replace(' ', '_')}": r for n, r in zip(tables | baseline, seen, strict=True)},
        **{f"wrong_{n.replace(' ', '_')}": w for n, w in zip(tables | baseline, share.mean(1), strict=True)},
        "tokens_right": number[0].mean(),
        "tokens_resize_forgotten": number[3].mean(),
        "per_token_right": per_token[0],
        "per_token_resize_forgotten": per_token[3],
        "photo_tokens": photo_rows[0]["tokens"],
        "photo_target_tokens": photo_rows[0]["on the plate"],
        **{
            f"{r['family']}_{k.replace(', ', '_').replace(' ', '_')}": v
            for r in family_rows
            for k, v in r.items()
            if k != "family"
        },
        "slices_wrong_one_size": sliced[0]["wrong"],
        "slices_wrong_margin": sliced[1]["wrong"],
        "slices_missed_margin": sliced[1]["missed"],
        "slices_spearman_margin": sliced[1]["spearman"],
        "slices_top_shared_margin": sliced[1]["top_shared"],
        "best_ram": scores[best],
        "best_on_picture": on_picture[best],
        "bottom_ram": scores[bottom],
        "bottom_on_picture": on_picture[bottom],
        "best_question_ram": by_question[best_question],
        "two_right_item": right_item.mean(),
        "two_wrong_item": wrong_item.mean(),
        "two_prefers_right_item": more,
    },
    inputs={
        "model": loaded.provenance,
        **{f"other_{i}": one.provenance for i, one in enumerate(families[1:], 1)},
        "data": {"name": dataset, "split": "detection", "sha256": samples_checksum(samples)},
        "photo": {"name": "grace_hopper.jpg, shipped with matplotlib", "sha256": samples_checksum([hopper])},
    },
)
