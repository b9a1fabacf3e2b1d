# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Always the same heads? Stability
#
# A ranking of heads is worth something if it comes out alike on other samples, kinds of evidence, lengths, and models.
#
# **What came out.** Within one tiny model, two kinds of evidence share {glue:text}`kinds_shared:.1f` of {glue:text}`top_heads:.0f` top heads on average,
# two halves of one kind {glue:text}`ceiling_shared:.1f`; luck would share {glue:text}`kinds_luck:.1f`. Across training runs a head's number means nothing;
# what can be compared is how few heads look and how deep they are. In {glue:text}`natural:.0f` natural models half of all RAM sits in
# {glue:text}`natural_half_low:.0%` to {glue:text}`natural_half_high:.0%` of the heads, and the top 5 % stand on average {glue:text}`natural_depth_low:.0%`
# to {glue:text}`natural_depth_high:.0%` of the way through the layers. Matching heads by number is a negative control: between models trained apart,
# {glue:text}`strangers_significant:.0f` of {glue:text}`strangers_tests:.0f` comparisons beat luck after correction. Between twins, one model until their
# last stage, {glue:text}`relatives_significant:.0f` of {glue:text}`relatives_tests:.0f` do by rank correlation, but {glue:text}`relatives_by_top:.0f` by
# shared top heads, so for top heads this test is blind.
#
# ```{glue:figure} fig_maps
# :name: fig-stability-maps
# :alt: Six maps of 8 layers by 16 heads. Above, one model on scenes, clips and texts: nearly the same squares are bright on all three, in layers 2 to 4. Below, three other models on scenes: the first, its twin that paid for looking, is dark but for a few squares, the brightest of which are bright above, too; the other two, one trained by the same recipe from another seed and one of another family, have most of their bright squares elsewhere.
#
# RAM of every head. Framed: the top 5 %. Below: the twin, the same recipe from another seed, another family.
# ```

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
models: str = ""  # to compare it with; empty: all of the zoo {models, empty, quick tiny-qwen3-vl-seed1}
datasets: str = "scenes documents clips haystacks"  # kinds of evidence, two at least {datasets}
data_dir: str = ""  # folder of the one dataset on disk; empty: under $COREHEAD_DATA {folder, empty}
pages: int = 0  # most pages of a document; 0: the dataset's own number {0..1000}
frames: int = 0  # most frames of a clip; 0: the dataset's own number {0..1000}
max_pixels: int = 0  # most pixels of a picture, page or frame; 0: as the processor has it {0..}
detection_samples: int = 48  # samples of each dataset; two halves are compared {2..100000, quick 24}
other_samples: int = 24  # samples of each dataset for the other models {2..100000, quick 8}
batch_size: int = 16  # prompts that run at once; 1 for long documents {1..1024}
resamples: int = 300  # of the bootstrap {10..100000, quick 50}
seed: int = 0  # seeds samples, bootstrap and shuffling {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
queries: str = "last"  # rows that rank the heads: last prompt token, or question {last, question}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %% tags=["hide-input"]
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from corehead_lib import plots
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.datasets.evidence import (
    at_most,
    folder_of,
    load_evidence,
    that_fit,
)
from corehead_lib.encode import encode_all
from corehead_lib.heads import HeadScores, how_many
from corehead_lib.models import load_model, zoo_names
from corehead_lib.ram import measure_ram
from corehead_lib.results import keep, publish
from corehead_lib.zoo import began_as_one, treated

plots.use_style()
loaded, kinds = load_model(model, device, dtype), datasets.split()


def load(kind):
    """Samples of one kind of evidence."""
    options = at_most(kind, pages=pages, frames=frames)
    options |= {"seed": seed, "data_dir": folder_of(kind, data_dir)}
    found = load_evidence(kind, "detection", detection_samples, **options)
    return that_fit(loaded, kind, found, max_pixels)


samples = {kind: load(kind) for kind in kinds}
groups = {
    kind: [s.group or s.id for s in part] for kind, part in samples.items()
}

