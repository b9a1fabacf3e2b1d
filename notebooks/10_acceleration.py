# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What the heads buy: hybrid attention
#
# **Claim.** Keep the few heads that RAM at the last prompt token ranks highest *dense* and let all others *stream* over a short
# window: the tiny model still retrieves, where as many random heads do not help; attention gets cheaper the longer the
# prompt is, and the cache shrinks with it.
#
# In a causal prompt of $n$ tokens a dense head compares $n^2/2$ pairs of tokens. A {term}`streaming head <hybrid attention>`
# sees the last few tokens (the {term}`window`) and the first few (the {term}`sinks <sink>`, {cite:t}`xiao2023streaming`):
# its work grows with $n$. {cite:t}`sun2026core` let all but the CoRe heads stream. We do the same, and add the controls.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
datasets: str = "scenes, documents, clips, haystacks"  # where the samples come from {datasets}
data_dir: str = ""  # folder of datasets that are read from disk {folder, empty}
detection_samples: int = 48  # of each dataset, to rank heads on {2..100000, quick 24}
samples: int = 24  # others of each dataset, to test on; half as many to plan on {2..100000, quick 12}
samples_by_task: int = 120  # of each dataset, for the table by task {2..100000, quick 12}
seed: int = 0  # seeds samples and random heads {0..}
top_fraction: float = 0.05  # share of heads that stays dense; fixed before looking {0<..1}
tolerance: float = 0.03  # share of the dense accuracy that a plan may lose {0..<1}
windows: str = "8, 16"  # to choose from: last tokens that a streaming head sees {1..}
sinks: str = "0, 4"  # to choose from: first tokens that a streaming head sees {0..}
draws: int = 12  # random sets of each kind {1..10000, quick 3}
queries: str = "last"  # rows that rank the heads: last prompt token, or question {last, question}
longest: int = 8192  # largest length at which attention is timed {512..131072, quick 1024}
longest_prefill: int = 2048  # largest length at which a whole prefill is timed {512..131072, quick 512}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %%
import tempfile
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from tqdm import tqdm
from transformers import DynamicCache

from corehead_lib import plots
from corehead_lib.attention import plain
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import HeadScores, layer_matched_heads, random_heads
from corehead_lib.hybrid import backbone
from corehead_lib.hybrid.cache import HybridCache
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.hybrid.plan import FRACTIONS, HybridPlan, by_fraction, by_threshold, candidates, cheapest
from corehead_lib.hybrid.stream import crossover
from corehead_lib.hybrid.timing import arithmetic_limit, compare_attention, masked
from corehead_lib.models import load_model
from corehead_lib.ram import measure_ram
from corehead_lib.results import publish
from corehead_lib.stats import control_p, proportion_interval
from corehead_lib.worlds.synthetic import CONTROL_TASKS

plots.use_style()
loaded = load_model(model, device, dtype)
shape = loaded.backbone
names = [name.strip() for name in datasets.split(",")]


def load(name, split, number, tasks=None, **options):
    return load_samples(name, split, number, seed, tasks, data_dir, **options)


