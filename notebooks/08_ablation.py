# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Are they needed? Ablating heads
#
# A head may look at the evidence and do nothing with it; to know whether the model needs it, take it away.
#
# **What came out.** Silencing {glue:text}`heads_ablated` of {glue:text}`heads` heads, the 5 % highest by RAM, takes a tiny model from
# {glue:text}`accuracy_dense:.2f` to {glue:text}`accuracy_without_top:.2f`, which is no better than naming a digit that is in the
# picture. {glue:text}`sets_layer` other sets of the same layers cost nothing ({glue:text}`accuracy_layer_min:.2f` at the least), but sets
# drawn from the whole model fall as far as {glue:text}`accuracy_model_min:.2f`: the layer-matched control is the lenient one here.
#
# ```{glue:figure} fig_controls
# :name: fig-ablation-controls
# :alt: Seven strips of points. The three sets that rank highest by RAM stand near the two dotted lines of chance. All layer-matched draws lie on the dashed line of the untouched model. Draws from the whole model and draws matched by norm lie there too, but for a few that fall to about 0.6. The lowest by RAM lies just below the dashed line.
#
# Accuracy without each set of heads; one point a set.
# ```

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
dataset: str = "scenes"  # where the samples come from, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
detection_dataset: str = ""  # where heads are ranked, if elsewhere (mlvu has no evidence) {dataset, empty}
detection_dir: str = ""  # its folder, likewise {folder, empty}
pages: int = 0  # most pages of a document; 0: the dataset's own number {0..1000}
frames: int = 0  # most frames of a clip; 0: the dataset's own number {0..1000}
max_pixels: int = 0  # most pixels of a picture, page or frame; 0: as the processor has it {0..}
detection_samples: int = 96  # samples that heads are ranked on {2..100000, quick 24}
samples: int = 48  # others, to test on; as many again for the control tasks {3..100000, quick 12}
batch_size: int = 16  # prompts that run at once; 1 for long documents {1..1024}
seed: int = 0  # seeds samples and random heads {0..}
top_fraction: float = 0.05  # share of heads that is ablated; fixed before looking {0<..1}
draws: int = 50  # random sets of each kind {1..10000, quick 3}
queries: str = "last"  # rows that rank the heads {last, question, answer}
models: str = ""  # to repeat it with; empty: all of the zoo {models, empty, quick tiny-qwen3-vl-seed1}
samples_each: int = 36  # to rank heads on, and as many to test on, for each of them {2..100000, quick 8}
draws_each: int = 12  # random sets of each kind for each of them {1..10000, quick 2}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from corehead_lib import plots
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.datasets import real
from corehead_lib.datasets.evidence import at_most, load_evidence
from corehead_lib.datasets.judged import judged_outcomes, own_chance
from corehead_lib.encode import encode_all
from corehead_lib.models import load_model, zoo_names
from corehead_lib.results import keep, publish
from corehead_lib.tokens import fitting
from corehead_lib.worlds.synthetic import CONTROL_TASKS

plots.use_style()
loaded = load_model(model, device, dtype)
most = {"pages": pages, "frames": frames}
ranked_on, place = (
    (detection_dataset, detection_dir)
    if detection_dataset
    else (dataset, data_dir)
)
detection = load_evidence(
    ranked_on, "detection", detection_samples, seed, data_dir=place,
    **at_most(ranked_on, **most),
)
retrieval = load_samples(
    dataset, "evaluation", samples, seed, data_dir=data_dir,
    **at_most(dataset, **most),
)
control = load_samples("scenes", "evaluation", samples, seed + 1, CONTROL_TASKS)

# %% [markdown]
# Samples that do not fit the model's context are left out, and a real dataset tells beforehand how long its prompts
# will be; `pages`, `frames` and `max_pixels` make them shorter.

# %%
fits = [fitting(loaded, part, max_pixels) for part in (detection, retrieval)]
detection, retrieval = (fit.samples for fit in fits)
names = "detection tokens", "test tokens"
length = {
    n: pd.Series(f.tokens).describe() for n, f in zip(names, fits, strict=True)
}
estimate = pd.DataFrame(length).loc[["count", "50%", "max"]]
estimate if dataset in real.DATASETS else None

