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
# A head may look at the evidence and do nothing with it. To know whether the model needs a head, take it away.
#
# **What came out.** The claim under test is that a model cannot answer without the 5 % of its heads with the highest {term}`RAM`, but can without low ones.
# Here it can: without those {glue:text}`heads_ablated` of {glue:text}`heads` heads accuracy is {glue:text}`accuracy_without_top:.2f`, with all heads
# {glue:text}`accuracy_dense:.2f`. The loss is small but real: on {glue:text}`many_samples` more questions it is {glue:text}`many_top:.3f`
# ({glue:text}`many_top_low:.3f` to {glue:text}`many_top_high:.3f`), while the lowest 5 % cost {glue:text}`many_bottom:.3f`. Without the top 12 % accuracy is
# {glue:text}`accuracy_without_more:.2f`, no better than naming a digit from the picture, while {glue:text}`sets_layer_more` other sets from the same layers
# leave {glue:text}`accuracy_layer_more_min:.2f` or more. Yet without the *lowest* 12 % it is {glue:text}`accuracy_without_bottom_more:.2f`, and tasks that need
# no retrieval break, too: low RAM does not mean idle. Two heads of the first layer do much of that.
#
# ```{glue:figure} fig_curve
# :name: fig-ablation-curve
# :alt: Two panels over the number of silenced heads, on a logarithmic scale from 1 to 64, with marks at 6 and 15 heads. From the top, accuracy is still near 0.9 at 6 and 8 heads, and near chance from 12 on. From the bottom, it falls a little later, and is near chance from 15 on. Three random orders stay at the untouched level up to 12 heads or more. Other heads of the top's layers never leave it, as far as they go, to 32 heads. The log-probability of the answer shows the same.
#
# Accuracy, and how sure the model is of the right answer, as more and more heads are silenced.
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
samples: int = 48  # new ones, to test on; as many again for the control tasks {3..100000, quick 12}
many_samples: int = 384  # more new ones, for the few sets that need a firmer answer; 0: none {0..100000, quick 12}
batch_size: int = 16  # prompts that run at once; 1 for long documents {1..1024}
seed: int = 0  # seeds samples and random heads {0..}
top_fraction: float = 0.05  # share of heads that is ablated; fixed before looking {0<..1}
larger_fraction: float = 0.12  # a larger share, tested beside it {0<..1}
draws: int = 150  # random sets of the same layers, for each share; six tests need 120 {1..10000, quick 3}
draws_wide: int = 30  # random sets of each other kind, for each share {1..10000, quick 2}
ranking: str = "ram-last"  # the ranking whose top is taken away {ram-last, ram-question, ram-answer, calibrated-last, calibrated-question, selectivity, lift, hits, write, visual, attention, norm, entropy, gradient, layer, random}
models: str = ""  # to repeat it with; empty: all of the zoo {models, empty, quick tiny-qwen3-vl-seed1}
samples_each: int = 32  # to rank heads on, and as many to test on, for each of them {2..100000, quick 8}
draws_each: int = 10  # random sets of the same layers for each of them {1..10000, quick 2}
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
from corehead_lib.heads import how_many
from corehead_lib.models import load_model, zoo_names
from corehead_lib.results import keep, publish
from corehead_lib.tokens import fitting
from corehead_lib.worlds.synthetic import CONTROL_TASKS

plots.use_style()
pd.set_option("display.max_colwidth", None)
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
    dataset, "evaluation", samples + many_samples, seed, data_dir=data_dir,
    **at_most(dataset, **most),
)
control = load_samples("scenes", "evaluation", samples, seed + 1, CONTROL_TASKS)

# %% [markdown]
# Samples that do not fit into the model's context are left out. For a real dataset, a table tells beforehand how long prompts will be; `pages`, `frames` and
# `max_pixels` shorten them.

# %%
fits = [fitting(loaded, part, max_pixels) for part in (detection, retrieval)]
detection, every = (fit.samples for fit in fits)
retrieval = every[:samples]
fresh = every[samples:] or retrieval  # where there are no more
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
# First we rank every head by {term}`RAM`, on scenes of the {term}`detection set`, for three choices of rows. `ranking` says which ranking this page tests, RAM
# at the last prompt token or any other of [](09_controls); the other choices of rows are shown beside it.

# %%
from corehead_lib.rankings import rank

batches = encode_all(loaded, detection, batch_size, max_pixels=max_pixels)
rows = [f"ram-{r}" for r in ("last", "question", "answer")]
by = [ranking, *(r for r in rows if r != ranking)]
ranked = rank(loaded, batches, [*by, "norm"])
scores = ranked[ranking]
order = scores.ranking()
few, more = (f"{100 * f:g} %" for f in (top_fraction, larger_fraction))
core = {few: scores.top(top_fraction), more: scores.top(larger_fraction)}

# %% [markdown]
# Now take one held-out question. How probable is its answer with all heads, without the best one, and without each top set?

# %%
one = retrieval[min(2, len(retrieval) - 1)]
print(one.question, "Answer:", one.answer)
table = {"the best": order[:1], **core}
table = judged_outcomes(loaded, [one], table, 1, max_pixels)
np.exp(table.set_index("set").logprob).rename("probability").round(2)

# %% [markdown]
# ## Try it yourself
#
# In the rendered book, the default model answers here, in your browser; each head you click is silenced as in this chapter, at every token. The lab's top 5 %
# and 12 % come from questions of all four kinds, so they need not be those of the ranking above, which uses scenes only.
#
# <div class="corehead-lab"></div>
# <script defer src="../_static/lab/lab.js"></script>
#
# With a running kernel, as in JupyterLab, a workbench does more: any model of the zoo, every kind of evidence, and all interventions of this chapter and the
# next, on heads chosen by RAM or by name. It shows how likely each answer is before and after, and a map of the heads.

# %% tags=["remove-output", "nbval-ignore-output"]
from corehead_lib.lab.workbench import workbench

workbench()

