# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Where are they, how few, how sure?
#
# We measure the {term}`RAM` of every head of a tiny model: how much of its attention falls on the evidence.
#
# **What came out.** On scenes, {glue:text}`half_heads` of {glue:text}`heads` heads hold half of all RAM; half of all attention to the picture *as a whole*
# takes {glue:text}`half_picture_heads`. The fair control is a shape of the same size in the same picture that was *not* asked for: half of the attention
# to it takes {glue:text}`unasked_heads` heads, and {glue:text}`asked_heads` once it is asked for. That order holds in {glue:text}`fair_sparser` of
# {glue:text}`fair_models` natural models. So retrieval sits in fewer heads than looking, though not in a mere handful. Two halves of the samples share
# {glue:text}`halves_shared` of their top {glue:text}`top_heads`. On scenes and clips, other heads lead at the question's tokens than at the last prompt
# token.
#
# ```{glue:figure} fig_map
# :name: fig-ranking-map
# :alt: Two maps of 8 layers by 16 heads, on one colour scale. On the left, some twenty bright squares, most of them in layers 2 to 5, among dark ones; six are framed. On the right nearly all squares are lighter, and the bright ones lie in most layers.
#
# Attention to the evidence and to the whole picture, at the last prompt token. Framed: the top 5 %.
# ```

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
dataset: str = "scenes"  # any with evidence, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
pages: int = 0  # most pages of a document; 0: the dataset's own number {0..1000}
frames: int = 0  # most frames of a clip; 0: the dataset's own number {0..1000}
max_pixels: int = 0  # most pixels of a picture, page or frame; 0: as the processor has it {0..}
detection_samples: int = 192  # samples to average over; two halves are compared {4..100000, quick 24}
batch_size: int = 16  # prompts that run at once; 1 for long documents {1..1024}
seed: int = 0  # seeds the samples {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
queries: str = "last"  # rows that rank the heads {last, question, answer}
models: str = ""  # to compare at the end; empty: all of the zoo {models, empty, quick tiny-qwen3-vl-seed1}
kinds_of_evidence: str = "scenes documents clips haystacks"  # datasets for that comparison {datasets}
samples_each: int = 24  # samples of each dataset for that comparison {2..100000, quick 8}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from corehead_lib import plots
from corehead_lib.answers import QUERIES
from corehead_lib.data import samples_checksum
from corehead_lib.datasets.evidence import at_most, load_evidence, that_fit
from corehead_lib.encode import encode_all
from corehead_lib.models import load_model
from corehead_lib.results import keep, publish

plots.use_style()
loaded = load_model(model, device, dtype)
most = {"pages": pages, "frames": frames}
how = {"batch_size": batch_size, "max_pixels": max_pixels}


def load(name, number):
    """Samples of one kind of evidence; the folder is that of `dataset`."""
    options = at_most(name, **most)
    options["data_dir"] = data_dir if name == dataset else ""
    found = load_evidence(name, "detection", number, seed, **options)
    return that_fit(loaded, name, found, max_pixels)


samples = load(dataset, detection_samples)
batches = encode_all(loaded, samples, **how)

# %% [markdown]
# The map, the curves and the split halves use `dataset`; the comparisons of rows and of models use `kinds_of_evidence`. For a dataset on disk, prompt
# lengths are printed first, and what the model's context cannot hold is left out; `pages`, `frames` and `max_pixels` make prompts shorter.
#
# ## The map
#
# [](01_ram_definition) defines the score for one head and one sample.
# Here one pass over the {term}`detection set` measures all heads at three sets of rows: the tokens of the question, the last token of the prompt, and the
# rows from which the answer is written. We rank heads at the last prompt token, because the answer is written from there; [](08_ablation) tests what that
# choice is worth.

# %%
from corehead_lib.heads import HeadScores
from corehead_lib.ram import measure_ram

views = measure_ram(loaded, batches, queries=QUERIES)
scores = views[queries]
ranked = HeadScores(scores.ram, {"model": model, "dataset": dataset})
core = ranked.top(top_fraction)
scores.target.shape  # (samples, layers, heads)

