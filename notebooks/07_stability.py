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
# **Claim.** A ranking of heads by {term}`RAM` is worth something beyond the samples that it was measured on: it comes out alike on
# other samples of the same kind, and, to the degree that the first figure shows, on other kinds of evidence. Models that inherit a language model
# keep its leading heads. Independent training runs agree on how *few* heads fetch, not on where these heads sit.
#
# {cite:t}`sun2026core` show two things for large models (their figure 5): rank correlations of head scores between tasks, and the overlap of the top 5 %. We add
# what such numbers need to be read: how alike two halves of the *same* data are (other data can hardly be more alike), how alike
# *shuffled* heads are (anything should do better), and intervals.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
models: str = ""  # to compare it with; empty: all of the zoo {models, empty, quick tiny-qwen3-vl-seed1}
datasets: str = "scenes documents clips haystacks"  # kinds of evidence, two at least {datasets}
data_dir: str = ""  # folder of the one dataset on disk; empty: under $COREHEAD_DATA {folder, empty}
detection_samples: int = 48  # samples of each dataset; two halves are compared {2..100000, quick 24}
other_samples: int = 24  # samples of each dataset for the other models {2..100000, quick 8}
batch_size: int = 16  # prompts that run at once; 1 for long documents {1..1024}
resamples: int = 300  # of the bootstrap, and of the shuffled heads {10..100000, quick 50}
seed: int = 0  # seeds samples, bootstrap and shuffling {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
queries: str = "last"  # rows that rank the heads: last prompt token, or question {last, question}
trained: str = "tiny-qwen3-vl-seed1"  # a model of the zoo whose training was kept {model}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %%
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy import stats

from corehead_lib import plots
from corehead_lib.data import samples_checksum
from corehead_lib.datasets.evidence import load_evidence
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import HeadScores, effective_heads, how_many
from corehead_lib.models import ZOO, load_model, zoo_names
from corehead_lib.ram import TINY, measure_ram
from corehead_lib.results import publish
from corehead_lib.stats import halves
from corehead_lib.zoo.snapshots import history, load_snapshot, score_snapshot
from corehead_lib.zoo.training.card import read_curve
from corehead_lib.zoo.training.train import read_recipe

plots.use_style()
kinds = datasets.split()


def scores_of(loaded, samples):
    """RAM on each dataset, (samples, layers, heads) each."""
    return {
        k: measure_ram(loaded, encode_all(loaded, s, batch_size), queries, progress=False)
        for k, s in samples.items()
    }


def top_overlap(a, b):
    """Share of the top heads of one ranking that are top heads of the other."""
    count = how_many(top_fraction, a.size)
    return len(set(HeadScores(a).ranking()[:count]) & set(HeadScores(b).ranking()[:count])) / count


def spearman(a, b):
    return float(stats.spearmanr(a.ravel(), b.ravel()).statistic)


loaded = load_model(model, device, dtype)
samples = {
    kind: load_evidence(kind, "detection", detection_samples, seed, data_dir=data_dir) for kind in kinds
}
scores = scores_of(loaded, samples)
{kind: s.target.shape for kind, s in scores.items()}  # (samples, layers, heads)

# %% [markdown]
# ## One head, several kinds of evidence
#
# Take the head that is best on the first kind, and look where it stands on the others.

# %%
rankings = {kind: HeadScores(s.ram).ranking() for kind, s in scores.items()}
best = rankings[kinds[0]][0]
places = {kind: ranking.index(best) + 1 for kind, ranking in rankings.items()}
Markdown(
    f"Layer {best.layer}, head {best.head} is first of {scores[kinds[0]].ram.size} on {kinds[0]}. Elsewhere: "
    + "; ".join(f"{kind}: rank **{places[kind]}**, RAM {scores[kind].ram[best]:.2f}" for kind in kinds[1:])
    + "."
)

# %% [markdown]
# ## Raw RAM is not comparable between kinds
#
# A head that spreads its attention evenly over all that is shown still puts some of it on the {term}`target`: the more, the larger the
# target. That share differs from kind to kind, so a *level* of RAM means something else on each. {term}`Lift <lift>` divides it out.
# A *ranking* within one kind is not touched by a common factor, but the target's size also varies from sample to sample.

# %%
pd.DataFrame(
    [
        {
            "evidence": kind,
            "even attention": round(float(s.share.mean()), 3),
            "best RAM": round(float(s.ram.max()), 3),
            "median RAM": round(float(np.median(s.ram)), 4),
            "lift of the best": round(float(s.lift[rankings[kind][0]]), 1),
            "ranks by RAM and by lift, Spearman": round(spearman(s.ram, s.lift), 2),
        }
        for kind, s in scores.items()
    ]
).set_index("evidence")