# %% [markdown]
# ## One head, one question
#
# Zero ablation sets a head's output to zero before the layer's output projection, at every token.
#
# First we rank: {term}`RAM` of every head, on scenes of the {term}`detection set`, at three sets of rows.
# `queries` says which of the three is the ranking that this page tests; the others are shown beside it.

# %%
from corehead_lib.rankings import rank

batches = encode_all(loaded, detection, batch_size, max_pixels=max_pixels)
rows = [queries, *(r for r in ("last", "question", "answer") if r != queries)]
ranked = rank(loaded, batches, [*(f"ram-{r}" for r in rows), "norm"])
scores = ranked[f"ram-{queries}"]
core = scores.top(top_fraction)

# %% [markdown]
# One held-out question, then, and the probability of its answer with all heads, without the best one, and without the top set:

# %%
few = {"the best": core[:1], "the top": core}
one = retrieval[min(2, len(retrieval) - 1)]
print(one.question, "Answer:", one.answer)
table = judged_outcomes(loaded, [one], few, 1, max_pixels)
np.exp(table.set_index("set").logprob).rename("probability").round(2)

# %% [markdown]
# ## Try it yourself
#
# In the rendered book, the default model answers here, in your browser; each head you click falls silent as in this chapter, at every token.
# The framed ones rank highest over questions of all four kinds, so that they need not be those of the ranking above, which is on scenes.
#
# <div class="corehead-lab"></div>
# <script defer src="../_static/lab/lab.js"></script>

# %% [markdown]
# ## Which heads go
#
# The share, 5 %, was fixed before anything was looked at. Every set has as many heads:
#
# - **top**, by the ranking that is tested, and by the two other choices of rows;
# - **bottom**: the lowest by the same ranking;
# - **layer**: drawn so that each layer loses as many heads as under the top set, from that layer's others;
# - **model**: drawn from anywhere in the model, outside the top set;
# - **norm**: drawn so that each head of the top set is stood in for by one that writes about as much, by the length of its output.
#
# The three random kinds are drawn {glue:text}`sets_layer` times each, because a single draw says nothing about a spread.

# %%
from corehead_lib.study import controls

tops = {f"top by {r}": ranked[f"ram-{r}"].top(top_fraction) for r in rows[1:]}
drawn = controls(core, scores, draws, seed, norms=ranked["norm"].score)
sets = {"top": core, **tops, **drawn}
shown = ["top", *tops, "bottom"]
names = [" ".join(f"{h.layer}.{h.head}" for h in sets[s]) for s in shown]
shared = [len({*core} & {*sets[s]}) for s in shown]
pd.DataFrame({"heads (layer.head)": names, "also in the top": shared}, shown)

# %% [markdown]
# The answers here are one token long, so that the rows of the answer are the last prompt token, and its ranking is the same.
#
# The question's rows share {glue:text}`shared_question` head with the tested ranking. It is the best one, which does most of the work, so
# that this top set breaks the model as well ({glue:text}`accuracy_without_top_question:.2f`). {cite:t}`park2026vrh` report for large
# models, too, that output tokens as queries find the heads that matter, and prompt tokens find them less well.

# %% [markdown]
# ## What goes with them
#
# Each set is silenced on the same {glue:text}`samples` questions about other scenes. In the tiny models' own worlds an answer is right
# if it would be written exactly so, and end there.

# %%
from corehead_lib.study import by_task, summarise

how = {"batch_size": batch_size, "max_pixels": max_pixels}
asked = judged_outcomes(loaded, retrieval, sets, **how)
spread = summarise(by_task(asked)).set_index("kind")
guess = own_chance(loaded, retrieval)
spread.round(2)