# %% [markdown]
# Kinds of evidence and models are compared on `datasets`. Lengths, wording and number type are tested on generated data, whatever `datasets` holds. For a
# dataset on disk, prompt lengths are printed first; `pages`, `frames` and `max_pixels` make prompts shorter.
#
# ## Scores to compare


# %%
def scored(one, some):
    encoded = encode_all(one, some, batch_size, max_pixels=max_pixels)
    return measure_ram(one, encoded, queries)


ram = {kind: scored(loaded, some) for kind, some in samples.items()}
shape = ram[kinds[0]].ram.shape
top = how_many(top_fraction, np.prod(shape))
{kind: of.target.shape for kind, of in ram.items()}

# %% [markdown]
# Two numbers say how alike two rankings are: Spearman's correlation over all heads, and the number of heads that both have in their top
# {glue:text}`top_heads:.0f`. The first is mostly about the many heads that look little, the second about the few that look most.
#
# *Luck* is the same comparison with the heads of each layer in random order, so depth alone does not count as likeness. Intervals come from resampling
# groups of samples. All p-values of a table are corrected together (Holm), and nothing is called significant before that.
#
# ## Other samples, other evidence
#
# The ceiling is a kind compared with itself, on two halves that share no picture: other data can hardly be more alike.

# %%
from corehead_lib.stats import halves

cut = {}
for kind in kinds:
    side, named = halves(groups[kind]), np.array(groups[kind])
    score = ram[kind].target
    cut[kind] = (score[side], named[side]), (score[~side], named[~side])

# %%
from corehead_lib.study import likeness

pairs = {f"{kind}, itself": cut[kind] for kind in kinds}
for a, b in combinations(kinds, 2):
    pairs[f"{a}, {b}"] = (cut[a][0], cut[b][1])
options = {"resamples": resamples, "seed": seed}
between = likeness(pairs, top, **options)

# %%
columns = ["spearman", "spearman_luck", "spearman_adjusted"]
columns += [name.replace("spearman", "shared") for name in columns]
between[columns].round(3)

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(
    1, 2, figsize=(7.5, 0.3 * len(between) + 1.5), sharey=True
)
labels = {
    "spearman": "Spearman correlation",
    "shared": f"top heads shared, of {top}",
}
for axis, (name, label) in zip(axes, labels.items(), strict=True):
    y = np.arange(len(between))
    axis.hlines(
        y, between[f"{name}_low"], between[f"{name}_high"], color=plots.BLUE
    )
    colours = [
        plots.AMBER if "itself" in pair else plots.BLUE
        for pair in between.index
    ]
    axis.scatter(between[name], y, color=colours, zorder=3)
    axis.plot(between[f"{name}_luck"], y, "|", color=plots.BLACK, ms=10)
    axis.set(xlabel=label)
axes[1].set_xlim(-0.2, top + 0.2)
axes[0].set_xlim(-0.25, 1.05)
axes[0].set_yticks(y, between.index)
axes[0].invert_yaxis()
figure.suptitle("Kinds of evidence share top heads", fontweight="bold")
keep("fig_kinds", figure)

# %% [markdown]
# ```{glue:figure} fig_kinds
# :name: fig-stability-kinds
# :alt: Two panels with one line for each comparison: first each kind with itself, then each pair of kinds, with intervals. All points and whole intervals stand well to the right of the short black strokes that mark luck. By correlation most pairs lie a little to the left of the kinds with themselves; by top heads they reach as far.
#
# Likeness of rankings with 95 % intervals. Amber: a kind with itself; black strokes: luck.
# ```
#
# Between kinds the correlation is {glue:text}`kinds_spearman:.2f` on average, with a ceiling of {glue:text}`ceiling_spearman:.2f`; they share
# {glue:text}`kinds_shared:.1f` top heads, with a ceiling of {glue:text}`ceiling_shared:.1f`.
# After correction {glue:text}`kinds_significant:.0f` of {glue:text}`kinds_tests:.0f` pairs beat luck in their top heads. So at the top we see no
# difference between other evidence and other samples, even for texts without any picture. But the samples are few: {glue:text}`half_samples:.0f` in each
# half, and the pairs' intervals reach from {glue:text}`kinds_shared_low:.0f` to {glue:text}`kinds_shared_high:.0f` heads. The long tail behind the top
# depends more on the kind.
#
# Bootstrap samples contain repeats and are noisier than fresh ones, so the intervals lean to the left: the estimate often stands at their right end.
#
# ## Other lengths
#
# Do the same heads lead for short and long texts, and for few and many pages?

