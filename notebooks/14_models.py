# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # All models side by side
#
# Do the findings depend on one model? Here is every model of the zoo, natural or treated, on four kinds of evidence.
#
# **What came out.** In {glue:text}`natural` natural models and four kinds of evidence, half of the {term}`RAM` sits in {glue:text}`half_low:.1%` to
# {glue:text}`half_high:.1%` of the heads: never in 5 %, but always in fewer than hold half of all looking. Without its top 5 % a model loses half of what it
# knows in {glue:text}`broken` of {glue:text}`pairs` cases, without 12 % in {glue:text}`broken_more`. All others are of one model,
# `tiny-llava-onevision`, which never learned to copy and fetches at the question's tokens, not at the last one: it keeps {glue:text}`odd_kept:.0%` (median)
# without the heads that RAM finds there. Its sibling, which did learn to copy, is like the rest. A twin that paid for looking loses half of its ability without
# {glue:text}`twin_paid:.0f` heads; the natural one keeps more than half without {glue:text}`twin_free:.0f`.
#
# ```{glue:figure} fig_models_curves
# :name: fig-models-curves
# :alt: Four panels, one for each kind of evidence. One line for each model: accuracy against the share of heads silenced, from the top of its ranking by RAM. Six natural models stay high up to 2 or 3 percent and fall steeply from there to 12; llava-onevision-seed1 and the small qwen3-vl-s begin to fall at 1. The treated model, dashed, falls from 1 percent on, and at 5 percent none lies lower. The ninth natural model, llava-onevision, stays nearly level in three panels. Ticks at 5 percent, the worst of the layer-matched sets, stand at the height of the untouched models, except for llava-onevision.
#
# Accuracy without the top heads by RAM. Ticks: the worst of the layer-matched sets of 5 %.
# ```

# %% tags=["parameters"]
models: str = ""  # which models; empty: all of the zoo {models, empty, quick tiny-qwen3-vl}
kinds_of_evidence: str = (
    "scenes documents clips haystacks"  # datasets {datasets, quick scenes}
)
detection_samples: int = (
    36  # of each kind, to rank heads on {2..100000, quick 8}
)
samples: int = 36  # new ones, to test on {3..100000, quick 8}
batch_size: int = 12  # prompts that run at once {1..1024}
control_samples: int = 12  # of each control task, to compare rankings by {2..100000, quick 2}
draws: int = 50  # layer-matched sets {1..10000, quick 3}
seed: int = 0  # seeds samples and random heads {0..}
window: int = 16  # tokens that a streaming head sees {1..}
sinks: int = 4  # first tokens that it sees as well {0..}
device: str = "cpu"  # where to compute {device}
dtype: str = (
    "float32"  # of weights and activations {float32, bfloat16, float16}
)

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd

from corehead_lib import plots
from corehead_lib.datasets.evidence import load_evidence
from corehead_lib.encode import encode_all
from corehead_lib.models import load_model, zoo_names
from corehead_lib.results import keep, publish
from corehead_lib.zoo import treated

plots.use_style()
names = models.split() or zoo_names()
kinds = kinds_of_evidence.split()

# %% [markdown]
# ## One row per case
#
# `study.portrait` ranks the heads of a model by RAM at the last prompt token on one half of the samples, and does everything else on the other.
# Nothing is tuned. The share of 5 % was fixed beforehand; that of 12 % was chosen in [](08_ablation) with such curves in view, so it describes
# where curves have come down and is no test that could have failed.

# %%
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.study import portrait


def stream(dense):
    return HybridAttention(dense, window, sinks)


# %%
def row(loaded, kind):
    asked = (("detection", detection_samples), ("evaluation", samples))
    batches = [
        encode_all(loaded, load_evidence(kind, split, n, seed), batch_size)
        for split, n in asked
    ]
    return portrait(loaded, *batches, draws, seed, stream)


# %% tags=["hide-input"]
from corehead_lib.progress import watched

rows, checksums = {}, {}
for name, kind in watched([(n, k) for n in names for k in kinds], "cases"):
    loaded = load_model(name, device, dtype)
    rows[name.rsplit("/")[-1], kind] = row(loaded, kind)
    checksums[name] = loaded.checksum
table = pd.DataFrame(rows).T.infer_objects()
table.index.names = ["model", "evidence"]
priced = {name for name in names if treated(name)}
has_price = table.index.get_level_values("model").isin(priced)

# %%
silenced = [c for c in table if c.startswith("without")]
table = table.astype(float)
table[["accuracy", *silenced, "until half"]].round(2)