# %% tags=["hide-input", "remove-output"]
by_set = asked.groupby(["kind", "set"], sort=False).correct.mean()
named = {"top": f"top\n({queries})", **{t: f"top\n({t[7:]})" for t in tops}}
named |= {
    "layer": "layer",
    "model": "whole\nmodel",
    "norm": "norm",
    "bottom": "bottom",
}
strips = {
    label: by_set[kind].to_list()
    for kind, label in named.items()
    if kind in by_set
}
figure, axis = plt.subplots(figsize=(7.4, 3.3))
lines = {"visible digit": guess.option, "constant": guess.constant}
plots.control_strips(axis, strips, spread["median"]["none"], lines)
axis.set_title("The top sets cost nearly all, most drawn sets nothing")
keep("fig_controls", figure)

# %% [markdown]
# Two models that do not look give the lines of chance: one always says the most frequent answer
# ({glue:text}`chance_constant:.2f`), one names a random digit that the picture shows ({glue:text}`chance_option:.2f`).
# The model without its top set stands between them: it may still know which digits are there, but not which one is meant.
#
# The column `p` of the table asks of each kind of draw how many fall as far as the top set. None does, so p is as small as
# {glue:text}`sets_layer` draws can make it, {glue:text}`p_layer:.3f`, before any correction.
#
# The lowest heads by RAM leave {glue:text}`accuracy_without_bottom:.2f`: as a control they hold here, but nothing says that they must.
# RAM knows one job, and a head with another job ranks low.
#
# ## Which control is strict?
#
# Layer-matched draws pass for the strict control, since depth alone cannot explain what they cost.
# Here they are the lenient one, and we can look why: silence every head of the model alone.

# %%
from corehead_lib.heads import Head

places = np.ndindex(scores.score.shape)
every = {f"{layer}.{head}": [Head(layer, head)] for layer, head in places}
alone = judged_outcomes(loaded, retrieval[:24], every, **how)
alone = alone.groupby("set")[["correct", "logprob"]].mean()
alone["in the top"] = [
    every.get(name, [None])[0] in core for name in alone.index
]
alone.sort_values("logprob").head(6).round(2)

# %% [markdown]
# One head of the top set is at the head of this list.
# Behind it stand two that RAM does not know, in layers 0 and 1, where the top set has no head. No layer-matched draw can touch them, and
# {glue:text}`fallen_explained` of the {glue:text}`fallen` draws of the other two kinds that fall below 0.9 hold one of the two.
#
# So the controls answer different questions. Against its own layers the top set is special beyond doubt; against the whole model it
# is the worst set to lose, but not the only one that is bad to lose. Neither kind is the stricter before one has looked.

# %% tags=["hide-input"]
needed = [
    n for n in alone.sort_values("logprob").index if not alone["in the top"][n]
][:2]
needed = {every[name][0] for name in needed}
wide = asked[asked.kind.isin(["model", "norm"])].groupby("set").correct.mean()
low = [*wide[wide < 0.9].index]
print(
    len(low),
    "draws fall,",
    sum(bool(needed & {*sets[s]}) for s in low),
    "with one of the two",
)

# %% [markdown]
# ## How sure are the differences?
#
# The p above is about other draws of heads.
# About other questions, each cost is a paired difference on the same samples, drawn anew by picture; for a random kind, the mean
# over its draws. The {glue:text}`tests` tests are one family, and Holm's correction is for all of them.

# %%
from corehead_lib.stats import holm
from corehead_lib.study import difference

pairs = [("none", s) for s in ("top", *tops, "bottom")]
pairs += [(k, "top") for k in ("layer", "model", "norm") if k in spread.index]
costs = pd.DataFrame([difference(asked, *pair) for pair in pairs])
costs["low"], costs["high"] = zip(*costs.pop("interval"), strict=True)
costs["p (Holm)"] = holm(costs.p.to_numpy())
costs.index = pd.Index([" - ".join(pair) for pair in pairs])
costs.round(4)

# %% [markdown]
# The top sets cost accuracy beyond doubt, and the tested one costs more than the mean draw of any kind; the cost of the bottom set,
# {glue:text}`cost_bottom:.2f` with an interval from {glue:text}`cost_bottom_low:.2f` to {glue:text}`cost_bottom_high:.2f`,
# may be none.
#
# ## Is it retrieval, or just capacity?
#
# If the top heads merely did a lot of work, everything would break.
# Counting, naming the background and small sums need no fetching of one place in the picture; these control tasks are about generated scenes,
# whatever `dataset` is.
#
# A control must be able to lose: a task at which the untouched model is not clearly better than chance stays there whatever is
# taken away. The column `counts` says which tasks pass.

