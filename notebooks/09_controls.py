# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Is it retrieval or capacity? Controls
#
# A ranking of heads is worth something if it predicts what the model loses without them, and if what is lost is retrieval.
#
# **What came out.** Silencing {term}`RAM`'s top {glue:text}`k` of {glue:text}`heads` heads costs {glue:text}`drop:.2f` of retrieval accuracy; the top
# {glue:text}`twice_k` cost {glue:text}`drop_twice:.2f`, and {glue:text}`drop_control_twice:.2f` in control tasks. Another ranking, chosen on other questions,
# costs {glue:text}`more:.2f` more with {glue:text}`k` ({glue:text}`more_low:.2f` to {glue:text}`more_high:.2f`). Yet RAM's {glue:text}`k` are nearly *enough*:
# put into a run about another picture, they go {glue:text}`enough_first:.0%` of the way back to the answer, while {glue:text}`matched_sets` sets of as many
# heads from the same layers go {glue:text}`enough_first_most:.0%` at most. And RAM is blind to the head at place {glue:text}`quiet_place`, which alone costs
# {glue:text}`quiet_cost:.2f` nats.
#
# ```{glue:figure} fig_verdicts
# :name: fig-controls-verdicts
# :alt: Two panels with one row per ranking. Filled points: the cost in retrieval, with intervals; rings: the cost in control tasks. On the left entropy, norm and write cost most, 0.3 to 0.6, RAM less than a tenth. On the right, with twice as many heads, RAM, write, selectivity and lift cost 0.8, and their rings lie near 0.2; entropy and norm cost hardly less, but their rings lie near 0.6; depth alone and luck still cost nothing.
#
# Accuracy lost without the top of each ranking.
# ```

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
dataset: str = "scenes"  # kind of evidence {scenes, documents, clips, haystacks}
detection_samples: int = 96  # samples that heads are ranked on {24..100000, quick 24}
samples: int = 64  # new ones, to test rankings on; one half chooses {48..100000, quick 48}
control_samples: int = 16  # for each of the control tasks {2..100000, quick 8}
probe_samples: int = 32  # for interventions, patching and single heads {24..100000, quick 24}
right_samples: int = 480  # to compare right answers with wrong ones {2..100000, quick 24}
batch_size: int = 16  # prompts that run at once {1..1024}
seed: int = 0  # seeds samples, partners and chance {0..}
top_fraction: float = 0.05  # share of heads that is taken; fixed before looking {0<..0.25}
ranking: str = "ram-last"  # the ranking that is put to the test {ram-last, ram-question, ram-answer, calibrated-last, calibrated-question, selectivity, lift, hits, write, visual, attention, norm, entropy, gradient, text, layer, random}
draws: int = 100  # layer-matched sets to exchange {1..10000, quick 3}
rounds: int = 3  # how often heads are detected anew behind silent ones {1..20, quick 2}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %% tags=["hide-input"]
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from corehead_lib import plots
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.encode import encode_all
from corehead_lib.heads import Head, HeadScores, agreement, how_many
from corehead_lib.models import load_model
from corehead_lib.results import keep, publish
from corehead_lib.stats import control_p, halves, holm, mean_interval, paired_p
from corehead_lib.study import (
    UNTOUCHED,
    controls,
    difference,
    first_heads,
    outcomes,
)