# %% [markdown]
# ## Which heads go
#
# The share of 5 % was fixed before we looked at anything. The 12 % was not: it was chosen where such curves have come down, so read what it shows as a
# description of the curve, not as a test that could have failed. Each set is compared with sets of its own size:
#
# - **top**: the highest heads by the ranking under test, and by the two other choices of rows;
# - **bottom**: the lowest by the ranking under test;
# - **layer**: drawn from the heads outside the top set, as many from each layer as the top set takes;
# - **model**: drawn from anywhere in the model, outside the top set;
# - **norm**: drawn so that each head of the top set is replaced by one that writes about as much, by the length of its output.
#
# A single draw says nothing about the spread, so we draw {glue:text}`sets_layer` sets of the same layers for each share, and {glue:text}`sets_model` of each
# other random kind.

# %%
from corehead_lib.study import controls, first_heads

kinds = (draws, ("layer",)), (draws_wide, ("model", "norm", "bottom"))
tops, sets = ["top", *(f"top by {r.split('-')[1]}" for r in by[1:])], {}
for share, heads in core.items():
    orders = [ranked[r].ranking() for r in by]
    own = {t: o[: len(heads)] for t, o in zip(tops, orders, strict=True)}
    for number, kind in kinds:
        own |= controls(heads, scores, number, seed, kind, ranked["norm"].score)
    sets |= {f"{share} {name}": drawn for name, drawn in own.items()}

# %% tags=["hide-input"]
told = {}
for share, top in core.items():
    for kind in (*tops, "bottom"):
        heads = sets[f"{share} {kind}"]
        listed = " ".join(h.name for h in heads)
        told[f"{share} {kind}"] = len({*top} & {*heads}), listed
columns = ["also in the top", "heads"]
pd.DataFrame.from_dict(told, orient="index", columns=columns)

# %% [markdown]
# The answers here are one token long, so the row that writes the answer is the last prompt token, and its ranking is the same. The question's rows share
# {glue:text}`shared_question` of the top {glue:text}`heads_ablated` heads with it, and {glue:text}`shared_question_more` of the top {glue:text}`heads_more`.
#
# ## What is lost without them
#
# Each set is silenced on the same {glue:text}`samples` questions, about scenes that the ranking did not use. In the tiny models' own worlds an answer is right
# if the model would write exactly that and stop.

# %%
how = {"batch_size": batch_size, "max_pixels": max_pixels}
asked = judged_outcomes(loaded, retrieval, sets, **how)

# %% tags=["hide-input"]
from corehead_lib.study import by_task, summarise


def spreads(column):
    table = by_task(asked)
    parts = {s: table[table.kind.str.match(f"none|{s} ")] for s in core}
    found = [summarise(p, f"{s} top", column) for s, p in parts.items()]
    return pd.concat(found).drop_duplicates("kind").set_index("kind")


guess = own_chance(loaded, retrieval, max_pixels)
spread, logs = spreads("accuracy"), spreads("logprob")
spread.drop(columns="p").round(2)

# %% tags=["hide-input", "remove-output"]
by_set = asked.groupby(["kind", "set"], sort=False).correct.mean()
named = {"top": f"top\n({ranking.removeprefix('ram-')})", **{t: f"top\n({t[7:]})" for t in tops[1:]}}
named |= {
    "layer": "layer",
    "model": "whole\nmodel",
    "norm": "norm",
    "bottom": "bottom",
}
figure, axes = plt.subplots(2, 1, figsize=(7.4, 5.8))
lines = {"visible digit": guess.option, "constant": guess.constant}
for axis, (share, heads) in zip(axes, core.items(), strict=False):
    strips = {
        label: by_set[f"{share} {kind}"].to_list()
        for kind, label in named.items()
        if f"{share} {kind}" in by_set
    }
    plots.control_strips(axis, strips, spread["median"]["none"], lines)
    axis.set_title(f"{share}, {len(heads)} heads")
keep("fig_controls", figure, "At 12 % the top set is the worst, and sets of its layers are harmless")

# %% [markdown]
# ```{glue:figure} fig_controls
# :name: fig-ablation-controls
# :alt: Two panels of seven strips. At 5 % the top set stands a little below the dashed line of the untouched model, and all layer-matched draws on it; a few draws from the whole model and many by norm fall to between 0.8 and 0.4. At 12 % the top set lies on the lower line of chance, the top by the question's rows and all layer-matched draws at the untouched level; draws from the whole model go down to 0.6, draws by norm to 0.3, and the lowest by RAM stand near chance.
#
# Accuracy without each set of heads; one point per set.
# ```
#
# Two ways of guessing give the lines of chance: always the most frequent answer ({glue:text}`chance_constant:.2f`), or a random one of the digits in the
# picture ({glue:text}`chance_option:.2f`).
#
# **Other heads of the same layers** cost nothing at either share: the worst of {glue:text}`sets_layer` draws leaves {glue:text}`accuracy_layer_min:.2f`
# at 5 %, and {glue:text}`accuracy_layer_more_min:.2f` at 12 %.
#
# **The question's rows** find a set that is not needed: without their top 12 %, accuracy is {glue:text}`accuracy_question_more:.2f`, though
# {glue:text}`shared_question_more` of these {glue:text}`heads_more` heads are also in the set under test. {cite:t}`park2026vrh` report for large models, too,
# that output tokens as queries find the heads that matter, and that prompt tokens find them less well.
#
# **Heads from anywhere** mostly cost nothing, but some sets do: accuracy falls as low as {glue:text}`accuracy_model_min:.2f` at 5 % and
# {glue:text}`accuracy_model_more_min:.2f` at 12 %.
#
# **Heads that write as much** are the hard control. Half of these draws leave {glue:text}`accuracy_norm_median:.2f` or less at 5 %, and the worst leaves
# {glue:text}`accuracy_norm_min:.2f`, far less than the top set does ({glue:text}`accuracy_without_top:.2f`). At 12 % the worst leaves
# {glue:text}`accuracy_norm_more_min:.2f`.
#
# **The lowest heads by RAM** leave {glue:text}`accuracy_without_bottom:.2f` at 5 % and {glue:text}`accuracy_without_bottom_more:.2f` at 12 %. At the larger
# share, comparing the top with the bottom alone would mislead.
#
# ## What does it say instead?
#
# A model that has lost the place of the evidence names another digit; one that has broken down names none. Here `shown` is another digit from the picture,
# `other` one that is not in it, and `none` no digit, or one that does not end the answer.