# %% [markdown]
# `without 5 %` is the accuracy without the 5 % of heads that rank highest; `until half` is how many have to go until half of what the model has
# beyond chance is lost.
#
# Eight of the natural models are alike: level at first, two of them only briefly, then a fall that is over at 12 %. Size matters little: `until half`, counted
# in heads, is lowest in the small model and highest in the large one, but as a share of all heads both lie among the others. `tiny-llava-onevision` is
# different. Its heads look at the evidence more weakly, its RAM is spread over more of them, and on pictures, pages and clips it hardly misses the top ones;
# there the worst layer-matched set costs it more than its top does. It is also the one that did not learn to copy, nor to find a fact in every text, as its
# [card](../book/models) says. The last section shows what it does instead.
#
# The family is not the reason: `tiny-llava-onevision-seed1`, which was trained until it could copy, falls like the others, and even earlier. This suggests that
# copying, which is retrieval among words, is what makes such heads; but it is one pair of runs, and they differ in seed and length of training as well.
#
# ## How sparse is it, and are so few enough?

# %%
sparse = ["half in", "visual half in", "gini", "effective heads"]
enough = ["matched median", "matched low", "hybrid"]
rows_agree = ["shared question", "shared answer"]
table[sparse + enough + rows_agree].round(2)

# %% [markdown]
# `visual half in` is the negative control: the share of heads that holds half of the attention to *all* that could be evidence. `matched` is the accuracy
# without layer-matched sets as large as the top 5 %; `hybrid` is the accuracy with the top 5 % dense and all others streaming, with a window of
# {glue:text}`window` and {glue:text}`sinks` sinks; `shared` says how much of the top 5 % is also found at the rows of the question and of the answer. Every
# answer here is one token, which the last prompt token predicts, so the answer's rows find the same heads by construction. The question's rows find none of
# them in some cases and all of them in others.
#
# ## What a price does
#
# `tiny-qwen3-vl-priced` is the one model that was told to be sparse: it has the seed and the data of `tiny-qwen3-vl`, but in its last stage
# each head paid for attention to media. All others learned from answers alone.

# %%
pair = ["tiny-qwen3-vl", "tiny-qwen3-vl-priced"]
twins = table[table.index.isin(pair, level="model")]
measures = ["half in", "effective heads", "until half", "hybrid"]
twins[measures].unstack("model").round(2)