plots.use_style()
few = min(probe_samples, samples // 2)
pd.set_option("display.max_rows", 100)
loaded = load_model(model, device, dtype)
detection = load_samples(dataset, "detection", detection_samples, seed)
retrieval = load_samples(dataset, "evaluation", samples, seed)
told = load_samples("haystacks", "detection", detection_samples, seed)
shown, questions, texts = (
    encode_all(loaded, part, batch_size) for part in (detection, retrieval, told)
)

# %% [markdown]
# ## A family of rankings
#
# {term}`RAM` is one way to rank heads. Each of the others stands for a doubt about it.
#
# | rankings | the doubt |
# |---|---|
# | `ram-question`, `ram-answer` | are these the right rows? |
# | `calibrated-*` | does the head look there whatever is asked? (RAM less RAM with the question "N/A") |
# | `selectivity`, `lift`, `hits` | does mass reward heads that look at everything, and large targets? |
# | `write` | does what the head reads support the answer? |
# | `visual`, `attention`, `entropy` | does it look at evidence, or at pictures, or at anything, or just sharply? |
# | `norm`, `gradient` | is it how much a head writes, or how much the answer depends on it? |
# | `text` | would the heads that retrieve in texts do? (`hits` on haystacks, as {cite:t}`wu2024retrieval` rank them, whatever `dataset` is) |
# | `layer`, `random` | is it the depth alone, or luck? |
#
# All but `text` come from three passes over the {term}`detection set`. We take the same number of heads from the top of each.

# %%
from corehead_lib.rankings import rank

ranked = rank(loaded, shown)
ranked["text"] = rank(loaded, texts, ["hits"])["hits"]
scores = ranked[ranking]
heads = scores.score.size
k = how_many(top_fraction, heads)
sizes = (k, 2 * k)
tops = first_heads(ranked, sizes)
" ".join(h.name for h in scores.ranking()[: 2 * k])

# %% [markdown]
# The share, 5 %, was fixed before we looked at anything. Twice as many are shown beside it: where heads stand in for each other, the first few may cost
# nothing.
#
# ## Tasks that need no retrieval
#
# If the top heads merely did a lot of work, everything would break. Six tasks ask for nothing that stands in one place: three need the picture (`background` of
# a scene, colour of the `heading` and `topic` of a document), three do not (`sum`, `sort`, `copy`). A control must be able to lose, so a task counts only if
# the untouched model does it clearly better than chance.

# %%
from corehead_lib.study import able, by_task

tasks = {"scenes": ("background", "sum"), "documents": ("heading", "topic")}
tasks["chores"] = ("sort", "copy")
rest, size = [], 2 * control_samples
for world, asked_for in tasks.items():
    rest += load_samples(world, "evaluation", size, seed + 1, asked_for)
parts = [rest[n : n + size] for n in range(0, len(rest), size)]
chores = [b for part in parts for b in encode_all(loaded, part, batch_size)]

# %%
asked = outcomes(loaded, questions, tops)
other = outcomes(loaded, chores, tops)
counted = other[other.task.isin(able(other, chores))]
each = by_task(pd.concat([asked, other])).set_index(["task", "set"]).accuracy
each = each.unstack(sort=False).dropna(axis=1)
twice = f"{ranking}/{2 * k}"
beside = ("none", f"{ranking}/{k}", twice, f"random/{2 * k}")
per_task = each[[*dict.fromkeys(beside)]]  # with random itself one less
per_task.assign(counts=per_task.index.isin(counted.task)).round(2)

# %% [markdown]
# The first rows are retrieval. {glue:text}`controls_count` of {glue:text}`controls` controls count, {glue:text}`controls_high` of them with an untouched
# accuracy of 0.9 or more. Without RAM's top {glue:text}`twice_k` heads `sort` falls by {glue:text}`fell_sort:.2f` and `sum` by {glue:text}`fell_sum:.2f`; the
# others, including all that need the picture, fall by {glue:text}`fell_others:.2f` at most. The mean over all controls, {glue:text}`drop_control_twice:.2f` in
# the table below, comes from those two.
#
# We do not know why. To sort, a model may have to fetch as well, only from the words of the question; but copying needs that, too, and is unharmed. What these
# heads do is not for pictures alone, and it is not all that the model does.
#
# ## The verdict
#
# What does the top of each ranking cost in retrieval, and what in the controls? We take paired differences on the same questions, resampled by picture; p is
# corrected by Holm over all rows of both sizes.

# %% tags=["hide-input"]
from corehead_lib.study import verdicts

found = []
for n in sizes:
    own = {r: t for r, t in tops.items() if r.endswith(f"/{n}")}
    some = counted if len(counted) else None
    found.append(verdicts(asked, some, own, f"{ranking}/{n}"))
table = pd.concat(found, ignore_index=True)
table["p_adjusted"] = holm(table.p.to_numpy())
who: dict[frozenset[Head], str] = {}
table["set_of"] = [
    who.setdefault(frozenset(tops[name]), name.split("/")[0])
    for name in table["set"]
]
table.insert(0, "ranking", table.pop("set").str.split("/").str[0])

# %%
columns = ["k", "drop", "low", "high", "drop_control", "ratio"]
columns += ["p_adjusted", "shared", "set_of"]
table.set_index("ranking")[columns].round(3)

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(
    1, 2, figsize=(7.6, 0.19 * len(ranked) + 1.2), sharex=True, sharey=True
)
order = list(found[0].sort_values("nats", ascending=False)["set"])
names = [name.split("/")[0] for name in order]
y = np.arange(len(names))
for axis, n in zip(axes, sizes, strict=True):
    part = table[table.k == n].set_index("ranking").loc[names]
    axis.hlines(y, part.low, part.high, color=plots.RED, lw=1.5)
    axis.plot(
        part["drop"], y, "o", color=plots.RED, ms=7, mew=0, label="retrieval"
    )
    axis.plot(
        part.drop_control, y, "o", ms=9, mfc="none", mec="black", label="controls"
    )
    axis.axvline(0, color="black", lw=1, ls=":")
    axis.set_title(f"{n} of {heads} heads")
axes[0].set_yticks(y, names)
axes[0].invert_yaxis()
figure.supxlabel("accuracy lost", fontsize=10)
figure.legend(
    *axes[0].get_legend_handles_labels(), loc="outside lower right", ncols=2
)
keep("fig_verdicts", figure, "The first heads by RAM cost little, twice as many cost the most")

# %% [markdown]
# There is no ratio where the controls lose nothing. `shared` counts the heads that are also in the top by RAM; `set_of` is the first ranking that takes exactly
# the same heads. Rows that agree in it are one result, not several that confirm each other: {glue:text}`rankings` rankings give {glue:text}`distinct` different
# sets of {glue:text}`k` heads and {glue:text}`distinct_twice` of {glue:text}`twice_k`, and {glue:text}`same_twice` others take exactly the {glue:text}`twice_k`
# that RAM takes.
#
# With {glue:text}`k` heads, {glue:text}`proven_distinct` of the sets cost retrieval accuracy beyond doubt (p below 0.05 after correction); with
# {glue:text}`twice_k` heads, {glue:text}`proven_distinct_twice` do. RAM's own {glue:text}`k` cost {glue:text}`drop:.2f`, with an adjusted p of
# {glue:text}`p_adjusted:.3f`; its {glue:text}`twice_k` cost {glue:text}`drop_twice:.2f`, with {glue:text}`p_adjusted_twice:.3f`.
#
# So a share of 5 % is not enough to break this model: its fetching is spread over more heads, and goes on as long as some are left. And heads that break more
# when few are taken are not better fetchers: the {glue:text}`k` that attend most sharply (`entropy`) cost the controls {glue:text}`entropy_control:.2f` and the
# {glue:text}`twice_k` sharpest {glue:text}`entropy_control_twice:.2f`, where RAM's cost {glue:text}`drop_control:.2f` and {glue:text}`drop_control_twice:.2f`.
#
# ## Which ranking predicts the drop best?
#
# The first row of such a table is there partly by luck. So we choose the ranking on one half of the questions, by the {term}`gold log-probability` that it
# costs, and measure on the other half what the choice is worth.

# %% tags=["hide-input"]
of = asked[asked["set"] == UNTOUCHED]
first = set(of.id[halves(of.group.tolist())])
choose, test = (asked[asked.id.isin(first) == there] for there in (True, False))
level, best, gaps = choose.groupby("set").logprob.mean(), {}, []
for n in sizes:
    best[n] = level[[t for t in tops if t.endswith(f"/{n}")]].idxmin()
    gap = difference(test, f"{ranking}/{n}", best[n])
    lost = difference(test, UNTOUCHED, best[n]).mean
    gaps.append((best[n], lost, gap.mean, *gap.interval, gap.p))

# %%
gaps = pd.DataFrame(
    gaps, columns=["chosen", "drop", f"more than {ranking}", "low", "high", "p"]
)
gaps["p_adjusted"] = holm(gaps.p.to_numpy())
gaps.set_index("chosen").round(3)

# %% [markdown]
# At {glue:text}`k` heads the chosen ranking costs {glue:text}`best_drop:.2f` on the other half, {glue:text}`more:.2f` more than RAM (95 % interval
# {glue:text}`more_low:.2f` to {glue:text}`more_high:.2f`). At {glue:text}`twice_k` the difference is {glue:text}`more_twice:+.2f`
# ({glue:text}`more_twice_low:+.2f` to {glue:text}`more_twice_high:+.2f`). The ranking was chosen for costing most, not for being about retrieval.
#
# ## Zero is not the only way to take a head away
#
# Zero is an output that a head may never have. Here are milder and sharper interventions on the same heads:
#
# - the head's output is replaced by what it says *on average* at such a token, or by what it says about *another picture* or under *another question*;
# - its attention is *even*, so it says the mean of all that it may see;
# - single edges are cut ({term}`knockout`): only the way from some rows to the evidence, and the head keeps all else.

# %%
from corehead_lib import interventions as change
from corehead_lib.study import other_picture, other_question, with_partners

probes = with_partners(retrieval[:few])
turned = [other_picture(probes, seed), other_question(probes, seed)]
clean, picture, question = (
    encode_all(loaded, part, batch_size) for part in (probes, *turned)
)
elsewhere = change.partner_outputs(loaded, clean, picture)
otherwise = change.partner_outputs(loaded, clean, question)

# %%
means = change.mean_outputs(loaded, shown)
cut = partial(change.Knockout, when="prefill")
changes = {
    "zero": change.ZeroAblation,
    "mean": partial(change.MeanAblation, means=means),
    "another picture": partial(change.Patch, source=elsewhere),
    "another question": partial(change.Patch, source=otherwise),
    "even attention": change.UniformAttention,
}

# %%
changes |= {
    "text to evidence": partial(cut, queries="text", keys="targets"),
    "last to evidence": partial(cut, queries="last", keys="targets"),
    "question to evidence": partial(cut, queries="question", keys="targets"),
    "text to all pictures": partial(cut, queries="text", keys="source"),
    "question to everything": partial(
        cut, queries="question", keys="everything"
    ),
}

# %%
taken = {f"{n} heads": scores.ranking()[:n] for n in (k, 2 * k, 4 * k)}
taken[f"{4 * k} at random"] = ranked["random"].ranking()[: 4 * k]
ways = {w: outcomes(loaded, clean, taken, c) for w, c in changes.items()}
left = pd.concat(ways, names=["way"]).groupby(["way", "set"], sort=False)
lost = left.logprob.mean().unstack(sort=False)
lost = -lost.sub(lost[UNTOUCHED], axis=0).drop(columns=UNTOUCHED)
lost.round(2)

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=(7.2, 3.9))
y = np.arange(len(lost))
marks = zip(
    lost,
    (plots.SKY, plots.BLUE, plots.RED, "white"),
    ("o", "o", "o", "s"),
    strict=True,
)
axis.hlines(y, 0, lost.iloc[:, 2], color="lightgrey", lw=2, zorder=0)
for name, colour, mark in marks:
    axis.plot(
        lost[name], y, mark, color=colour, mec="black", mew=0.6, ms=7, label=name
    )