# %%
kinds = ["none", *(f"{s} {k}" for s in core for k in ("top", "norm", "bottom"))]
instead = pd.crosstab(asked.kind, asked.said, normalize="index")
instead = instead.reindex([kind for kind in kinds if kind in instead.index])
instead.round(2)

# %% [markdown]
# Without the top 12 %, {glue:text}`said_top_shown:.0%` of the answers are another digit of the picture, and {glue:text}`said_top_none:.0%` no digit; without
# the lowest 12 % these are {glue:text}`said_bottom_shown:.0%` and {glue:text}`said_bottom_none:.0%`. In both cases the model still writes digits. Without the
# top it names one that is nowhere in the picture more often than one that is, as guessing would; without the lowest, nearly all wrong ones are in the picture,
# on another shape: it sees, but has lost what was asked for.
#
# ## How many draws fall as far?
#
# A test asks how many draws fall as far as the top set, on these {glue:text}`samples` questions. Two shares and three kinds of draws make a family of six
# tests, corrected by Holm.

# %%
from corehead_lib.stats import holm

against = spread.loc[spread.sets > 1, ["median", "low", "sets", "p"]]
against = against.assign(adjusted=holm(against.p.to_numpy()))
against.round(4)

# %% [markdown]
# **Of draws from the same layers**, none falls as far at either share, so p is as small as so many draws can make it, {glue:text}`p_layer:.3f` after
# correction. At 5 % this says that on these questions the top set is worse to lose than others of its layers, not that the model cannot do without it.
#
# **At 5 % the top set is no worse to lose than sets that write as much**: p = {glue:text}`raw_p_norm:.2f` before any correction. Nor can it be told from sets
# from anywhere, p = {glue:text}`raw_p_model:.2f`.
#
# **At 12 %** sets that write as much leave {glue:text}`accuracy_norm_more_median:.2f` in the median and {glue:text}`accuracy_norm_more_min:.2f` at worst
# (p = {glue:text}`raw_p_norm_more:.3f`, {glue:text}`p_norm_more:.3f` after correction); for sets from anywhere p is {glue:text}`raw_p_model_more:.3f` and
# {glue:text}`p_model_more:.3f`. With {glue:text}`sets_norm_more` draws of each kind neither can fall below 0.05 in this family, so these two questions stay
# open.
#
# ## Which heads does RAM not know?
#
# Layer-matched draws pass for the strict control, since they rule out depth as an explanation. Here they are the lenient one, and we can see why: silence each
# head of the model alone.

# %%
solo = {head.name: [head] for head in order}
alone = judged_outcomes(loaded, retrieval[:24], solo, **how)
alone = alone.groupby("set")[["correct", "logprob"]].mean().drop("none")
alone["place by RAM"] = [1 + order.index(solo[n][0]) for n in alone.index]
alone.sort_values("logprob").head(6).round(2)

# %% [markdown]
# Of the {glue:text}`costly` heads that cost the most alone, {glue:text}`costly_top` is in the top 5 % and {glue:text}`costly_more` are in the top 12 %. The two
# worst of all others stand at places {glue:text}`needed_first` and {glue:text}`needed_second` of {glue:text}`heads` by RAM, in the first layer, where no
# layer-matched draw can touch them; the worse one alone costs {glue:text}`needed_cost:.1f` nats. Some draws from the whole model and by norm fall below 0.9.
# Are they the ones that hold one of the two, or both?

# %% tags=["hide-input"]
costly = alone.sort_values("logprob")
outside = [n for n in costly.index if solo[n][0] not in core[more]]
needed = [solo[name][0] for name in outside[:2]]
wide = asked[asked.kind.str.match(".*(model|norm)$")]
wide = wide.groupby("set").correct.mean()
holds = pd.Series([bool({*needed} & {*sets[s]}) for s in wide.index], wide.index)
holds = holds.map({True: "one or both", False: "neither"}).rename("holds")
falls = (wide < 0.9).map({True: "falls", False: "stays"}).rename("draw")
fallen = pd.crosstab(holds, falls).reindex(
    index=["one or both", "neither"], columns=["falls", "stays"], fill_value=0
)
fallen

# %% [markdown]
# Of the {glue:text}`fallen` that fall, {glue:text}`fallen_explained` do. Of the {glue:text}`holding` that hold one or both, {glue:text}`fallen_explained` fall;
# of the other {glue:text}`not_holding`, only {glue:text}`fallen_others`.
#
# So is it these two that are not idle, or low heads in general? We silence the two, then the others of the lowest 12 %, then the others of the first layer, on
# {glue:text}`many_samples` questions not used to choose them:

# %%
lowest = scores.bottom(larger_fraction)
pieces = {
    "others of the lowest": lowest,
    "others of layer 0": [head for head in order if head.layer == 0],
}
pieces = {k: [h for h in v if h not in needed] for k, v in pieces.items()}
pieces = {"the two": needed, **pieces}
apart = judged_outcomes(loaded, fresh, pieces, **how)
apart = apart.groupby("set", sort=False)[["heads", "correct", "logprob"]].mean()
apart.round(2)

