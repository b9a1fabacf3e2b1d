# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Where are they? Ranking all heads
#
# **Claim.** In `tiny-qwen3-vl`, retrieval attention is concentrated in a few heads: a small share of all 128 heads holds half of
# the {term}`RAM`, and two halves of the detection set, which share no picture, agree on which heads these are. But *which* heads
# come first depends on whose attention is read: the question's tokens or the last prompt token.
#
# Notebook [](01_ram_definition) defined the score. Here we score every head, look at where the high scores sit, and ask
# how much of the picture is luck.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
dataset: str = "scenes"  # any with evidence, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
detection_samples: int = 192  # samples to average over; two halves are compared {2..100000, quick 24}
batch_size: int = 16  # prompts that run at once; 1 for long documents {1..1024}
seed: int = 0  # seeds the samples {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
queries: str = "last"  # rows that rank the heads: last prompt token, or question {last, question}
models: str = ""  # to compare at the end; empty: all of the zoo {models, empty, quick tiny-qwen3-vl-seed1}
kinds_of_evidence: str = "scenes documents clips haystacks"  # datasets for that comparison {datasets}
samples_each: int = 24  # samples of each dataset for that comparison {2..100000, quick 8}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy import stats

from corehead_lib import plots
from corehead_lib.data import samples_checksum
from corehead_lib.datasets.evidence import load_evidence, remarks
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.explorer import explorer
from corehead_lib.heads import HeadScores, effective_heads, mass_concentration
from corehead_lib.models import load_model, zoo_names
from corehead_lib.ram import measure_ram
from corehead_lib.results import publish
from corehead_lib.stats import halves, mean_interval

plots.use_style()
samples = load_evidence(dataset, "detection", detection_samples, seed, data_dir=data_dir)
loaded = load_model(model, device, dtype)
batches = encode_all(loaded, samples, batch_size)
other = {"last": "question", "question": "last"}[queries]
scores = measure_ram(loaded, batches, queries, progress=False)
beside = measure_ram(loaded, batches, other, progress=False)
note = remarks(dataset, samples, detection_samples)
Markdown(note) if note else scores.target.shape  # (samples, layers, heads)

# %% [markdown]
# ## The best head first
#
# Before the map, one head: how do its scores spread over single samples?

# %%
ranked = HeadScores(
    scores.ram,
    provenance={
        "model": loaded.provenance,
        "dataset": dataset,
        "sha256": samples_checksum(samples),
        "seed": seed,
        "score": f"RAM, rows: {queries}, any overlap",
    },
)
core = ranked.top(top_fraction)
best = scores.target[:, core[0].layer, core[0].head]
low, high = mean_interval(best, bounds=(0, 1))
Markdown(
    f"Layer {core[0].layer}, head {core[0].head}: RAM **{best.mean():.3f}** "
    f"(95 % bootstrap interval of the mean {low:.3f} to {high:.3f}); "
    f"single samples lie between {best.min():.2f} and {best.max():.2f}."
)

# %% [markdown]
# ## All heads
#
# One score per head gives a map, layers upwards. The frames mark the {term}`CoRe heads <CoRe head>`: the top fraction
# that we fixed beforehand.

# %% mystnb={"figure": {"name": "fig-ranking-map", "caption": "RAM of every head of the tiny model (the paper's figure 4, for one model), by the rows that rank the heads and by the other choice. Framed: the top heads of each map."}, "image": {"alt": "Two maps of 8 layers by 16 heads. Most squares are dark. In each map a handful of framed, bright squares stand out; the two handfuls are not the same heads."}}
figure, axes = plt.subplots(2, 1, figsize=(7, 6.2))
for axis, view, rows in ((axes[0], scores, queries), (axes[1], beside, other)):
    top = HeadScores(view.ram).top(top_fraction)
    plots.head_map(axis, view.ram, marked=top, label="RAM")
    layers = sorted({h.layer for h in top})
    axis.set_title(
        f"Rows “{rows}”: the top {len(top)} of {view.ram.size} heads sit in layers {', '.join(map(str, layers))}"
    )