axis.set_yticks(y, lost.index)
axis.invert_yaxis()
axis.axvline(0, color="black", lw=1, ls=":")
axis.set_xlabel("log-probability of the answer that is lost (nats)")
figure.legend(loc="outside lower center", ncols=4)
keep("fig_ways", figure, "Seeing all but the evidence costs more than seeing nothing")

# %% [markdown]
# ```{glue:figure} fig_ways
# :name: fig-controls-ways
# :alt: Ten rows, one per intervention, with points for 6, 12 and 24 heads by RAM and a square for 24 at random, which stays at zero. With 24 heads, cutting the last token off from the evidence and another picture cost most, above 6 nats, then cutting all text off from the evidence, above 5; another question and the cut to all pictures cost above 3; zero, mean and even attention cost less. Cutting off the question's tokens costs nothing.
#
# What each way of disturbing the same heads costs.
# ```
#
# With {glue:text}`most_k` heads zero costs {glue:text}`ways_zero:.2f` nats, the mean {glue:text}`ways_mean:.2f` and even attention {glue:text}`ways_even:.2f`:
# what zero does is not due to its strangeness.
#
# More is lost when a head does not fall silent but says something wrong. Its output under another picture costs {glue:text}`ways_picture:.2f` nats. Cutting
# only the edges to the evidence costs {glue:text}`ways_evidence:.2f`, cutting all edges to pictures {glue:text}`ways_pictures:.2f`. Where the first is larger,
# a head that is kept from the evidence alone may look at something like it, and report that; we did not test this.
#
# Rows differ: cutting edges from the last prompt token costs {glue:text}`ways_last:.2f` nats, cutting those from the question's tokens
# {glue:text}`ways_question:.2f`. Zeroing as many heads drawn at random costs {glue:text}`ways_lot:.2f`.
#
# ## Are they enough?
#
# Heads that are needed are not always enough. {term}`Activation patching <activation patching>` tells: ask the question about *another* picture, and put into
# this corrupted run what the top heads said in the clean one. How much of the way back to the right answer do they go? The reverse, their corrupted outputs in
# the clean run, asks once more whether they are needed.

# %%
from corehead_lib.study import patching

orders = {name: ranked[name].ranking() for name in (ranking, "random")}
chosen = best[2 * k].split("/")[0]
orders.setdefault(chosen, ranked[chosen].ranking())
steps = sorted({1, 2, 4, k, 2 * k, 4 * k, heads // 2, heads})
grown = first_heads(orders, steps)

# %% tags=["hide-input"]
for n in sizes:
    drawn = controls(scores.ranking()[:n], scores, draws, seed, ["layer"])
    grown |= {f"matched {n}/{i}": h for i, h in enumerate(drawn.values())}

# %%
moved = patching(loaded, clean, picture, grown)
moved["ranking"] = moved["set"].str.split("/").str[0]
moved[moved.ranking == ranking].set_index("direction").round(2)

# %% tags=["hide-input"]
effects, matched = moved.set_index(["direction", "set"]).effect, []
for (direction, name), part in moved.groupby(["direction", "ranking"], sort=False):
    if name.startswith("matched"):
        n, drawn = int(name.split()[1]), part.effect
        ours = effects[direction, f"{ranking}/{n}"]
        p = control_p(ours, list(drawn)) if ours == ours else np.nan
        matched.append(
            (direction, n, ours, drawn.median(), drawn.max(), p, len(drawn))
        )
matched = pd.DataFrame(
    matched,
    columns=["direction", "heads", "effect", "median", "most", "p", "sets"],
)
matched["p_adjusted"] = holm(matched.p.to_numpy(float))
matched = matched.set_index(["direction", "heads"])
matched.round(3)

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), sharey=True)
for axis, direction in zip(axes, ("into corrupted", "into clean"), strict=True):
    for name, colour, line in zip(
        orders, (plots.RED, plots.AMBER, plots.BLUE), ("o-", "s--", "^-"), strict=False
    ):
        part = moved[(moved.direction == direction) & (moved.ranking == name)]
        axis.plot(part.heads, part.effect, line, color=colour, ms=5, label=name)
    part = moved[(moved.direction == direction) & moved.ranking.str.contains(" ")]
    axis.plot(part.heads, part.effect, ".", color="grey", ms=4, label="same layers")
    axis.axhline(1, color="black", lw=1, ls=":")
    axis.axhline(0, color="black", lw=1, ls=":")
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter("{x:.0f}")
    axis.set(xlabel="heads that are exchanged", title=direction)