# %% [markdown]
# Without the two, accuracy is {glue:text}`apart_two:.2f`; without the other {glue:text}`apart_low_heads:.0f` of the lowest {glue:text}`apart_low:.2f`, without
# the other {glue:text}`apart_layer_heads:.0f` of the first layer {glue:text}`apart_layer:.2f`. Most of what the lowest 12 % cost is due to these two, and the
# first layer is needed whatever the RAM of its heads; {glue:text}`low_first` of the lowest {glue:text}`heads_more` stand there.
#
# RAM measures one job, and a head with another job ranks low. Among such heads its order is noise: ranked on {glue:text}`samples_each` questions instead of
# {glue:text}`detection_samples`, the lowest 12 % leave {glue:text}`bottom_again:.2f` on {glue:text}`samples_each` test questions, those of the ranking above
# {glue:text}`bottom_same:.2f` on the same ones. [](09_controls) asks what these heads do.
#
# So the controls answer different questions. Against its own layers the top set is special, as the test above says; against the whole model it is one of
# several sets that are bad to lose.
#
# ## How sure are the differences?
#
# The p above is about other draws of heads, on these questions: is the top set worse to lose than sets like it? Would it cost as much on *other questions*? For
# that, each cost is a paired difference on the same samples, resampled by picture; for a random kind, of the mean over its draws. The {glue:text}`tests` tests
# are one family, corrected by Holm.

# %% tags=["hide-input"]
pairs = [("none", f"{s} {k}") for s in core for k in (*tops, "bottom")]
drawn = [f"{s} {k}" for s in core for k in ("layer", "model", "norm")]
pairs += [(k, k[: k.rindex(" ")] + " top") for k in drawn if k in spread.index]

# %% tags=["hide-input"]
from corehead_lib.study import difference


def compare(table, pairs):
    found = pd.DataFrame([difference(table, *pair) for pair in pairs])
    found["low"], found["high"] = zip(*found.pop("interval"), strict=True)
    found["p (Holm)"] = holm(found.p.to_numpy())
    return found.set_index(pd.Index([" - ".join(pair) for pair in pairs]))


costs = compare(asked, pairs)
costs.round(4)

# %% [markdown]
# The top 5 % cost {glue:text}`cost_top:.2f` of accuracy, with an interval from {glue:text}`cost_top_low:.2f` to {glue:text}`cost_top_high:.2f` and an adjusted
# p of {glue:text}`cost_top_p:.2f`: {glue:text}`samples` questions are too few to tell. So the top set was worse to lose than every draw from its layers on
# these questions, yet the row `layer - top` cannot say that it would be on others (adjusted p = {glue:text}`cost_layer_top_p:.2f`). The top 12 % cost
# {glue:text}`cost_more:.2f` ({glue:text}`cost_more_low:.2f` to {glue:text}`cost_more_high:.2f`, adjusted p = {glue:text}`cost_more_p:.3f`), more than the mean
# draw of any kind. Where a kind is compared with the top set, a negative row means that its mean draw costs more.
#
# ## More questions
#
# We added this section after that table had turned out too weak. It uses the same ranking and the few sets that matter (the top, the bottom, and the first
# three draws from the top's layers) on {glue:text}`many_samples` other questions. The {glue:text}`many_tests` tests are one family. (A dataset on disk that has
# no more questions is asked the same ones again; then this section says nothing new.)

# %%
wanted = ("top", "bottom", "layer/0", "layer/1", "layer/2")
chosen = {s: heads for s, heads in sets.items() if s.split()[-1] in wanted}
firm = judged_outcomes(loaded, fresh, chosen, **how)

# %% tags=["hide-input"]
remains = firm.groupby("kind", sort=False)[["correct", "logprob"]].mean()
pairs = [("none", kind) for kind in remains.index if kind != "none"]
pairs += [(f"{s} {k}", f"{s} top") for s in core for k in ("layer", "bottom") if f"{s} {k}" in remains.index]

# %%
firmly = compare(firm, pairs)
firmly["nats"] = [remains.logprob[a] - remains.logprob[b] for a, b in pairs]
firmly.round(4)

# %% [markdown]
# The top 5 % cost {glue:text}`many_top:.3f` of accuracy, from {glue:text}`many_top_low:.3f` to {glue:text}`many_top_high:.3f` (adjusted
# p = {glue:text}`many_top_p:.3f`), and {glue:text}`many_top_nats:.2f` nats. Other sets from their layers leave {glue:text}`many_layer_min:.3f` to
# {glue:text}`many_layer_max:.3f` (all heads: {glue:text}`many_dense:.3f`), and the lowest 5 % cost {glue:text}`many_bottom:.3f` (adjusted
# p = {glue:text}`many_bottom_p:.2f`).
#
# So what the paper reports for large models, that the top 5 % matter and low heads hardly do, holds at this share in this tiny model, though the loss is small:
# a model that is right in {glue:text}`many_without_top:.2f` of the cases can answer. At 12 % the loss is large, {glue:text}`many_more:.2f`, but there the
# lowest heads cost {glue:text}`many_bottom_more:.2f`.
#
# ## Is it retrieval, or just capacity?
#
# If the top heads merely did a lot of work, everything would break.
# Naming the background and small sums need no fetching of one place in the picture; these control tasks are about generated scenes,
# whatever `dataset` is.
#
# A control must be able to lose: a model that is not clearly better than chance at a task stays there whatever we take away. The column `counts` says which
# tasks pass.

# %% tags=["hide-input"]
from corehead_lib.chance import is_control

fewer = {s: h for s, h in sets.items() if int(s.partition("/")[2] or 0) < 5}
other = judged_outcomes(loaded, control, fewer, **how)
both = pd.concat([asked, other])
tasks = by_task(both).groupby(["task", "kind"], sort=False).accuracy.median()
tasks = tasks.unstack(sort=False)
for task, part in both[both["set"] == "none"].groupby("task"):
    alike = [s for s in [*retrieval, *control] if s.task == task]
    line = own_chance(loaded, alike, max_pixels).line
    tasks.loc[task, ["chance", "counts"]] = line, is_control(part.correct, line)

# %% tags=["hide-input"]
counts = tasks.counts.map({True: "yes", False: "no"})
wanted = [f"{few} top", *(f"{more} {k}" for k in ("top", "layer", "norm"))]
wanted = ["none", *wanted, f"{more} bottom", "chance"]
wanted = [column for column in wanted if column in tasks]
shown = tasks[wanted].assign(counts=counts)
shown.rename(columns={"none": "all heads"}).round(2)