# %%
pd.DataFrame(
    [
        {
            "rank": place + 1,
            "layer": head.layer,
            "head": head.head,
            "KV group": head.head // loaded.backbone.group,
            "RAM": round(float(scores.ram[head]), 3),
            f"RAM ({other})": round(float(beside.ram[head]), 3),
            "lift": round(float(scores.lift[head]), 1),
            "selectivity": round(float(scores.selectivity[head]), 2),
        }
        for place, head in enumerate(core)
    ]
).set_index("rank")

# %% [markdown]
# ## How concentrated?
#
# {cite:t}`li2026mmretheads` measure sparsity by the smallest share of heads that holds half of the score. A negative control
# beside it: the same measure for a score with no retrieval in it, the mass that each head puts on the picture
# as a whole.

# %% mystnb={"figure": {"name": "fig-ranking-lorenz", "caption": "Cumulated share of a score against the share of heads, highest first. The dashed line is perfect equality; circles mark where half of the score is reached."}, "image": {"alt": "Two rising curves above the diagonal. The curve of RAM rises more steeply than the curve of the mass on the whole picture."}}
visual = scores.visual.mean(0)
half = {"RAM": mass_concentration(scores.ram), "mass on the picture": mass_concentration(visual)}
figure, axis = plt.subplots(figsize=(5.5, 3.8))
for (name, share), score in zip(half.items(), (scores.ram, visual), strict=True):
    cumulated = np.cumsum(np.sort(score.ravel())[::-1]) / score.sum()
    (line,) = axis.plot(
        np.arange(1, score.size + 1) / score.size, cumulated, label=f"{name}: half in {share:.0%}"
    )
    axis.plot([share], [cumulated[round(share * score.size) - 1]], "o", color=line.get_color())
axis.plot([0, 1], [0, 1], "k--", lw=1)
axis.set(xlabel="share of heads", ylabel="share of the score", xlim=(0, 1), ylim=(0, 1.02))
axis.legend(loc="lower right")
_ = axis.set_title(f"Half of the RAM sits in {half['RAM']:.0%} of the heads")

# %% [markdown]
# ## Luck or structure?
#
# Split the detection set in two halves that share no picture, document or video, rank the heads on each, and compare. If the
# ranking were noise, the top sets would hardly overlap.

# %%
half_a = halves([s.group or s.id for s in samples])
if half_a.all():
    raise CoreheadError(
        f"All {len(samples)} samples are about one thing, so no half can be set apart: take more samples."
    )
first, second = HeadScores(scores.target[half_a].mean(0)), HeadScores(scores.target[~half_a].mean(0))
shared = len(set(first.top(top_fraction)) & set(second.top(top_fraction)))
spearman = float(stats.spearmanr(first.score.ravel(), second.score.ravel()).statistic)
expected = len(core) ** 2 / scores.ram.size
Markdown(
    f"**{shared} of {len(core)}** top heads are the same in both halves (two random sets would share {expected:.1f}), "
    f"and the Spearman correlation over all {scores.ram.size} heads is {spearman:.2f}."
)

# %% [markdown]
# ## Does the question type matter?
#
# One-attribute questions name a shape or a colour, two-attribute questions both. Are these different heads?

# %% mystnb={"figure": {"name": "fig-ranking-tasks", "caption": "RAM per head for the three kinds of retrieval question; each point is a head. CoRe heads (over all questions) are drawn in red."}, "image": {"alt": "Two scatter plots of RAM for one kind of question against another. Most heads lie near the origin; the red points lie far from it."}}
tasks = np.array([s.task for s in samples])
kinds = list(dict.fromkeys(tasks))
by_task = {kind: scores.target[tasks == kind].mean(0) for kind in kinds}
is_core = np.zeros(scores.ram.shape, dtype=bool)
is_core[tuple(np.array(core).T)] = True
others = kinds[:-1] or kinds  # a dataset with one kind of question is compared with itself, and says so
figure, axes = plt.subplots(1, len(others), figsize=(7.5, 3.6), sharey=True)
for axis, kind in zip(np.atleast_1d(axes), others, strict=True):
    for group, colour in ((~is_core, plots.BLUE), (is_core, plots.RED)):
        axis.plot(by_task[kind][group], by_task[kinds[-1]][group], "o", color=colour, alpha=0.7, mew=0)
    axis.set(xlabel=f"RAM, questions by {kind}")