# %%
short = {"haystacks": {"facts": (2, 3)}, "documents": {"pages": (2, 2)}}
long = {"haystacks": {"facts": (6, 8)}, "documents": {"pages": (6, 6)}}
by_length = {}
for kind in short:
    sides = []
    for given in (short[kind], long[kind]):
        which = (kind, "detection", other_samples, seed)
        some = load_samples(*which, **given)
        sides.append((scored(loaded, some).target, [s.id for s in some]))
    by_length[f"{kind}, short and long"] = tuple(sides)

# %%
lengths = likeness(by_length, top, **options)
lengths[columns].round(3)

# %% [markdown]
# Short and long texts share {glue:text}`length_haystacks:.0f` of {glue:text}`top_heads:.0f` top heads, few and many pages {glue:text}`length_documents:.0f`.
#
# ## Other places, other words, other numbers
#
# Three more things should not matter: where along the tokens the evidence stands, how the question is worded, and how precisely the model computes.


# %%
def place_of(batch):
    seen, own = batch.source, batch.targets()
    along = seen.cumsum(1) / seen.sum(1, keepdim=True)  # 0 first, 1 last
    return ((along * own).sum(1) / own.sum(1)).cpu().numpy()


# %%
apart = {}
for kind in kinds:
    encoded = encode_all(loaded, samples[kind], batch_size)
    at = np.concatenate([place_of(batch) for batch in encoded])
    late, named = at > np.median(at), np.array(groups[kind])
    sides = [(ram[kind].target[x], named[x]) for x in (~late, late)]
    if late.any():
        apart[f"{kind}, early and late"] = tuple(sides)

# %% [markdown]
# The other two use generated scenes: "On the red star is which digit?" instead of "Which digit is on the red star?", and bfloat16 weights and activations.

# %%
from dataclasses import replace

scenes = load_samples("scenes", "detection", other_samples, seed)
things = [s.question.split(" on ")[1].rstrip("?") for s in scenes]
turned = [
    replace(s, question=f"On {thing} is which digit?")
    for s, thing in zip(scenes, things, strict=True)
]
rough = load_model(model, device, "bfloat16")

# %%
from corehead_lib.evaluate import evaluate

usual, ids = scored(loaded, scenes).target, [s.id for s in scenes]
pair = (usual, ids), (scored(loaded, turned).target, ids)
apart["scenes, other words"] = pair
apart["scenes, bfloat16"] = (usual, ids), (scored(rough, scenes).target, ids)
conditions = likeness(apart, top, **options)
told_so = [encode_all(loaded, part, batch_size) for part in (scenes, turned)]
right = [evaluate(loaded, part).accuracy for part in told_so]
conditions[columns].round(3)

# %% [markdown]
# Early and late evidence share {glue:text}`places_shared:.1f` of {glue:text}`top_heads:.0f` top heads on average over the kinds; the ceiling, from halves
# of a kind, is {glue:text}`ceiling_shared:.1f`. The reworded questions share {glue:text}`words_shared:.0f` with the usual ones, bfloat16
# {glue:text}`bfloat16_shared:.0f` with float32.
#
# The model never saw the reworded question in training. It gets {glue:text}`words_right:.0%` of them right, and {glue:text}`usual_right:.0%` in the usual
# words; if the first number were low, these would be the heads of a model that did not understand.
#
# ## Other models
#
# In two runs that start from different random weights, head 3 of layer 2 in one has no more to do with head 3 of layer 2 in the other than with its
# neighbours. So nothing should beat luck: these pairs are a negative control, not a finding. Each such model trained its own language model; some share
# the vision tower, none of whose heads are ranked here.
#
# *Relatives* are the positive control: models that were one model at first, with the same seed and the same first stage, as their [cards](../book/models)
# say. `tiny-qwen3-vl-priced` is such a twin of `tiny-qwen3-vl`: only in the last stage did one of them pay for looking. Their query projections should
# correlate, and those of *strangers* should not; for a model without a card, that correlation alone decides (above 0.1).