# %% [markdown]
# The last column says whether the correction changes the order. Where it is far from 1, the two scores disagree: a head that hardly looks
# at the picture can have a high lift, because lift asks only how the little that it gives is spread. We rank by RAM.
#
# ## Between kinds, against two controls
#
# Every square compares one half of the samples of one kind with the *other* half of another kind, both ways, and takes the mean. So the diagonal,
# a kind with itself, is the {term}`ceiling <reliability>`: it too is measured on disjoint samples, and on as many. (Two kinds can be expected to
# reach about the geometric mean of their two ceilings at most, so a square can beat the *lower* one, and by luck a little more.)


# %%
half = {kind: halves([s.group or s.id for s in part]) for kind, part in samples.items()}  # share no picture


def compare(a, half_a, b, half_b, measure):
    """Half of one score (S, layers, heads) with the other half of another, both ways."""
    one = measure(a[half_a].mean(0), b[~half_b].mean(0))
    return (one + measure(a[~half_a].mean(0), b[half_b].mean(0))) / 2


def tables(score):
    """Spearman correlation and top overlap, (kinds, kinds) each, of scores by kind."""
    return [
        np.array([[compare(score[a], half[a], score[b], half[b], measure) for b in kinds] for a in kinds])
        for measure in (spearman, top_overlap)
    ]


target = {kind: s.target for kind, s in scores.items()}
rank_correlation, overlap = tables(target)
rng = np.random.default_rng(seed)
size = scores[kinds[0]].ram.size
chance = []
for _ in range(resamples):
    a, b = (scores[kind].ram.ravel() for kind in kinds[:2])
    chance.append((spearman(a, rng.permutation(b)), top_overlap(a[None], rng.permutation(b)[None])))
chance_spearman, chance_overlap = np.quantile(chance, 0.95, axis=0)
pairs = list(combinations(range(len(kinds)), 2))
mean_pairs = {
    name: float(np.mean([t[p] for p in pairs]))
    for name, t in (("spearman", rank_correlation), ("overlap", overlap))
}
ceiling = {
    name: float(np.diag(t).mean()) for name, t in (("spearman", rank_correlation), ("overlap", overlap))
}

# %% mystnb={"figure": {"name": "fig-stability-kinds", "caption": "How alike the ranking of heads is between kinds of evidence (the paper's figure 5). Left: Spearman rank correlation over all heads. Right: share of the top heads in common. The diagonal compares two disjoint halves of one kind and is the ceiling; what shuffled heads reach stands over each panel."}, "image": {"alt": "Two square tables of numbers, one row and one column for each kind of evidence. The diagonals are brightest; the other squares say how far the rankings of two kinds agree."}}
figure, axes = plt.subplots(1, 2, figsize=(9, 4.6))
for axis, table, title in (
    (axes[0], rank_correlation, f"Spearman (95 % of shuffles\nbelow {chance_spearman:.2f})"),
    (axes[1], overlap, f"top {top_fraction:.0%} shared (95 % of shuffles\nat most {chance_overlap:.2f})"),
):
    axis.imshow(table, vmin=0, vmax=1, cmap="cividis")
    for (row, column), value in np.ndenumerate(table):
        axis.text(
            column, row, f"{value:.2f}", ha="center", va="center", color="white" if value < 0.55 else "black"
        )
    axis.set_xticks(range(len(kinds)), kinds, rotation=30, ha="right")
    axis.set_yticks(range(len(kinds)), kinds)
    axis.set_title(title, fontsize=10)
_ = figure.suptitle(
    f"Between kinds {mean_pairs['spearman']:.2f} in rank correlation (ceiling {ceiling['spearman']:.2f}), "
    f"{mean_pairs['overlap']:.0%} of the top heads (ceiling {ceiling['overlap']:.0%})",
    fontweight="bold",
)

# %%
above = {kind: int((s.ram > s.share.mean()).sum()) for kind, s in scores.items()}
count = how_many(top_fraction, size)
Markdown(
    f"The top {top_fraction:.0%} are {count} of {size} heads. More RAM than even attention would give have: "
    + ", ".join(f"**{n}** on {kind}" for kind, n in above.items())
    + f". Where that is fewer than {count}, the last places of the top are filled by heads that hardly look, in the order of their noise, "
    "and the ceiling of the overlap shows it."
)