np.atleast_1d(axes)[0].set_ylabel(f"RAM, questions by {kinds[-1]}")
overlap = {
    k: len(
        set(HeadScores(by_task[k]).top(top_fraction)) & set(HeadScores(by_task[kinds[-1]]).top(top_fraction))
    )
    for k in others
}
_ = figure.suptitle(
    f"Top {len(core)} shared with “{kinds[-1]}”: " + ", ".join(f"{n} for “{k}”" for k, n in overlap.items())
    if len(kinds) > 1
    else f"{dataset} has one kind of question here, “{kinds[0]}”: nothing to compare",
    fontweight="bold",
)

# %% [markdown]
# ## Look for yourself
#
# One question of each kind of evidence. Choose a head by its layer and number, or slide along the ranking above: from the first, which lights up
# the framed {term}`target`, to the last. Dark cells get little attention. The ranking was made on one kind only, so the other kinds
# show what it is worth there. Mind the number of cells: even attention would leave a share on the target, too.

# %%
each = {kind: load_evidence(kind, "detection", samples_each, seed) for kind in kinds_of_evidence.split()}
explorer(loaded, [part[0] for part in each.values()], ranked, queries=queries)

# %% [markdown]
# The page holds everything that can be chosen, so it needs no kernel. With a running one, `live` from the same module runs any sample that you
# choose: `live(loaded, samples, ranked)`.
#
# ## All models, all kinds of evidence
#
# The paper draws such maps for several models and datasets (figures 4 and 9) and reports that larger models concentrate retrieval in
# a smaller share of their heads. Here are the models of the zoo on each kind of evidence. Colours are scaled to each map's own maximum,
# because the level of RAM depends on how large the target is ([](07_stability)).

# %%
names = [model] + [name for name in (models.split() or zoo_names()) if name != model]
maps, facts = {}, []
for name in names:
    one = loaded if name == model else load_model(name, device, dtype)
    for kind, part in each.items():
        view = measure_ram(one, encode_all(one, part, batch_size), queries, progress=False)
        maps[name, kind] = view.ram
        facts.append(
            {
                "model": name,
                "evidence": kind,
                "checksum": one.checksum,
                "heads": view.ram.size,
                "parameters": one.model.num_parameters(),
                "best RAM": float(view.ram.max()),
                "even attention": float(view.share.mean()),
                "best lift": float(view.lift[HeadScores(view.ram).ranking()[0]]),
                "half in": mass_concentration(view.ram),
                "effective heads": effective_heads(view.ram),
            }
        )
table = pd.DataFrame(facts)
table.drop(columns=["checksum", "parameters"]).round(3).set_index(["model", "evidence"])

# %% mystnb={"figure": {"name": "fig-ranking-zoo", "caption": "RAM of every head (the paper's figure 9), one row of maps to a model, one column to a kind of evidence, each scaled to its own maximum. Framed: the top heads of each map."}, "image": {"alt": "A table of small maps. In each, most squares are dark and a few framed ones stand out."}}
kinds_shown = list(each)
figure, axes = plt.subplots(
    len(names), len(kinds_shown), figsize=(2.6 * len(kinds_shown), 1.9 * len(names) + 0.6), squeeze=False
)
for (row, column), axis in np.ndenumerate(axes):
    score = maps[names[row], kinds_shown[column]]
    axis.imshow(score, origin="lower", vmin=0, aspect="auto")
    for layer, head in HeadScores(score).top(top_fraction):
        axis.add_patch(plt.Rectangle((head - 0.5, layer - 0.5), 1, 1, fill=False, ec=plots.RED, lw=1.5))
    axis.set(xticks=[], yticks=[])
    if row == 0:
        axis.set_title(kinds_shown[column], fontsize=10)
    if column == 0:
        axis.set_ylabel(f"{Path(names[row]).name}\nlayers upwards", fontsize=8)
_ = figure.suptitle(
    f"Half of the RAM sits in {table['half in'].min():.0%} to {table['half in'].max():.0%} of the heads",
    fontweight="bold",
)