# %% tags=["hide-input", "remove-output"]
picture = scores.visual.mean(0)
figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.2), sharey=True)
for axis, score, name in zip(
    axes,
    (scores.ram, picture),
    ("the evidence: some heads look", "the picture: most do"),
    strict=True,
):
    drawn = axis.imshow(score, origin="lower", vmin=0, vmax=1, aspect="auto")
    axis.set(xlabel="head", title=name, xticks=range(0, score.shape[1], 2))
for layer, head in core:
    square = plt.Rectangle(
        (head - 0.5, layer - 0.5), 1, 1, fill=False, ec=plots.RED, lw=2
    )
    axes[0].add_patch(square)
axes[0].set_ylabel("layer")
figure.colorbar(drawn, ax=axes, label="attention", shrink=0.9)
keep("fig_map", figure)

# %% [markdown]
# In {numref}`fig-ranking-map`, the best head gives the evidence {glue:text}`best:.2f` of its attention and the sixth {glue:text}`sixth:.2f`; from there
# RAM declines step by step. By convention, the {term}`CoRe heads <CoRe head>` are the top 5 %, here {glue:text}`top_heads` heads. No gap sets them apart:
# {glue:text}`above_even` heads give the evidence more than attention spread evenly over the picture would ({glue:text}`even:.2f`).

# %%
pd.DataFrame(
    {
        "RAM": [scores.ram[head] for head in core],
        "on the picture": [picture[head] for head in core],
        "selectivity": [scores.selectivity[head] for head in core],
        "lift": [scores.lift[head] for head in core],
    },
    index=pd.MultiIndex.from_tuples(core, names=["layer", "head"]),
).astype(float).round(3)

# %% [markdown]
# These heads aim. Of what the first gives to the picture, {glue:text}`best_selectivity:.0%` goes to the evidence (its {term}`selectivity`),
# {glue:text}`best_lift:.1f` times what even attention would give (its {term}`lift`); none of the six is below {glue:text}`least_selectivity:.0%`.
#
# ## How few?
#
# Three measures say how few heads hold a score: the smallest share of heads that holds half of it, after {cite:t}`li2026mmretheads`; the Gini
# coefficient, 0 if all heads hold the same and close to 1 if one holds everything; and the effective number of heads.

# %%
from corehead_lib.heads import effective_heads, gini, mass_concentration


def few(score):
    return {
        "half in": mass_concentration(score),
        "Gini": gini(score),
        "effective heads": effective_heads(score),
    }


# %% [markdown]
# A number alone says little, so here is a first control: the mass on the *whole* picture, a score with no retrieval in it.

# %%
held = {
    "RAM": few(scores.ram),
    "mass on the picture": few(picture),
    "selectivity": few(scores.selectivity),
    "lift": few(scores.lift),
}
pd.DataFrame(held).T.round(3)

# %% [markdown]
# Half of the mass on the picture is spread over {glue:text}`half_picture:.0%` of the heads, and its effective number of heads is
# {glue:text}`effective_picture:.0f`, against {glue:text}`effective:.0f` for RAM: many heads look at the picture, fewer at the right place.
#
# The difference is one of degree. Selectivity and lift, which ask where a head looks *within* the picture, lie in between: half of either takes
# {glue:text}`half_lift:.0%` to {glue:text}`half_selectivity:.0%` of the heads.

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=(5.6, 3))
lines = {
    "RAM": (scores.ram, plots.RED, "-"),
    "mass on the picture": (picture, plots.BLACK, "--"),
    "selectivity": (scores.selectivity, plots.BLUE, "-"),
    "lift": (scores.lift, plots.SKY, "-"),
}
for name, (score, colour, style) in lines.items():
    cumulated = np.cumsum(np.sort(score.ravel())[::-1]) / score.sum()
    axis.plot(
        np.arange(1, score.size + 1), cumulated, style, color=colour, label=name
    )
