# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Emergence: when do they appear, and what makes them few?
#
# No head fetches evidence from the start. We follow one training run with snapshots along the way, one that you can watch, and a grid of short ones.
#
# **What came out.** We find no fixed order of looking and answering: in the kept run the lag from half of the looking to half of the answering is
# {glue:text}`lag_main:+.0f` steps on scenes, with an interval from {glue:text}`lag_main_low:+.0f` to {glue:text}`lag_main_high:+.0f` (above zero, looking is
# first); in a smaller run it is {glue:text}`small_lag:+.0f` ({glue:text}`small_lag_low:+.0f` to {glue:text}`small_lag_high:+.0f`). Of the
# {glue:text}`top_heads:.0f` heads that end on top, {glue:text}`final_first:.0f` are there at step {glue:text}`first_step:.0f`, and {glue:text}`final_low:.0f`
# to {glue:text}`final_high:.0f` when half of the ability is. Half of RAM sits in {glue:text}`half_first:.0%` of the heads at step {glue:text}`first_step:.0f`
# and in {glue:text}`half_last:.0%` at the end. A price on looking moves the fetching: cut off from the evidence at the last prompt token, models that paid
# score {glue:text}`cut_last_price:.2f`, the others {glue:text}`cut_last_base:.2f`; at the question's tokens it is {glue:text}`cut_question_price:.2f` and
# {glue:text}`cut_question_base:.2f`.
#
# ```{glue:figure} fig_rise
# :name: fig-emergence-rise
# :alt: One panel for each kind of evidence, over training steps. In each, a line for accuracy and one for the attention that the final top heads give to the evidence rise from near zero.
#
# Accuracy on held-out questions, and RAM of the heads that end on top, along one training run. Dotted: a new stage of the training begins; dash-dotted: chance.
# ```

# %% tags=["parameters"]
trained: str = "tiny-qwen3-vl"  # a model of the zoo; snapshots of this one are kept {model}
kind: str = "scenes"  # the kind of evidence that is looked at closely {scenes, documents, clips, haystacks}
queries: str = "last"  # rows that heads are ranked by {last, question, answer}
top_fraction: float = 0.05  # share of heads that is called top {0<..1}
resamples: int = 1000  # of the bootstrap over questions {10..100000, quick 50}
small_heads: int = (
    8  # heads in each layer of the model that you watch {1..32}
)
small_steps: int = 360  # how long it trains {20..10000, quick 40}
every: int = 20  # steps between two looks at it {1..1000, quick 20}
samples: int = 96  # held-out questions for each look {2..1000, quick 12}
seed: int = 7  # seeds its weights and lessons, and the bootstrap {0..}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from corehead_lib import plots
from corehead_lib.answers import QUERIES
from corehead_lib.chance import chance
from corehead_lib.heads import HeadScores, how_many
from corehead_lib.models import ZOO, weights_checksum
from corehead_lib.results import keep, publish
from corehead_lib.study.lag import half_way, lag, since
from corehead_lib.zoo.snapshots import KINDS, asked, history
from corehead_lib.zoo.training.card import read_curve

plots.use_style()
curve = read_curve(ZOO / trained / "curve.jsonl.gz")
edges = curve.step[curve.stage.diff() > 0]  # where a new stage begins

# %% [markdown]
# ## The curve of a run
#
# For every model the zoo keeps the loss and the accuracy at every step of training, on the conversations that the model learns from. Here they are averaged
# over twenty steps, accuracy also over the tasks that need retrieval.

# %%
from corehead_lib.zoo.training.turns import MODALITIES