# %% mystnb={"figure": {"name": "fig-ranking-sparsity", "caption": "Share of all RAM that the best heads hold, by their number, one line to a model. The dashed line is what heads would hold that all scored alike, for the first model."}, "image": {"alt": "One panel to a kind of evidence; in each, rising curves above a dashed one."}}
figure, axes = plt.subplots(
    1, len(kinds_shown), figsize=(2.5 * len(kinds_shown), 3.2), sharey=True, squeeze=False
)
held = []
for axis, kind in zip(axes[0], kinds_shown, strict=True):
    for name in names:
        order = np.sort(maps[name, kind].ravel())[::-1]
        axis.plot(np.arange(1, order.size + 1), np.cumsum(order) / order.sum(), label=Path(name).name)
        held.append(order[: len(HeadScores(maps[name, kind]).top(top_fraction))].sum() / order.sum())
    even = np.arange(1, maps[names[0], kind].size + 1)
    axis.plot(even, even / len(even), "k--", lw=1)
    axis.set(xscale="log", xlabel="best heads", title=kind, ylim=(0, 1.02))
axes[0, 0].set_ylabel("share of the RAM")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
_ = figure.suptitle(
    f"The top {top_fraction:.0%} of heads hold {min(held):.0%} to {max(held):.0%} of the RAM",
    fontweight="bold",
)

# %% [markdown]
# Mind what was charged for: in training these models paid for looking at *media*, never at text. Where evidence is text, the best heads are
# known from elsewhere in the table, but behind them attention is spread over many more. That fits a sparsity which the price made; it is one
# observation, not a test.
#
# ### Fewer in larger models?
#
# Models of one recipe and several sizes, and of one size and several seeds. Only the language model's layers and heads grow; its width and
# the lessons stay. The small and the large one started with the middle one's vision tower (their cards say how long each was trained). A *share* of
# heads can fall simply because there are more heads while as many do the work, so the *number* is drawn beside it. What seeds differ
# by at one size is what a difference between sizes has to beat.

# %%
related = [
    name for name in names if name.startswith(model)
]  # other sizes and seeds carry the name of the model
grown = table[table["model"].isin(related)]
middle = grown.groupby(["evidence", "heads"])[["half in", "effective heads"]].agg(["median", "min", "max"])
by_size = {kind: middle.loc[kind] for kind in each}
smallest, largest = grown["heads"].min(), grown["heads"].max()
falls = [
    kind
    for kind in each
    if by_size[kind].loc[largest, ("half in", "median")] < by_size[kind].loc[smallest, ("half in", "median")]
]
pd.DataFrame(
    {
        kind: grown[grown["evidence"] == kind].set_index(["heads", "model"])["half in"].map("{:.1%}".format)
        for kind in each
    }
).sort_index()

# %% mystnb={"figure": {"name": "fig-ranking-growth", "caption": "Heads that carry the RAM in models of one recipe, by the model's number of heads (the paper's figure 4). Left: the smallest share of heads that holds half. Right: their effective number. A point is one training run; lines join the medians."}, "image": {"alt": "Two panels with the number of heads to the right; points and one line to a kind of evidence."}}
figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.6))
for kind, colour in zip(each, (plots.BLUE, plots.RED, plots.GREEN, plots.AMBER), strict=False):
    rows = grown[grown["evidence"] == kind]
    for axis, column in ((axes[0], "half in"), (axes[1], "effective heads")):
        axis.plot(rows["heads"], rows[column], "o", color=colour, alpha=0.6, mew=0)
        axis.plot(by_size[kind].index, by_size[kind][(column, "median")], color=colour, label=kind)
for axis, label in zip(axes, ("share that holds half of the RAM", "effective number of heads"), strict=True):
    axis.set(xlabel="heads of the model", ylabel=label, xscale="log", yscale="log")
    axis.set_xticks(by_size[kind].index, by_size[kind].index)
    axis.minorticks_off()
axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
axes[1].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
axes[1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
_ = figure.suptitle(
    f"From {smallest} to {largest} heads the share that holds half falls for {len(falls)} of {len(each)} kinds"
    if largest > smallest
    else f"Models of one size only, {smallest} heads: no growth to be seen",
    fontweight="bold",
)

# %% [markdown]
# Few points, each one training run of a tiny model: a direction at best, and no law of scale. On texts a run stands apart: its heads look
# at the sentence *behind* the needle, so that RAM on the needle finds none of them ([](05_targets_text)).
#
# ## Keep the ranking
#
# Scores are a small file with its provenance, so that an ablation or an acceleration elsewhere can say which heads it used.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "scores.json"
    ranked.save(path)
    again = HeadScores.load(path)
print("same ranking after loading:", again.ranking() == ranked.ranking())
print("measured on:", again.provenance["dataset"], "with", again.provenance["model"]["name"])

# %% [markdown]
# ## Exercises
#
# ```{exercise-start} Another query
# :label: ex-ranking-last
# ```
#
# Difficulty: 1/5. How many of the top heads do the two choices of rows share? And how well do the two scores correlate over all heads?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ranking-last
# :class: dropdown
# ```

# %%
kept = set(HeadScores(beside.ram).top(top_fraction)) & set(core)
correlation = stats.spearmanr(scores.ram.ravel(), beside.ram.ravel()).statistic
print(f"{len(kept)} of {len(core)} shared, Spearman correlation {correlation:.2f}")

# %% [markdown]
# The answer is written from the last token, so a head that matters there can do its work without the question's own
# tokens ever looking. {cite:t}`park2026vrh` find the choice of queries to matter more than any other.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} How few samples are enough?
# :label: ex-ranking-few
# ```
#
# Difficulty: 2/5. Rank the heads on the first 6, 12, 24, 48 samples. When does the top set settle?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ranking-few
# :class: dropdown
# ```

# %%
for number in [n for n in (6, 12, 24, 48) if n < len(samples)] + [len(samples)]:
    few = HeadScores(scores.target[:number].mean(0)).top(top_fraction)
    print(f"{number:4d} samples: {len(set(few) & set(core))} of {len(core)} as with all")

# %% [markdown]
# ```{solution-end}
# ```
#
# ## Limits
#
# That the heads are few is partly our doing: in training, looking at the picture costs a small price (see the model card in
# `corehead_lib/zoo/tiny-qwen3-vl`). The map tests whether RAM finds them, not whether nature makes them rare.
# Concentration depends on the score: a sum over the question's tokens favours heads that look from many of them. One training run
# shows one arrangement of heads; other seeds, sizes and families may place them elsewhere. And a map of attention says nothing
# about need: see [](08_ablation).
#
# ## Where to go from here
#
# - Are they needed? [](08_ablation)
# - What they buy: [](10_acceleration)
# - The same map for large models: {cite:t}`sun2026core`, {cite:t}`li2026mmretheads`

# %%
publish(
    rows=[
        {
            "layer": layer,
            "head": head,
            "ram": scores.ram[layer, head],
            f"ram_{other}": beside.ram[layer, head],
            "selectivity": scores.selectivity[layer, head],
            "lift": scores.lift[layer, head],
            "visual_mass": visual[layer, head],
            **{f"ram_{kind}": by_task[kind][layer, head] for kind in kinds},
        }
        for layer, head in np.ndindex(scores.ram.shape)
    ],
    numbers={
        "best_ram": float(best.mean()),
        "top_shared_by_rows": len(kept),
        "half_of_ram_in": half["RAM"],
        "half_of_visual_mass_in": half["mass on the picture"],
        "top_heads": len(core),
        "top_shared_by_halves": shared,
        "spearman_of_halves": spearman,
        **{f"half_in_{row['model']}_{row['evidence']}": row["half in"] for row in facts},
        **{f"effective_heads_{row['model']}_{row['evidence']}": row["effective heads"] for row in facts},
        "sizes": int(grown["heads"].nunique()),
        "kinds_whose_share_falls_with_size": len(falls),
    },
    inputs={
        "model": loaded.provenance,
        "data": {"name": dataset, "split": "detection", "sha256": samples_checksum(samples)},
        **{f"model {row['model']}": {"name": row["model"], "checksum": row["checksum"]} for row in facts},
        **{
            f"data {kind}": {"name": kind, "split": "detection", "sha256": samples_checksum(part)}
            for kind, part in each.items()
        },
    },
)