# %% tags=["hide-input"]
def query_weights(one):
    layers = one.model.model.language_model.layers
    flat = [layer.self_attn.q_proj.weight.flatten() for layer in layers]
    return torch.cat(flat).detach().float().cpu().numpy()


def correlated(one, other):
    same = one.size == other.size
    return np.corrcoef(one, other)[0, 1] if same else 0.0


# %%
names = [model, *(n for n in models.split() or zoo_names() if n != model)]
shorter = {kind: some[:other_samples] for kind, some in samples.items()}
seen, weights, provenance = {}, {}, {}
for name in names:
    one = load_model(name, device, dtype)
    seen[name] = {k: scored(one, some).target for k, some in shorter.items()}
    weights[name], provenance[name] = query_weights(one), one.provenance

# %% tags=["hide-input"]
across, relation, near = {}, {}, {}
for a, b in combinations(names, 2):
    if seen[a][kinds[0]].shape != seen[b][kinds[0]].shape:
        continue  # heads of another geometry have no counterparts
    near[a, b] = correlated(weights[a], weights[b])
    twins = began_as_one(a, b) or near[a, b] > 0.1
    relation[a, b] = "relatives" if twins else "strangers"
    for kind in kinds:
        sides = [(seen[n][kind], groups[kind][:other_samples]) for n in (a, b)]
        across[a, b, kind] = tuple(sides)

# %%
runs = likeness(across, top, **options) if across else pd.DataFrame()
if across:
    runs["related"] = [relation[key[:2]] for key in runs.index]
    runs["weights"] = [near[key[:2]] for key in runs.index]
    either = runs[["spearman_adjusted", "shared_adjusted"]].min(axis=1)
    runs["significant"] = either < 0.05
    told = runs.groupby("related")
    means = ["weights", *columns[:2], *columns[3:5]]
    told = told.agg({**dict.fromkeys(means, "mean"), "significant": "sum"})
told.round(2) if across else None

# %% [markdown]
# `weights` is the correlation of the query projections: {glue:text}`strangers_weights:.2f` at most between strangers, {glue:text}`relatives_weights:.2f` between relatives on average.
#
# Before correction, {glue:text}`strangers_raw:.0f` of {glue:text}`strangers_tests:.0f` comparisons of strangers have p < 0.05 in one of the two measures.
# That is what chance gives: with two tests each, up to {glue:text}`strangers_chance:.1f`. After correction, {glue:text}`strangers_significant:.0f` are
# left.
#
# Of the relatives' {glue:text}`relatives_tests:.0f` comparisons, {glue:text}`relatives_significant:.0f` are significant by rank correlation and
# {glue:text}`relatives_by_top:.0f` by shared top heads. So this test could not have seen likeness in top heads, and that strangers show none there says
# nothing. The twins share {glue:text}`relatives_shared:.1f` top heads on average over the kinds, where luck would share {glue:text}`relatives_luck:.1f`:
# too few to survive a correction over so many comparisons, and fewer than two kinds share within one model. The last stage, its price included, moved some
# of them.
#
# ## As few, as deep?
#
# Heads of separate runs have no counterparts. What can be compared, even between models of different sizes, is how few heads look and how deep they are:
# the share of heads that holds half of all RAM, averaged over the kinds of evidence, and where the top 5 % stand, from 0 in the first layer to 1 in the
# last.