smooth = curve.set_index("step").rolling(20, min_periods=1).mean()
tasks = {k: [f"{k}/{t}" for t in MODALITIES[k].needles] for k in KINDS}
learned = {k: smooth.reindex(columns=t).mean(axis=1) for k, t in tasks.items()}
learned = pd.DataFrame(learned)
marks = [0, len(curve) // 4, len(curve) // 2, -1]
learned.assign(loss=smooth.loss).iloc[marks].round(2)

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(1, 2, figsize=(7.6, 2.9), sharex=True)
axes[0].plot(smooth.loss, color=plots.BLACK)
axes[0].set(yscale="log", ylabel="loss, nats per token")
axes[0].set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
axes[0].minorticks_off()
colours = (plots.BLUE, plots.RED, plots.GREEN, plots.AMBER)
for name, colour in zip(learned, colours, strict=True):
    axes[1].plot(learned[name], color=colour, label=name)
axes[1].set(ylim=(-0.02, 1.02), ylabel="accuracy in training")
for axis in axes:
    axis.set_xlabel("training step")
    for edge in edges:
        axis.axvline(edge, color="black", lw=0.8, ls=":")
axes[1].legend(fontsize=8)
keep("fig_training", figure, "The loss falls to the end, most is learned by the middle")

# %% [markdown]
# ```{glue:figure} fig_training
# :name: fig-emergence-training
# :alt: Two panels over training steps. Left, the loss falls, on a logarithmic axis, with one peak where the second stage begins. Right, the accuracy on texts rises from zero, that on scenes, documents and clips begins with the second stage, below 0.5; in the last third all four are above 0.8.
#
# Loss and accuracy on what the model learns from. Dotted: a new stage begins.
# ```
#
# The loss falls from {glue:text}`loss_first:.1f` to {glue:text}`loss_last:.2f` nats per token. The curve does not say where a model looks; for that, the model
# itself must be kept.
#
# ## One run, kept along its training
#
# Every {glue:text}`spacing:.0f` steps the training of one model was paused, and the model was asked {glue:text}`asked:.0f` held-out questions about each kind
# of evidence. For each question two things were kept: whether the answer was right, and where every head looked. The training loss is cross-entropy on answers,
# with no term for attention.

# %%
past = history(trained)
kinds = list(past[0].correct)
steps = np.array([snapshot.step for snapshot in past])
layers, heads = past[0].ram[kinds[0]].shape
top = how_many(top_fraction, layers * heads)
every_few = slice(None, None, max(1, len(past) // 6))
pd.DataFrame([snapshot.accuracy for snapshot in past], steps)[every_few]

# %% [markdown]
# The other models have no snapshots. Run on one of them, this page sees the beginning, rebuilt from recipe and seed, and the end, but no order of events.
#
# Looking is the mean {term}`RAM` of the {glue:text}`top_heads:.0f` heads that are on top in the last snapshot, chosen for each kind separately: we ask how the
# final heads came about.


# %%
def masses(kind):
    return np.stack([s.mass(kind, queries) for s in past])  # (N, S, L, H)


def looking(mass):
    chosen = HeadScores(mass[-1].mean(0)).top(top_fraction)
    return mass[:, :, *np.transpose(chosen)].mean(-1)  # (N, S)


looks = {name: looking(masses(name)) for name in kinds}
right = {name: np.stack([s.correct[name] for s in past]) for name in kinds}
number = right[kind].shape[1]
guess = {name: chance(asked(name, number)).line for name in kinds}

# %% tags=["hide-input", "remove-output"]
if len(past) < 3:  # a beginning, an end, and nobody saw what lies between
    plt.rc("lines", marker="o")
figure, axes = plt.subplots(
    1, len(kinds), figsize=(7.6, 2.9), sharex=True, sharey=True, squeeze=False
)
for axis, name in zip(axes[0], kinds, strict=True):
    axis.plot(steps, right[name].mean(1), color=plots.BLUE, label="accuracy")
    axis.plot(
        steps,
        looks[name].mean(1),
        color=plots.RED,
        ls="--",
        label=f"RAM of the final top {top}",
    )
    axis.axhline(guess[name], color=plots.BLUE, lw=0.8, ls="-.")
    for edge in edges:
        axis.axvline(edge, color="black", lw=0.8, ls=":")
    axis.set(title=name, xlabel="training step", ylim=(-0.02, 1.02))
axes[0, 0].set_ylabel("share")
figure.legend(
    *axes[0, 0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=2,
)
keep("fig_rise", figure, "Looking and answering rise together, over most of the run")

# %% [markdown]
# ## Before, with, or after?
#
# To say which comes first, we reduce each curve to one number: the step at which it is half-way to its last value. Looking starts at its first value, accuracy
# at chance, since a model that has learned to name some digit in the picture has not learned to find one. A single lucky snapshot must not count, so we fit the
# best curve that never falls (isotonic regression) and read the step from that.

# %%
half_way(np.array([0, 10, 20, 30]), np.array([0.0, 0.1, 0.9, 1.0]))

# %% [markdown]
# The lag is the difference between the two steps: positive if the ability is half-way *later* than looking. Its interval comes from resampling the questions,
# with the same draws for both curves. It speaks of other questions put to this run; other runs come below.

# %%
how = {"resamples": resamples, "seed": seed}
lags = {
    name: lag(steps, looks[name], right[name], floor=guess[name], **how)
    for name in kinds
}
lags = pd.DataFrame(lags).T
lags.rename(columns={"first": "looking", "second": "answering"}).round(1)

# %% [markdown]
# A lag whose interval contains zero, or that is shorter than the {glue:text}`spacing:.0f` steps between snapshots, says *together, as far as we can see*. Of the
# {glue:text}`kinds:.0f` kinds, answering comes clearly after looking in {glue:text}`kinds_after:.0f`, and clearly before it in {glue:text}`kinds_before:.0f`.
# Each is a 95 % interval by itself, not corrected for the number of kinds, so a single one that excludes zero shows little.
#
# "Half-way" is a choice. Here is the lag at a quarter and three quarters of the way, too:

# %%
def lag_at(share, name):
    both = looks[name], right[name]
    return lag(steps, *both, share, resamples=1, floor=guess[name])["lag"]


shares = (0.25, 0.5, 0.75)
by_share = {f"{s:.0%}": {k: lag_at(s, k) for k in kinds} for s in shares}
pd.DataFrame(by_share).round(0)

# %% [markdown]
# The two curves start differently: looking at its first value, which is about what even attention gives, answering at chance, which a model reaches only once
# it writes digits. So even a curve of answers set beside itself, measured in these two ways, has a lag, and a small one says nothing.
#
# Coming first is not causing. That these heads are needed is shown by taking them away, in [](08_ablation).
#
# ## How many share the work?
#
# We follow the three measures of [](06_head_ranking) along the run: the smallest share of heads that holds half of RAM, the Gini coefficient, and the effective
# number of heads. Beside RAM stands its negative control, the mass on *everything* that could be evidence.

# %%
from corehead_lib.heads import effective_heads, gini, mass_concentration

measures = {
    "half of it in": mass_concentration,
    "Gini": gini,
    "effective heads": effective_heads,
}
row = QUERIES.index(queries)
score = {"RAM": [mass.mean(0) for mass in masses(kind)]}
score["all evidence"] = [s.source[kind][row].astype(float) for s in past]

# %%
held = pd.DataFrame(
    {
        (name, measure): [measures[measure](one) for one in along]
        for name, along in score.items()
        for measure in measures
    },
    index=pd.Index(steps, name="step"),
)
held.iloc[sorted({0, len(held) // 2, len(held) - 1})].T.round(3)

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(1, 3, figsize=(7.6, 2.9), sharex=True)
styles = {"RAM": (plots.RED, "-"), "all evidence": (plots.SKY, "--")}
for axis, measure in zip(axes, measures, strict=True):
    for name, (colour, line) in styles.items():
        axis.plot(steps, held[name, measure], color=colour, ls=line, label=name)
    for edge in edges:
        axis.axvline(edge, color="black", lw=0.8, ls=":")
    axis.set(title=measure, xlabel="training step")
axes[0].set_ylim(0, 1)
axes[1].set_ylim(0, 1)
axes[2].set_ylim(0, layers * heads)
figure.legend(
    *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2
)
keep("fig_few", figure, "RAM moves into fewer heads, attention as such does not")

# %% [markdown]
# ```{glue:figure} fig_few
# :name: fig-emergence-few
# :alt: Three panels over training steps, one for each measure of concentration, each with a line for RAM and a dashed one for the mass on all that could be evidence.
#
# How concentrated RAM is along the run, and beside it the mass on everything. The right panel's axis ends at the number of all heads.
# ```
#
# At the end, half of RAM is in {glue:text}`half_last:.0%` of the heads, half of the mass on everything in {glue:text}`half_last_all:.0%`.
#
# ## Which heads, and since when?
#
# A head of the final top has been there *since* the first snapshot from which it never leaves the top {glue:text}`top_heads:.0f` again.

# %%
ram = masses(kind).mean(1)  # (N, layers, heads)
ranks = [HeadScores(one) for one in ram]
member = np.zeros(ram.shape, dtype=bool)
for place, one in enumerate(ranks):
    member[place, *np.transpose(one.top(top_fraction))] = True
start = since(member)
final = ranks[-1].top(top_fraction)

# %%
settled = pd.DataFrame(
    {
        "since step": [steps[start[head]] for head in final],
        "RAM then": [ram[(start[head], *head)] for head in final],
        "RAM at the end": [ram[(-1, *head)] for head in final],
    },
    index=[head.name for head in final],
)
settled.rename_axis("head").round(2)

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.2), sharex=True)
axes[0].plot(steps, ram.reshape(len(steps), -1), color="0.8", lw=0.6)
for place, head in enumerate(final[:6]):
    axes[0].plot(
        steps,
        ram[:, head.layer, head.head],
        label=f"{head.layer}.{head.head}",
        color=f"C{place}",
    )
axes[0].set(ylabel=f"RAM on {kind}", title="each head")
axes[0].legend(fontsize=8, title="head", title_fontsize=8, loc="upper left")
shared = member[:, member[-1]].sum(1)
axes[1].plot(steps, shared, color=plots.BLUE)
axes[1].axhline(top * top / ram[0].size, color="black", lw=1, ls=":")
axes[1].set(
    ylim=(0, top + 0.3),
    ylabel="heads",
    title=f"how many of the\nfinal {top} are on top",
)
for axis in axes:
    axis.set_xlabel("training step")
keep("fig_since", figure, "Half of the final heads settle early, the others near the end")

# %% [markdown]
# ```{glue:figure} fig_since
# :name: fig-emergence-since
# :alt: Left, a grey line for each head and coloured ones for the final top heads, over training steps. Right, how many of the final top heads are among the top at each step, with a dotted line for luck near zero.
#
# Left: RAM of each head, the final top in colour. Right: how many of the final top are on top at each step; dotted: luck.
# ```
#
# At step {glue:text}`first_step:.0f`, {glue:text}`final_first:.0f` of the {glue:text}`top_heads:.0f` are there, where luck gives less than one; in the
# snapshots just before and after the ability is half-way, {glue:text}`final_low:.0f` and {glue:text}`final_high:.0f`. The number goes up and down:
# {glue:text}`settled_late:.0f` of the heads are on top for good only in the last third, the last of them from step {glue:text}`last_joined:.0f` of
# {glue:text}`last_step:.0f`.
#
# ## A run to watch
#
# Here is the same thing, small enough to happen while you read: {glue:text}`small_layers:.0f` layers of {glue:text}`small_heads:.0f` heads, pictures of nine
# cells with one to four shapes, the zoo's tower, loss and optimizers. The tower stays as it is; only the language model learns.
#
# The setting was chosen by accuracy: the smallest of three batch sizes, no third task (it was not learned in the time), and more steps than at first, because
# this very seed had not finished learning after two thirds of them. Attention was on the screen as well, but played no part in the choice. The grid below does
# not use this seed.

# %%
from corehead_lib.zoo.training.small import Small, grow, questions

small = Small(heads=small_heads, steps=small_steps, seed=seed)
at = range(0, small.steps + 1, every)
live = [snapshot for _, snapshot in grow(small, at, samples)]

# %%
task = np.array([sample.task for sample in questions(samples)])
line = chance(questions(samples)).line
watched = pd.DataFrame(
    {t: [s.correct["scenes"][task == t].mean() for s in live] for t in {*task}},
    index=pd.Index([s.step for s in live], name="step"),
)
watched["best head"] = [s.ram["scenes"].max() for s in live]
watched["loss"] = [-s.logprob["scenes"].mean() for s in live]

# %% tags=["hide-input", "remove-output"]
plt.rc("lines", marker="None")
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.2), sharex=True)
for name, colour in zip(sorted({*task}), (plots.SKY, plots.BLUE), strict=True):
    axes[0].plot(watched.index, watched[name], color=colour, label=name)
axes[0].plot(
    watched.index,
    watched["best head"],
    color=plots.RED,
    ls="--",
    label="RAM, best head",
)
axes[0].axhline(line, color="black", lw=1, ls=":", label="chance")
axes[0].set(ylim=(-0.02, 1.02), ylabel="accuracy, RAM")
axes[0].legend(fontsize=8)
every_head = np.stack([s.ram["scenes"].ravel() for s in live])
axes[1].plot(watched.index, every_head, color=plots.RED, lw=0.8, alpha=0.5)
axes[1].set(ylim=(-0.02, 1.02), ylabel="RAM of each head")
for axis in axes:
    axis.set_xlabel("training step")
keep("fig_live", figure, "A long plateau near chance, then a jump, and heads that look")

# %% [markdown]
# ```{glue:figure} fig_live
# :name: fig-emergence-live
# :alt: Left, accuracy on two tasks and the RAM of the best head over the training steps of the small run, with a dotted line for chance. Right, one thin line for the RAM of each head.
#
# The small run. Left: accuracy by task, and the head that looks most at each step. Right: all heads.
# ```
#
# It ends at an accuracy of {glue:text}`live_accuracy:.2f`, where naming any digit in the picture would give {glue:text}`live_chance:.2f`; its best head gives
# the evidence {glue:text}`live_best:.2f` of its attention (before training, the best gave {glue:text}`live_best_first:.2f`).

# %%
found = np.stack([s.correct["scenes"] for s in live])
mass = np.stack([s.mass("scenes", queries) for s in live])
seen = np.array(at)
small_lag = lag(seen, looking(mass), found, floor=line, **how)
pd.Series(small_lag).round(1)

# %% [markdown]
# Here the lag is {glue:text}`small_lag:+.0f` steps ({glue:text}`small_lag_low:+.0f` to {glue:text}`small_lag_high:+.0f`). Two runs of two sizes, and one of the
# intervals contains zero: they show no order that would hold for all.
#
# ## What makes heads few?
#
# More such runs are in a table that ships with the book (`corehead grid` makes it, and resumes where it stopped). Each setting differs from the base in one
# thing: half or twice as many heads, eight conversations about text tasks per step beside the scenes, no weight decay or ten times as much, twice the steps.
# One is a treatment: the loss gets a *price on looking*, {glue:text}`price:.2f` nats for each head that gives all its attention to the picture. Its untreated
# twin is the base run of the same seed and lessons.

# %%
from corehead_lib.zoo.training.grid import SAMPLES, read_grid

grid = read_grid()
grid["all heads"] = grid["layers"] * grid["heads"]
grid["lost after"] = grid.half_lost / grid["all heads"]
shown = ["all heads", "accuracy", "half", "gini", "effective", "lost after"]
by_setting = grid.groupby("setting", sort=False)
table = by_setting[shown].agg("mean")
table.insert(0, "runs", by_setting.size())
table.round(2)

# %% [markdown]
# `half` is the share of heads that holds half of RAM at the last prompt token; `lost after` is the share that must be silenced, highest RAM first, until half
# of the model's accuracy beyond chance is lost. With the price few heads look, and yet far more heads must go: a riddle.
#
# RAM at one row knows nothing of other rows. So, *after* meeting the riddle, we asked the same at the question's tokens. For either set of rows we give RAM,
# averaged over all heads; how many heads must go, highest RAM there first; and what is left, on the same fresh questions, if all heads are cut off from the
# evidence there, by {term}`knockout`.

# %%
both = {}
half_lost = {"last": grid.half_lost, "question": grid.half_lost_question}
for rows, lost in half_lost.items():
    rams = [np.array(ram[rows]) for ram in grid.ram]
    both["mean RAM", rows] = [ram.mean() for ram in rams]
    both["half in", rows] = [mass_concentration(ram) for ram in rams]
    both["lost after", rows] = lost / grid["all heads"]
cuts = {"nowhere": "untouched", "last": "cut_last", "question": "cut_question"}
for rows, column in cuts.items():
    both["cut off", rows] = grid[column]

# %%
both = pd.DataFrame(both)
of_both = both.groupby(grid.setting, sort=False).mean()
of_both.T.round(2)

# %% tags=["hide-input", "remove-output"]
names = list(dict.fromkeys(grid.setting))
place = np.array([names.index(name) for name in grid.setting])
colours = np.where(grid.price > 0, plots.RED, plots.BLUE)
panels = {
    "mean RAM": "RAM, mean over heads",
    "lost after": "share silenced\nuntil half is lost",
    "cut off": "accuracy, all heads cut\noff from the evidence",
}
marks = {  # where, and in which colour they are filled
    "last": (-0.15, colours, "at the last prompt token"),
    "question": (0.15, "none", "at the question's tokens"),
}
figure, axes = plt.subplots(
    1, 3, figsize=(7.6, 0.4 * len(names) + 1.7), sharey=True
)
for axis, (column, label) in zip(axes, panels.items(), strict=True):
    for rows, (shift, fill, name) in marks.items():
        axis.scatter(
            both[column, rows],
            place + shift,
            facecolors=fill,
            edgecolors=colours,
            s=26,
            label=name,
        )
    axis.set_xlabel(label, fontsize=9)
    axis.set_xlim(left=0)
guessing = chance(questions(SAMPLES, "evaluation")).line
axes[2].axvline(guessing, color="black", lw=1, ls="-.")
axes[2].set_xlim(0, 1.04)
axes[0].set_yticks(range(len(names)), names)
axes[0].invert_yaxis()
figure.legend(
    *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2
)
keep("fig_grid", figure, "Models that pay look less, and fetch at other rows")

# %% [markdown]
# ```{glue:figure} fig_grid
# :name: fig-emergence-grid
# :alt: Three panels with one row for each setting and two points for each run, a filled one for the last prompt token and a hollow one for the question's tokens: mean RAM, the share of heads that must be silenced until half of the ability is lost, and accuracy with all heads cut off from the evidence. Runs with a price are in another colour. Their RAM is lowest at both; without a price, the filled points need few heads, nearly always fewer than the hollow ones, and fall to a low accuracy; with it, the hollow ones do.
#
# Two points for each run: filled, with looking, ranking and cut at the last prompt token; hollow, with them at the question's tokens. Red: with a price on
# looking. Dash-dotted: chance.
# ```
#
# The riddle's answer lies in the rows. Cut off from the evidence at the last token, the base keeps an accuracy of {glue:text}`cut_last_base:.2f` out of
# {glue:text}`uncut_base:.2f` (chance is {glue:text}`grid_guess:.2f`), while with the price {glue:text}`cut_last_price:.2f` out of {glue:text}`uncut_price:.2f`
# is left; at the question's tokens it is {glue:text}`cut_question_base:.2f` and {glue:text}`cut_question_price:.2f`. In the {glue:text}`cut_runs:.0f` runs
# without a price, {glue:text}`cut_last_most:.2f` at most is left after the first cut; the second costs one of them {glue:text}`cut_question_most:.2f`, the
# others {glue:text}`cut_question_next:.2f` at most. So models that did not pay fetch at the last token, and those that did fetch at the question's, where the
# others need next to nothing.
#
# With heads ranked at the rows where a model fetches, few are needed either way: half of the ability is lost without {glue:text}`lost_question_price:.0%` of
# them with the price, without {glue:text}`lost_last_base:.0%` in the base. By the other rows, it takes {glue:text}`lost_last_price:.0%` and
# {glue:text}`lost_question_base:.0%`. RAM itself falls at both: averaged over heads, from {glue:text}`ram_last_base:.2f` to {glue:text}`ram_last_price:.2f` at
# the last token, from {glue:text}`ram_question_base:.2f` to {glue:text}`ram_question_price:.2f` at the question's. How much heads look there would not have
# told us that they are needed.
#
# The larger twin in [](14_models), which paid only in its last stage, keeps to the last token: ranked by RAM there, fewer of its heads have to go, not more.
# But one model on that page fetches at the question's tokens without any price, while in [](08_ablation) ranking at these rows finds heads that are not needed.
# Ask where a model fetches before you rank its heads.
#
# The table rests on {glue:text}`grid_runs:.0f` runs of {glue:text}`grid_settings:.0f` settings, at least {glue:text}`grid_seeds_least:.0f` seeds each:
# enough to see what is large, too few for a test. So we compare twins: each run with a change less the base of the
# same seed and lessons, and then the mean. How far these differences spread within one setting says what a seed does.

# %%
columns = ["accuracy", "half", "effective", "lost after"]
twins = grid.set_index(["setting", "seed"])[columns]
base = twins.xs("base").reindex(twins.index.get_level_values("seed"))
change = twins - base.to_numpy()
change.groupby("setting", sort=False).mean().drop("base").round(2)

# %% [markdown]
# The price changes `half` by {glue:text}`half_price:+.2f` (by twin from {glue:text}`half_price_least:+.2f` to {glue:text}`half_price_most:+.2f`), and the
# effective number of heads by {glue:text}`effective_price:+.1f` ({glue:text}`effective_price_least:+.1f` to {glue:text}`effective_price_most:+.1f`), at an
# accuracy of {glue:text}`accuracy_price:.2f` where the base has {glue:text}`accuracy_base:.2f`. The other settings change `half` by
# {glue:text}`half_others:.2f` on average at most, up or down.
#
# ## Is the order the same in every run?
#
# Each run of the grid was examined every {glue:text}`grid_every:.0f` steps. Its lag is defined as above: the step at which accuracy is half-way from chance,
# less the step at which the RAM of its own final top 5 % is half-way. Beside it stands the lag when accuracy, too, is measured from its first value. RAM is
# that of the last prompt token, so it says little about the runs that paid.


# %%
def run_lag(run, floor):
    past = pd.DataFrame(run.history)
    at = past.step.to_numpy()
    looks, right = past.looking.to_numpy(), past.accuracy.to_numpy()
    return half_way(at, right, floor=floor) - half_way(at, looks)


guessed = chance(questions(SAMPLES)).line
for begin, floor in (("from chance", guessed), ("from the first", None)):
    grid[begin] = grid.apply(run_lag, axis=1, floor=floor)
by_setting = grid.groupby("setting", sort=False)
by_setting[["from chance", "from the first"]].agg(["min", "max"]).round(0)

# %% [markdown]
# With accuracy measured from chance, looking is half-way first in {glue:text}`lag_first:.0f` of {glue:text}`lag_runs:.0f` runs, by {glue:text}`lag_least:.0f`
# to {glue:text}`lag_most:.0f` steps. Measured from the first value, which is no right answer at all, looking is first in {glue:text}`lag_first_plain:.0f`.
# Models learn early to write *some* digit, right as often as chance, and that alone is nearly half of the way from the first value. So the order depends on
# where we let accuracy begin, and we claim none. Runs of one seed share their lessons, so there are fewer pieces of evidence than runs.
#
# ## Exercises
#
# ```{exercise-start} Fewer heads, or fewer that look?
# :label: ex-emergence-read
# ```
#
# Difficulty: 1/5, 3 minutes. Read off the right panel of {numref}`fig-emergence-few`, to within six heads: by how much does the effective number of heads fall
# from the first snapshot to the last, for RAM, and for the mass on all evidence? `answer` is these two numbers, negative for a rise. What would the first tell
# us without the second?
#
# :::{dropdown} Hint 1
# Read each line at its left end and at its right end.
# :::
#
# :::{dropdown} Hint 2
# The axis ends at the number of all heads.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-emergence-read
# :class: dropdown
# ```

# %%
ends = held.xs("effective heads", axis=1, level=1).iloc[[0, -1]]
answer = (ends.iloc[0] - ends.iloc[1]).tolist()
ends.round(0)

# %% [markdown]
# RAM moves into fewer heads; the mass on all evidence hardly does. Without this control, we could not tell a model whose heads divide the work of *finding*
# from one in which fewer heads look at pictures at all.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Other rows
# :label: ex-emergence-rows
# ```
#
# Difficulty: 2/5, 5 minutes. The paper scores heads at the question's tokens. Measure looking there, by the heads that end on top there. `answer` is the lag on
# `kind`, then the low and the high end of its interval. Can what these rows look at have made the first answers right?
#
# :::{dropdown} Hint 1
# `s.mass(kind, "question")` of a snapshot `s` is RAM at the question's tokens; `looking` makes a curve of such masses.
# :::
#
# :::{dropdown} Hint 2
# `lag(steps, looks, right[kind], floor=guess[kind], **how)`, as above.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-emergence-rows
# :class: dropdown
# ```

# %%
by_rows = {}
for rows in QUERIES:
    mass = np.stack([s.mass(kind, rows) for s in past])
    aims = looking(mass)
    by_rows[rows] = lag(steps, aims, right[kind], floor=guess[kind], **how)
answer = [by_rows["question"][key] for key in ("lag", "low", "high")]
pd.DataFrame(by_rows).T.round(1)

# %% [markdown]
# Answers of one token are written from the last prompt token, so on scenes two of the three rows are the same. At the question's tokens, looking is half-way
# only after the answers are, with an interval below zero: most of it came when the model could already do without it. That is about order in this run; only
# taking heads away can show what is needed.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} As large as luck
# :label: ex-emergence-luck
# ```
#
# Difficulty: 2/5, 10 minutes. What do the changes in `half` say that another seed could not have said? `answer` is two numbers: the largest change less the
# smallest among the twins of one setting, for the setting where it is largest, rounded to three digits; and the number of settings in which all twins changed
# in one direction, none by zero.
#
# :::{dropdown} Hint 1
# Each row of `change` is a run less its twin; the base less itself is no change.
# :::
#
# :::{dropdown} Hint 2
# All go up if the smallest change is above zero, and all go down if the largest is below.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-emergence-luck
# :class: dropdown
# ```

# %%
moved = change.half.drop("base", level=0).groupby("setting", sort=False)
moved = moved.agg(["min", "mean", "max"])
luck = (moved["max"] - moved["min"]).max().round(3)
one_way = (moved["min"] > 0) | (moved["max"] < 0)
answer = luck, int(one_way.sum())
moved.assign(one_way=one_way).round(3)

# %% [markdown]
# A mean that is no larger than the spread of its own twins shows little, however plausible its sign. The same sign in all twins is a low bar: three agree by
# luck in one setting of four, so among several settings one clears it by luck.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} What a finer grid would need
# :label: ex-emergence-power
# ```
#
# Difficulty: 3/5, 10 minutes. Two runs of one setting differ by chance; the mean size of that difference is $2\sigma/\sqrt\pi$. How many seeds do you need in
# each of two settings to detect a true difference of that size in nine of ten experiments, with a two-sided test at 5 %? `answer` is one number, to within two
# seeds.
#
# :::{dropdown} Hint 1
# The mean of n runs has a variance of $\sigma^2/n$, and the difference of two such means twice that.
# :::
#
# :::{dropdown} Hint 2
# The true difference must lie 1.96 + 1.28 of its standard deviations from zero.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-emergence-power
# :class: dropdown
# ```

# %%
from scipy.stats import norm

needed = 2 * (norm.ppf(0.975) + norm.ppf(0.9)) ** 2 / (4 / np.pi)
answer = int(np.ceil(needed))
answer

# %% [markdown]
# A two-sided test at 5 % with a power of 90 % needs n = 2 (1.96 + 1.28)² σ²/d² runs per setting: the grid would take hours.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Any order you like
# :label: ex-emergence-all
# ```
#
# Difficulty: 4/5, 20 minutes. The final top heads were chosen with knowledge of the end. Find another measure of looking, from RAM along the run, that *is*
# half-way before the answers are, with an interval above zero. `answer` is your curve, an array of snapshots x questions. What have you shown?
#
# :::{dropdown} Hint 1
# `masses(kind)` is the RAM of every snapshot, question, layer and head. A sum over all heads knows nothing of the end, nor does the best head of each snapshot.
# :::
#
# :::{dropdown} Hint 2
# `lag(steps, answer, right[kind], floor=guess[kind], **how)` has the lower end under `low`.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-emergence-all
# :class: dropdown
# ```

# %%
mass = masses(kind)
best = mass.mean(1).reshape(len(mass), -1).argmax(1)
flat = mass.reshape(*mass.shape[:2], -1)
answer, best_of_each = flat.sum(-1), flat[np.arange(len(flat)), :, best]
risen = [
    lag(steps, aims, right[kind], floor=guess[kind], **how)
    for aims in (answer, best_of_each)
]
pd.DataFrame(risen, ["all heads", "best of each step"]).round(1)

# %% [markdown]
# The sum rises with every head that looks a little, the best head's RAM with the first head that looks a lot: the order of events depends on which of the two
# we call looking. So an order that was found by trying measures shows how free the choice was. Fix the measure before you look at the order, and report what
# the others say.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# One run was kept. Its interval is about questions; it does not show that other runs have the same order, and the small runs, where the order can be compared,
# are of another size.
#
# We asked where the runs of the grid fetch only once the last token had posed a riddle, and of the same runs. Three seeds are no test, and why a price on every
# token moves the fetching to the question's tokens is not known.
#
# The grid changes one thing at a time, so it cannot show what two things do together. "Twice as long" also stretches the learning-rate schedule, and more heads
# mean more weights, since each head keeps its width.
#
# ## Where to go from here
#
# - Are they the same heads in another run? [](07_stability)
# - Does the final model need them? [](08_ablation)
# - Text retrieval heads during training and after it: {cite:t}`wu2024retrieval`

# %% tags=["hide-input"]
runs = grid.groupby("setting").size()
treated = change.loc["price"]
others = change.half.drop(["base", "price"], level=0).groupby("setting").mean()
unpaid = both[grid.price == 0]
spared = unpaid["cut off", "nowhere"] - unpaid["cut off", "question"]
spared = spared.nlargest(2)
numbers = {
    "accuracy_price": table.accuracy["price"],
    "accuracy_base": table.accuracy["base"],
    "half_others": others.abs().max(),
    "cut_runs": unpaid["cut off", "last"].count(),
    "cut_last_most": unpaid["cut off", "last"].max(),
    "cut_question_most": spared.iloc[0],
    "cut_question_next": spared.iloc[1],
    "grid_guess": guessing,
}
for name in ("half", "effective"):
    numbers |= {
        f"{name}_price": treated[name].mean(),
        f"{name}_price_least": treated[name].min(),
        f"{name}_price_most": treated[name].max(),
    }
for setting in ("base", "price"):
    found = of_both.loc[setting]
    numbers[f"uncut_{setting}"] = found["cut off", "nowhere"]
    for rows in half_lost:
        numbers |= {
            f"ram_{rows}_{setting}": found["mean RAM", rows],
            f"lost_{rows}_{setting}": found["lost after", rows],
            f"cut_{rows}_{setting}": found["cut off", rows],
        }
numbers |= {
    "grid_runs": len(grid),
    "grid_settings": len(runs),
    "grid_seeds_least": runs.min(),
    "price": grid.price.max(),
}
of_runs, past_grid = grid["from chance"].dropna(), grid.history[0]
numbers |= {
    "lag_runs": len(of_runs),
    "lag_first": (of_runs > 0).sum(),
    "lag_first_plain": (grid["from the first"] > 0).sum(),
    "lag_least": of_runs.min(),
    "lag_most": of_runs.max(),
    "grid_every": past_grid[1]["step"] - past_grid[0]["step"],
}
main, spacing = lags.loc[kind], int(np.median(np.diff(steps)))
numbers |= {
    "lag_main": main["lag"],
    "lag_main_low": main.low,
    "lag_main_high": main.high,
    "spacing": spacing,
    "asked": number,
    "kinds": len(kinds),
    "kinds_after": ((lags.low > 0) & (lags["lag"] > spacing)).sum(),
    "kinds_before": ((lags.high < 0) & (lags["lag"] < -spacing)).sum(),
    "top_heads": top,
    "half_first": held["RAM", "half of it in"].iloc[0],
    "half_last": held["RAM", "half of it in"].iloc[-1],
    "half_last_all": held["all evidence", "half of it in"].iloc[-1],
    "first_step": steps[0],
    "final_first": shared[0],
    "settled_late": (settled["since step"] > steps[-1] * 2 / 3).sum(),
    "last_joined": settled["since step"].max(),
    "last_step": steps[-1],
    "loss_first": smooth.loss.iloc[0],
    "loss_last": smooth.loss.iloc[-1],
}
numbers |= {
    "small_layers": small.layers,
    "small_heads": small.heads,
    "live_accuracy": live[-1].accuracy["scenes"],
    "live_chance": line,
    "live_best": watched["best head"].iloc[-1],
    "live_best_first": watched["best head"].iloc[0],
    "small_lag": small_lag["lag"],
    "small_lag_low": small_lag["low"],
    "small_lag_high": small_lag["high"],
}
if main.second == main.second:
    behind = np.clip(np.searchsorted(steps, main.second), 1, len(steps) - 1)
    around = shared[behind - 1 : behind + 1]
    numbers |= {"final_low": around.min(), "final_high": around.max()}
numbers = {k: v for k, v in numbers.items() if v == v}

# %% tags=["hide-input"]
from hashlib import sha256

from corehead_lib.zoo.training.grid import TABLE

scored = ZOO / trained / "snapshots"
scores = weights_checksum(scored if scored.exists() else ZOO / trained)
of_kinds = lags.rename_axis("kind").reset_index().astype(object)
publish(
    rows=of_kinds.where(of_kinds.notna(), None).to_dict("records"),
    numbers=numbers,
    inputs={
        "run": {"name": trained, "checksum": scores},
        "grid": {
            "name": "grid.json",
            "file_sha256": sha256(TABLE.read_bytes()).hexdigest(),
        },
    },
)