# %%
from corehead_lib.chance import is_control

fewer = {s: h for s, h in sets.items() if len(s.partition("/")[2]) < 2}
other = judged_outcomes(loaded, control, fewer, **how)
both = pd.concat([asked, other])
tasks = by_task(both).groupby(["task", "kind"], sort=False).accuracy.median()
tasks = tasks.unstack(sort=False)
for task, part in both[both["set"] == "none"].groupby("task"):
    alike = [s for s in [*retrieval, *control] if s.task == task]
    line = own_chance(loaded, alike).line
    tasks.loc[task, ["chance", "counts"]] = line, is_control(part.correct, line)

# %% tags=["hide-input"]
shown = tasks.rename(columns={"none": "all heads"}).drop(columns=[*tops])
shown.assign(counts=shown.counts.map({True: "yes", False: "no"})).round(2)

# %% [markdown]
# Random kinds are medians over their draws, in control tasks over the first ten.
#
# All three retrieval tasks fall, while sums ({glue:text}`top_sum:.2f`) and backgrounds ({glue:text}`top_background:.2f`, untouched
# {glue:text}`dense_background:.2f`) stay: what is lost is retrieval, not the power to read a picture or to write an answer.
#
# **Counting is no control.** The tiny model stands at {glue:text}`dense_count:.2f` untouched, no better than chance, so that its row
# says nothing.
#
# ## How many heads does it take?
#
# We take more and more heads, from the top, from the bottom, and in five random orders of all heads outside the top set, until half of the model is gone.

# %%
most, rng = scores.score.size // 2, np.random.default_rng(seed)
some = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
sizes = [*(n for n in some if n < most), most]
rest = [head for head in scores.ranking() if head not in core]
orders = {"top": scores.ranking(), "bottom": scores.ranking()[::-1]}
for n in range(5):
    orders[f"random {n}"] = [rest[i] for i in rng.permutation(len(rest))]
growing = {f"{k}/{n}": o[:n] for k, o in orders.items() for n in sizes}
curve = judged_outcomes(loaded, retrieval, growing, **how)
curve = curve.groupby(["kind", "heads"])[["correct", "logprob"]].mean()

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4))
labels = "accuracy", "log-probability of the answer (nats)"
for axis, column, label in zip(axes, curve, labels, strict=True):
    for kind in orders:
        colour, line = {"t": (plots.RED, "o-"), "b": (plots.SKY, "s-")}.get(
            kind[0], (plots.AMBER, "-")
        )
        part = curve.loc[kind, column]
        name = {"t": "from the top", "b": "from the bottom"}.get(
            kind[0], "random orders" * (kind[-1] == "0")
        )
        axis.plot(part.index, part, line, color=colour, ms=4, label=name or "_")
    axis.axhline(curve.loc[("none", 0), column], color="black", lw=1, ls="--")
    axis.set_xscale("log", base=2)
    axis.set(xlabel=f"silenced heads (of {scores.score.size})", ylabel=label)
    axis.xaxis.set_major_formatter("{x:.0f}")
for value in (guess.option, guess.constant):
    axes[0].axhline(value, color="black", lw=1, ls=":")
axes[0].set_ylim(-0.03, 1.05)
figure.legend(
    *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3
)
figure.suptitle(
    "From the top the first head does most of the damage",
    x=0.01,
    ha="left",
    weight="bold",
)
keep("fig_curve", figure)

# %% [markdown]
# ```{glue:figure} fig_curve
# :name: fig-ablation-curve
# :alt: Two panels over the number of silenced heads, on a logarithmic scale from 1 to 64. From the top, accuracy and log-probability fall steeply with the very first head. From the bottom and in random orders they stay near the untouched level for the first heads and fall later.
#
# Accuracy, and how sure the model is of the right answer.
# ```
#
# How many heads take half of what the model has beyond chance? From the top, {glue:text}`heads_until_half`.
# The steps get coarser to the right, so the other numbers are upper bounds.