# %%
from corehead_lib.heads import mass_concentration


def few_and_deep(name):
    score = HeadScores(np.mean([x.mean(0) for x in seen[name].values()], 0))
    layers = np.array([head.layer for head in score.top(top_fraction)])
    depth = layers / max(1, len(score.score) - 1)
    half = mass_concentration(score.score)
    found = {"heads": score.score.size, "half in": half, "first": depth.min()}
    return found | {"mean": depth.mean(), "last": depth.max()}


few = pd.DataFrame({n: few_and_deep(n) for n in names}).T
few.round(2)

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(1, 2, figsize=(7.5, 4.2))
for number, name in enumerate(names):
    score = seen[name][kinds[0]].mean(0)
    style = {"color": f"C{number % 7}", "ls": "-" if number < 7 else "-."}
    if treated(name):
        style = {"color": "black", "ls": "--"}
    order = np.sort(score.ravel())[::-1]
    axes[0].plot(
        np.arange(1, order.size + 1) / order.size,
        order,
        label=Path(name).name,
        **style,
    )
    axes[1].plot(np.linspace(0, 1, len(score)), score.sum(1), **style)
axes[0].set(
    xscale="log",
    xlabel="share of heads",
    ylabel="RAM, sorted",
    title="No step, unless looking has a price",
)
axes[1].set(
    xlabel="relative depth",
    ylabel="RAM, sum of the layer",
    title="Most of it before the last third",
)
figure.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=2,
    fontsize=9,
)
keep("fig_models", figure)

# %% [markdown]
# ```{glue:figure} fig_models
# :name: fig-stability-models
# :alt: Left, one curve for each model over the share of heads on a logarithmic axis; those of natural models fall from the first heads on and leave something to nearly all heads, while the dashed one of the model that paid for looking is at zero before a tenth of the heads. Right, summed RAM over relative depth; each curve is low in the first layer and highest before the last third, and the dashed one is zero at both ends.
#
# Sorted RAM, and RAM by depth, of each model on the first kind of evidence. Dashed: the one that paid for looking.
# ```
#
# In the {glue:text}`natural:.0f` natural models half of all RAM takes {glue:text}`natural_half_low:.0%` to {glue:text}`natural_half_high:.0%` of the heads, and the top 5 % stand at a mean
# depth of {glue:text}`natural_depth_low:.2f` to {glue:text}`natural_depth_high:.2f`, where randomly drawn heads would stand at one half. So natural runs
# differ in which heads look and in how much these look; the two ranges say how alike they are in number and depth. One program made the data for all of
# them, so even this is likeness among these models, not a law. The gap behind the top heads is what the price made.
#
# [](11_emergence) tells how the ranking of one run came about.
#
# ## Exercises
#
# ```{exercise-start} Below the ceiling?
# :label: ex-stability-read
# ```
#
# Difficulty: 1/5, 5 minutes. Look at {numref}`fig-stability-kinds`: how many of the pairs of different kinds (blue) stand to the left of *every* kind with
# itself (amber), by correlation, and by shared top heads? `answer` is these two whole numbers. What may you say about other evidence, and what do the
# intervals add?
#
# :::{dropdown} Hint 1
# Find the leftmost amber point of each panel, and count the blue ones that are further left.
# :::
#
# :::{dropdown} Hint 2
# A point directly below or above it is not further left: shared heads are whole numbers, and many are equal.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-stability-read
# :class: dropdown
# ```

# %%
amber = between.index.str.contains("itself")
measures = between[["spearman", "shared"]]
below = measures[~amber] < measures[amber].min()
answer = below.sum().tolist()
below.join(between[["shared_low", "shared_high"]].round(1))