axes[0].set_ylabel("share of the way")
figure.legend(
    *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4
)
keep(
    "fig_enough",
    figure,
    "Six heads put in restore the answer; twelve taken out destroy it",
)

# %% [markdown]
# ```{glue:figure} fig_enough
# :name: fig-controls-enough
# :alt: Two panels of rising curves over the number of exchanged heads. Into the corrupted run, heads by RAM go half of the way with one head and nine tenths with six; in the clean one they need twelve. Heads by output norm need more, and random heads go none of it before half of the model is exchanged. Grey points, sets drawn from the same layers, stand below RAM's at six and at twelve heads.
#
# Heads' outputs exchanged between a clean run and one about another picture. Grey: sets of {glue:text}`k` and {glue:text}`twice_k` heads from the same layers
# as RAM's.
# ```
#
# The top {glue:text}`k` heads by RAM go {glue:text}`enough_first:.0%` of the way back, and {glue:text}`enough_right:.0%` of the answers are right, instead of
# {glue:text}`enough_before:.0%`; {glue:text}`twice_k` heads go {glue:text}`enough:.0%`. Depth is not the reason: of {glue:text}`matched_sets` sets of
# {glue:text}`k` others from the same layers the best goes {glue:text}`enough_first_most:.0%`, the median {glue:text}`enough_first_median:.0%` (p
# {glue:text}`enough_first_p:.3f`, Holm over both sizes and directions). In the other direction RAM's {glue:text}`k` go {glue:text}`needed_first:.0%`, the best
# drawn set {glue:text}`needed_first_most:.0%` (p {glue:text}`needed_first_p:.3f`); with {glue:text}`twice_k` it is {glue:text}`needed_way:.0%` against
# {glue:text}`needed_way_most:.0%` (p {glue:text}`needed_way_p:.3f`).
#
# The two directions need not agree. Where the first is larger, it shows why silencing a few can cost so little: several can do the work, so none is needed
# while others of its kind are there.
#
# ## Null questions
#
# A {term}`null question` tells what a head does unasked: it may look at the evidence whatever is asked, as a large thing in the picture. So ask something else
# about the same picture, and measure attention to the same tokens: nothing at all, a sum, or the question of another sample, which as a rule asks for something
# that is elsewhere or not there.

# %%
from corehead_lib.ram import measure_ram
from corehead_lib.study.survey import NULL_QUESTION as NULL

named = ranking.startswith("ram-")
rows = ranking.removeprefix("ram-") if named else "last"
mates = [s.question for s in other_question(detection, seed)]
nulls = {f"nothing ({NULL})": [NULL] * len(detection)}
nulls["a sum"] = ["What is 2 plus 1?"] * len(detection)
nulls["another's question"] = mates


# %% tags=["hide-input"]
from dataclasses import replace


def ram_under(asking):
    pairs = zip(detection, asking, strict=True)
    some = [replace(s, question=other) for s, other in pairs]
    return measure_ram(loaded, encode_all(loaded, some, batch_size), rows)


own = measure_ram(loaded, shown, rows)
under = {name: ram_under(asking) for name, asking in nulls.items()}

# %%
top, calibrated, null_table = HeadScores(own.ram).ranking()[:k], {}, []
for name, seen in under.items():
    fresh = HeadScores(own.ram - seen.ram)
    calibrated |= first_heads({name: fresh}, sizes)
    rho = agreement(HeadScores(own.ram), fresh, k).spearman
    means = [np.mean([x.ram[h] for h in top]) for x in (own, seen)]
    null_table.append((name, *means, rho))

# %% tags=["hide-input"]
null_table = pd.DataFrame(
    null_table, columns=["asked", "RAM", "null RAM", "spearman"]
).set_index("asked")
without = outcomes(loaded, questions, calibrated)
drop = without.groupby("set", sort=False).correct.mean()
for n in sizes:
    named_so = [f"{name}/{n}" for name in null_table.index]
    first_n = {*HeadScores(own.ram).ranking()[:n]}
    null_table[f"shared, {n}"] = [
        len(first_n & {*calibrated[s]}) for s in named_so
    ]
    null_table[f"drop, {n}"] = drop[UNTOUCHED] - drop[named_so].to_numpy()
null_table.round(3)

# %% [markdown]
# `RAM` and `null RAM` are means over the top {glue:text}`k` heads. These give the evidence {glue:text}`own_ram:.2f` of their attention under its own question,
# {glue:text}`null_sum:.2f` when a sum is asked for, and {glue:text}`null_other:.2f` under another's question. What is left after the subtraction is the part
# that the question steers.
#
# {term}`Calibrated RAM <calibrated RAM>` by another's question shares {glue:text}`null_shared` of its top {glue:text}`k` heads with RAM, and
# {glue:text}`null_shared_twice` of its top {glue:text}`twice_k`. Where it names the same heads it neither gains nor confirms anything: its {glue:text}`twice_k`
# cost {glue:text}`null_drop:.2f`, RAM's {glue:text}`drop_twice:.2f`.
#
# ## Does another head take over?
#
# We silence the top, measure RAM anew, silence the new top too, and so on. Heads up to and including the first silenced layer cannot notice; later ones can.

# %%
gone, behind, peeled = [], [own], {}
for _ in range(rounds):
    now = HeadScores(behind[-1].ram).ranking()
    gone = gone + [h for h in now if h not in gone][:k]
    with change.ZeroAblation(gone)(loaded.model):
        behind.append(measure_ram(loaded, shown, rows))
    peeled[f"again/{len(gone)}"] = gone
    peeled[f"once/{len(gone)}"] = HeadScores(own.ram).ranking()[: len(gone)]
after = outcomes(loaded, questions, peeled)
after.groupby(["kind", "heads"]).correct.mean().unstack(0).round(2)