# %%
dense, line = curve.correct["none"].item(), guess.line
gone = curve.correct[curve.correct <= (dense + line) / 2].reset_index("heads")
half = gone.heads.groupby("kind").min().reindex(list(orders))
half.rename("heads until half is lost")

# %% [markdown]
# From the bottom half is lost somewhere up to {glue:text}`bottom_until_half` heads; in random orders up to
# {glue:text}`random_half_least` at the earliest. {glue:text}`random_never` of the five does not get there with half of all heads gone.
#
# ## Does it hold for other models?
#
# The same experiment, smaller, on every tiny model of the zoo; each model's heads are ranked anew. (Which of them share a part
# says [](07_stability).)


# %%
def experiment(one):
    part = detection[:samples_each]
    looked = encode_all(one, part, batch_size, max_pixels=max_pixels)
    own = rank(one, looked, [f"ram-{queries}"])[f"ram-{queries}"]
    top = own.top(top_fraction)
    kinds = ("layer", "model", "bottom")
    sets = {"top": top, **controls(top, own, draws_each, seed, kinds)}
    first = (*range(1, 9), 12, 16, 24)
    sets |= {f"first/{n}": own.ranking()[:n] for n in first}
    return own, judged_outcomes(one, retrieval[:samples_each], sets, **how)


# %% tags=["hide-input"]
from corehead_lib.progress import watched

names = [model] + [
    name for name in (models.split() or zoo_names()) if name != model
]
repeated = []
line_each = own_chance(loaded, retrieval[:samples_each]).line
for name in watched(names, "models"):
    one = loaded if name == model else load_model(name, device, dtype)
    own, result = experiment(one)
    level = summarise(by_task(result[result.kind != "first"])).set_index("kind")
    row = {
        "model": name.rsplit("/")[-1],
        "heads": own.score.size,
        "silenced": len(own.top(top_fraction)),
    }
    level = level.reindex(
        ["none", "top", "bottom", "layer", "model"]
    )  # some cannot be drawn everywhere
    row |= dict(
        zip(("all heads", "top", "bottom"), level["median"], strict=False)
    )
    for kind in ("layer", "model"):
        row |= {
            f"{kind}, median": level["median"][kind],
            f"{kind}, least": level.low[kind],
        }
    lost = result[result.kind == "first"].groupby("heads").correct.mean()
    row["until half"] = lost[
        lost <= (row["all heads"] + line_each) / 2
    ].index.min()
    repeated.append({**row, "checksum": one.checksum})
repeated = pd.DataFrame(repeated).set_index("model")
repeated.drop(columns="checksum").round(2)

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=(7.4, 0.5 * len(repeated) + 1.5))
places = np.arange(len(repeated))
marks = (("layer", plots.BLUE, -0.13), ("model", plots.AMBER, 0.13))
for kind, colour, shift in marks:
    ends = repeated[f"{kind}, least"], repeated[f"{kind}, median"]
    axis.hlines(places + shift, *ends, color=colour, lw=2.5)
    axis.plot(
        ends[1],
        places + shift,
        "o",
        color=colour,
        ms=6,
        label=f"{kind}: least to median",
    )
marks = {
    "all heads": ("|", "black", 12),
    "top": ("o", plots.RED, 8),
    "bottom": ("s", plots.SKY, 8),
}
for column, (mark, colour, size) in marks.items():
    axis.plot(
        repeated[column], places, mark, color=colour, ms=size, label=column
    )
axis.axvline(line_each, color="black", lw=1, ls=":")
axis.set_yticks(places, repeated.index)
axis.set(xlim=(-0.02, 1.03), xlabel="accuracy")
axis.invert_yaxis()
figure.legend(loc="outside lower center", ncols=3)
axis.set_title("Top sets break most models; once the bottom set does")
keep("fig_models", figure)