# %% [markdown]
# The two measures need not agree: over all heads, other evidence makes a difference that the few top heads do not show. That does not prove that the top
# is the same. A count out of so few moves in large steps, and `shared_low` and `shared_high` say how few or how many shared heads other samples could have
# given.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Lift instead of RAM
# :label: ex-stability-lift
# ```
#
# Difficulty: 2/5, 10 minutes. {term}`Lift <lift>` corrects for the size of the target. Are the kinds more alike by lift? `answer` is the mean Spearman
# correlation over all pairs of different kinds, each kind with all its samples, first by RAM, then by lift.
#
# :::{dropdown} Hint 1
# `ram[kind].ram` and `ram[kind].lift` are arrays of layers x heads.
# :::
#
# :::{dropdown} Hint 2
# `agreement(HeadScores(one), HeadScores(other), top).spearman` compares two of them; `combinations(kinds, 2)` are the pairs.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-stability-lift
# :class: dropdown
# ```

# %%
from corehead_lib.heads import agreement

answer = []
for score in ("ram", "lift"):
    by = {kind: HeadScores(getattr(ram[kind], score)) for kind in kinds}
    pairs_of = [(by[a], by[b]) for a, b in combinations(kinds, 2)]
    answer.append(np.mean([agreement(*p, top).spearman for p in pairs_of]))
print("by RAM {:.2f}, by lift {:.2f}".format(*answer))

# %% [markdown]
# No, if anything they are less alike. Lift only asks how a head's attention is spread, however little it gives, so heads that hardly look get large and
# unsteady values.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Two kinds of luck
# :label: ex-stability-luck
# ```
#
# Difficulty: 2/5, 10 minutes. How many top heads would the first two kinds share by luck? Compute it without shuffling, for
# `one, other = cut[kinds[0]][0][0], cut[kinds[1]][1][0]`, the two halves that the table compares: first if the top of `other` were drawn from the whole
# model, then if only the heads within each layer changed places. `answer` is these two numbers. Which kind of luck is fairer?
#
# :::{dropdown} Hint 1
# `HeadScores(one.mean(0)).ranking()[:top]` is a top. Each of its heads is in a random top with the same probability. What is it, if any head of the model
# could be there?
# :::
#
# :::{dropdown} Hint 2
# Within layers, count the top heads of both in each layer. A top head of `one` meets one of `other` with a probability equal to the share of its layer's
# heads in the top of `other`.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-stability-luck
# :class: dropdown
# ```

# %%
sides = cut[kinds[0]][0][0], cut[kinds[1]][1][0]
tops = [HeadScores(x.mean(0)).ranking()[:top] for x in sides]
in_layer = [
    np.bincount([h.layer for h in t], minlength=shape[0]) for t in tops
]
answer = top**2 / np.prod(shape), in_layer[0] @ in_layer[1] / shape[1]
shuffled = between.loc[f"{kinds[0]}, {kinds[1]}", "shared_luck"]
print("whole model {:.2f}, within layers {:.2f}".format(*answer))
print(f"shuffled in the chapter: {shuffled:.2f}")

# %% [markdown]
# The second, which the chapter's shuffling matches. Two tops in the same few layers share more heads than two from anywhere, and that would pass for
# likeness of heads though it is only likeness of depth. Too weak a luck makes everything significant.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} How many samples does the ceiling need?
# :label: ex-stability-samples
# ```
#
# Difficulty: 3/5, 10 minutes. How does a kind's likeness with itself grow with the number of samples in each half? Take the halves of the first kind,
# `cut[kinds[0]]`, and the first 2, 4, 8 and 16 samples of each, as far as both halves have that many. `answer` is Spearman's correlation of the two means,
# for each number. What follows for the comparison of kinds with the ceiling?
#
# :::{dropdown} Hint 1
# `cut[kind]` is a pair of halves, each with its values (samples, layers, heads) and its groups.
# :::
#
# :::{dropdown} Hint 2
# A mean over the first samples makes a `HeadScores`; `agreement` compares two.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-stability-samples
# :class: dropdown
# ```