# %% [markdown]
# `again` ranks the heads anew in each round, `once` goes down the first ranking.

# %% tags=["hide-input"]
kept = np.ones(own.ram.shape, bool)
kept[tuple(np.array(top).T)] = False
sums = [x.target[:, kept].sum(1) for x in behind[:2]]  # (S,), over other heads
rise = behind[1].ram - own.ram
up = HeadScores(np.where(kept, rise, -1)).ranking()[:k]
where = [h.name for h in up]
changed = {"before": own.ram, "without the top": behind[1].ram}
changed = {n: [x[h] for h in up] for n, x in changed.items()}
pd.DataFrame(changed, where).round(3)

# %% [markdown]
# These heads rise most. Summed over all heads outside the top, attention to the evidence is {glue:text}`sum_before:.2f` before and {glue:text}`sum_after:.2f`
# with the top silent, a change of {glue:text}`sum_change:+.2f` per sample ({glue:text}`sum_change_low:+.2f` to {glue:text}`sum_change_high:+.2f`); the largest
# rise of a single head is {glue:text}`rise_most:.2f`.
#
# A head need not look harder to take over: one that looked all along is enough. In the second round the best remaining head still gives the evidence
# {glue:text}`second_best:.2f` of its attention; before anything was silenced it gave {glue:text}`second_best_before:.2f`. After {glue:text}`rounds` rounds
# accuracy is {glue:text}`again:.2f`; without the same number of heads from the first ranking it is {glue:text}`once:.2f`.
#
# ## A few heads cost more than whole layers
#
# The top {glue:text}`twice_k` heads stand in several layers, the lowest of which is layer {glue:text}`lowest`. For comparison we silence all heads of their
# other layers, and all heads of every layer above the lowest; then the {glue:text}`twice_k` once more, sparing those of one layer at a time.

# %% tags=["hide-input"]
places = [Head(*map(int, at)) for at in np.ndindex(scores.score.shape)]
leading = scores.ranking()[: 2 * k]
depths = sorted({head.layer for head in leading})
others = [head for head in places if head.layer in depths[1:]]
taken_so = {f"first {2 * k}": leading, "their layers but the lowest": others}
taken_so["both"] = list({*leading, *others})
above = [head for head in places if head.layer > depths[0]]
taken_so["all above the lowest"] = above
spared = {f"first {2 * k}, but layer {n}": n for n in depths}
taken_so |= {s: [h for h in leading if h.layer != n] for s, n in spared.items()}

# %%
stacked = outcomes(loaded, questions, taken_so).groupby("set", sort=False)
stacked = stacked[["heads", "correct", "logprob"]].mean()
stacked.astype({"heads": int}).round(2)

# %% [markdown]
# Without all {glue:text}`layers_heads` heads of the other layers {glue:text}`layers_left:.2f` of the questions are still right, without the
# {glue:text}`twice_k` heads {glue:text}`first_left:.2f`, and without both {glue:text}`both_left:.2f`. The {glue:text}`twice_k` include
# {glue:text}`lowest_heads` heads of layer {glue:text}`lowest`, which silencing whole layers above it does not touch. That makes the difference, and no later
# head has to look anew: with all {glue:text}`above_heads` heads above that layer silent, {glue:text}`above_left:.2f` is still left.
#
# So the same work is done at several depths, and a set breaks the model if it spares none of them, however few heads that takes. Spare the heads of a single
# layer, and {glue:text}`spared_least:.2f` to {glue:text}`spared_most:.2f` of the questions are right, the most where those of layer {glue:text}`spared_layer`
# are left.
#
# ## Heads that RAM ranks last
#
# RAM measures one job. We silence each head alone, and see which of the lower half are needed.

# %%
single = {h.name: [h] for h in places}
parts = retrieval[:few], retrieval[few:]
choosing, fresh = (encode_all(loaded, x, batch_size) for x in parts)
alone = outcomes(loaded, choosing, single)
wide = alone.pivot(index="id", columns="set", values="logprob")
cost = wide[[UNTOUCHED]].to_numpy() - wide[list(single)]  # samples x heads

# %% [markdown]
# On one half of the questions we choose the five heads of the lower half that cost most; the other half of the questions says whether that holds.

# %%
place = {h: n for n, h in enumerate(scores.ranking())}
low = [name for name, (h,) in single.items() if place[h] >= heads // 2]
worst = cost[low].mean().sort_values(ascending=False).index[:5]
five = outcomes(loaded, fresh, {name: single[name] for name in worst})
five = five.pivot(index="id", columns="set", values="logprob")
p = holm([paired_p(five[UNTOUCHED], five[name]) for name in worst])
quiet = single[worst[0]]

# %% tags=["hide-input"]
low_table = {
    "place by RAM": [place[single[n][0]] + 1 for n in worst],
    "RAM": [own.ram[single[n][0]] for n in worst],
    "nats (chosen on)": cost[worst].mean().to_numpy(),
    "nats (others)": [five[UNTOUCHED].mean() - five[n].mean() for n in worst],
    "p_adjusted": p,
}
low_table = pd.DataFrame(low_table, worst)
low_table.round(3)

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=(7.2, 3.4))
x = [place[h] + 1 for (h,) in single.values()]
mean = cost.mean().to_numpy()
colours = [plots.RED if n in worst else plots.BLUE for n in single]
axis.scatter(x, mean, c=colours, s=22)
for name, at, value in zip(single, x, mean, strict=True):
    if value in np.sort(mean)[-4:]:
        axis.annotate(
            name, (at, value), (4, 4), textcoords="offset points", fontsize=9
        )