# %% [markdown]
# ```{glue:figure} fig_models
# :name: fig-ablation-models
# :alt: One row for each of seven tiny models. Without its top set each stands at the left, near the dotted line of chance, but the smallest, which loses nothing. Without the bottom set all stay near 1, but tiny-qwen3-vl-seed2, which falls to 0.6. Layer-matched draws stay near 1 but for one at 0.75 in tiny-internvl; the least of the draws from the whole model lies between 0.6 and 0.97.
#
# Every model without its own top, bottom and drawn sets.
# ```
#
# The top set takes more than half of what {glue:text}`models_broken_by_top` of {glue:text}`models` models have beyond chance.
#
# The one that it does not break is the small one, `tiny-qwen3-vl-s`: 5 % of its 48 heads are two, and those left do the work.
# It breaks at {glue:text}`half_most` heads, so a share that is fixed beforehand is not always enough.
#
# **A bottom set that fails as a control.** In `tiny-qwen3-vl-seed2` the lowest heads by RAM leave {glue:text}`bottom_worst:.2f`.
# Low RAM does not mean idle; a comparison of top and bottom alone would mislead there.
#
# **Random sets.** The worst draw from the whole model is worse than the worst layer-matched one in {glue:text}`models_layer_milder` models, and better
# in {glue:text}`models_layer_harder`: in `tiny-internvl` it is a layer-matched draw that goes as low as {glue:text}`models_layer_least:.2f`.
# Layer-matched draws are the more lenient control wherever the heads that anything needs stand in other layers than the top set, which is usual here,
# and no law.
#
# ## Which cells use which data
#
# Ranking, testing, the curve and the other models use `dataset` (and `detection_dataset` for the ranking). The control tasks are
# generated scenes always.
#
# A dataset with a score of its own is judged by it: the model writes an answer under every set, and `accuracy` is then that score, such as
# boxes found at an overlap of one half (`datasets.judged.judged_outcomes`). The log-probability stays that of the dataset's gold answer.
#
# ## Exercises
#
# ```{exercise-start} Only one of them
# :label: ex-ablation-one
# ```
#
# Difficulty: 1/5, five minutes. Silence the best head alone, then all of the top set but the best. What do the others do?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ablation-one
# :class: dropdown
# ```

# %%
parts = {"the best": core[:1], "all but the best": core[1:], "all": core}
parts = judged_outcomes(loaded, retrieval, parts, **how)
parts.groupby("set", sort=False)[["correct", "logprob"]].mean().round(2)

# %% [markdown]
# The others are backups: the model does well without them while it has its best head, and without the best head they still hold part of
# the answer. Effects of single heads would have missed them, which is why the experiment ablates sets.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} What is left of the certainty
# :label: ex-ablation-logprob
# ```
#
# Difficulty: 2/5, five minutes. Accuracy has a threshold in it. Repeat the comparison of sets with the {term}`gold log-probability`. Does
# a continuous measure tell the same story?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ablation-logprob
# :class: dropdown
# ```

# %%
summarise(by_task(asked), column="logprob").set_index("kind").round(2)

# %% [markdown]
# For the top set and its layers it does. But among the draws from the whole model there is one that leaves the answer as improbable as the
# top set does, {glue:text}`logprob_model_min:.2f` against {glue:text}`logprob_top:.2f`, although its accuracy was far higher: the
# model is then wrong less often, but very sure of what is wrong.
#
# ```{solution-end}
# ```
#
# ```{exercise} How many draws?
# :label: ex-ablation-draws
#
# Difficulty: 2/5, five minutes. You test four kinds of draws and correct by Holm. How many draws of each kind do you need at least,
# so that the adjusted p of all four can be below 0.01?
# ```
#
# ```{solution} ex-ablation-draws
# :class: dropdown
#
# With R draws none of which falls as far, p = 1 / (R + 1), and Holm takes the least of four equal p four times:
# 4 / (R + 1) < 0.01 needs R of 400 or more.
# ```
#
# ## Limits
#
# Zero is a value that a head's output never has, so zero ablation can do damage beyond removing what the head says;
# `corehead_lib.interventions` can put other values in its place.
#
# Tiny models, a handful of training runs, one kind of picture; and a set that breaks the model is not the only such set.
# The models were trained with a price on looking, which makes retrieval sparse.
#
# ## Where to go from here
#
# - What the definition measures: [](01_ram_definition)
# - What the heads buy: [](10_acceleration)
# - Ablations of text retrieval heads: {cite:t}`wu2024retrieval`; of visual ones: {cite:t}`sun2026core`, {cite:t}`park2026vrh`, {cite:t}`li2026mmretheads`