# %%
sure = by_task(both).groupby(["task", "kind"], sort=False).logprob.median()
sure = sure.unstack(sort=False)[wanted[:-1]]
sure.rename(columns={"none": "all heads"}).round(2)

# %% [markdown]
# The tables show accuracy and {term}`gold log-probability`. For random kinds they are medians over the draws, in control tasks over the first five.
#
# Without the top 12 % all three retrieval tasks fall, while naming the background stays at {glue:text}`top_background:.2f`: the model still reads pictures and
# writes answers. But sums fall from {glue:text}`dense_sum:.2f` to {glue:text}`top_sum:.2f`, where guessing gives {glue:text}`chance_sum:.2f`. To add, a model
# may have to fetch, too, from the words of the question; but copying needs that as well and stands unharmed in [](09_controls), so this is a guess.
#
# The lowest 12 % are another matter. Without them naming the background falls to {glue:text}`bottom_background:.2f`, near chance at
# {glue:text}`chance_background:.2f`, and sums fall to {glue:text}`bottom_sum:.2f`: these heads do what every task needs.
#
# ## How many heads does it take?
#
# This is the figure at the top of the page. We silence more and more heads from the top, from the bottom, in three random orders of all heads outside the top
# 12 %, and, while every layer has enough others, from the top's layers, three sets for each size.

# %%
most, rng = scores.score.size // 2, np.random.default_rng(seed)
some = {1, 2, 3, 4, 6, 8, 10, 12, 16, 24, 32, 48, *map(len, core.values())}
sizes = sorted({*(n for n in some if n < most), most})
rest = [head for head in order if head not in core[more]]
orders = {"top": order, "bottom": order[::-1]}
for n in range(3):
    orders[f"random {n}"] = [rest[i] for i in rng.permutation(len(rest))]
growing = first_heads(orders, sizes)

# %% tags=["hide-input"]
for n in sizes:
    deepest = max(np.bincount([head.layer for head in order[:n]]))
    if 2 * deepest <= scores.score.shape[1]:
        alike = controls(order[:n], scores, 3, seed, ("layer",)).values()
        growing |= {f"layer/{n}/{k}": heads for k, heads in enumerate(alike)}

# %%
curve = judged_outcomes(loaded, retrieval, growing, **how)
curve = curve.groupby(["kind", "heads"])[["correct", "logprob"]].mean()

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4))
labels = "accuracy", "log-probability of the answer (nats)"
looks = {
    "top": (plots.RED, "o-", "from the top"),
    "bottom": (plots.SKY, "s-", "from the bottom"),
    "layer": (plots.BLUE, "^-", "others of the top's layers"),
}
for axis, column, label in zip(axes, curve, labels, strict=True):
    for kind in dict.fromkeys([*orders, "layer"]):
        if kind not in curve.index:
            continue
        name = "random orders" if kind == "random 0" else "_"
        colour, line, name = looks.get(kind, (plots.AMBER, "-", name))
        part = curve.loc[kind, column]
        axis.plot(part.index, part, line, color=colour, ms=4, label=name)
    axis.axhline(curve.loc[("none", 0), column], color="black", lw=1, ls="--")
    for heads in core.values():
        axis.axvline(len(heads), color="black", lw=1, ls=":", zorder=0)
    axis.set_xscale("log", base=2)
    axis.set(xlabel=f"silenced heads (of {scores.score.size})", ylabel=label)
    axis.xaxis.set_major_formatter("{x:.0f}")
for share, heads in core.items():
    axes[0].text(len(heads), 1.06, share, ha="center", fontsize=9)
for value in (guess.option, guess.constant):
    axes[0].axhline(value, color="black", lw=1, ls=":")
axes[0].set_ylim(-0.03, 1.05)
figure.legend(
    *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4
)
keep(
    "fig_curve",
    figure,
    "A dozen heads from the top, or a few more from the bottom,\n"
    "break the model; others from the top's layers do not",
)

# %% [markdown]
# How many heads cost half of the model's accuracy beyond chance? The steps are coarse, so these are upper bounds:

# %%
dense, line = curve.correct["none"].item(), guess.line
gone = curve.correct[curve.correct <= (dense + line) / 2].reset_index("heads")
half = gone.heads.groupby("kind").min().reindex([*orders, "layer"])
half.rename("heads until half is lost")

# %% [markdown]
# From the top, half is lost by {glue:text}`heads_until_half` heads, from the bottom by {glue:text}`bottom_until_half`, in the earliest random order by
# {glue:text}`random_half_least`. Others of the same layers leave {glue:text}`layer_left:.2f` when {glue:text}`layer_most` are gone, the most that can be drawn.
#
# ## Does it hold for other models?
#
# We repeat the experiment, smaller, on every tiny model of the zoo, ranking each model's heads anew. ([](07_stability) says which of them share a part.)

# %%
def experiment(one):
    part = detection[:samples_each]
    looked = encode_all(one, part, batch_size, max_pixels=max_pixels)
    own = rank(one, looked, [ranking])[ranking]
    size, top = own.score.size, own.top(larger_fraction)
    shares = (0.01, 0.02, 0.03, top_fraction, 0.08, larger_fraction, 0.18, 0.25)
    steps = sorted({how_many(share, size) for share in shares})
    sets = first_heads({"first": own}, steps)
    sets |= controls(top, own, draws_each, seed, ("layer", "bottom"))
    return own, judged_outcomes(one, retrieval[:samples_each], sets, **how)


# %% tags=["hide-input"]
from corehead_lib.progress import watched
from corehead_lib.zoo import treated