# %%
(one, _), (other, _) = cut[kinds[0]]
answer = []
for number in (2, 4, 8, 16):
    if number <= min(len(one), len(other)):
        means = [HeadScores(x[:number].mean(0)) for x in (one, other)]
        rho, shared, _ = agreement(*means, top)
        answer.append(rho)
        print(f"{number:2d} in each half: Spearman {rho:.2f}, shared {shared}")

# %% [markdown]
# A ceiling belongs to a number of samples: with more samples it is higher. So two kinds may be compared with it only on equally many, as the chapter does;
# all samples of one kind against all of the other would have seemed nearer to a ceiling from halves than they are.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Something else that should not matter
# :label: ex-stability-own
# ```
#
# Difficulty: 4/5, 30 minutes. Change `scenes` in a way that is not in this chapter and leaves question, answer and evidence as true as they were: the
# light, a margin, the size. Say first how much it should matter. `answer` is the Spearman correlation of RAM with RAM on the unchanged scenes, and the
# number of shared top heads. Does the model still answer (`evaluate`)?
#
# :::{dropdown} Hint 1
# `replace(sample, media=(...,), evidence=(...,))`; where the picture moves or grows, each `Box` has to follow. Mirroring is no good: it flips digits.
# :::
#
# :::{dropdown} Hint 2
# `usual` holds RAM on the unchanged scenes, `scored(loaded, changed).target` on yours, both by sample. Take means, then `agreement(..., ..., top)`.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-stability-own
# :class: dropdown
# ```
#
# For instance, add a margin on the left and at the top:

# %%
from PIL import ImageOps

from corehead_lib.samples import Box


def margin(sample, by=32):
    wide = ImageOps.expand(sample.media[0], (by, by, 0, 0), "white")
    boxes = [
        Box(b.x0 + by, b.y0 + by, b.x1 + by, b.y1 + by)
        for b in sample.evidence
    ]
    return replace(sample, media=(wide,), evidence=tuple(boxes))


# %%
inset = [margin(sample) for sample in scenes]
moved = HeadScores(scored(loaded, inset).target.mean(0))
answer = agreement(HeadScores(usual.mean(0)), moved, top)[:2]
accuracy = evaluate(loaded, encode_all(loaded, inset, batch_size)).accuracy
print("Spearman {:.2f}, shared {}".format(*answer))
print(f"right in {accuracy:.0%}, {right[0]:.0%} without a margin")

# %% [markdown]
# The scenes are the same, so no part of the difference comes from the samples; other scenes make a difference, too, and the ceiling says how much. What
# falls below the ceiling matters more than that. A ranking that changes while the answers stay right is news about heads; one that changes while they fail
# may be news about the change alone.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# One program draws all kinds of evidence, with the same digits in all of them; photographs and scans differ more. A count of few top heads moves in coarse
# steps, and RAM falls in a slope, so the line at 5 % cuts between heads that are nearly alike ([](06_head_ranking)). There is only one pair of twins. And
# to score alike is not to be needed alike: [](08_ablation).
#
# ## Where to go from here
#
# - The ranking itself: [](06_head_ranking); whether heads are needed: [](08_ablation)
# - Large models: {cite:t}`sun2026core`, figure 5; retrieval from text: {cite:t}`wu2024retrieval`