# %% tags=["hide-input"]
level, least = spread["median"], spread["low"]
numbers = {
    "heads": scores.score.size,
    "heads_ablated": len(core),
    "samples": len(retrieval),
}
numbers |= {"tests": len(costs), "fallen": len(low)}
numbers |= {
    "chance_option": guess.option,
    "chance_constant": guess.constant,
    "accuracy_dense": level["none"],
}
numbers |= {
    f"accuracy_without_{name.replace(' by ', '_')}": level[name]
    for name in ("top", *tops, "bottom")
}
numbers |= {
    f"shared_{name[7:]}": len({*core} & {*heads})
    for name, heads in tops.items()
}
logs = summarise(by_task(asked), column="logprob").set_index("kind")
numbers |= {
    "logprob_top": logs["median"]["top"],
    "logprob_none": logs["median"]["none"],
}
for kind in (
    kind for kind in ("layer", "model", "norm") if kind in spread.index
):
    numbers |= {f"sets_{kind}": spread.sets[kind], f"p_{kind}": spread.p[kind]}
    numbers |= {
        f"accuracy_{kind}_median": level[kind],
        f"accuracy_{kind}_min": least[kind],
    }
    numbers[f"logprob_{kind}_min"] = logs.low[kind]
bottom = costs.loc["none - bottom"]
numbers |= {
    "cost_bottom": bottom["mean"],
    "cost_bottom_low": bottom.low,
    "cost_bottom_high": bottom.high,
}
numbers["fallen_explained"] = sum(bool(needed & {*sets[s]}) for s in low)
for column, name in {"none": "dense", "top": "top", "chance": "chance"}.items():
    numbers |= {f"{name}_{task}": tasks[column][task] for task in CONTROL_TASKS}

# %% tags=["hide-input"]
at_random, middle = (
    half[half.index.str.startswith("random")],
    (repeated["all heads"] + line_each) / 2,
)
numbers |= {
    "heads_until_half": half["top"],
    "bottom_until_half": half["bottom"],
}
numbers |= {
    "random_half_least": at_random.min(),
    "random_never": at_random.isna().sum(),
}
numbers |= {"models": len(repeated), "half_most": repeated["until half"].max()}
numbers["bottom_worst"] = repeated.bottom.min()
numbers |= {
    f"models_broken_by_{name}": (repeated[name] <= middle).sum()
    for name in ("top", "bottom")
}
by_layer, by_model = (repeated[f"{kind}, least"] for kind in ("layer", "model"))
numbers |= {
    "models_layer_least": by_layer.min(),
    "models_model_least": by_model.min(),
}
numbers["models_layer_milder"] = (by_layer > by_model).sum()
numbers["models_layer_harder"] = (by_layer < by_model).sum()
whole = (
    "half_most",
    "heads_until_half",
    "bottom_until_half",
    "random_half_least",
)
numbers = {k: int(v) if k in whole else v for k, v in numbers.items() if v == v}

# %% tags=["hide-input"]
data = {
    "control": ("scenes", control),
    "detection": (ranked_on, detection),
    "evaluation": (dataset, retrieval),
}
inputs = {
    k: {"name": name, "sha256": samples_checksum(part)}
    for k, (name, part) in data.items()
}
inputs |= {
    f"model {name}": {"name": name, "checksum": c}
    for name, c in repeated.checksum.items()
}
inputs["model"] = loaded.provenance
rows = pd.concat([by_task(asked), by_task(other)]).to_dict("records")
publish(rows=rows, numbers=numbers, inputs=inputs)