names = [model] + [
    name for name in (models.split() or zoo_names()) if name != model
]
repeated = []
first = retrieval[:samples_each]
line_each = own_chance(loaded, first, max_pixels).line
for name in watched(names, "models"):
    one = loaded if name == model else load_model(name, device, dtype)
    own, result = experiment(one)
    by_kind = result.groupby(["kind", "set"]).correct.mean()
    lost = result[result.kind == "first"].groupby("heads").correct.mean()
    size, untouched = own.score.size, by_kind["none"].item()
    row = {"model": name.rsplit("/")[-1], "heads": size}
    row["treated"] = "yes" if treated(name) else "no"
    row["all heads"] = untouched
    for share, fraction in ((few, top_fraction), (more, larger_fraction)):
        row[f"top {share}"] = lost[how_many(fraction, size)]
    alike = by_kind.get("layer", pd.Series([np.nan]))
    row |= {"layer, median": alike.median(), "layer, least": alike.min()}
    row[f"bottom {more}"] = by_kind["bottom"].item()
    halved = lost[lost <= (untouched + line_each) / 2].index.min()
    row["share until half"] = halved / size
    repeated.append({**row, "checksum": one.checksum})
repeated = pd.DataFrame(repeated).set_index("model")
repeated.drop(columns="checksum").round(2)

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=(7.4, 0.5 * len(repeated) + 1.7))
places = np.arange(len(repeated))
ends = repeated["layer, least"], repeated["layer, median"]
axis.hlines(places + 0.15, *ends, color=plots.BLUE, lw=2.5)
axis.plot(
    ends[1],
    places + 0.15,
    "^",
    color=plots.BLUE,
    ms=6,
    label=f"{more} of the same layers: least to median",
)
marks = {
    "all heads": ("all heads", "|", "black", 12),
    f"top {few}": (f"without the top {few}", "o", plots.AMBER, 8),
    f"top {more}": (f"without the top {more}", "o", plots.RED, 8),
    f"bottom {more}": (f"without the lowest {more}", "s", plots.SKY, 7),
}
for column, (label, mark, colour, size) in marks.items():
    above = 0.17 * (mark == "s")  # so that no mark hides another
    axis.plot(
        repeated[column],
        places - above,
        mark,
        color=colour,
        ms=size,
        label=label,
    )
axis.axvline(line_each, color="black", lw=1, ls=":")
stars = repeated.treated.map({"yes": " *", "no": ""})
axis.set_yticks(places, repeated.index + stars)
axis.set(xlim=(-0.02, 1.03), xlabel="accuracy")
axis.invert_yaxis()
figure.legend(loc="outside lower center", ncols=2)
keep("fig_models", figure, "The top 12 % break most models, not all of them")

# %% [markdown]
# ```{glue:figure} fig_models
# :name: fig-ablation-models
# :alt: One row for each tiny model. Without the top 12 percent most stand near the dotted line of chance or left of it, one near its untouched level. Without the top 5 percent they are spread from 0.2 to 0.9. Layer-matched draws stay near the untouched level, except for the least in the model that the top does not break, at 0.6. Without the lowest 12 percent they are spread from below 0.1 to 1.
#
# Each model without its own top, bottom and drawn sets. A star: trained with a price on looking.
# ```
#
# {glue:text}`models_natural` of the {glue:text}`models` models are natural, and only they are counted here. Losing the top 5 % takes at least half of the
# accuracy beyond chance in {glue:text}`models_broken_by_top` of them, losing the top 12 % in {glue:text}`models_broken_by_more`. The share at which half is
# lost lies between {glue:text}`half_share_least:.0%` and {glue:text}`half_share_most:.0%` in {glue:text}`models_halved` of them; in the others a quarter of all
# heads is not enough. A share that is fixed beforehand, whichever it is, tests one point of that curve.
#
# **Where the controls fail.** The lowest 12 % take at least half in {glue:text}`models_broken_by_bottom` natural models. In {glue:text}`models_layer_worse`,
# the worst of {glue:text}`draws_each` layer-matched draws is worse to lose than the top 12 %: for such a model RAM does not find the heads that are needed.
#
# The one model that paid for looking breaks at {glue:text}`half_share_treated:.0%` of its heads.
#
# ## Which cells use which data
#
# Ranking, testing, the curve and the other models use `dataset` (and `detection_dataset` for the ranking). The control tasks always use generated scenes.
#
# A dataset with its own score is judged by it: the model writes an answer with each set silenced, and `accuracy` is then that score, such as boxes found at an
# overlap of one half (`datasets.judged.judged_outcomes`). The log-probability is still that of the dataset's gold answer.
#
# ## Exercises
#
# ```{exercise-start} Three papers
# :label: ex-ablation-read
# ```
#
# Difficulty: 1/5, 3 minutes. Three papers rank heads by RAM and fix beforehand how many they silence: the first 4, 8, or 16. Read from
# {numref}`fig-ablation-curve`, to within 0.05, what accuracy is left in each. `answer` is these three numbers. What would each paper claim?
#
# :::{dropdown} Hint 1
# Use the curve *from the top* in the left panel.
# :::
#
# :::{dropdown} Hint 2
# The axis is logarithmic: from one tick to the next the number of heads doubles.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ablation-read
# :class: dropdown
# ```

# %%
read_off = [n for n in (4, 8, 16) if n in sizes]
by_number = curve.correct.unstack("kind", sort=False).loc[read_off]
answer = by_number.top.tolist()
by_number.drop(columns="none").round(2)

# %% [markdown]
# The first paper would write that these heads are dispensable, the last that the model cannot do without them, and each fixed its number beforehand. A fixed
# number makes a test honest; it does not make it about more than that number. The other columns show what as many other heads leave.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Two parts of a set
# :label: ex-ablation-one
# ```
#
# Difficulty: 1/5, 5 minutes. The larger set, `core[more]`, begins with the smaller one, `core[few]`. Which part of it matters, the first heads or the others? Silence each part alone.
# `answer` is the accuracy that is left without the first heads, and without the others.
#
# :::{dropdown} Hint 1
# `core[more][: len(core[few])]` are the first.
# :::
#
# :::{dropdown} Hint 2
# `judged_outcomes(loaded, retrieval, sets, **how)` takes a dict from names to lists of heads and returns a table with a row for each question and set.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ablation-one
# :class: dropdown
# ```