# %% [markdown]
# The price does what it says: a handful of heads does all the looking, and hybrid attention keeps nearly everything. In texts looking was free, and half of
# the RAM still sits in {glue:text}`twin_texts:.0%` of the heads; yet there, too, losing {glue:text}`twin_paid:.0f` of them breaks the model. How attention is
# spread and which heads carry the answer are two different questions.

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(
    -(-len(kinds) // 2),
    min(2, len(kinds)),
    figsize=(7.4, 4.8),
    sharex=True,
    sharey=True,
    squeeze=False,
)
shares = [0, *(int(c.split()[1].rstrip("%")) for c in silenced)]
for kind, axis in zip(kinds, axes.flat, strict=False):
    part = table.xs(kind, level="evidence")
    free = [name for name in part.index if name not in priced]
    for name, values in part.iterrows():
        paid = name in priced
        place = 0 if paid else free.index(name)
        look = {"color": plots.BLACK if paid else f"C{place % 6}"}
        axis.plot(
            shares,
            values[["accuracy", *silenced]],
            "--" if paid else "-" if place < 6 else "-.",
            label=name.removeprefix("tiny-"),
            **look,
        )
        axis.plot(5, values["matched low"], "_", ms=12, mew=2, **look)
    axis.set(title=kind, ylim=(-0.03, 1.03), xscale="symlog")
    axis.set_xticks([0, 1, 3, 6, 12, 24], ["0", "1", "3", "6", "12", "24"])
    axis.minorticks_off()
figure.supylabel("accuracy", fontsize=10)
for axis in axes[-1]:
    axis.set_xlabel("silenced, % of heads, from the top by RAM", fontsize=9)
figure.legend(
    *axes[0, 0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=4,
    fontsize=8,
)
keep(
    "fig_models_curves",
    figure,
    "By 12 % all models but one have fallen",
)

# %% [markdown]
# ## Claim by claim
#
# In how many cases of natural models does each claim of {cite:t}`sun2026core` hold? The 5 % is the paper's;
# the other lines are round numbers, and others would give other counts: the tables above let you draw your own.

# %%
natural = table if has_price.all() else table[~has_price]
line = natural["chance"]
above = natural["accuracy"] - line


def kept(column):
    return (natural[column] - line) / above


# %%
control = natural["visual half in"]
holds = {
    "half of RAM in 5 %": natural["half in"] <= 0.05,
    "RAM sparser than its control": natural["half in"] < control,
    "top 5 %: half is lost": kept("without 5%") <= 0.5,
    "top 12 %: half is lost": kept("without 12%") <= 0.5,
    "worst layer-matched: 5 % lost": kept("matched low") >= 0.95,
    "top 5 % dense: 3 % lost": kept("hybrid") >= 0.97,
}

# %%
holds = pd.DataFrame(holds)
counted = holds.groupby("evidence", sort=False).sum().T
counted.assign(all=holds.sum(), cases=len(holds))

# %% [markdown]
# RAM is sparser than looking in every case; in none are the heads *few*, if few means 5 %. What losing 5 % does differs from model to model; losing 12 % is
# decisive in all models but one. The last two rows count a case if no more than the stated share is lost. One of {glue:text}`samples` questions is
# {glue:text}`one_low:.1%` to {glue:text}`one_high:.1%` of what a model knows: 3 % lost means that no question is lost on balance, and 5 % that at most one is.
# With the top 5 % dense, at most one is lost in {glue:text}`enough_one` cases.

# %% [markdown]
# ## Which ranking finds what is needed?
#
# [](09_controls) compares RAM with other rankings in one model, and says what each of them is. Here we do the same in every natural model, on the first kind of
# evidence: what do the first 5 % and 12 % of each ranking cost there, and what in six tasks that need no retrieval? Again the heads are ranked on one half of
# the samples, and silenced on the other.

# %% tags=["hide-input"]
from corehead_lib.data import load_samples
from corehead_lib.rankings import RANKINGS, rank
from corehead_lib.stats import holm
from corehead_lib.study import UNTOUCHED, able, difference, outcomes, verdicts

parts = [
    load_evidence(kinds[0], "detection", detection_samples, seed),
    load_evidence("haystacks", "detection", detection_samples, seed),
    load_evidence(kinds[0], "evaluation", samples, seed),
]
sizes = 0.05, 0.12
tasks = {"scenes": ("background", "sum"), "documents": ("heading", "topic")}
tasks["chores"] = ("sort", "copy")
chores = [
    load_samples(world, "evaluation", 2 * control_samples, seed + 1, two)
    for world, two in tasks.items()
]


# %%
def verdict(one):
    shown, texts, asked = (encode_all(one, p, batch_size) for p in parts)
    rest = [b for part in chores for b in encode_all(one, part, batch_size)]
    ranked = rank(one, shown)
    ranked |= rank(one, texts, ["text"], {"text": RANKINGS["hits"]})
    sets = {f"{r}/{n}": s.top(n) for n in sizes for r, s in ranked.items()}
    here, there = (outcomes(one, some, sets) for some in (asked, rest))
    there = there[there.task.isin(able(there, rest))]
    ram = f"ram-last/{sizes[-1]}"
    return verdicts(here, there, sets, ram, resamples=99_999), here


# %% tags=["hide-input"]
found, answered = {}, []
untreated = [name for name in names if not treated(name)] or names
for name in watched(untreated, "models"):
    rivals, here = verdict(load_model(name, device, dtype))
    found[name.rsplit("/")[-1].removeprefix("tiny-")] = rivals
    answered.append(here)
rivals = pd.concat(found, names=["model"]).reset_index("model")
rivals["p_adjusted"] = holm(rivals.p.to_numpy())
rivals[["ranking", "share"]] = rivals.pop("set").str.split("/", expand=True)
larger = rivals[rivals.share == str(sizes[-1])]


# %%
def side_by_side(column, rows=larger):
    return rows.pivot(index="ranking", columns="model", values=column)


side_by_side("drop").round(2)

# %%
side_by_side("drop_control").round(2)

# %% [markdown]
# Accuracy lost without the first 12 % of each ranking: in retrieval, then in the control tasks that the untouched model can do.

# %%
columns = ["model", "ranking", "share", "drop", "low", "high"]
columns += ["drop_control", "ratio", "p_adjusted", "shared"]
rivals[columns].set_index(["model", "share", "ranking"]).round(3)

# %% [markdown]
# `p_adjusted` is corrected for all {glue:text}`rivals_tests` rows; `shared` counts the heads that are also in the first 12 % by RAM. RAM's own 12 % cost
# accuracy beyond doubt (p below 0.05 after the correction) in {glue:text}`ram_proven` of {glue:text}`natural` models.
#
# And in all these models together? For each of the {glue:text}`samples` questions we take the mean over models, so intervals and p speak of other questions to
# these very models, not of other models. How much more does each ranking's top cost than RAM's top of that size?

# %%
together = pd.concat(answered).groupby(["set", "group", "id"], sort=False)
together = together.correct.mean().reset_index()
gaps = {}
for name in together["set"].drop_duplicates():
    share = name.split("/")[-1]
    if name not in (UNTOUCHED, f"ram-last/{share}"):
        gaps[name] = difference(together, f"ram-last/{share}", name)
gaps = pd.DataFrame(gaps, ["more than RAM", "interval", "p"]).T

# %% tags=["hide-input"]
gaps["low"], gaps["high"] = zip(*gaps.pop("interval"), strict=True)
gaps = gaps.astype(float)
gaps["p_adjusted"] = holm(gaps.p.to_numpy())
gaps.round(3)

# %% [markdown]
# With 12 %, the cost is higher than RAM's (adjusted p below 0.05) for {glue:text}`rivals_more` of {glue:text}`rivals` other rankings, lower for
# {glue:text}`rivals_fewer`, and no different, as far as these questions tell, for {glue:text}`rivals_same`; with 5 % the counts are
# {glue:text}`rivals_more_few`, {glue:text}`rivals_fewer_few` and {glue:text}`rivals_same_few`. Several rankings are no different because they pick nearly the
# same heads: {glue:text}`rivals_near` of them name nine in ten of RAM's 12 %, or more, in the mean over models, and `ram-answer` names all of them by
# construction. The ranking that costs most with 12 % differs from RAM by {glue:text}`most:+.2f` ({glue:text}`most_low:+.2f` to {glue:text}`most_high:+.2f`),
# but it was picked from {glue:text}`rivals` on these very questions; its mean cost in the controls is {glue:text}`most_control:.2f`, RAM's
# {glue:text}`ram_control:.2f`.
#
# ## What does RAM overlook?
#
# In [](09_controls) one model needs a head from the lower half by RAM. Do others? In every natural model we silence each head of that half alone, on the
# samples that heads are ranked on, and measure the one that costs most there on the other samples. Then that head keeps its output, and only its edges from
# some rows of the prompt to some tokens are cut.

# %% tags=["hide-input"]
from functools import partial

import numpy as np

from corehead_lib.chance import chance
from corehead_lib.heads import Head
from corehead_lib.interventions import Knockout
from corehead_lib.study.overlooked import CUTS, overlooked

ROWS = "last", "question"


# %%
def cut_off(one, asked):
    shape = one.backbone.layers, one.backbone.heads
    every, left = [Head(*at) for at in np.ndindex(shape)], {}
    for rows in ROWS:
        cut = partial(Knockout, queries=rows, keys="targets", when="prefill")
        right = outcomes(one, asked, {rows: every}, cut).groupby("set").correct
        left |= right.mean().rename({UNTOUCHED: "all edges"}).to_dict()
    return left


# %% tags=["hide-input"]
missed, fetched = {}, {}
for name in watched(untreated, "models"):
    one = load_model(name, device, dtype)
    looked, asked = (encode_all(one, p, batch_size) for p in parts[::2])
    by_ram = rank(one, looked, ["ram-last"])["ram-last"]
    short = name.rsplit("/")[-1].removeprefix("tiny-")
    missed[short] = overlooked(one, looked, asked, by_ram)
    fetched[short] = cut_off(one, asked)
missed = pd.DataFrame(missed).T.infer_objects().rename_axis("model")
missed["p_adjusted"] = holm(missed.p.to_numpy())

# %%
columns = ["head", "place", "nats", "drop", "p_adjusted", "together", "best"]
missed[[*columns, "by"]].round(3)

# %%
missed[[*CUTS]].round(2)

# %% [markdown]
# `place` is the head's place in the ranking, `nats` what it costs alone, `drop` the same in accuracy, `together` the nats of the five that cost most, as one
# set, and `best` those of the head that RAM ranks first. The second table has the nats of each cut; `by` is the first cut that does half of what silencing
# does.
#
# In {glue:text}`missed` of {glue:text}`natural` models the head costs more than nothing (p below 0.05, Holm over the models). In {glue:text}`missed_question`
# of these, most of that cost is the last prompt token's look at the question: such a head says what is asked for, and other heads look. RAM, which counts
# attention to evidence, cannot see it.
#
# RAM overlooks heads for a second reason: it is measured at rows where the model does not fetch. So we cut all heads off from the evidence, first at the last
# prompt token, then at the question's:

# %%
fetched = pd.DataFrame(fetched).T.rename_axis("model")
fetched.round(2)

# %% [markdown]
# Accuracy without these edges: the cut at the last prompt token costs {glue:text}`fetch_last` of {glue:text}`natural` natural models half of what they have
# beyond chance, the cut at the question's tokens {glue:text}`fetch_question`. The model that stands the first cut best keeps {glue:text}`odd_last:.2f`, and
# {glue:text}`odd_question:.2f` after the second: `tiny-llava-onevision` fetches at the question's tokens. That is why it does not need the heads that RAM finds
# at the last token, but does need some that calibrated RAM finds at the question's rows.
#
# ## Exercises
#
# ```{exercise-start} Two papers
# :label: ex-models-read
# ```
#
# Difficulty: 1/5, 3 minutes. Two papers study one natural model each, on the first kind of evidence in {numref}`fig-models-curves`, and silence the 6 % of
# heads that RAM ranks highest. What are the lowest and the highest accuracy left, depending on the model? `answer` is these two numbers, the lower one first,
# to within 0.05.
#
# :::{dropdown} Hint 1
# The treated model's line is dashed: leave it out.
# :::
#
# :::{dropdown} Hint 2
# Six is marked on the axis between 3 and 12; the ticks at 5 are other sets of heads.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-models-read
# :class: dropdown
# ```

# %%
left = natural.xs(kinds[0], level="evidence")["without 6%"].astype(float)
answer = left.min(), left.max()
left.sort_values().round(2)

# %% [markdown]
# One paper would write that the heads are needed, the other that they are not, and neither could know what the other would find: the difference lies in the
# model, and one model alone cannot show it.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Your line
# :label: ex-models-line
# ```
#
# Difficulty: 2/5, 5 minutes. A claim about ablation counts as true if half of what a model has beyond chance is lost. In how many cases of natural models is it
# true of the top 3 %, 5 %, 6 % and 12 %? `answer` is four whole numbers. What do they say about "5 %"?
#
# :::{dropdown} Hint 1
# For each case of a natural model, `kept("without 6%")` is what is left beyond chance without these heads, as a share of what there was.
# :::
#
# :::{dropdown} Hint 2
# The table of claims has two of the four counts.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-models-line
# :class: dropdown
# ```

# %%
percents = (3, 5, 6, 12)
answer = [int((kept(f"without {n}%") <= 0.5).sum()) for n in percents]
pd.Series(answer, [f"{n} %" for n in percents])

# %% [markdown]
# Most curves are steep near 5 %, so the verdict there is a matter of one or two heads, and nearly any count can be had by a share that sounds just as round.
# The curve says more than any single share.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Cases are not models
# :label: ex-models-cases
# ```
#
# Difficulty: 3/5, 10 minutes. The table counts cases as if each stood by itself. How far can the share of cases in which losing the top 12 % costs half be
# trusted for other cases? Give its 95 % interval twice: with every case by itself, and with the cases of one model as one piece of evidence. `answer` is four
# numbers: low and high of the first, low and high of the second.
#
# :::{dropdown} Hint 1
# `holds` has a column of truth values for each claim, and its index says which model each row is about.
# :::
#
# :::{dropdown} Hint 2
# `proportion_interval(truths)` and `mean_interval(truths, groups=models)` are in `corehead_lib.stats`.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-models-cases
# :class: dropdown
# ```

# %%
from corehead_lib.stats import mean_interval, proportion_interval

broken = holds["top 12 %: half is lost"].to_numpy()
of_model = natural.index.get_level_values("model").tolist()
each = proportion_interval(broken)
answer = [*each, *mean_interval(broken, groups=of_model)]
pd.DataFrame([answer[:2], answer[2:]], ["cases", "models"]).round(2)

# %% [markdown]
# A model behaves much the same on all four kinds of evidence, so four cases of one model say little more than one. With so few models the interval by model has
# to be one that always holds, and it is wide. And not even the models are independent, since some differ in nothing but a seed.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} A claim without a line
# :label: ex-models-own
# ```
#
# Difficulty: 4/5, 30 minutes. Half, 3 %, 5 %: these are lines that somebody drew. Write down a claim about heads that this page has not counted, one that needs
# no line or says where its line comes from, and guess in how many cases it holds. Only then count. `answer` is an array of truth values, one for each row of
# `natural`. Then test the claim where you have not looked, for instance on other samples:
# `corehead run notebooks/14_models.py --out mine -p models tiny-internvl -p seed 1`.
#
# :::{dropdown} Hint 1
# Two measurements of one case can be compared with each other instead of with a line.
# :::
#
# :::{dropdown} Hint 2
# `natural.columns` lists all that was measured, including `matched low` and `visual half in`, which are controls.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-models-own
# :class: dropdown
# ```

# %%
answer = (natural["without 5%"] < natural["matched low"]).to_numpy()
as_table = pd.Series(answer, natural.index).unstack("evidence")
as_table.map({True: "yes", False: "no"}.get)

# %% [markdown]
# Does losing the top 5 % cost more than losing the worst layer-matched set? That needs no line, only as many draws as one can afford; where it fails, some
# other set of these layers is as bad to lose. Yet it is only a claim about order: it also holds where both cost next to nothing.
#
# ```{solution-end}
# ```

# %% tags=["hide-input"]
CLAIMS = ("few", "sparser", "broken", "broken_more", "untouched", "enough")
knows_more = kept("without 12%").groupby("model").median()
paid = table[has_price] if has_price.any() else natural
free = natural[natural.index.isin(pair, level="model")]
free = free if len(free) else natural
sure_of = missed[(missed.p_adjusted < 0.05) & (missed.nats > 0)]
by_question = sure_of.by == "last to question"
half_of = (fetched["all edges"] + chance(parts[2]).line) / 2
large = gaps[gaps.index.str.endswith(f"/{sizes[-1]}")]
small = gaps.drop(large.index)
most = large.loc[large["more than RAM"].idxmax()]
of_each = larger.groupby("ranking").drop_control.mean()
own = larger[larger.ranking == "ram-last"]
ranked_too = {
    "rivals": len(large),
    "rivals_tests": len(rivals),
    "ram_proven": ((own.p_adjusted < 0.05) & (own["drop"] > 0)).sum(),
    "most": most["more than RAM"],
    "most_low": most.low,
    "most_high": most.high,
    "most_control": of_each[most.name.split("/")[0]],
    "ram_control": of_each["ram-last"],
}
for part, tail in ((large, ""), (small, "_few")):
    sure, more = part.p_adjusted < 0.05, part["more than RAM"] > 0
    ranked_too[f"rivals_more{tail}"] = (sure & more).sum()
    ranked_too[f"rivals_fewer{tail}"] = (sure & ~more).sum()
    ranked_too[f"rivals_same{tail}"] = (~sure).sum()
near = larger.assign(of_all=larger.shared / larger.k)
near = near.groupby("ranking").of_all.mean()
ranked_too["rivals_near"] = (near.drop("ram-last") >= 0.9).sum()
lost = (natural["accuracy"] - natural["hybrid"]) * samples
one = 1 / samples / above[above > 0]
ranked_too |= {
    "samples": samples,
    "enough_one": (lost < 1.5).sum(),
    "one_low": one.min(),
    "one_high": one.max(),
}
publish(
    rows=[
        {"model": model, "evidence": kind, **values}
        for (model, kind), values in table.round(4)
        .astype(object)
        .where(table.notna(), None)
        .to_dict("index")
        .items()
    ],
    numbers={
        "natural": natural.index.get_level_values("model").nunique(),
        "pairs": len(natural),
        "half_low": natural["half in"].min(),
        "half_high": natural["half in"].max(),
        "window": window,
        "sinks": sinks,
        **dict(zip(CLAIMS, holds.sum(), strict=True)),
        "odd_kept": knows_more.max(),
        "twin_paid": paid["until half"].fillna(128).max(),
        "twin_free": free["until half"].fillna(128).min() - 1,
        "twin_texts": paid["half in"].iloc[-1],
        "missed": len(sure_of),
        "missed_question": by_question.sum(),
        **{f"fetch_{rows}": (fetched[rows] <= half_of).sum() for rows in ROWS},
        **{f"odd_{rows}": fetched[rows][fetched["last"].idxmax()] for rows in ROWS},
        **{k: v for k, v in ranked_too.items() if v == v},
    },
    inputs={
        name.rsplit("/")[-1]: {"name": name, "sha256": value}
        for name, value in checksums.items()
    },
)