# %% [markdown]
# ### How sure?
#
# The samples are drawn again, with replacement, in each kind on its own (`scipy.stats.bootstrap`), and the rankings compared anew. These
# intervals are about the samples, not about the model: there is one model here. A bootstrap sample is noisier than a
# fresh one, so the intervals lean downwards: the estimate on all samples can sit near their upper end.


# %%
def interval(a, b, measure):
    """Percentile bootstrap over the samples of both kinds."""
    found = stats.bootstrap(
        (np.arange(len(a)), np.arange(len(b))),
        lambda i, j: measure(a[i].mean(0), b[j].mean(0)),
        vectorized=False,
        n_resamples=resamples,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


rows = []
for i, j in pairs:
    a, b = target[kinds[i]], target[kinds[j]]
    row = {"kinds": f"{kinds[i]}, {kinds[j]}"}
    for name, measure in (("spearman", spearman), ("overlap", top_overlap)):
        row[name] = measure(a.mean(0), b.mean(0))
        row[f"{name}_low"], row[f"{name}_high"] = interval(a, b, measure)
    rows.append(row)

# %% mystnb={"figure": {"name": "fig-stability-intervals", "caption": "The same comparisons on all samples, with 95 % bootstrap intervals over samples. Grey: what 95 % of shuffled heads stay below."}, "image": {"alt": "Two panels with one horizontal interval for each pair of kinds, and a grey band at the left for shuffled heads."}}
figure, axes = plt.subplots(1, 2, figsize=(9, 0.45 * len(rows) + 1.6), sharey=True)
clear = {}
for axis, name, label, limit in (
    (axes[0], "spearman", "Spearman correlation", chance_spearman),
    (axes[1], "overlap", f"share of the top {top_fraction:.0%} in common", chance_overlap),
):
    middle = np.array([row[name] for row in rows])
    low, high = (np.array([row[f"{name}_{end}"] for row in rows]) for end in ("low", "high"))
    axis.axvspan(-0.35, limit, color="0.85", lw=0)
    axis.hlines(range(len(rows)), low, high, color=plots.BLUE, lw=2)
    axis.plot(middle, range(len(rows)), "o", color=plots.BLUE)
    axis.set(xlim=(-0.35, 1.05), xlabel=label)
    clear[name] = int((low > limit).sum())
axes[0].set_yticks(range(len(rows)), [row["kinds"] for row in rows])
axes[0].invert_yaxis()
_ = figure.suptitle(
    f"Above shuffled heads with their whole interval: {clear['spearman']} of {len(rows)} pairs by rank, "
    f"{clear['overlap']} by top heads",
    fontweight="bold",
)

# %% [markdown]
# The two measures can part: heads that look nowhere in particular have an order too, and they are the many. A rank correlation over all heads is mostly about
# *them*; the overlap is about the few that matter.
#
# ## Between training runs, sizes and families
#
# Two runs of one recipe from other random weights are two unrelated models. Head 3 of layer 2 in one has no more to do with head 3 of layer 2 in the
# other than any two heads of that layer: inside a layer, heads may change places and the model computes the same. So we compare only what does
# not depend on their numbers:
#
# - the **sorted scores**: how far, on average, the k-th best head of one lies from the k-th best of the other (the Wasserstein distance of the two sets of scores);
# - the **profile over depth**: RAM summed in each layer, against relative depth;
# - the **effective number** of heads, $(\sum s)^2 / \sum s^2$, as a share of all.
#
# As a check of the argument, the correlation head by head is computed too, where the geometry is the same. Between unrelated runs it should not
# beat a shuffle *within* layers. The positive control are relatives: where the recipe (`corehead_lib/zoo/training/recipe.yaml`) starts one model from the language model of
# another, the heads keep their numbers, and the correlation should see it. Families of the zoo that are such relatives say little about whether
# a family *by itself* would come to the same heads.

# %%
names = [model] + [name for name in (models.split() or zoo_names()) if name != model]
shorter = {kind: s[:other_samples] for kind, s in samples.items()}
seen = {model: {kind: t[:other_samples] for kind, t in target.items()}}  # (samples, layers, heads) each
checksums, architectures = {model: loaded.checksum}, {model: type(loaded.model).__name__}
for name in names[1:]:
    one = load_model(name, device, dtype)
    seen[name] = {kind: s.target for kind, s in scores_of(one, shorter).items()}
    checksums[name], architectures[name] = one.checksum, type(one.model).__name__
ram = {name: {kind: t.mean(0) for kind, t in by_kind.items()} for name, by_kind in seen.items()}
print(len(names), "models:", ", ".join(names))


# %%
def stretched(score, points=101):
    """Summed RAM by relative depth, (points,), so that models of different depth can be compared."""
    depth = np.linspace(0, 1, score.shape[0])
    return np.interp(np.linspace(0, 1, points), depth, score.sum(1))


def within_layers(score):
    """The heads of each layer in random order."""
    return rng.permuted(score, axis=1)


def distance(a, b):
    """How far the sorted scores lie apart: the Wasserstein distance."""
    return float(stats.wasserstein_distance(a.ravel(), b.ravel()))


def profile(a, b):
    """Correlation of the profiles over depth."""
    return float(np.corrcoef(stretched(a), stretched(b))[0, 1])


def origin(name):
    """The model whose language model a model of the zoo started from, or itself; a folder's past is not known."""
    try:
        return read_recipe(name).get("language", name)
    except CoreheadError:
        return name


def relation(one, other):
    """What two models have in common."""
    if origin(one) == origin(other):
        return "inherited"
    if architectures[one] != architectures[other]:
        return "other family"
    return "other seed" if ram[one][kinds[0]].shape == ram[other][kinds[0]].shape else "other size"


across = []
for one, other in combinations(names, 2):
    for kind in kinds:
        a, b = ram[one][kind], ram[other][kind]
        row = {"one": one, "other": other, "relation": relation(one, other), "kind": kind}
        row |= {"distance": distance(a, b), "profile": profile(a, b)}
        if a.shape == b.shape:
            shuffled = [spearman(a, within_layers(b)) for _ in range(resamples)]
            row["by_number"] = spearman(a, b)
            row["by_number_shuffled"] = float(np.quantile(shuffled, 0.95))
            row["overlap_by_number"] = top_overlap(a, b)
        across.append(row)
floor = {kind: distance(t[half[kind]].mean(0), t[~half[kind]].mean(0)) for kind, t in target.items()}
same = [row for row in across if "by_number" in row]
beaten, compared = {}, {}
for related in (False, True):
    part = [row for row in same if (row["relation"] == "inherited") == related]
    compared[related] = len(part)
    beaten[related] = sum(row["by_number"] > row["by_number_shuffled"] for row in part)
Markdown(
    "Head by head, the correlation beats 95 % of the shuffles within layers in "
    f"**{beaten[False]} of {compared[False]}** comparisons of unrelated models ({0.05 * compared[False]:.1f} expected by luck) and in "
    f"**{beaten[True]} of {compared[True]}** of relatives."
    + ("" if compared[False] else " Without unrelated models the argument itself stays unchecked.")
    if same
    else "There is **no second model of the same geometry** here, so no comparison head by head, and no check of the argument."
)

# %% mystnb={"figure": {"name": "fig-stability-models", "caption": "What can be compared between models. Above: scores sorted, highest first, over the share of heads. Below: RAM summed in each layer over relative depth. One panel to a kind of evidence, one line to a model."}, "image": {"alt": "Two rows of panels. Above, curves that fall steeply from the left and then run flat. Below, curves over depth with one or a few peaks."}}
figure, axes = plt.subplots(
    2, len(kinds), figsize=(2.5 * len(kinds), 5), sharex="row", sharey="row", squeeze=False
)
for column, kind in enumerate(kinds):
    for name in names:
        score = ram[name][kind]
        order = np.sort(score.ravel())[::-1]
        axes[0, column].plot(np.arange(1, score.size + 1) / score.size, order, label=Path(name).name)
        axes[1, column].plot(np.linspace(0, 1, len(score)), score.sum(1), marker=".")
    axes[0, column].set_title(kind, fontsize=10)
    axes[0, column].set(xscale="log", xlabel="share of heads")
    axes[1, column].set_xlabel("relative depth")
axes[0, 0].set_ylabel("RAM, sorted")
axes[1, 0].set_ylabel("RAM, sum in the layer")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
shares = [effective_heads(ram[name][kind]) / ram[name][kind].size for name in names for kind in kinds]
_ = figure.suptitle(
    f"{len(names)} model{'s' * (len(names) > 1)}: an effective {min(shares):.0%} to {max(shares):.0%} of heads carry the RAM",
    fontweight="bold",
)

# %% [markdown]
# And as numbers, over all kinds of evidence, with 95 % bootstrap intervals over samples.


# %%
def over_samples(one, other, measure):
    """Mean of a comparison over the kinds, and its interval when the samples are drawn again, the same for both."""

    def mean(*drawn):
        pairs = [
            (seen[one][k][i].mean(0), seen[other][k][i].mean(0)) for k, i in zip(kinds, drawn, strict=True)
        ]
        return np.mean([measure(a, b) for a, b in pairs])

    everything = [np.arange(len(seen[one][k])) for k in kinds]
    found = stats.bootstrap(
        everything,
        mean,
        vectorized=False,
        n_resamples=resamples,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return f"{mean(*everything):.3f} ({found.low:.3f} to {found.high:.3f})"


shown = [
    {
        "relation": relation(one, other),
        "models": f"{Path(one).name}, {Path(other).name}",
        "sorted scores, distance": over_samples(one, other, distance),
        "profile, correlation": over_samples(one, other, profile),
    }
    for one, other in combinations(names, 2)
]
shown.append(
    {
        "relation": "itself",
        "models": f"{Path(model).name}, two halves of the samples",
        "sorted scores, distance": f"{np.mean(list(floor.values())):.3f}",
        "profile, correlation": "",
    }
)
pd.DataFrame(shown).sort_values("relation", kind="stable").set_index(["relation", "models"])

# %%
by_relation = (
    pd.DataFrame(across).groupby("relation")[["distance", "profile"]].mean() if across else pd.DataFrame()
)
Markdown(
    "On average over pairs and kinds: "
    + "; ".join(
        f"{name}: distance **{row['distance']:.3f}**, profile **{row['profile']:.2f}**"
        for name, row in by_relation.iterrows()
    )
    + "."
    if across
    else "One model alone: nothing to compare."
)

# %% [markdown]
# The row “itself” is the floor: how far the sorted scores of *one* model move when only the samples change.
# A curve that runs flat on texts is a model whose heads look elsewhere than at the needle: [](05_targets_text) finds them.
#
# ## How they come about
#
# One run was kept along its training: scores and accuracy of many steps (lines, measured when the model was shipped), and the weights of
# some, which are measured again here (circles). Dotted lines: the next stage of lessons begins; the price on looking rises in the last one.

# %%
past = history(trained)
again = {s.step: score_snapshot(load_snapshot(trained, s.step), s.step) for s in past if s.checksum}
curve = read_curve(ZOO / trained / "curve.jsonl")
turns = curve.step[curve.stage.diff() > 0]
watched = "scenes"
late = HeadScores(past[-1].ram[watched]).ranking()[:3]
busy = {
    s.step: int((s.ram[watched] > s.ram[watched].max() / 2).sum()) for s in past if s.accuracy[watched] > 0.9
}
most_busy = max(busy, key=busy.get)

# %% mystnb={"figure": {"name": "fig-stability-training", "caption": "A training run of a tiny model. Left: accuracy on held-out questions, one line to a kind of evidence. Right: RAM of every head on scenes; coloured, the three that are best at the end."}, "image": {"alt": "Left, four curves that rise from zero to one, scenes first and texts last. Right, many grey lines that rise together with a few coloured ones, then fall while the coloured ones stay."}}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharex=True)
for kind in past[-1].accuracy:
    (line,) = axes[0].plot([s.step for s in past], [s.accuracy[kind] for s in past], label=kind)
    axes[0].plot(list(again), [s.accuracy[kind] for s in again.values()], "o", color=line.get_color())
steps, by_head = [s.step for s in past], np.array([s.ram[watched].ravel() for s in past])
axes[1].plot(steps, by_head, color="0.75", lw=0.7)
for head in late:
    (line,) = axes[1].plot(
        steps, [s.ram[watched][head] for s in past], label=f"layer {head.layer}, head {head.head}"
    )
    axes[1].plot(list(again), [s.ram[watched][head] for s in again.values()], "o", color=line.get_color())
for axis, label in zip(axes, ("accuracy", f"RAM on {watched}"), strict=True):
    axis.set(xlabel="training step", ylabel=label, ylim=(-0.02, 1.03))
    axis.legend(fontsize=8, loc="upper left")
    for turn in turns:
        axis.axvline(turn, color="black", lw=0.8, ls=":")
_ = figure.suptitle(
    f"{busy[most_busy]} heads look more than half as much as the best at step {most_busy:,}, {busy[steps[-1]]} at the end",
    fontweight="bold",
)

# %%
then, now = (
    HeadScores(next(x for x in past if x.step == at).ram[watched]).ranking() for at in (most_busy, steps[-1])
)
Markdown(
    f"Best at step {most_busy:,} is layer {then[0].layer}, head {then[0].head}; at the end it has rank **{now.index(then[0]) + 1}**. "
    f"Best at the end is layer {now[0].layer}, head {now[0].head}; at step {most_busy:,} it had rank **{then.index(now[0]) + 1}**."
)

# %% [markdown]
# Heads begin to look when the answers come, many at once; few remain when looking has a price. Which of them remain is settled later than
# retrieval itself.
#
# ## Exercises
#
# ```{exercise-start} Lift instead of RAM
# :label: ex-stability-lift
# ```
#
# Difficulty: 2/5. Make the tables of {numref}`fig-stability-kinds` from the lift of every sample. Do the kinds come closer together?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-stability-lift
# :class: dropdown
# ```

# %%
lift = {kind: s.target / np.maximum(s.visual, TINY) / s.share[:, None, None] for kind, s in scores.items()}
lift_correlation, lift_overlap = tables(lift)
for title, by_ram, by_lift in (
    ("Spearman", rank_correlation, lift_correlation),
    ("overlap", overlap, lift_overlap),
):
    told = [
        f"{np.mean([t[p] for p in pairs]):.2f} (ceiling {np.diag(t).mean():.2f})" for t in (by_ram, by_lift)
    ]
    print(f"{title}: RAM {told[0]}, lift {told[1]}")

# %% [markdown]
# Read each number against its own ceiling. Lift is a ratio, so heads that hardly look at the picture get large and unsteady values.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} How many samples does the ceiling need?
# :label: ex-stability-samples
# ```
#
# Difficulty: 3/5. The diagonal is a reliability. How does it rise with the number of samples in each half, for the first kind of evidence?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-stability-samples
# :class: dropdown
# ```

# %%
first = target[kinds[0]]
for number in sorted({2, 4, 8, 16, len(first) // 2} & set(range(len(first) // 2 + 1))):
    part, split = first[: 2 * number], half[kinds[0]][: 2 * number]
    print(
        f"{number:3d} in each half: Spearman {compare(part, split, part, split, spearman):.2f}, overlap {compare(part, split, part, split, top_overlap):.2f}"
    )

# %% [markdown]
# ```{solution-end}
# ```
#
# ## Limits
#
# The kinds of evidence are generated by one program, with the same shapes and digits; photographs and scans differ more. The tiny models learned the
# kinds one after another, which may itself make them share heads. For text the target is a whole sentence, and where a head looks in
# it matters: see [](05_targets_text). With few top heads an overlap moves in coarse steps.
# And agreement is not need: that the same heads *score* on two kinds does not say that both kinds fail without them: [](08_ablation).
#
# ## Where to go from here
#
# - The ranking itself, for all models: [](06_head_ranking)
# - Are they needed? [](08_ablation)
# - Large models: {cite:t}`sun2026core`; which heads retrieval from text uses: {cite:t}`wu2024retrieval`

# %%
publish(
    rows=[{"what": "kinds", **row} for row in rows] + [{"what": "models", **row} for row in across],
    numbers={
        "spearman_between_kinds": mean_pairs["spearman"],
        "spearman_ceiling": ceiling["spearman"],
        "spearman_shuffled": float(chance_spearman),
        "overlap_between_kinds": mean_pairs["overlap"],
        "overlap_ceiling": ceiling["overlap"],
        "overlap_shuffled": float(chance_overlap),
        "pairs_above_shuffled_by_rank": clear["spearman"],
        "pairs_above_shuffled_by_top": clear["overlap"],
        **{f"heads_above_even_on_{kind}": n for kind, n in above.items()},
        "models": len(names),
        "unrelated_comparisons": compared[False],
        "unrelated_above_shuffled": beaten[False],
        "related_comparisons": compared[True],
        "related_above_shuffled": beaten[True],
        "heads_that_look_at_most": busy[most_busy],
        "heads_that_look_at_the_end": busy[steps[-1]],
        **{f"rank_of_best_on_{kind}": place for kind, place in places.items()},
        **{f"halves_distance_{kind}": distance for kind, distance in floor.items()},
    },
    inputs={
        **{f"model {name}": {"name": name, "checksum": checksums[name]} for name in names},
        **{
            f"{trained}, step {s.step}": {"name": trained, "checksum": s.checksum} for s in past if s.checksum
        },
        **{
            f"data {kind}": {"name": kind, "split": "detection", "sha256": samples_checksum(s)}
            for kind, s in samples.items()
        },
    },
)