# %%
n, top = len(core[few]), core[more]
parts = {"first": top[:n], "the others": top[n:], "all": top}
parts = judged_outcomes(loaded, retrieval, parts, **how)
parts = parts.groupby("set", sort=False)[["correct", "logprob"]].mean()
answer = parts.correct[["first", "the others"]].tolist()
parts.round(2)

# %% [markdown]
# Neither part costs much, but both together cost nearly everything: they stand in for each other. Silencing single heads, or a small share, misses that, which
# is why the experiment silences sets, of more than one size.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} What is left of the certainty
# :label: ex-ablation-logprob
# ```
#
# Difficulty: 2/5, 8 minutes. On the questions of `retrieval`, what the top 5 % cost in accuracy cannot be told from nothing; it took more questions. Accuracy
# has a threshold in it: can the {term}`gold log-probability` tell, on the same few questions? `answer` is two p, not adjusted, from the permutation test
# `paired_p` with the samples' groups: for the cost of the smaller top set in accuracy, and for its cost in `logprob`.
#
# :::{dropdown} Hint 1
# `asked` has a row for each set and sample, the samples always in the same order; the sets are called `"none"` and `f"{few} top"`.
# :::
#
# :::{dropdown} Hint 2
# `paired_p(first, second, groups)` is in `corehead_lib.stats`; `group` is a column.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ablation-logprob
# :class: dropdown
# ```

# %%
from corehead_lib.stats import paired_p

compared = [asked[asked["set"] == name] for name in ("none", f"{few} top")]
answer = [
    paired_p(*(part[column] for part in compared), compared[0].group.tolist())
    for column in ("correct", "logprob")
]
print("p in accuracy {:.4f}, in log-probability {:.4f}".format(*answer))
print("after correction {:.4f} and {:.4f}".format(*holm(answer)))
logs.drop(columns="p").round(2)

# %% [markdown]
# It can: every question shows how much less sure the model is, not only those that fall below the threshold. But two measures are two tests, and a test chosen
# for its p proves nothing.
#
# Losing the top 5 % costs little accuracy, but makes the answer less likely, {glue:text}`logprob_top:.2f` nats against {glue:text}`logprob_none:.2f`. Without
# the lowest 12 % it is less likely than without the top 12 %, {glue:text}`logprob_bottom_more:.2f` against {glue:text}`logprob_more:.2f`, although more answers
# are right: the model is then wrong less often, but surer of what is wrong.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} How many draws?
# :label: ex-ablation-draws
# ```
#
# Difficulty: 2/5, 5 minutes. You test four kinds of draws and correct by Holm. What is the least number of draws of each kind with which the adjusted p of all
# four can be below 0.01? `answer` is one whole number.
#
# :::{dropdown} Hint 1
# If none of R draws falls as far as the top, p is 1 / (R + 1).
# :::
#
# :::{dropdown} Hint 2
# Holm multiplies the smallest of four p by four, and no other ends up below it.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ablation-draws
# :class: dropdown
# ```

# %%
from corehead_lib.stats import holm

fits = (r for r in range(1, 9999) if max(holm([1 / (r + 1)] * 4)) < 0.01)
answer = next(fits)
answer

# %% [markdown]
# If none of R draws falls as far, p = 1 / (R + 1). Holm multiplies the smallest of four equal p by four, so 4 / (R + 1) must stay below 0.01.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Others that are bad to lose
# :label: ex-ablation-own
# ```
#
# Difficulty: 4/5, 30 minutes. Is the smaller top set the worst of its size to lose? Find a rule that names as many heads, none of them in `core[more]`, without
# looking at the answers to `retrieval`. `answer` is the list of these heads, as (layer, head). Then silence them: do they cost more than the top by RAM, and is
# it retrieval that they cost?
#
# :::{dropdown} Hint 1
# `ranked["norm"]` ranks heads by how much they write; depth is a rule, too. `alone` has looked at answers, so a rule from it needs other questions.
# :::
#
# :::{dropdown} Hint 2
# Use `judged_outcomes(loaded, samples, sets, **how)` on `retrieval`, and on `control`, whose tasks fetch nothing from the picture.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ablation-own
# :class: dropdown
# ```

# %%
loud = [h for h in ranked["norm"].ranking() if h not in core[more]]
answer = loud[: len(core[few])]
rivals, left = {"loudest": answer, "top": core[few]}, {}
for task_kind, asked_so in {"retrieval": retrieval, "control": control}.items():
    result = judged_outcomes(loaded, asked_so, rivals, **how)
    left[task_kind] = result.groupby("set").correct.mean()
print(*(h.name for h in answer))
pd.DataFrame(left).round(2)

# %% [markdown]
# The heads that write most are worse to lose than the top by RAM, so RAM's top is not *the* set that the model needs, even of this size. But the tasks that
# fetch nothing fall as far, so fetching is not all that is lost. And all of these heads are in the first layer, so it may be their place and not their loudness
# that counts; silencing as many others of that layer would tell. A cost tells which heads matter; to learn what they are for takes a control.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# Zero is a value that a head's output never has, so zero ablation can do damage beyond removing what the head says;
# `corehead_lib.interventions` can put other values in its place.
#
# All this is about tiny models, a handful of training runs and one kind of picture; and a set that breaks the model is not the only such set. The share of 12 %
# was chosen with such curves in view.
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
    "heads_ablated": len(core[few]),
    "heads_more": len(core[more]),
    "samples": len(retrieval),
    "tests": len(costs),
    "fallen": fallen["falls"].sum(),
    "fallen_others": fallen["falls"]["neither"],
    "holding": fallen.loc["one or both"].sum(),
    "not_holding": fallen.loc["neither"].sum(),
    "low_first": sum(head.layer == 0 for head in lowest),
    "chance_option": guess.option,
    "chance_constant": guess.constant,
    "accuracy_dense": level["none"],
    "accuracy_without_top": level[f"{few} top"],
    "accuracy_without_more": level[f"{more} top"],
    "accuracy_without_bottom": level[f"{few} bottom"],
    "accuracy_without_bottom_more": level[f"{more} bottom"],
    "logprob_none": logs["median"]["none"],
    "logprob_top": logs["median"][f"{few} top"],
    "logprob_more": logs["median"][f"{more} top"],
    "logprob_bottom_more": logs["median"][f"{more} bottom"],
    "samples_each": samples_each,
    "detection_samples": len(detection),
    "bottom_again": repeated[f"bottom {more}"].iloc[0],
    "bottom_same": asked[asked["set"] == f"{more} bottom"].correct[:samples_each].mean(),
}
answers = instead.reindex(columns=["shown", "other", "none"], fill_value=0.0)
for name in ("top", "bottom"):
    told_so = answers.loc[f"{more} {name}"]
    numbers |= {f"said_{name}_{column}": value for column, value in told_so.items()}