axis.axhline(0.5, color="grey", lw=1)
axis.set(
    xscale="log",
    xlabel="best heads, by that score",
    ylabel="share of the score",
    ylim=(0, 1.03),
)
axis.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
axis.legend(loc="upper left")
axis.set_title("Fewer heads find the evidence than look at the picture")
keep("fig_lorenz", figure)

# %% [markdown]
# ```{glue:figure} fig_lorenz
# :name: fig-ranking-lorenz
# :alt: Four rising curves over the number of heads, on a logarithmic axis. RAM is the highest and reaches one half at 18 heads; selectivity and lift follow, and the mass on the picture is the lowest, at 41 heads.
#
# How much of each score its best heads hold.
# ```
#
# ### A fair control
#
# The whole picture is easy to beat. It is larger than a shape, and RAM is the mass on the picture *times* selectivity: a product of two uneven scores is
# usually less even than either. So we take two shapes of the same size in each of some new scenes, ask about one, then about the other, and measure what
# *both* get each time. Places and sizes stay the same; only the question differs.

# %% tags=["hide-input"]
from dataclasses import replace
from itertools import combinations

from corehead_lib.worlds.synthetic import ask, make_scene


def two_questions(rng, unique):
    scene = make_scene(rng, unique=unique)
    for two in combinations(scene.things, 2):
        if len({thing.box.x1 - thing.box.x0 for thing in two}) == 1:
            return [ask(scene, scene.tasks[0], rng, thing) for thing in two]
    return two_questions(rng, unique)