# %% tags=["hide-input", "remove-output"]
first = [
    (f"{Path(model).name}, {kind}", ram[kind].ram)
    for kind in (kinds[0], *kinds[-2:])
]
others = [n for n in names[1:] if seen[n][kinds[0]].shape[1:] == shape]
others.sort(key=lambda name: relation[model, name])  # relatives first
strangers = [n for n in others if relation[model, n] == "strangers"]
twin = others[: len(others) - len(strangers)][:1]
others = [*twin, *strangers[-1:], *strangers[:-1]][:3]
second = [
    (f"{Path(n).name}, {kinds[0]}", seen[n][kinds[0]].mean(0)) for n in others
]
drawn = [*first, *second]
figure, axes = plt.subplots(
    -(-len(drawn) // 3),
    3,
    figsize=(8, 4),
    sharex=True,
    sharey=True,
    squeeze=False,
)
for axis, (title, score) in zip(axes.flat, drawn, strict=False):
    shades = axis.imshow(score, origin="lower", vmin=0, vmax=1, aspect="auto")
    for layer, head in HeadScores(score).top(top_fraction):
        square = plt.Rectangle(
            (head - 0.5, layer - 0.5), 1, 1, fill=False, ec=plots.RED, lw=1.5
        )
        axis.add_patch(square)
    axis.set_title(title.removeprefix("tiny-"), fontsize=9)
for axis in axes.flat[len(drawn) :]:
    axis.axis("off")
for axis in axes[-1]:
    axis.set_xlabel("head")
for axis in axes[:, 0]:
    axis.set_ylabel("layer")
figure.colorbar(shades, ax=axes, label="RAM", shrink=0.9)
keep("fig_maps", figure)

# %% tags=["hide-input"]
itself = between.index.str.contains("itself")
numbers = {
    "top_heads": top,
    "half_samples": detection_samples // 2,
    "kinds_spearman": between.spearman[~itself].mean(),
    "kinds_shared": between.shared[~itself].mean(),
    "kinds_luck": between.shared_luck[~itself].mean(),
    "kinds_tests": (~itself).sum(),
    "kinds_significant": (between.shared_adjusted[~itself] < 0.05).sum(),
    "kinds_shared_low": np.nan_to_num(between.shared_low[~itself].min()),
    "kinds_shared_high": np.nan_to_num(between.shared_high[~itself].max()),
    "ceiling_spearman": between.spearman[itself].mean(),
    "ceiling_shared": between.shared[itself].mean(),
}
numbers |= {
    f"length_{k}": n for k, n in zip(short, lengths.shared, strict=True)
}
early = conditions.index.str.contains("early")
numbers |= {
    "places_shared": conditions.shared[early].mean() if early.any() else 0,
    "words_shared": conditions.shared["scenes, other words"],
    "bfloat16_shared": conditions.shared["scenes, bfloat16"],
    "usual_right": right[0],
    "words_right": right[1],
}
for related in ("strangers", "relatives"):
    part = runs[runs.related == related] if across else runs
    close = [n for pair, n in near.items() if relation[pair] == related]
    settle = np.mean if related == "relatives" else np.max
    numbers[f"{related}_weights"] = settle(np.abs(close)) if close else 0
    numbers[f"{related}_shared"] = part.shared.mean() if len(part) else 0
    numbers[f"{related}_tests"] = len(part)
    numbers[f"{related}_chance"] = 2 * 0.05 * len(part)
    numbers[f"{related}_luck"] = part.shared_luck.mean() if len(part) else 0
    numbers[f"{related}_by_top"] = (
        (part.shared_adjusted < 0.05).sum() if len(part) else 0
    )
    numbers[f"{related}_raw"] = (
        (part[["spearman_p", "shared_p"]].min(axis=1) < 0.05).sum()
        if len(part)
        else 0
    )
    numbers[f"{related}_significant"] = (
        part.significant.sum() if len(part) else 0
    )

natural = few[[not treated(name) for name in few.index]]
numbers["natural"] = len(natural)
for name, column in (("half", "half in"), ("depth", "mean")):
    numbers[f"natural_{name}_low"] = np.nan_to_num(natural[column].min())
    numbers[f"natural_{name}_high"] = np.nan_to_num(natural[column].max())

# %% tags=["hide-input"]
tables = {"kinds": between, "lengths": lengths}
tables |= {"conditions": conditions, "models": runs}
rows = [
    {
        "what": what,
        "pair": key if isinstance(key, str) else ", ".join(key),
        **row[columns].to_dict(),
    }
    for what, table in tables.items()
    for key, row in table.iterrows()
]
publish(
    rows=rows,
    numbers=numbers,
    inputs={
        **provenance,
        **{
            f"data {kind}": {
                "name": kind,
                "split": "detection",
                "sha256": samples_checksum(some),
            }
            for kind, some in samples.items()
        },
    },
)