axis.axvline(heads // 2 + 0.5, color="black", lw=1, ls=":")
axis.axhline(0, color="black", lw=1, ls=":")
axis.set(xlabel="place in the ranking", ylabel="nats it costs, alone")
keep("fig_single", figure, "Two heads cost most, and stand near the end of the ranking")

# %% [markdown]
# ```{glue:figure} fig_single
# :name: fig-controls-single
# :alt: One point per head, by its place in the ranking. Nearly all cost next to nothing when they are silenced alone. Two, near the right end, cost 0.7 and 1.8 nats.
#
# What each head costs when it alone is silent. The lower half lies right of the dotted line; the five in the table are red.
# ```
#
# The head of the lower half that costs most, at place {glue:text}`quiet_place` of {glue:text}`heads`, gives the evidence {glue:text}`quiet_ram:.3f` of its
# attention. On the other questions it costs {glue:text}`quiet_cost:.2f` nats (p {glue:text}`quiet_p:.3f`, Holm over the five); the best head by RAM costs
# {glue:text}`best_alone:.2f` alone.
#
# What is it for? We cut its edges, one kind at a time, on the questions not used to choose it.

# %%
edges = {}
for q in ("question", "last", "all"):
    for seen in ("targets", "source", "question", "everything"):
        way = partial(cut, queries=q, keys=seen)
        result = outcomes(loaded, fresh, {"cut": quiet}, way)
        mean = result.groupby("set").logprob.mean()
        edges[q, seen] = mean[UNTOUCHED] - mean["cut"]
edges = pd.Series(edges).unstack(sort=False).rename_axis("rows")
edges.round(3)

# %%
broken = outcomes(loaded, chores, {"without it": quiet})
broken = broken.groupby(["task", "set"], sort=False).correct.mean()
broken.unstack(sort=False).round(2)

# %% [markdown]
# Cutting the last token off from everything that can be evidence costs {glue:text}`edge_source:.2f` nats, cutting it off from the question
# {glue:text}`edge_question:.2f`; cutting the question's own tokens off from each other costs {glue:text}`edge_inside:.2f`. So this head reads the question, and
# it reads it for the token that will write the answer: it says what to look for, and others look. RAM, which counts attention to evidence, cannot see such a
# head. Control tasks lose up to {glue:text}`quiet_control:.2f` without it.
#
# Which ranking would have foreseen what single heads cost? The correlation of each with what heads cost alone, with intervals by sample:

# %% tags=["hide-input"]
rng = np.random.default_rng(seed)
drawn = rng.integers(len(cost), size=(200, len(cost)))
costs = [cost.to_numpy()[d].mean(0).reshape(own.ram.shape) for d in drawn]
costs.insert(0, cost.to_numpy().mean(0).reshape(own.ram.shape))

# %% tags=["hide-input"]
luck = {
    name: [agreement(HeadScores(c), s, 1).spearman for c in costs]
    for name, s in ranked.items()
}
foreseen = pd.DataFrame(luck)[1:].quantile([0.025, 0.975]).T
foreseen.columns = ["low", "high"]
foreseen.insert(0, "spearman", pd.DataFrame(luck).iloc[0])
foreseen.sort_values("spearman", ascending=False).round(2)

# %% [markdown]
# None would: RAM's correlation is {glue:text}`foreseen:.2f` ({glue:text}`foreseen_low:.2f` to {glue:text}`foreseen_high:.2f`), that of the best ranking
# {glue:text}`foreseen_most:.2f`, that of luck {glue:text}`foreseen_luck:.2f`. Single heads are a hard test, since a head with a stand-in costs nothing, and
# most costs are noise around zero.
#
# ## Sharp and right?
#
# When the model is wrong, did its top heads look elsewhere? We take other questions, and for each the mean RAM of the top {glue:text}`k` and whether the answer
# was right.

# %%
from scipy.stats import mannwhitneyu, spearmanr

from corehead_lib.evaluate import evaluate

many = load_samples(dataset, "evaluation", right_samples, seed + 2)
batches = encode_all(loaded, many, batch_size)
seen, judged = measure_ram(loaded, batches, rows), evaluate(loaded, batches)
mass = seen.target[:, *np.array(top).T].mean(1)
right, wrong = mass[judged.correct], mass[~judged.correct]
sides = {"right": right, "wrong": wrong}
found = {name: (len(x), x.mean() if len(x) else 0) for name, x in sides.items()}
pd.DataFrame(found, ["questions", "mean RAM"]).T.round(2)

# %% tags=["hide-input"]
sharper = (right[:, None] > wrong) + 0.5 * (right[:, None] == wrong)
auc, auc_p = 0.5, 1.0
if sharper.size:
    auc, auc_p = sharper.mean(), mannwhitneyu(right, wrong).pvalue
trend = spearmanr(mass, judged.logprob)
size_trend = spearmanr(seen.share, judged.logprob)
tests = holm([auc_p, trend.pvalue, size_trend.pvalue])
print("adjusted p:", ", ".join(f"{x:.3f}" for x in tests))

# %% [markdown]
# They did: the mean is {glue:text}`ram_right:.2f` behind right answers and {glue:text}`ram_wrong:.2f` behind wrong ones. A right answer has more RAM behind it
# than a wrong one in {glue:text}`auc:.0%` of the pairs (half would be luck; adjusted p {glue:text}`auc_p:.3f`, from only {glue:text}`wrong` wrong answers).
# Over all questions RAM and the gold log-probability correlate with {glue:text}`trend:+.2f` (adjusted p {glue:text}`trend_p:.3f`).
#
# The control: the share of tokens that the evidence takes, in which no head has a say, correlates with {glue:text}`size_trend:+.2f` (adjusted p
# {glue:text}`size_trend_p:.3f`). If large things were easier to read and easier to look at, it would be positive; it is not, so size does not explain why right
# answers have more RAM behind them.
#
# ## Exercises
#
# ```{exercise-start} Sharp heads
# :label: ex-controls-read
# ```
#
# Difficulty: 1/5, 3 minutes. Read from the left panel of {numref}`fig-controls-verdicts`, to within 0.05: what do the heads that attend most sharply
# (`entropy`) cost in retrieval, and what in the control tasks? `answer` is these two numbers (the first alone, if the figure has no rings). Are these heads
# better fetchers than those of `ram-last`?
#
# :::{dropdown} Hint 1
# Filled points are retrieval, rings are controls.
# :::
#
# :::{dropdown} Hint 2
# Compare how far apart a ranking's point and ring are with how far right they stand.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-controls-read
# :class: dropdown
# ```

# %%
of_k = table[table.k == k].set_index("ranking")[["drop", "drop_control"]]
answer = of_k.loc["entropy"].dropna().tolist()
of_k.loc[["entropy", "ram-last"]].round(2)

# %% [markdown]
# They cost more than RAM's in retrieval, and in the control tasks, too: what they do is not for fetching alone. By the filled points alone they would be the
# best ranking; with the rings, all one can say is that they are important.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} The missing ratio
# :label: ex-controls-ratio
# ```
#
# Difficulty: 1/5, 4 minutes. `ratio` divides the drop in retrieval by the drop in the controls, and is missing where they lose nothing. Suppose that the first
# `2 * k` heads cost retrieval what they do, and that without them just one of all `len(rest)` control questions is lost, or two, or four. `answer` is the three
# ratios. What would you report instead?
#
# :::{dropdown} Hint 1
# `asked` has a row for each set and question; the sets are called `"none"` and `twice`.
# :::
#
# :::{dropdown} Hint 2
# One question lost is a drop of `1 / len(rest)`.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-controls-ratio
# :class: dropdown
# ```

# %%
right_with = asked.groupby("set").correct.mean()
lost_with = right_with["none"] - right_with[twice]
other_lost = np.array([1, 2, 4]) / len(rest)
answer = lost_with / other_lost
shown_so = {"ratio": answer, "difference": lost_with - other_lost}
pd.DataFrame(shown_so, [1, 2, 4]).round(2)

# %% [markdown]
# The more specific a set of heads is, the more its ratio depends on single questions: the second question that is lost halves it, and without the first there
# is none. The difference hardly moves. And a set that costs next to nothing can have a large ratio, too. So report both drops, each with its interval.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Same heads, other evidence
# :label: ex-controls-evidence
# ```
#
# Difficulty: 2/5, 5 minutes. Does losing the top heads, ranked on `dataset`, break retrieval from text as well? Take `probe_samples` haystacks of the
# evaluation split, and the larger of the two sets. `answer` is accuracy without these heads, and without as many at random.
#
# :::{dropdown} Hint 1
# `tops` has all sets by name; `twice` is the name of the larger one, `f"random/{2 * k}"` that of as many random heads.
# :::
#
# :::{dropdown} Hint 2
# `outcomes(loaded, batches, sets)` gives a row for each question and set, with `correct`.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-controls-evidence
# :class: dropdown
# ```

# %%
texts = load_samples("haystacks", "evaluation", probe_samples, seed)
texts = encode_all(loaded, texts, batch_size)
two = {n: tops[n] for n in (twice, f"random/{2 * k}")}
result = outcomes(loaded, texts, two).groupby("set", sort=False)
result = result[["correct", "logprob"]].mean()
answer = result.correct[[*two]].tolist()
result.round(2)

# %% [markdown]
# The first row is the untouched model. Which heads are shared between kinds of evidence is the question of [](07_stability).
#
# ```{solution-end}
# ```
#
# ```{exercise-start} One task at a time
# :label: ex-controls-tasks
# ```
#
# Difficulty: 3/5, 10 minutes. Over all questions RAM and the gold log-probability correlate. That could come from the tasks: one kind of question may be easier
# than another, and looked at more, though within each kind looking tells nothing. Is that the reason? `answer` is a dict: for each task of `many`, Spearman's
# correlation of `mass` and `judged.logprob` within that task.
#
# :::{dropdown} Hint 1
# Compare an array of the tasks' names with one of them to pick entries of `mass` and of `judged.logprob`.
# :::
#
# :::{dropdown} Hint 2
# `spearmanr(one, other).statistic`
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-controls-tasks
# :class: dropdown
# ```

# %%
task_of, answer, means = np.array([s.task for s in many]), {}, {}
for task in sorted({*task_of}):
    only = task_of == task
    within = spearmanr(mass[only], judged.logprob[only])
    answer[task] = within.statistic
    means[task] = mass[only].mean(), judged.correct[only].mean(), *within
columns_so = ["mean RAM", "accuracy", "Spearman", "p"]
by_the_task = pd.DataFrame(means, columns_so).T
by_the_task["p_adjusted"] = holm(by_the_task.pop("p").to_numpy())
by_the_task.round(4)

# %% [markdown]
# The doubt was a fair one: the tasks differ in RAM and in accuracy, in the same direction. But the correlation is there within each of them, so it does not
# come from the mix of tasks. That rules out one common cause. Others remain: in a crowded picture, say, things are hard to find and hard to name.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} A ranking of your own
# :label: ex-controls-own
# ```
#
# Difficulty: 4/5, 20 minutes. `rank` takes any function from a survey to scores. Write one, such as RAM times what a head writes or a better idea, and see
# whether its top costs more than the tops of both. `answer` is its scores, an array of layers x heads, in an order that differs from all rankings of this page.
#
# :::{dropdown} Hint 1
# `survey.mean("target", "last")` is RAM at the last token, `survey.mean("norm")` how much a head writes.
# :::
#
# :::{dropdown} Hint 2
# `rank(loaded, shown, ["mine"], {"mine": function})["mine"]` has `score` and `ranking()`.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-controls-own
# :class: dropdown
# ```


# %%
def both_of(survey):
    return survey.mean("target", "last") * survey.mean("norm")


mine = rank(loaded, shown, ["mine"], {"mine": both_of})["mine"]
answer = mine.score
sets = first_heads({"mine": mine}, sizes)
result = outcomes(loaded, questions, sets)
result.groupby("set", sort=False)[["correct", "logprob"]].mean().round(2)

# %% [markdown]
# Compare with the rows `ram-last` and `norm` of the table. Whatever comes out, you have now looked at these questions once more, and a ranking that you choose
# by them must be tested on others.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# - A set of heads that breaks retrieval is not the only such set, and one that does not break it may have stand-ins.
# - Patching goes through attention's outputs alone; with {glue:text}`probes` samples, its effects are means without intervals.
# - Six control tasks are few, and tiny models know little else that they could lose.
# - `write` and `gradient` are given the right answer; RAM is given the place of the evidence. None of them is free.
#
# ## Where to go from here
#
# - The test of RAM's top set against drawn ones: [](08_ablation); what the heads buy: [](10_acceleration)
# - Null questions come from {cite:t}`zhang2025qrhead` and {cite:t}`li2026mmretheads`; the importance of rows from {cite:t}`park2026vrh`

# %% tags=["hide-input"]
at = {n: table[table.k == n].set_index("ranking") for n in sizes}
mine_is = {n: at[n].loc[ranking] for n in sizes}
numbers = {"heads": heads, "k": k, "twice_k": 2 * k, "rankings": len(ranked)}
for n, tail in zip(sizes, ("", "_twice"), strict=True):
    row = mine_is[n]
    numbers |= {f"drop{tail}": row["drop"], f"p_adjusted{tail}": row.p_adjusted}
    numbers |= {f"drop{tail}_low": row.low, f"drop{tail}_high": row.high}
    numbers[f"drop_control{tail}"] = row.drop_control
    numbers[f"entropy_control{tail}"] = at[n].drop_control["entropy"]
    proven = (at[n].p_adjusted < 0.05) & (at[n]["drop"] > 0)
    numbers[f"proven{tail}"] = proven.sum()
    numbers[f"proven_distinct{tail}"] = at[n].set_of[proven].nunique()
    numbers[f"distinct{tail}"] = at[n].set_of.nunique()
    numbers[f"same{tail}"] = (at[n].set_of == row.set_of).sum() - 1
    gap = gaps.iloc[sizes.index(n)]
    numbers |= {f"best_drop{tail}": gap["drop"], f"more{tail}": gap.iloc[2]}
    numbers |= {f"more{tail}_low": gap.low, f"more{tail}_high": gap.high}
wanted = [t for names in tasks.values() for t in names]
untouched = per_task["none"][wanted]
numbers |= {
    "controls": len(wanted),
    "controls_count": counted.task.nunique(),
    "controls_high": (untouched >= 0.9).sum(),
}
can = [t for t in wanted if t in set(counted.task)]
falls = (per_task["none"] - per_task[twice])[can]
fell_of = falls.reindex(wanted)
numbers |= {f"fell_{task}": fell for task, fell in fell_of.items()}
numbers["fell_others"] = fell_of.drop(["sort", "sum"]).max()
numbers |= {
    f"ways_{name}": lost.loc[way].iloc[2]
    for name, way in {
        "zero": "zero",
        "mean": "mean",
        "even": "even attention",
        "picture": "another picture",
        "evidence": "text to evidence",
        "pictures": "text to all pictures",
        "last": "last to evidence",
        "question": "question to evidence",
    }.items()
}
numbers |= {"most_k": 4 * k, "ways_lot": lost.loc["zero"].iloc[3]}

# %% tags=["hide-input"]
numbers |= {
    "enough_first": effects["into corrupted", f"{ranking}/{k}"],
    "enough": effects["into corrupted", f"{ranking}/{2 * k}"],
    "enough_lot": effects["into corrupted", f"random/{2 * k}"],
    "needed_first": effects["into clean", f"{ranking}/{k}"],
    "needed_way": effects["into clean", f"{ranking}/{2 * k}"],
    "needed_lot": effects["into clean", f"random/{2 * k}"],
    "probes": len(probes),
}
accuracy = moved.set_index(["direction", "set"]).accuracy["into corrupted"]
numbers |= {
    "enough_before": accuracy[UNTOUCHED],
    "enough_right": accuracy[f"{ranking}/{k}"],
    "matched_sets": int(matched.sets.max()) if len(matched) else 0,
}
tails = {k: "_first", 2 * k: ""}
for (direction, n), row in matched.iterrows():
    way = "enough" if direction == "into corrupted" else "needed"
    tail = tails[n] or ("" if way == "enough" else "_way")
    numbers |= {
        f"{way}{tail}_median": row["median"],
        f"{way}{tail}_most": row.most,
        f"{way}{tail}_p": row.p_adjusted,
    }
of_others = null_table.loc["another's question"]
numbers |= {
    "own_ram": of_others["RAM"],
    "null_sum": null_table["null RAM"]["a sum"],
    "null_other": of_others["null RAM"],
    "null_shared": int(of_others[f"shared, {k}"]),
    "null_shared_twice": int(of_others[f"shared, {2 * k}"]),
    "null_drop": of_others[f"drop, {2 * k}"],
}
second = next(h for h in HeadScores(behind[1].ram).ranking() if h not in top)
moved_by = sums[1] - sums[0]
grouped = [s.group or s.id for s in detection]
span = mean_interval(moved_by, groups=grouped, bounds=(-heads, heads))
ended = after.groupby("set").correct.mean()
numbers |= {
    "sum_before": sums[0].mean(),
    "sum_after": sums[1].mean(),
    "sum_change": moved_by.mean(),
    "sum_change_low": span[0],
    "sum_change_high": span[1],
    "rise_most": rise[up[0]],
    "second_best": behind[1].ram[second],
    "second_best_before": own.ram[second],
    "rounds": rounds,
    "again": ended[f"again/{len(gone)}"],
    "once": ended[f"once/{len(gone)}"],
}

# %% tags=["hide-input"]
left_so = stacked.correct
best_spared = left_so[[*spared]].idxmax()
numbers |= {
    "lowest": depths[0],
    "lowest_heads": sum(head.layer == depths[0] for head in leading),
    "layers_heads": len(others),
    "layers_left": left_so["their layers but the lowest"],
    "first_left": left_so[f"first {2 * k}"],
    "both_left": left_so["both"],
    "above_heads": len(above),
    "above_left": left_so["all above the lowest"],
    "spared_least": left_so[[*spared]].min(),
    "spared_most": left_so[best_spared],
    "spared_layer": spared[best_spared],
}
fell = broken.unstack(sort=False)
numbers |= {
    "quiet_place": place[quiet[0]] + 1,
    "quiet_cost": low_table["nats (others)"].iloc[0],
    "quiet_p": p[0],
    "quiet_ram": own.ram[quiet[0]],
    "best_alone": cost[scores.ranking()[0].name].mean(),
    "quiet_control": (fell[UNTOUCHED] - fell["without it"]).max(),
    "edge_source": edges["source"]["last"],
    "edge_question": edges["question"]["last"],
    "edge_inside": edges["question"]["question"],
    "foreseen": foreseen.spearman[ranking],
    "foreseen_low": foreseen.low[ranking],
    "foreseen_high": foreseen.high[ranking],
    "foreseen_most": foreseen.spearman.max(),
    "foreseen_luck": foreseen.spearman["random"],
    "auc": auc,
    "auc_p": tests[0],
    "wrong": len(wrong),
    "ram_right": found["right"][1],
    "ram_wrong": found["wrong"][1],
    "trend": trend.statistic,
    "trend_p": tests[1],
    "size_trend": size_trend.statistic,
    "size_trend_p": tests[2],
}
numbers = {name: value for name, value in numbers.items() if value == value}

# %% tags=["hide-input"]
data = {"detection": detection, "evaluation": retrieval, "right": many}
inputs = {
    f"data {name}": {"name": dataset, "sha256": samples_checksum(part)}
    for name, part in data.items()
}
inputs["data controls"] = {"name": "controls", "sha256": samples_checksum(rest)}
inputs["data texts"] = {"name": "haystacks", "sha256": samples_checksum(told)}
inputs["model"] = loaded.provenance
plain = table.astype(object).where(table.notna(), None)
publish(rows=plain.to_dict("records"), numbers=numbers, inputs=inputs)