# %% tags=["hide-input"]
rng, asked, unasked = np.random.default_rng(seed), [], []
for number in range(max(detection_samples // 2, samples_each)):
    one, other = two_questions(rng, unique=number % 2 == 0)
    asked += [one, other]
    unasked += [replace(one, evidence=other.evidence)]
    unasked += [replace(other, evidence=one.evidence)]


# %%
def by_question(one, most):
    parts = [encode_all(one, x[:most], **how) for x in (asked, unasked)]
    return [measure_ram(one, part, queries) for part in parts]


own, control_of = by_question(loaded, detection_samples)
fair = {"asked for": few(own.ram), "not asked for": few(control_of.ram)}
fair["the picture"] = few(own.visual.mean(0))
pd.DataFrame(fair).T.round(3)

# %% [markdown]
# **The result survives.** Half of the attention to a shape that is asked for sits in {glue:text}`half_asked:.0%` of the heads, half of that to its twin in
# {glue:text}`half_unasked:.0%`, much as for the picture as a whole. A head gives a shape up to {glue:text}`best_asked:.2f` of its attention if it is asked
# for, and {glue:text}`best_unasked:.2f` at most if not. It is the question that makes few heads look so hard.
#
# ## Whose rows?
#
# The paper averages over the question's tokens; its exact normalisation is not known to us.
# Does the choice of rows matter? All three sets come from the same passes, here over four kinds of evidence.

# %%
from corehead_lib.heads import agreement

kinds = kinds_of_evidence.split()
each = {k: load(k, samples_each) for k in kinds}


def seen_by(one):
    sets = {k: encode_all(one, part, **how) for k, part in each.items()}
    return {k: measure_ram(one, part, QUERIES) for k, part in sets.items()}


# %%
def compared(view):
    question, last = (HeadScores(view[rows].ram) for rows in QUERIES[:2])
    best = {f"best, {rows}": view[rows].ram.max() for rows in QUERIES}
    agreed = agreement(question, last, len(core))._asdict()
    return {**best, "even": view["last"].share.mean(), **agreed}


seen = seen_by(loaded)
by_rows = pd.DataFrame({k: compared(view) for k, view in seen.items()}).T
by_rows.round(3)

# %% [markdown]
# `best` is the highest RAM of any head, `even` what even attention would give.
# The other columns compare the question's tokens with the last one: Spearman's correlation over all heads, the heads that both have in their top
# {glue:text}`top_heads`, and how many two random tops would share.
#
# - **The question's tokens look less**: the best head's RAM is {glue:text}`question_low:.2f` to {glue:text}`question_high:.2f` there, and
#   {glue:text}`last_low:.2f` to {glue:text}`last_high:.2f` at the last token. But they do look, more than even attention would.
# - **On scenes and clips they rank other heads first**: the two tops of {glue:text}`top_heads` share {glue:text}`shared_scenes` and
#   {glue:text}`shared_clips`. In text they share {glue:text}`shared_haystacks`, on documents {glue:text}`shared_documents`. Over all heads, Spearman's
#   correlation is {glue:text}`spearman_low:.2f` to {glue:text}`spearman_high:.2f`: the rankings are alike from afar; where they differ, it is at the top,
#   the part that gets used.
# - **The answer's rows** add no third opinion here. Every gold answer in these tasks is a single token, so the row that writes it *is* the last prompt
#   token, and the numbers are the same.
#
# {cite:t}`park2026vrh` find that the choice of rows matters more than any other. Here it matters on two of the four kinds of evidence; this page compares
# it with no other choice, but [](09_controls) compares many.
#
# ## How sure?
#
# We split the samples into two halves that share no picture, rank the heads on each, and compare.

# %%
from corehead_lib.stats import halves, mean_interval

groups = [s.group or s.id for s in samples]
half = halves(groups)
one = HeadScores(scores.target[half].mean(0))
other = HeadScores(scores.target[~half].mean(0))
agreed = agreement(one, other, len(core))
pd.Series(agreed._asdict()).round(2)

# %% [markdown]
# The halves share {glue:text}`halves_shared` of the top {glue:text}`top_heads`; luck would give {glue:text}`halves_expected:.1f`.
# How sure is each place? We resample a thousand times, drawing whole pictures, and count how often a head stays in the top.

# %%
from corehead_lib.heads import membership

place = membership(scores.target, groups, len(core))
leading = ranked.ranking()[: 2 * len(core)]
values = [scores.target[:, *head] for head in leading]
sure = [mean_interval(v, groups=groups, bounds=(0, 1)) for v in values]

# %% tags=["hide-input", "remove-output"]
figure, (axis, beside) = plt.subplots(1, 2, figsize=(6.4, 3.4), sharey=True)
low, high = np.array(sure).T
mean, rank = (
    np.array([scores.ram[head] for head in leading]),
    np.arange(len(leading)),
)
axis.errorbar(
    mean,
    rank,
    xerr=np.clip([mean - low, high - mean], 0, None),
    fmt="o",
    color=plots.RED,
)
axis.axvline(scores.share.mean(), color="black", ls="--", lw=1)
axis.set(xlim=(0, 1), xlabel="RAM, with 95 % interval", ylabel="head")
axis.set_yticks(rank, [head.name for head in leading])
axis.invert_yaxis()
axis.set_title("A slope, not a cliff")
beside.barh(rank, [place[head] for head in leading], color=plots.BLUE)
beside.axhline(len(core) - 0.5, color="black", ls=":", lw=1)
beside.set(xlabel=f"share of draws in the top {len(core)}", xlim=(0, 1.02))
beside.set_title("The top hardly changes")
keep("fig_sure", figure)

# %% [markdown]
# ```{glue:figure} fig_sure
# :name: fig-ranking-sure
# :alt: Left, twelve heads by rank with intervals: the first at 0.84, the sixth at 0.72, the twelfth at 0.55, without a gap. A dashed line for even attention stands far to the left of all. Right, bars: the first six heads stay in the top six in nearly all draws, the seventh in a tenth of them.
#
# The leading heads. Dashed: even attention over the picture.
# ```
#
# The sixth head stays in the top {glue:text}`top_heads` in {glue:text}`stays_last:.0%` of the draws, the seventh enters it in
# {glue:text}`enters_next:.0%`. The first head's RAM is {glue:text}`best:.2f` with a 95 % interval from {glue:text}`best_low:.2f` to
# {glue:text}`best_high:.2f`, bootstrapped by picture. This certainty is about samples *like these*; for other data and training runs, see
# [](07_stability).
#
# ## Which heads look there at all?
#
# A place in the top only says that others look less. Does a head know where the evidence is? If not, it gives as much to any target of the same size. So
# we move each sample's target along its tokens, thousands of times, and the true RAM has to beat these. With one test per head, some would pass by luck;
# Benjamini and Hochberg's correction keeps the share of false ones among those that pass near 5 %.

# %%
from corehead_lib.study import shifted_targets

tested = shifted_targets(loaded, batches, queries, seed=seed)
tested["top"] = [tuple(at) in core for at in tested[["layer", "head"]].values]
passed = tested[tested.p_adjusted < 0.05]
columns = ["layer", "head", "ram", "null", "p_adjusted"]
passed.sort_values("ram")[columns].head(5).round(4)

# %% [markdown]
# {glue:text}`passed` of {glue:text}`heads` heads pass, among them {glue:text}`passed_top` of the top {glue:text}`top_heads`; the table shows the five that
# pass with the lowest RAM, down to {glue:text}`passed_least:.4f`. So significance is no way to choose heads: with enough samples it finds the faintest
# glance. A head that always looks where evidence usually is passes as well; [](09_controls) asks other questions about the same picture.
#
# ## Look for yourself
#
# Click two heads in the map: A starts as the first of the ranking and lights up the framed {term}`target`, B as the last and looks elsewhere or nowhere.
# There is one question for each kind of evidence; the ranking was made on one kind only, so the others show what it is worth there. Choose another query
# token and see where the rest of the attention goes. With a running kernel, `workbench` of [](08_ablation) runs any sample.

# %% tags=["hide-input"]
from corehead_lib.explorer import explorer

explorer(loaded, [part[0] for part in each.values()], ranked, queries=queries)

# %% [markdown]
# ## All models, all kinds of evidence
#
# The paper draws such maps for several models and datasets (its figures 4 and 9).
# Here is our zoo: {glue:text}`samples_each` samples of each kind, the same measures, and the picture or text as control. {glue:text}`treated` of the
# {glue:text}`models` models was trained with a price on looking, as the cards say; the others learned from answers alone.

# %%
from corehead_lib.models import zoo_names
from corehead_lib.zoo import treated

names = [model, *(n for n in models.split() or zoo_names() if n != model)]
zoo = {n: loaded if n == model else load_model(n, device, dtype) for n in names}
everything = {n: seen if n == model else seen_by(zoo[n]) for n in names}

# %%
table = pd.DataFrame(
    {"model": name, "evidence": kind, "treated": treated(name)}
    | {"best RAM": view[queries].ram.max(), **few(view[queries].ram)}
    | {"control: half in": mass_concentration(view[queries].visual.mean(0))}
    for name, views_of in everything.items()
    for kind, view in views_of.items()
)
table.set_index(["model", "evidence"]).round(3)

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(
    -(-len(each) // 2),
    2,
    figsize=(6.4, 5),
    sharex=True,
    sharey=True,
    squeeze=False,
)
control = "control: half in"
for axis, kind in zip(axes.flat, each, strict=False):
    part = table[table["evidence"] == kind]
    y = np.arange(len(part))
    axis.hlines(y, part["half in"], part[control], color="lightgrey", lw=3)
    axis.plot(
        part[control],
        y,
        "o",
        ms=9,
        mfc="white",
        mec="black",
        label="all that can be evidence",
    )
    axis.plot(
        part["half in"],
        y,
        "o",
        ms=5,
        color=plots.RED,
        label="the evidence (RAM)",
    )
    axis.set(xscale="log", xlim=(0.004, 0.7), title=kind)
    axis.set_xticks([0.01, 0.03, 0.1, 0.3], ["1 %", "3 %", "10 %", "30 %"])
    axis.minorticks_off()
    axis.margins(y=0.1)
ticks = part["model"].str.removeprefix("tiny-") + part["treated"].map(
    {True: " *", False: ""}
)
axes[0, 0].set_yticks(y, ticks)
axes[0, 0].invert_yaxis()
figure.supxlabel(
    "share of heads that holds half of the attention on ...", fontsize=10
)
handles = axes[0, 0].get_legend_handles_labels()
figure.legend(*handles, loc="outside upper center", ncols=2)
keep("fig_zoo", figure)

# %% [markdown]
# ```{glue:figure} fig_zoo
# :name: fig-ranking-zoo
# :alt: Four panels, one for each kind of evidence, with a row for each model and a logarithmic axis. In each natural model the filled dot for the evidence lies well to the left of the open one for everything. In the treated model both lie at the same spot, far to the left, on scenes, documents and clips; in texts it is like the others.
#
# Heads that hold half of RAM, and half of the control. Models with a star paid for looking.
# ```
#
# **Natural models.** Half of the RAM sits in {glue:text}`natural_low:.0%` to {glue:text}`natural_high:.0%` of the heads, half of the control in
# {glue:text}`natural_control_low:.0%` to {glue:text}`natural_control_high:.0%`; RAM is the sparser in {glue:text}`natural_sparser` of
# {glue:text}`natural_rows` cases. So retrieval is rarer than looking, whatever the evidence.
#
# **Treated models.** On pictures, pages and clips half of the RAM sits in {glue:text}`treated_low:.1%` to {glue:text}`treated_high:.1%` of the heads, and the control
# does the same: where every look has a price, a few heads do the looking. In text, where looking was free, they are like the others.
#
# And the fair control? The share of heads that holds half of the attention to a shape that is asked for, and to its twin, in each model, over
# {glue:text}`fair_samples` questions:

# %%
most = 2 * samples_each
fair_zoo = pd.DataFrame(
    {
        name: [mass_concentration(x.ram) for x in by_question(one, most)]
        for name, one in zoo.items()
    },
    ["asked for", "not asked for"],
).T
fair_zoo.round(3)

# %% [markdown]
# In {glue:text}`fair_sparser` of {glue:text}`fair_models` natural models the shape that is asked for takes fewer heads, {glue:text}`fair_asked_low:.0%` to
# {glue:text}`fair_asked_high:.0%` against {glue:text}`fair_unasked_low:.0%` to {glue:text}`fair_unasked_high:.0%`.
#
# How few heads retrieve depends on how a model was trained; [](11_emergence) experiments with what makes them few.
#
# ## Keep the ranking
#
# Scores are saved in a small file that says where they came from, so an experiment elsewhere can name the heads it used.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

with TemporaryDirectory() as folder:
    ranked.save(Path(folder) / "scores.json")
    again = HeadScores.load(Path(folder) / "scores.json")
print("the same ranking after loading:", again.ranking() == ranked.ranking())

# %% [markdown]
# ## Exercises
#
# ```{exercise-start} Half of it
# :label: ex-ranking-read
# ```
#
# Difficulty: 1/5, 3 minutes. Read from {numref}`fig-ranking-lorenz`, to within three heads: how many of the best heads hold half of all RAM, and how many hold half of the mass on the
# picture? `answer` is two whole numbers.
#
# :::{dropdown} Hint 1
# Follow the grey line at one half to the right until it meets a curve.
# :::
#
# :::{dropdown} Hint 2
# The axis is logarithmic: the distance from 10 to 30 heads is the same as from 30 to nearly 100.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ranking-read
# :class: dropdown
# ```


# %%
def needed(score):
    return round(mass_concentration(score) * score.size)


answer = needed(scores.ram), needed(picture)
answer

# %% [markdown]
# The more a score is concentrated in few heads, the higher its curve, and the earlier it meets the line.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} How few samples are enough?
# :label: ex-ranking-few
# ```
#
# Difficulty: 2/5, 5 minutes. Rank the heads on the first 6, 12, 24 and 48 samples. How many heads of `core` does each ranking have in its top of the same
# size? `answer` is four whole numbers. When does the top settle, and when the whole ranking?
#
# :::{dropdown} Hint 1
# `scores.target` has one row per sample; the mean over the first rows is RAM on those samples.
# :::
#
# :::{dropdown} Hint 2
# `agreement(one, other, len(core))` compares two `HeadScores` and counts the top heads they share.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ranking-few
# :class: dropdown
# ```

# %%
answer = []
for number in (6, 12, 24, 48):
    some = HeadScores(scores.target[:number].mean(0))
    found = agreement(some, ranked, len(core))
    answer.append(found.shared)
    print(f"{number:2d}: {found.shared} shared, Spearman {found.spearman:.2f}")

# %% [markdown]
# The heads that look are found at once. What takes longer is the order of those that hardly look.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Another kind of question
# :label: ex-ranking-tasks
# ```
#
# Difficulty: 2/5, 10 minutes. Questions name a shape, a colour, or both (`sample.task`). Rank the heads on the samples of each kind alone. `answer` is a
# dict: for each task, how many heads of `core` are in its own top of the same size. And how many of the first three?
#
# :::{dropdown} Hint 1
# An array of the samples' task names, compared with one name, picks rows of `scores.target`.
# :::
#
# :::{dropdown} Hint 2
# Make one `HeadScores` per task from the mean over its rows, then use `agreement` as above.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ranking-tasks
# :class: dropdown
# ```

# %%
tasks = np.array([sample.task for sample in samples])
by_task = {t: HeadScores(scores.target[tasks == t].mean(0)) for t in set(tasks)}
answer = {}
for task in sorted(by_task):
    found = agreement(by_task[task], ranked, len(core))
    answer[task] = found.shared
    three = set(by_task[task].ranking()[:3]) & set(core[:3])
    print(f"{task}: {found.shared} shared, {len(three)} of the first three")

# %% [markdown]
# Most of the top stays in the top whatever the question names, but its leaders change: each kind keeps one or two of the first three.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} A floor
# :label: ex-ranking-floor
# ```
#
# Difficulty: 1/5, 2 minutes. What is the smallest share of heads that can hold half of a score, in a model of 48 heads and in one of 288? `answer` is two shares, between 0 and 1.
# Which comparison of models does that spoil?
#
# :::{dropdown} Hint 1
# How many heads does it take at least?
# :::
#
# :::{dropdown} Hint 2
# One head, as a share of all.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ranking-floor
# :class: dropdown
# ```

# %%
answer = [1 / number for number in (48, 288)]
[f"{share:.1%}" for share in answer]

# %% [markdown]
# It takes at least one head. If a single head did everything in both models, the *share* would still fall by a factor of six: a scaling law made by
# division.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} A score of your own
# :label: ex-ranking-own
# ```
#
# Difficulty: 4/5, 30 minutes. Invent a score for heads from `scores.target`, `scores.visual` and `scores.share`, one that ranks them differently from RAM,
# and say beforehand what it should be better for. `answer` is an array of layers x heads. How sparse is it, and how much of its top is also in `core`?
#
# :::{dropdown} Hint 1
# The mean over samples is one way to turn many numbers into one; others are the median, the minimum, a quantile, and the share of samples above a
# threshold.
# :::
#
# :::{dropdown} Hint 2
# `few(answer)` and `agreement(HeadScores(answer), ranked, len(core))` answer the two questions.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ranking-own
# :class: dropdown
# ```

# %%
even = scores.share[:, None, None]  # what even attention would give
answer = (scores.target > 2 * even).mean(0)
print(f"half in {mass_concentration(answer):.0%} of the heads")
agreement(HeadScores(answer), ranked, len(core)).shared

# %% [markdown]
# In how many samples does a head give the evidence more than twice its share? A head that looks seldom but hard can have high RAM and score low here.
# Whether that predicts what switching heads off does is a question for [](08_ablation).
#
# ```{solution-end}
# ```
#
# ## Limits
#
# - A map of attention does not say which heads are needed: [](08_ablation) switches them off.
# - These are tiny models and few training runs; nothing here is shown for large ones.
#
# Where to go from here: [](07_stability) asks whether other data, seeds and families rank the same heads first; {cite:t}`sun2026core` and
# {cite:t}`li2026mmretheads` draw the map for large models.

# %% tags=["hide-input"]
best, late = core[0], len(core)
numbers = {
    "heads": ranked.score.size,
    "top_heads": len(core),
    "half_heads": round(held["RAM"]["half in"] * ranked.score.size),
    "half_picture": held["mass on the picture"]["half in"],
    "half_selectivity": held["selectivity"]["half in"],
    "half_lift": held["lift"]["half in"],
    "effective": held["RAM"]["effective heads"],
    "effective_picture": held["mass on the picture"]["effective heads"],
    "best": scores.ram[best],
    "best_low": sure[0][0],
    "best_high": sure[0][1],
    "best_selectivity": scores.selectivity[best],
    "best_lift": scores.lift[best],
    "least_selectivity": min(scores.selectivity[head] for head in core),
    "even": scores.share.mean(),
    "above_even": int((scores.ram > scores.share.mean()).sum()),
    "halves_shared": agreed.shared,
    "halves_expected": agreed.expected,
    "stays_last": place[leading[late - 1]],
    "enters_next": place[leading[late]],
    "passed": len(passed),
    "passed_top": passed.top.sum(),
    "passed_least": passed.ram.min() if len(passed) else 0.0,
}

# %% tags=["hide-input"]
numbers |= {
    "half_picture_heads": round(numbers["half_picture"] * ranked.score.size),
    "sixth": scores.ram[core[-1]],
    "samples_each": samples_each,
    "models": table["model"].nunique(),
    "treated": table.loc[table["treated"], "model"].nunique(),
}
for kind, row in by_rows.iterrows():
    numbers |= {
        f"shared_{kind}": int(row["shared"]),
        f"spearman_{kind}": row["spearman"],
        f"half_{kind}": mass_concentration(seen[kind][queries].ram),
    }
for name, column in (
    ("question", "best, question"),
    ("last", "best, last"),
    ("spearman", "spearman"),
):
    ends = by_rows[column].agg(["min", "max"])
    numbers |= {f"{name}_low": ends["min"], f"{name}_high": ends["max"]}
untreated = fair_zoo[[not treated(name) for name in fair_zoo.index]]
for name, column in (("asked", "asked for"), ("unasked", "not asked for")):
    numbers |= {
        f"fair_{name}_low": np.nan_to_num(untreated[column].min()),
        f"fair_{name}_high": np.nan_to_num(untreated[column].max()),
        f"half_{name}": fair[column]["half in"],
        f"{name}_heads": round(fair[column]["half in"] * ranked.score.size),
    }
numbers |= {
    "best_asked": own.ram.max(),
    "best_unasked": control_of.ram.max(),
    "fair_models": len(untreated),
    "fair_samples": most,
    "fair_sparser": int(
        (untreated["asked for"] < untreated["not asked for"]).sum()
    ),
}
natural = table[~table["treated"]]
media = table["evidence"].map(lambda k: bool(each[k][0].media))
for name, part, column in (
    ("natural", natural, "half in"),
    ("natural_control", natural, control),
    ("treated", table[table["treated"] & media], "half in"),
):
    if len(part):  # of fewer models none may be treated
        numbers |= {
            f"{name}_low": part[column].min(),
            f"{name}_high": part[column].max(),
        }
numbers |= {
    "natural_rows": len(natural),
    "natural_sparser": int((natural["half in"] < natural[control]).sum()),
}

# %% tags=["hide-input"]
publish(
    rows=[
        {"layer": layer, "head": head, "ram": scores.ram[layer, head]}
        | {f"ram_{rows}": views[rows].ram[layer, head] for rows in QUERIES}
        | {
            "selectivity": scores.selectivity[layer, head],
            "lift": scores.lift[layer, head],
        }
        | {
            "visual_mass": picture[layer, head],
            "membership": place[layer, head],
        }
        for layer, head in np.ndindex(scores.ram.shape)
    ],
    numbers=numbers,
    inputs={f"model {name}": one.provenance for name, one in zoo.items()}
    | {
        f"data {name}{' each' * (part is not samples)}": {
            "name": name,
            "split": "detection",
            "sha256": samples_checksum(part),
        }
        for name, part in (*each.items(), (dataset, samples))
    }
    | {"data asked": {"name": "scenes", "sha256": samples_checksum(asked)}},
)