sizes = {"detection": detection_samples, "tuning": max(1, samples // 2), "evaluation": samples}
data = {split: {name: load(name, split, size) for name in names} for split, size in sizes.items()}
detect, tune, test = (
    {name: encode_all(loaded, part) for name, part in parts.items()} for parts in data.values()
)

# %% [markdown]
# ## One question
#
# Hybrid attention is an operator: inside the `with` block the heads that we name stay dense and all others stream.
# We rank the heads on the {term}`detection set` of every dataset, take a scene that is not in it, and ask how likely the
# right answer is.

# %%
origin = {"model": loaded.provenance, "datasets": names, "queries": queries, "seed": seed}
batches = [batch for part in detect.values() for batch in part]
ranked = HeadScores(measure_ram(loaded, batches, queries, progress=False).ram, origin)
number = len(ranked.top(top_fraction))
one = encode_all(loaded, load("scenes", "evaluation", 3)[2:])
example = one[0].samples[0]

chances = {}
for name, heads in ("all", ranked.ranking()), (f"the top {number}", ranked.top(top_fraction)), ("none", []):
    with HybridAttention(heads, window=16, sinks=4)(loaded.model):
        chances[name] = float(np.exp(evaluate(loaded, one, progress=False).logprob[0]))

print(example.question, "gold answer:", example.answer)
pd.DataFrame({"probability of the gold answer": chances}).rename_axis("dense heads").round(3)

# %% [markdown]
# What did the streaming heads miss? Each row below is a token, each column a token that it may attend to.

# %% mystnb={"figure": {"name": "fig-acceleration-masks", "caption": "What a dense and a streaming head (window 16, 4 sinks) may see in the example (blue), and the pairs of an evidence token with a token of the question or after it (orange where visible, grey where hidden)."}, "image": {"alt": "Left, the scene with its evidence framed. Middle, a dense head: a full triangle with orange marks where the question's rows cross the evidence's columns. Right, a streaming head: a thin diagonal band and a narrow column on the left; the same crossings are grey."}}
target, question = one[0].targets()[0].cpu().numpy(), one[0].question[0].cpu().numpy()
place = np.arange(target.size)
causal = place <= place[:, None]
streaming = causal & ((place[:, None] - place < 16) | (place < 4))
fetches = (question.cumsum() > 0)[:, None] & target & causal  # what retrieval needs
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
plots.picture(axes[0], example.media[0])
box = example.evidence[0]
plots.outline(axes[0], (box.x0, box.y0, box.x1, box.y1))
axes[0].set_title(example.question, fontsize=9)
for axis, name, mask in zip(axes[1:], ("dense", "streaming"), (causal, streaming), strict=True):
    rgb = np.ones((*mask.shape, 3))
    for colour, where in ((plots.SKY, mask), ("#999999", fetches & ~mask), (plots.RED, fetches & mask)):
        rgb[where] = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    axis.imshow(rgb)
    axis.set(xlabel="key (token)", ylabel="query (token)")
    axis.set_title(f"A {name} head: {(fetches & mask).sum()} of {fetches.sum()} pairs", fontsize=10)

# %% [markdown]
# ## The plan
#
# A *plan* says which heads stay dense and how wide the others' window is. All of it is chosen on a third split, *tuning*, which
# neither the ranking nor the results below have seen. Plans are tried from the cheapest on; the first one that keeps
# enough of the dense accuracy in **every** dataset is taken, so that one kind of evidence cannot pay for another.
# Datasets at which the dense model is no better than chance have nothing to keep and are left out.
# Windows are short because the prompts are: one that covers the prompt would test nothing. A plan is a small file that says where
# it came from.


# %%
def run(batches, plan=None, dense_rows=0):
    """Evaluate every dataset under a plan, or dense."""
    with plan.operator(dense_rows)(loaded.model) if plan else nullcontext():
        return {name: evaluate(loaded, part, progress=False) for name, part in batches.items()}


def kept_least(plan):
    """Share of the dense accuracy on the tuning split, in the dataset that keeps least of it."""
    found = run(able, plan) if plan else {}
    return min((f.accuracy / whole[name].accuracy for name, f in found.items()), default=1.0)


guess = {
    n: np.mean([1 / len(s.options) for s in part if s.options] or [0]) for n, part in data["tuning"].items()
}
whole, long = run(tune), 32768
able = {n: tune[n] for n in names if proportion_interval(whole[n].correct)[0] > guess[n]}
grid = [[int(n) for n in text.split(",")] for text in (windows, sinks)]
chosen = cheapest(candidates(ranked, shape, (*FRACTIONS, 1.0), *grid), kept_least, long, tolerance)
few = by_fraction(ranked, shape, top_fraction, chosen.window, chosen.sinks)
half = by_threshold(ranked, shape, ranked.score.max() / 2, chosen.window, chosen.sinks)
rules = {"within tolerance": chosen, f"top {top_fraction:.0%}": few, "half the highest RAM": half}
print("better than chance at:", ", ".join(able) or "nothing")
pd.DataFrame(
    {
        rule: {
            "dense heads": f"{len(plan.dense)} of {ranked.score.size}",
            "window + sinks": f"{plan.window} + {plan.sinks}",
            "kept on tuning, worst dataset": f"{kept_least(plan):.2f}",
            "KV groups kept whole": f"{len(plan.full_groups)} of {shape.layers * shape.kv_heads}",
            f"pairs at {long:,} tokens": f"1 / {plan.compute_gain(long):.1f}",
            f"cache at {long:,} tokens": f"1 / {plan.cache_gain(long):.1f}",
        }
        for rule, plan in rules.items()
    }
)

# %%
groups, full, places = shape.layers * shape.kv_heads, len(few.full_groups), few.sinks + few.window - 1
Markdown(
    f"{len(chosen.provenance['tuning']['tried'])} plans were tried. **Computing goes by the query head:** of {ranked.score.size} "
    f"heads, {number} compare all pairs, the others at most {few.window} + {few.sinks} for each token, which at {long:,} tokens is "
    f"{few.compute_gain(long):.1f} times less. **Memory goes by the {{term}}`KV group`:** a group of {shape.group} heads keeps "
    f"all keys and values if any of its heads is dense, and {places} places if none is: "
    f"${groups} \\cdot {long} / ({full} \\cdot {long} + {groups - full} \\cdot {places}) = {few.cache_gain(long):.1f}$. "
    f"If the {number} heads lay independently of each other, they would touch {1 - (1 - few.fraction) ** shape.group:.1%} of the "
    f"groups; they touch {full / groups:.1%}. The cache shrinks by less than the computing does."
)

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "plan.json"
    chosen.save(path)
    again = HybridPlan.load(path).check(loaded)
print("same plan after loading:", again == chosen, "| rule:", again.provenance["rule"])
print("scores from:", ", ".join(again.provenance["scores"]["datasets"]), "by", model)
pd.DataFrame(again.provenance["tuning"]["tried"]).tail(4).rename(columns={"accuracy": "kept"}).round(2)

# %% [markdown]
# ## The experiment
#
# Which heads stay dense? Those that RAM ranks highest; as many at random from the rest; as many *layer-matched* ones (the
# same number in each layer); the bottom of the ranking; or none. Window and sinks are those of the plan. Each is tried at several
# fractions, with more draws at the one that was fixed beforehand. (What other rows of RAM find: [](08_ablation).)

# %%
rows, correct, rng = [], {}, np.random.default_rng(seed)


def note(ranking, heads=None, draw=0, batches=test, dense_rows=0, size=0):
    """Evaluate with these heads dense (all of them for None), keep a row for each task; return what was correct."""
    plan = None if heads is None else replace(few, dense=tuple(heads), provenance={})
    fraction, found = (plan.fraction if plan else 1.0), run(batches, plan, dense_rows)
    for name, part in found.items():
        for task, accuracy in part.by_task().items():
            row = {"dataset": name, "task": task, "samples": int((part.task == task).sum()), "size": size}
            rows.append({**row, "ranking": ranking, "fraction": fraction, "draw": draw, "accuracy": accuracy})
    return np.concatenate([part.correct for part in found.values()])


fractions = sorted({0.01, 0.02, 0.10, 0.20, top_fraction})
correct["dense"], correct["none"] = [note("dense")], [note("none", [])]
correct["bottom"] = [note("bottom", ranked.bottom(top_fraction))]
for fraction in tqdm(fractions, desc="fractions"):
    top, fixed = ranked.top(fraction), fraction == top_fraction
    found = {"ram": [note("ram", top)], "random": [], "layer-matched": []}
    for draw in range(draws if fixed else 1):
        drawn = random_heads(len(top), shape.layers, shape.heads, rng, without=top)
        found["random"].append(note("random", drawn, draw))
        with suppress(CoreheadError):  # a layer that gives up most of its heads has too few others
            found["layer-matched"].append(
                note("layer-matched", layer_matched_heads(top, shape.heads, rng), draw)
            )
    correct |= found if fixed else {}
table = pd.DataFrame(rows)

# %% mystnb={"figure": {"name": "fig-acceleration-controls", "caption": "Accuracy on held-out questions of all datasets when a few heads stay dense and all others stream. Each small point is one random draw, its bar the median; bars on single points are 95 % Wilson intervals. Dashed: all heads dense. Dotted: chance."}, "image": {"alt": "Five strips of points. The point of the heads ranked highest stands near the dashed line of the dense model. Layer-matched and random draws stand far below it, and so do the bottom heads and no dense head."}}
chance = float(
    np.mean([1 / len(s.options) for part in data["evaluation"].values() for s in part if s.options] or [0])
)
accuracy = {kind: [float(c.mean()) for c in part] for kind, part in correct.items() if part}
(accuracy_dense,), (accuracy_core,) = accuracy["dense"], accuracy["ram"]
ci = {kind: proportion_interval(c[0]) for kind, c in correct.items() if len(c) == 1}
labels = {"ram": "top RAM", "layer-matched": "layer-\nmatched", "random": "random", "bottom": "bottom\nRAM"}
labels = {kind: label for kind, label in (labels | {"none": "no dense\nhead"}).items() if kind in accuracy}
figure, axis = plt.subplots(figsize=(7, 3.8))
plots.control_strips(axis, {label: accuracy[kind] for kind, label in labels.items()}, accuracy_dense, chance)
axis.texts[0].set_text(" all dense")
for at, kind in enumerate(labels):
    if kind in ci:
        axis.vlines(at, *ci[kind], color="black", lw=1)
share = {kind: float(np.median(values)) / max(accuracy_dense, 1e-9) for kind, values in accuracy.items()}
_ = axis.set_title(
    f"{number} dense heads of {ranked.score.size} keep {share['ram']:.0%} of the accuracy if RAM picks them, "
    f"{share['random']:.0%} at random"
)

# %%
controls = [kind for kind in ("random", "layer-matched") if kind in accuracy]
drawn = [value for kind in controls for value in accuracy[kind]]
p = control_p(accuracy_core, drawn)
Markdown(
    f"All heads dense: **{accuracy_dense:.2f}** ({ci['dense'][0]:.2f} to {ci['dense'][1]:.2f}; 95 % intervals, "
    f"{len(correct['dense'][0])} questions). The top {number} dense: **{accuracy_core:.2f}** ({ci['ram'][0]:.2f} to "
    f"{ci['ram'][1]:.2f}), a share of **{share['ram']:.0%}**. "
    + " ".join(
        f"{kind.capitalize()} heads: median **{np.median(accuracy[kind]):.2f}**, from {min(accuracy[kind]):.2f} to "
        f"{max(accuracy[kind]):.2f}."
        for kind in controls
    )
    + f" Over all {len(drawn)} draws p = {p:.3f}; {1 / (len(drawn) + 1):.3f} is the smallest that they can give. "
    f"Bottom {number}: {accuracy['bottom'][0]:.2f}. No dense head: {accuracy['none'][0]:.2f}. Chance is {chance:.2f}."
)

# %% [markdown]
# ### Task by task
#
# More questions than above, so that a lost percent can be seen. *Ram*: the top heads dense; *none*: no dense head; *kept*: the share of
# the dense accuracy that *ram* keeps.

# %%
ways = {"dense": None, "ram": ranked.top(top_fraction), "none": []}
data["by task"] = {name: load(name, "evaluation", samples_by_task) for name in names}
more = {name: encode_all(loaded, part) for name, part in data["by task"].items()}
start = len(rows)
for way, heads in tqdm(ways.items(), desc="by task"):
    note(way, heads, batches=more)
by_task = pd.DataFrame(rows[start:]).groupby(["dataset", "task", "ranking"], sort=False)
tasks = by_task.accuracy.first().unstack()
tasks["kept"] = tasks.ram / tasks.dense.where(tasks.dense > 0)
tasks["samples"] = by_task.samples.first().unstack().dense
judged = tasks.kept[[name in able for name, _ in tasks.index]]
lost = [f"{name}/{task} ({kept:.0%})" for (name, task), kept in judged.items() if not kept >= 0.97]
display(tasks[["samples", "dense", "ram", "kept", "none"]].round(3))
Markdown(
    f"With the top {number} heads dense, {len(judged) - len(lost)} of {len(judged)} tasks keep at least 97%"
    + (f"; these do not: {', '.join(lost)}." if lost else ".")
    + " Datasets at which the dense model only guesses are not counted." * (len(able) < len(names))
)

# %% mystnb={"figure": {"name": "fig-acceleration-fraction", "caption": "Accuracy on held-out questions against the share of heads that stays dense, dataset by dataset. Lines: medians over draws; 0 % is all heads streaming. Dashed: all heads dense."}, "image": {"alt": "A panel for each dataset with three curves that start together at no dense head. That of the heads that RAM ranks highest climbs towards the dashed line of the dense model within a few percent of the heads; those of layer-matched and random draws stay lower."}}
curve = table.groupby(["dataset", "ranking", "fraction", "draw"]).accuracy.mean()
curve = curve.groupby(["dataset", "ranking", "fraction"]).median()
figure, axes = plt.subplots(1, len(names), figsize=(2.3 * len(names) + 2, 3.2), sharey=True, squeeze=False)
enough = {}
for axis, name in zip(axes[0], names, strict=True):
    for kind, colour in (("ram", plots.RED), ("layer-matched", plots.BLUE), ("random", plots.AMBER)):
        if kind in curve[name]:
            line = pd.concat([curve[name]["none"], curve[name][kind]])
            label = "top RAM" if kind == "ram" else kind
            axis.plot(100 * line.index, line, "o-", label=label, color=colour, ms=5)
    goal = float(curve[name]["dense"].iloc[0])
    axis.axhline(goal, color="black", lw=1, ls="--")
    axis.set(xlabel="dense heads (%)", ylim=(0, 1.03), title=name)
    if name in able:
        share_at = next((f"{f:.0%}" for f, a in curve[name]["ram"].items() if a >= 0.97 * goal), "more")
        enough[name] = f"{share_at} of the heads in {name}"
axes[0, 0].set_ylabel("accuracy")
axes[0, -1].legend(fontsize=8, loc="center right")
title = f"97% of the accuracy takes {', '.join(enough.values())}" if enough else "Nothing is answered here"
_ = figure.suptitle(title, fontsize=10, fontweight="bold")

# %% [markdown]
# ### Tasks that fetch nothing
#
# Sums need no picture, the background's colour needs any of its cells, and counting needs all of them. Do they survive streaming?
# A task that falls without dense heads needs more than a window too; where the top heads do not bring it back, some of the heads
# that it lives on are not among those that RAM finds.

# %%
control = encode_all(loaded, load("scenes", "evaluation", samples, CONTROL_TASKS))
ways = {"all dense": None, f"top {number} dense": ranked.top(top_fraction), "all streaming": []}
start = len(rows)
for way, heads in ways.items():
    note(way, heads, batches={"scenes": control})
pd.DataFrame(rows[start:]).pivot_table("accuracy", "task", "ranking", sort=False).round(2)

# %% [markdown]
# ## Longer prompts
#
# Pages and frames that hold nothing of what is asked for push the evidence out of every window. How does accuracy change with their number?

# %%
growing = {"documents": ("pages", (2, 4, 8, 16, 40)), "clips": ("frames", (4, 8, 16, 32))}
growing = {name: growing[name] for name in names if name in growing}
start, longer = len(rows), next(iter(test.values()))
for name, (option, steps) in growing.items():
    for size in tqdm(steps, desc=option):
        longer = encode_all(loaded, load(name, "evaluation", max(1, samples // 2), **{option: (size, size)}))
        for way, heads in ways.items():
            note(way, heads, batches={name: longer}, size=size)
growth = pd.DataFrame(rows[start:], columns=list(rows[0]))
growth["right"] = growth.accuracy * growth.samples
growth = growth.groupby(["dataset", "ranking", "size"])[["right", "samples"]].sum()
growth = growth.right / growth.samples

# %% mystnb={"figure": {"name": "fig-acceleration-growth", "caption": "Accuracy against the number of pages and of frames: all heads dense, the top heads dense, all heads streaming. One question asks for one page or one frame."}, "image": {"alt": "Two panels, pages and frames. The curve with the top heads dense runs beside that of the dense model; the curve with all heads streaming stays below both."}}
figure, axes = plt.subplots(1, max(1, len(growing)), figsize=(8, 3.2), sharey=True, squeeze=False)
for axis, (name, (option, steps)) in zip(axes[0], growing.items(), strict=False):
    for way, style, colour in zip(ways, ("s--", "o-", "o-"), ("black", plots.RED, plots.BLUE), strict=True):
        axis.plot(steps, growth[name][way], style, color=colour, label=way)
    axis.set_xscale("log", base=2)
    axis.set_xticks(steps, steps)
    axis.set(xlabel=f"{option} ({name})", ylim=(0, 1.03))
    axis.legend(fontsize=8)
axes[0, 0].set_ylabel("accuracy")
means = growth.groupby("ranking", sort=False).mean().reindex(ways).dropna()
title = ", ".join(f"{way}: {value:.2f}" for way, value in means.items())
_ = figure.suptitle(f"Mean over all lengths: {title}", fontsize=10, fontweight="bold")

# %% [markdown]
# ### A surprise: the question alone
#
# A hybrid can also keep the last rows of the prompt dense in every head, as one pattern in the code of
# {cite:t}`jiang2024minference` does. Here these rows hold the whole question. What is left for the dense heads to do?

# %%
flat = [batch for part in test.values() for batch in part]
tail = max(int((b.question.cumsum(1) > 0).sum(1).max()) + max(map(len, b.answers)) for b in flat)
question_rows = float(note("none, question dense", [], dense_rows=tail).mean())
Markdown(
    f"With the last {tail} rows (question and answer) dense in every head and **no** head dense elsewhere: "
    f"**{question_rows:.2f}**, {question_rows / max(accuracy_dense, 1e-9):.0%} of the dense accuracy. Without this option it was "
    f"{accuracy['none'][0]:.2f}."
)

# %% [markdown]
# Where the first number comes close to the dense accuracy, this option alone suffices: the question comes last, it is short, and fetching
# happens in its rows, so making them dense costs next to nothing in {term}`prefill`. Dense *heads* earn their place elsewhere: in
# {term}`decode`, where each new token would need the whole cache in every head, when the question comes first or is long, and when
# tokens of the context must fetch from afar. All other numbers here have the option off: it would hide which heads matter.
#
# ## Generating from a smaller cache
#
# `HybridCache` drops what no head of a group will see again. `generate()` is used as ever; its answers must be those of the same
# hybrid with a whole cache.

# %%
batch, operator = longer[0], few.operator()


def answers(cache):
    """What the model writes after each prompt."""
    written = loaded.model.generate(**batch.inputs, max_new_tokens=8, do_sample=False, past_key_values=cache)
    return loaded.processor.batch_decode(written[:, batch.question.shape[1] :], skip_special_tokens=True)


texts_dense, cache = answers(DynamicCache()), DynamicCache()
with operator(loaded.model):
    texts = answers(cache)
    small = HybridCache(operator, loaded.model)
    texts_small = answers(small)
same_small, same_dense = (sum(map(str.__eq__, texts, others)) for others in (texts_small, texts_dense))
bytes_whole, predicted = backbone.cache_bytes(cache), few.cache_gain(cache.get_seq_length())
Markdown(
    f"{len(texts)} prompts, padded to {batch.question.shape[1]} tokens. Answers the same with the small cache: **{same_small} of "
    f"{len(texts)}**; the same with all heads dense: {same_dense}. The cache takes {bytes_whole / 1e6:.2f} MB whole and "
    f"{small.nbytes / 1e6:.2f} MB trimmed, **{bytes_whole / small.nbytes:.2f}** times less; the plan predicts {predicted:.2f}."
)

# %% [markdown]
# ## What it saves: attention alone
#
# The tiny model's prompts are too short to gain time. So time is measured apart, on random queries, keys and values of a realistic
# shape: Qwen3-VL-2B's 16 query heads on 8 KV heads of width 128, one head dense, a window of 256 and 16 sinks. Kernels take turns
# in one run and the fastest round counts. Below its *crossover*, a length that follows from window, sinks and block size, hybrid attention
# falls back to the dense kernel by itself.

# %%
plan = backbone.spread_plan(1, window=256, sinks=16)
geometry, hybrid, always = plan.backbone, plan.operator(fall_back=True), plan.operator()
kernels = {"dense": plain, "hybrid": hybrid.kernel, "hybrid, never falling back": always.kernel}
short = [n for n in (256, 384, 512, 768, 1024, 1536) if n <= longest]
lengths = short + [2048 * 2**k for k in range(12) if 2048 * 2**k <= longest] or [longest]
timings = compare_attention(geometry, short, kernels, device, dtype, rounds=12)
timings += compare_attention(geometry, lengths[len(short) :], kernels, device, dtype, rounds=2)
times = pd.DataFrame(timings).pivot(index="length", columns="kernel")
ratio, never = (times.seconds.dense / times.seconds[kernel] for kernel in list(kernels)[1:])
limit = pd.Series({n: plan.compute_gain(n) for n in lengths})
turn = crossover(plan.window, plan.sinks, geometry.group, plan.fraction)

# %% mystnb={"figure": {"name": "fig-acceleration-time", "caption": "Attention of one layer, one of 16 heads dense. Left: time against the length of the prompt; the inset shows short prompts and (dotted vertical) the length below which hybrid attention falls back. Right: how many times as fast as dense, and the limit that counting query-key pairs gives."}, "image": {"alt": "Left, time against length: the dense curve bends upwards, the hybrid one stays nearly straight below it; in the inset of short prompts the two run together up to a dotted line and part behind it. Right, the ratio of the two climbs with length, below a dashed limit."}}
figure, (axis, gain) = plt.subplots(1, 2, figsize=(9.5, 3.8))
inset = axis.inset_axes((0.13, 0.38, 0.34, 0.4))
for kernel, style, colour in zip(kernels, ("s--", "o-", "v:"), ("black", plots.RED, plots.SKY), strict=True):
    axis.plot(lengths, 1e3 * times.seconds[kernel], style, color=colour, label=kernel, ms=4)
    inset.plot(short, 1e3 * times.seconds[kernel][short], style, color=colour, ms=3)
inset.axvline(turn, color="black", lw=1, ls=":")
inset.tick_params(labelsize=7)
axis.set(xlabel="length (tokens)", ylabel="time (ms)")
axis.legend(fontsize=8, loc="upper left")
gain.axhspan(0, 1, color="#dddddd", lw=0)
gain.plot(lengths, ratio, "o-", color=plots.RED, label="measured")
gain.plot(lengths, limit, "--", color="black", lw=1, label="arithmetic limit")
gain.set_xscale("log", base=2)
gain.set_xticks(ticks := [n for n in lengths if np.log2(n).is_integer()], [f"{n:,}" for n in ticks])
gain.set(xlabel="length (tokens)", ylabel="dense time / hybrid time", ylim=(0, None))
gain.text(lengths[0], 0.2, "slower than dense", fontsize=9)
gain.legend(fontsize=8, loc="upper left")
title = f"Attention alone: {ratio.iloc[-1]:.1f} times as fast as dense at {lengths[-1]:,} tokens, {ratio.iloc[0]:.1f} at {lengths[0]:,}"
_ = figure.suptitle(title, fontweight="bold")

# %% tags=["nbval-ignore-output"]
slower = [f"{n:,} ({ratio[n]:.2f})" for n in lengths if ratio[n] < 0.95]
below = [f"{never[n]:.2f} at {n:,}" for n in lengths if n < turn]
Markdown(
    f"At {lengths[-1]:,} tokens hybrid attention is **{ratio.iloc[-1]:.1f}** times as fast as dense attention, "
    f"{ratio.iloc[-1] / limit.iloc[-1]:.0%} of what counting pairs allows ({limit.iloc[-1]:.1f}). It falls back below "
    f"{turn:,} tokens; had it not, it would be {', '.join(below)} times as fast as dense. More than 5% slower than dense: "
    f"{', '.join(slower) or 'nowhere'}. Peak memory at {lengths[-1]:,} tokens beyond queries, keys and values: "
    f"{times.peak_bytes.dense.iloc[-1] / 1e6:.0f} MB dense, {times.peak_bytes.hybrid.iloc[-1] / 1e6:.0f} MB hybrid. Timings on a small "
    "machine are noisy, and short ones most of all."
)

# %% [markdown]
# Are there simpler ways to the same? Dense attention with a *mask* computes every pair and then throws most of them away; it cannot
# even skip what lies above the diagonal. If *all* heads stream, as in {cite:t}`xiao2023streaming`, the most time is saved, but no head
# is left that retrieves. FlexAttention takes minutes to compile on a small CPU: `python tests/benchmarks attention --peers` times it too.

# %% tags=["nbval-ignore-output"]
streams = HybridAttention([], window=256, sinks=16)
peers = {"dense": plain, "dense with a mask": lambda call: masked(call, always)}
peers |= {"hybrid": hybrid.kernel, "all heads stream": streams.kernel}
peers = pd.DataFrame(compare_attention(geometry, [min(longest, 4096)], peers, device, dtype, rounds=2))
peers = peers.set_index("kernel")
peers["times as fast as dense"], peers["peak, MB"] = (
    peers.seconds["dense"] / peers.seconds,
    peers.peak_bytes / 1e6,
)
peers[["length", "times as fast as dense", "peak, MB"]].round(1)

# %% [markdown]
# ## What it saves: a whole prefill, and decoding
#
# Attention is only part of a prefill and cannot save more than that part. Below is one layer of Qwen3-VL-2B's geometry (hidden size
# 2,048, MLP of 6,144) with **random weights**, which take the same time as trained ones. A real model has 28 such layers, and the
# ratio between attention and the rest is the same in each.

# %%
layer = backbone.random_backbone(1, dtype, device)
steps = [n for n in (512 * 2**k for k in range(10)) if n <= longest_prefill] or [longest_prefill]
prefill = [row for n in steps for row in backbone.compare_prefill(layer, n, plan)]
decoding = backbone.compare_decode(layer, long, plan, rounds=2)
passes = pd.DataFrame(prefill).pivot(index="length", columns="kernel")
bounds = {n: backbone.attention_bound(n) for n in (512 * 2**k for k in range(9))}
most = {n: 1 / ((1 + (bounds[n] - 1) / plan.compute_gain(n)) / bounds[n]) for n in bounds}

# %% mystnb={"figure": {"name": "fig-acceleration-prefill", "caption": "How many times as fast a whole prefill of realistic geometry is with hybrid attention: measured on one layer with random weights; at most, counting multiplications, if attention reaches the limit of the pairs (dashed) or costs nothing (dotted)."}, "image": {"alt": "Two curves of the possible gain that stay near one for short prompts and climb steeply beyond 16,384 tokens, the dotted one above the dashed; the measured points at short lengths lie near one."}}
figure, axis = plt.subplots()
axis.plot(list(bounds), list(bounds.values()), ":", color="black", lw=1.5, label="if attention costs nothing")
axis.plot(list(most), list(most.values()), "--", color="black", lw=1, label="at the limit of the pairs")
axis.plot(steps, passes.gain.hybrid, "o", color=plots.RED, label="measured")
axis.set_xscale("log", base=2)
axis.set_yscale("log", base=2)
axis.set_xticks(list(bounds), [f"{n / 1024:g}k" for n in bounds])
axis.set_yticks([0.5, 1, 2, 4, 8], [0.5, 1, 2, 4, 8])
axis.set(xlabel="length (tokens)", ylabel="dense time / hybrid time, whole prefill")
axis.legend()
_ = axis.set_title(
    f"A whole prefill gains at most {most[2048]:.2f} times at 2k, {most[16384]:.1f} at 16k, {most[131072]:.1f} at 128k"
)

# %% tags=["nbval-ignore-output"]
last, decoded = passes.loc[steps[-1]], pd.DataFrame(decoding).set_index("kernel")
speed = decoded.tokens_per_second / decoded.tokens_per_second["dense"]
Markdown(
    f"At {steps[-1]:,} tokens attention takes **{last.attention_share['dense']:.0%}** of the dense prefill, so nothing done to it can make "
    f"the whole more than {last.gain_at_most['dense']:.2f} times as fast; hybrid attention makes it {last.gain['hybrid']:.2f} times. Counting "
    f"multiplications, the bound is {bounds[16384]:.2f} at 16,384 tokens and {bounds[32768]:.2f} at 32,768 (`python tests/benchmarks prefill` "
    f"measures there). Peak memory grew by {last.extra_bytes['dense'] / 1e6:.0f} MB dense and {last.extra_bytes['hybrid'] / 1e6:.0f} MB hybrid.\n\n"
    f"Decoding after {long:,} tokens: **{speed['hybrid']:.1f}** times as many tokens a second as dense "
    f"({speed['hybrid, whole cache']:.1f} times with the cache left whole). The cache is {decoded.cache_gain['hybrid']:.2f} times smaller; "
    f"the plan predicts {plan.cache_gain(long):.2f}."
)

# %% [markdown]
# What capturing RAM itself costs is measured in [](01_ram_definition).
#
# ## Exercises
#
# ```{exercise-start} Without sinks
# :label: ex-acceleration-sinks
# ```
#
# Difficulty: 1/5. Keep the top heads dense and vary the sinks. Does the tiny model miss them? Use the tuning split.
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-acceleration-sinks
# :class: dropdown
# ```

# %%
without = {f"{n} sinks": kept_least(replace(few, sinks=n)) for n in (0, 1, 4)}
pd.DataFrame({"share of the dense accuracy, worst dataset": without}).round(2)

# %% [markdown]
# Large models are known to need them {cite:p}`xiao2023streaming`: their heads park the attention that they have no use for on the
# first tokens. Whether a tiny model has learned that habit is a question of fact.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} How long must a prompt be?
# :label: ex-acceleration-amdahl
# ```
#
# Difficulty: 2/5. For each token a layer multiplies once by its $W$ weights, and by $n/2$ keys and as many values on average: $nHD$
# multiplications with $H$ heads of width $D$. From which length on can a whole prefill become twice as fast if attention costs nothing, and if
# it costs what counting pairs allows?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-acceleration-amdahl
# :class: dropdown
# ```
#
# Free attention: $1 + nHD/W \ge 2$, so $n = W/(HD)$. Otherwise attention costs its share divided by the limit:

# %%
free = round(1 / (backbone.attention_bound(1) - 1))
for twice in range(free, 8 * free, 256):
    rest = backbone.attention_bound(twice) - 1
    if (1 + rest) / (1 + rest / arithmetic_limit(twice, 16, 1, 256, 16)) >= 2:
        break
print(f"twice as fast: from {free:,} tokens if attention is free, {twice:,} at the limit of the pairs")

# %% [markdown]
# This counts multiplications; kernels do not reach the same speed in both parts, which is why the book measures.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# Accuracy comes from a tiny model with short prompts and windows to match, time from random tensors and weights of a realistic shape:
# neither says what a large model keeps, and no large model was sped up here. The whole prefill leaves out the vision encoder. Heads are
# ranked, plans chosen and hybrids tested on questions of the same kinds. Prompts of
# many pages and frames are tested on a dozen questions each, where a loss of a few percent cannot be told from none. Memory is saved in the cache that decoding reads: during prefill each layer is whole until it has
# been attended to.
#
# ## Where to go from here
#
# - Are the same heads needed when all else is dense? [](08_ablation)
# - Where the ranking comes from: [](06_head_ranking)
# - Learned gates for whole KV groups, for cache and decoding: {cite:t}`xiao2024duo`
# - Head-wise cache budgets in multimodal models, for decoding: {cite:t}`wang2025sparsemm`
# - Sparse patterns for each head in prefill: {cite:t}`jiang2024minference`

# %%
numbers = {"dense_heads": number, "dense_heads_within_tolerance": len(chosen.dense), "groups_whole": full}
numbers |= {"window": few.window, "sinks": few.sinks, "chance": chance, "tasks_below_97": len(lost)}
numbers |= {"pairs_gain": few.compute_gain(long), "cache_gain": few.cache_gain(long), "crossover": turn}
numbers |= {f"accuracy_{kind}": float(np.median(values)) for kind, values in accuracy.items()}
numbers |= {f"{of.__name__}_{kind}": of(accuracy[kind]) for kind in controls for of in (min, max)}
numbers |= {f"{end}_{kind}": x for kind in ci for end, x in zip(("low", "high"), ci[kind], strict=True)}
numbers |= {"p_controls": p} | {f"share_kept_{kind}": x for kind, x in share.items()}
numbers |= {"question_rows": tail, "accuracy_question_rows": question_rows}
numbers |= {"same_answers": same_small, "same_answers_dense": same_dense, "small_cache_predicted": predicted}
numbers |= {"small_cache_gain": bytes_whole / small.nbytes, "decode_gain": speed["hybrid"]}
numbers |= {f"{name}_{n}": x[n] for name, x in {"ratio": ratio, "limit": limit}.items() for n in lengths}
numbers |= {f"{name}_{n}": x[n] for name, x in {"bound": bounds, "most": most}.items() for n in bounds}
numbers |= {"prefill_gain": last.gain["hybrid"], "prefill_attention_share": last.attention_share["dense"]}
numbers |= {"tokens_twice_free": free, "tokens_twice_limit": twice}
inputs = {f"{split}, {name}": part for split, parts in data.items() for name, part in parts.items()}
inputs = {key: {"name": key, "sha256": samples_checksum(part)} for key, part in inputs.items()}
publish(
    rows=rows + timings + prefill + decoding,
    numbers=numbers,
    inputs={"model": loaded.provenance} | inputs,
)