for share, ending in ((few, ""), (more, "_more")):
    for name in tops[1:]:
        heads = {*sets[f"{share} {name}"]}
        shared = len({*core[share]} & heads)
        numbers[f"shared_{name[7:]}{ending}"] = shared
        numbers[f"accuracy_{name[7:]}{ending}"] = level[f"{share} {name}"]
    for kind in ("layer", "model", "norm"):
        found = f"{share} {kind}"
        if found not in spread.index:
            continue
        numbers |= {
            f"sets_{kind}{ending}": spread.sets[found],
            f"accuracy_{kind}{ending}_median": level[found],
            f"accuracy_{kind}{ending}_min": least[found],
            f"logprob_{kind}{ending}_min": logs.low[found],
        }
        if found in against.index:
            numbers[f"p_{kind}{ending}"] = against.adjusted[found]
            numbers[f"raw_p_{kind}{ending}"] = against.p[found]
for name, row in {
    "top": f"none - {few} top",
    "more": f"none - {more} top",
    "bottom": f"none - {few} bottom",
    "bottom_more": f"none - {more} bottom",
}.items():
    cost = costs.loc[row]
    numbers |= {
        f"cost_{name}": cost["mean"],
        f"cost_{name}_low": cost.low,
        f"cost_{name}_high": cost.high,
        f"cost_{name}_p": cost["p (Holm)"],
    }
for name, row in {
    "top": f"none - {few} top",
    "more": f"none - {more} top",
    "bottom": f"none - {few} bottom",
    "bottom_more": f"none - {more} bottom",
    "layer": f"none - {few} layer",
    "layer_top": f"{few} layer - {few} top",
}.items():
    if row in firmly.index:
        found = firmly.loc[row]
        numbers |= {f"many_{name}": found["mean"], f"many_{name}_nats": found.nats}
        numbers |= {f"many_{name}_low": found.low, f"many_{name}_high": found.high}
        numbers |= {f"many_{name}_p": found["p (Holm)"]}
row = f"{few} layer - {few} top"
if row in costs.index:
    numbers["cost_layer_top_p"] = costs["p (Holm)"][row]
others = firm[firm.kind == f"{few} layer"].groupby("set").correct.mean()
numbers |= {
    "many_samples": len(fresh),
    "many_tests": len(firmly),
    "many_dense": remains.correct["none"],
    "many_without_top": remains.correct[f"{few} top"],
    "many_layer_min": others.min(),
    "many_layer_max": others.max(),
}
for name, part in zip(("two", "low", "layer"), pieces, strict=True):
    numbers[f"apart_{name}"] = apart.correct[part]
    numbers[f"apart_{name}_heads"] = apart.heads[part]
worst = [solo[name][0] for name in costly.index[:6]]
before = asked[asked["set"] == "none"].logprob[:24]
first, second = (1 + order.index(solo[name][0]) for name in outside[:2])
numbers |= {
    "fallen_explained": fallen["falls"]["one or both"],
    "costly": len(worst),
    "costly_top": len({*worst} & {*core[few]}),
    "costly_more": len({*worst} & {*core[more]}),
    "needed_first": first,
    "needed_second": second,
    "needed_cost": before.mean() - costly.logprob[outside[0]],
}
columns = {
    "dense": "none",
    "few": f"{few} top",
    "top": f"{more} top",
    "bottom": f"{more} bottom",
    "chance": "chance",
}
for name, column in columns.items():
    numbers |= {f"{name}_{task}": tasks[column][task] for task in CONTROL_TASKS}

# %% tags=["hide-input"]
at_random = half[half.index.str.startswith("random")]
natural = repeated[repeated.treated == "no"]
middle = (natural["all heads"] + line_each) / 2
broken = {"top": f"top {few}", "more": f"top {more}"}
broken |= {"bottom": f"bottom {more}", "layer": "layer, least"}
numbers |= {
    f"models_broken_by_{name}": (natural[column] <= middle).sum()
    for name, column in broken.items()
}
halved, worse = "share until half", natural["layer, least"]
numbers |= {
    "models": len(repeated),
    "models_natural": len(natural),
    "draws_each": draws_each,
    "models_layer_worse": (worse < natural[f"top {more}"]).sum(),
    "models_halved": natural[halved].notna().sum(),
    "half_share_least": natural[halved].min(),
    "half_share_most": natural[halved].max(),
    "half_share_treated": repeated[repeated.treated == "yes"][halved].max(),
}
if "layer" in curve.index:
    alike = curve.correct["layer"]
    numbers |= {"layer_most": alike.index[-1], "layer_left": alike.iloc[-1]}
whole = {
    "heads_until_half": half["top"],
    "bottom_until_half": half["bottom"],
    "random_half_least": at_random.min(),
}
numbers |= {k: int(v) for k, v in whole.items() if v == v}
numbers = {k: v for k, v in numbers.items() if v == v}

# %% tags=["hide-input"]
data = {
    "control": ("scenes", control),
    "detection": (ranked_on, detection),
    "evaluation": (dataset, retrieval),
    "more questions": (dataset, fresh),
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
