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
# window: `tiny-qwen3-vl` still retrieves, where the same number of random heads does not help, and attention gets cheaper the
# longer the prompt is.
#
# In a causal prompt of $n$ tokens a dense head compares $n^2/2$ pairs of tokens. A {term}`streaming head <hybrid attention>`
# sees the last few tokens (the {term}`window`) and the first few (the {term}`sinks <sink>`, {cite:t}`xiao2023streaming`):
# its work grows with $n$. {cite:t}`sun2026core` let all but the CoRe heads stream. We do the same, and add the controls.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # a model of the zoo, a folder with a checkpoint, or a hub id
dataset: str = "scenes"  # where the samples come from
detection_samples: int = 96  # samples that heads are ranked on
samples: int = 48  # other samples, that the hybrids are tested on; as many again for the control tasks
seed: int = 0  # seeds samples and random heads
top_fraction: float = 0.05  # share of heads that stays dense; fixed before looking
draws: int = 20  # random sets of each kind
queries: str = "last"  # rows of RAM that rank the heads: last (prompt token) or question
window: int = 16  # last tokens that a streaming head sees; fixed before looking, see the sweep
sinks: int = 4  # first tokens that a streaming head sees
longest: int = 8192  # largest length at which attention is timed
device: str = "cpu"  # cpu or cuda
dtype: str = "float32"  # float32, bfloat16 or float16

# %%
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from tqdm import tqdm

from corehead_lib import plots
from corehead_lib.cost import measured
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.data.synthetic import CONTROL_TASKS
from corehead_lib.encode import encode_all
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import Head, HeadScores, how_many, layer_matched_heads, random_heads
from corehead_lib.hybrid import HybridAttention
from corehead_lib.models import Backbone, load_model
from corehead_lib.ram import measure_ram
from corehead_lib.results import publish
from corehead_lib.stats import control_p, proportion_interval
from corehead_lib.timing import arithmetic_limit, compare_attention, random_call

plots.use_style()
loaded = load_model(model, device, dtype)
detection = load_samples(dataset, "detection", detection_samples, seed)
tuning = load_samples(dataset, "tuning", max(1, samples // 2), seed)
retrieval = load_samples(dataset, "evaluation", samples, seed)
control = load_samples(dataset, "evaluation", samples, seed + 1, CONTROL_TASKS)
tune, test, untouched = (encode_all(loaded, s) for s in (tuning, retrieval, control))
shape = loaded.backbone

# %% [markdown]
# ## One question
#
# Hybrid attention is an operator: inside the `with` block the heads that we name stay dense and all others stream.
# We rank the heads on detection scenes, take one other scene, and ask how likely the right answer is.

# %%
batches = encode_all(loaded, detection)
other = {"last": "question", "question": "last"}[queries]
ranked = HeadScores(measure_ram(loaded, batches, queries, progress=False).ram)
ranked_other = HeadScores(measure_ram(loaded, batches, other, progress=False).ram)
core, core_other = ranked.top(top_fraction), ranked_other.top(top_fraction)
one = encode_all(loaded, [retrieval[min(2, samples - 1)]])
example = one[0].samples[0]
every = ranked.ranking()

chances = {}
for name, dense in {"all": every, f"the top {len(core)}": core, "none": []}.items():
    with HybridAttention(dense, window, sinks)(loaded.model):
        chances[name] = float(np.exp(evaluate(loaded, one, progress=False).logprob[0]))

print(example.question, "gold answer:", example.answer)
pd.DataFrame({"probability of the gold answer": chances}).rename_axis("dense heads").round(3)

# %% [markdown]
# What did the streaming heads miss? Each row below is a token, each column a token that it may attend to.

# %%
target, question = one[0].targets()[0].cpu().numpy(), one[0].question[0].cpu().numpy()
place = np.arange(target.size)
causal = place <= place[:, None]
streaming = causal & ((place[:, None] - place < window) | (place < sinks))
asking = question.cumsum() > 0  # from the first token of the question to the last of the prompt
fetches = asking[:, None] & target & causal  # what retrieval needs

# %% mystnb={"figure": {"name": "fig-acceleration-masks", "caption": "What a dense and a streaming head may see in the example (blue), and the pairs of an evidence token with a token of the question or after it (orange where visible, grey where hidden)."}, "image": {"alt": "Left, the scene with its evidence framed. Middle, a dense head: a full triangle with orange marks where the question's rows cross the evidence's columns. Right, a streaming head: a thin diagonal band and a narrow column on the left; the same crossings are grey."}}
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

# %%
seen = int(streaming[-1].sum())
Markdown(
    f"The last of the {place.size} tokens sees **{seen}** of them in a streaming head. Nothing else gets through except in "
    f"small steps: with {shape.layers} layers a message can hop from window to window over at most "
    f"{shape.layers * (window - 1)} tokens."
)

# %% [markdown]
# ## How wide a window?
#
# Two numbers have to be chosen, and not on the scenes that we report. The default {term}`window`, 16 tokens, and the four sinks of
# {cite:t}`xiao2023streaming` were written down before any hybrid was evaluated: 16 covers
# a question and the tokens that close the prompt.
# The sweep uses scenes of a third split, *tuning*.


# %%
rows = []


def try_hybrid(ranking, heads, batches, draw=0, window=window, dense_rows=0, split=""):
    """Evaluate with ``heads`` dense, note one row for each task, and return what was correct."""
    with HybridAttention(heads, window, sinks, dense_rows)(loaded.model):
        result = evaluate(loaded, batches, progress=False)
    group = "control" if result.task[0] in CONTROL_TASKS else "retrieval"
    settings = {"ranking": ranking, "fraction": len(heads) / ranked.score.size, "window": window}
    for task, accuracy in {group: result.accuracy, **result.by_task()}.items():
        number = len(result.task) if task == group else int((result.task == task).sum())
        found = {"sinks": sinks, "draw": draw, "accuracy": accuracy, "samples": number}
        rows.append({**settings, **found, "task": split + task})
    return result.correct


widths = sorted({4, 8, 16, 32, 64, window})
tuned = try_hybrid("dense", every, tune, split="tuning: ").mean()
sweep = {
    name: [try_hybrid(name, heads, tune, window=w, split="tuning: ").mean() for w in widths]
    for name, heads in {"ram": core, "none": []}.items()
}
enough = [w for w, a in zip(widths, sweep["ram"], strict=True) if a >= 0.97 * tuned]

# %% mystnb={"figure": {"name": "fig-acceleration-window", "caption": "Accuracy on the tuning scenes against the window of the streaming heads. Dashed: all heads dense. Dotted vertical: the window used in this chapter."}, "image": {"alt": "Two curves over the window. With the top heads dense, accuracy reaches the dashed line of the dense model at the window marked by the dotted line; with no dense head it is still below at the longest window."}}
figure, axis = plt.subplots()
for name, label, colour in (
    ("ram", f"top {len(core)} dense", plots.RED),
    ("none", "all streaming", plots.BLUE),
):
    axis.plot(widths, sweep[name], "o-", label=label, color=colour)
axis.axhline(tuned, color="black", lw=1, ls="--")
axis.axvline(window, color="black", lw=1, ls=":")
axis.set_xscale("log", base=2)
axis.set_xticks(widths, widths)
axis.set(xlabel="window (tokens)", ylabel="accuracy", ylim=(0, 1.03))
axis.legend()
at = widths.index(window)
_ = axis.set_title(
    f"With a window of {window}: {sweep['ram'][at]:.2f} with dense heads, {sweep['none'][at]:.2f} without"
)

# %%
Markdown(
    "Of the windows tried, "
    + (f"**{enough[0]}** is the shortest" if enough else "none is short enough")
    + f" with which the top {len(core)} heads keep 97% of the dense accuracy on tuning scenes ({tuned:.2f}). "
    f"All that follows uses {window}, on scenes that neither the ranking nor this sweep has seen."
)

# %% [markdown]
# ## The experiment
#
# Which heads stay dense? The top by RAM, the top by RAM over the other rows (see [](08_ablation)), as many at random from the rest, as many *layer-matched* ones (the same number in
# each layer), the bottom of the ranking, or none at all.

# %%
rng = np.random.default_rng(seed)
pick = {
    "random": lambda: random_heads(len(core), shape.layers, shape.heads, rng, without=core),
    "layer-matched": lambda: layer_matched_heads(core, shape.heads, rng),
}
plan = [("dense", 0, every), ("ram", 0, core), (f"ram-{other}", 0, core_other)]
plan += [("bottom", 0, ranked.bottom(top_fraction)), ("none", 0, [])]
plan += [(kind, draw, choose()) for kind, choose in pick.items() for draw in range(draws)]
correct = {
    (kind, draw): try_hybrid(kind, heads, test, draw) for kind, draw, heads in tqdm(plan, desc="hybrids")
}
accuracy = {kind: [float(c.mean()) for (k, _), c in correct.items() if k == kind] for kind, _, _ in plan}

# %% mystnb={"figure": {"name": "fig-acceleration-controls", "caption": "Accuracy on held-out retrieval questions when a few heads stay dense and all others stream. Each small point is one random draw, its bar the median; bars on single points are 95 % Wilson intervals. Dashed: all heads dense. Dotted: chance."}, "image": {"alt": "Six strips of points. The point of the heads ranked by the chosen rows stands near the dashed line of the dense model. Layer-matched and random draws stand far below it, most of them near chance, and so do the bottom heads and no dense head."}}
chance = float(np.mean([1 / len(s.options) for s in retrieval]))
full = accuracy["dense"][0]
kept = {kind: float(np.median(values)) / max(full, 1e-9) for kind, values in accuracy.items()}
groups = {
    f"top RAM\n({queries})": "ram",
    f"top RAM\n({other})": f"ram-{other}",
    "layer-\nmatched": "layer-matched",
    "random": "random",
    "bottom\nRAM": "bottom",
    "no dense\nhead": "none",
}
ci = {k: proportion_interval(correct[k, 0]) for k in ("dense", "ram", f"ram-{other}", "bottom", "none")}
figure, axis = plt.subplots(figsize=(7, 3.8))
plots.control_strips(axis, {k: accuracy[v] for k, v in groups.items()}, full, chance)
axis.texts[0].set_text(" all dense")
for at, kind in enumerate(groups.values()):
    if kind in ci:
        axis.vlines(at, *ci[kind], color="black", lw=1)
_ = axis.set_title(
    f"{len(core)} dense heads of {ranked.score.size} keep {kept['ram']:.0%} of the accuracy if RAM picks them, "
    f"{kept['random']:.0%} at random"
)

# %%
p = {kind: control_p(accuracy["ram"][0], accuracy[kind]) for kind in ("random", "layer-matched")}
spread = {kind: (np.median(accuracy[kind]), min(accuracy[kind]), max(accuracy[kind])) for kind in p}
Markdown(
    f"All heads dense: **{full:.2f}** ({ci['dense'][0]:.2f} to {ci['dense'][1]:.2f}; 95 % intervals, {samples} questions). "
    f"The top {len(core)} dense: **{accuracy['ram'][0]:.2f}** ({ci['ram'][0]:.2f} to {ci['ram'][1]:.2f}), "
    f"a share of **{kept['ram']:.0%}**. "
    f"The top {len(core)} by the rows “{other}”, {len(set(core) & set(core_other))} of them the same heads: "
    f"**{accuracy[f'ram-{other}'][0]:.2f}**. "
    + " ".join(
        f"{kind.capitalize()} heads: median **{middle:.2f}**, from {low:.2f} to {high:.2f} over {draws} draws (p = {p[kind]:.3f})."
        for kind, (middle, low, high) in spread.items()
    )
    + f" Bottom {len(core)}: {accuracy['bottom'][0]:.2f} ({ci['bottom'][0]:.2f} to {ci['bottom'][1]:.2f}). "
    f"No dense head: {accuracy['none'][0]:.2f} ({ci['none'][0]:.2f} to {ci['none'][1]:.2f}); chance is {chance:.2f}. "
    f"The smallest p that {draws} draws can give is {1 / (draws + 1):.3f}."
)

# %% [markdown]
# ## Tasks that fetch nothing
#
# Sums need no picture, the background's colour needs any of its cells, and counting needs all of them. Do they survive streaming?

# %%
for kind, heads in (("dense", every), ("ram", core), ("bottom", ranked.bottom(top_fraction)), ("none", [])):
    try_hybrid(kind, heads, untouched)
table = pd.DataFrame(rows)
order = [*dict.fromkeys(s.task for s in retrieval), *CONTROL_TASKS]
summary = table[table.task.isin(order) & table.ranking.isin(["dense", "ram", "bottom", "none"])]
summary.pivot(index="task", columns="ranking", values="accuracy").loc[
    order, ["dense", "ram", "bottom", "none"]
].rename(
    columns={"dense": "all dense", "ram": "top RAM", "bottom": "bottom RAM", "none": "no dense head"}
).round(2)

# %% [markdown]
# Read it by rows: a control task that falls in the last column needs more than a window too, and where the second column does not
# bring it back, some of the heads that it lives on are not among those that RAM finds.
#
# ## How many dense heads?
#
# Layer-matched draws exist as long as no layer gives up more than half of its heads.

# %%
fractions = sorted({0.01, 0.02, 0.10, 0.20, top_fraction})
curve = [("ram", 0, accuracy["none"][0]), ("layer-matched", 0, accuracy["none"][0])]
for fraction in tqdm(fractions, desc="fractions"):
    heads = ranked.top(fraction)
    if heads == core:
        curve += [("ram", fraction, accuracy["ram"][0])]
        curve += [("layer-matched", fraction, a) for a in accuracy["layer-matched"]]
        continue
    curve += [("ram", fraction, try_hybrid("ram", heads, test).mean())]
    if max(Counter(layer for layer, _ in heads).values()) <= shape.heads // 2:
        for draw in range(min(draws, 2)):
            drawn = layer_matched_heads(heads, shape.heads, rng)
            curve += [("layer-matched", fraction, try_hybrid("layer-matched", drawn, test, draw).mean())]
curve = pd.DataFrame(curve, columns=["ranking", "fraction", "accuracy"])
at_fraction = curve.groupby(["ranking", "fraction"]).accuracy.agg(["mean"])

# %% mystnb={"figure": {"name": "fig-acceleration-fraction", "caption": "Accuracy on held-out retrieval questions against the share of heads that stays dense. Each pale point is one layer-matched draw, the line is their mean; there are more draws at the fraction of the experiment above. Dashed: all heads dense. Dotted: chance."}, "image": {"alt": "Two curves start together at no dense head. That of the heads that RAM ranks highest climbs to the dashed line of the dense model within a few percent of the heads; that of the layer-matched draws stays low."}}
figure, axis = plt.subplots()
for ranking, label, colour in (("ram", "top RAM", plots.RED), ("layer-matched", "layer-matched", plots.BLUE)):
    part = at_fraction.loc[ranking]
    axis.plot(100 * part.index, part["mean"], "o-", label=label, color=colour)
    draws_of = curve[(curve.ranking == ranking) & (curve.fraction > 0)]
    axis.plot(100 * draws_of.fraction, draws_of.accuracy, "o", color=colour, alpha=0.25, mew=0)
axis.axhline(full, color="black", lw=1, ls="--")
axis.axhline(chance, color="black", lw=1, ls=":")
axis.set(xlabel="dense heads (%)", ylabel="accuracy", ylim=(0, 1.03))
axis.legend()
best = at_fraction.loc["ram"]["mean"]
reached = [f for f, a in best.items() if a >= 0.97 * full]
_ = axis.set_title(
    f"{reached[0]:.0%} of the heads by RAM keep 97% of the accuracy"
    if reached
    else f"The top {max(fractions):.0%} by RAM keep {best.iloc[-1] / max(full, 1e-9):.0%} of the accuracy"
)

# %% [markdown]
# ## A surprise: the question alone
#
# A hybrid can also keep the last rows of the prompt dense in every head, as one pattern in the code of
# {cite:t}`jiang2024minference` does. Here these rows hold the whole question. What is left for the dense heads to do?

# %%
tail = max(int((b.question.cumsum(1) > 0).sum(1).max()) for b in test)
tail += max(len(a) for b in test for a in b.answers)
question_rows = {
    "none": try_hybrid("none, question rows dense", [], test, dense_rows=tail),
    "ram": try_hybrid("ram, question rows dense", core, test, dense_rows=tail),
}
rows_kept = {kind: float(right.mean()) / max(full, 1e-9) for kind, right in question_rows.items()}
Markdown(
    f"With the last {tail} rows (question and answer) dense in every head and **no** head dense elsewhere: "
    f"**{question_rows['none'].mean():.2f}**, {rows_kept['none']:.0%} of the dense accuracy; "
    f"with the top {len(core)} heads dense as well: {question_rows['ram'].mean():.2f}. Without this option and without dense "
    f"heads it was {accuracy['none'][0]:.2f}."
)

# %% [markdown]
# Where the first number comes close to the dense accuracy, this option alone suffices, and that is no accident. In these prompts the question comes last, it is short, and fetching happens in its rows; the picture's own
# tokens hardly need each other. Making a short question dense costs next to nothing in {term}`prefill`. Dense
# *heads* earn their place where that option does not reach: in {term}`decode`, where each new token would need the whole
# cache in every head, when the question comes first or is long, and when tokens of the context must fetch from
# far away. That is why every other number in this chapter has the option switched off: it would hide which heads matter.
#
# ## What it saves
#
# The prompts of the tiny model are too short to gain anything. So time is measured apart, on random queries, keys and values of
# a realistic shape: 16 query heads on 8 KV heads of width 128, a window of 256 and 16 sinks. Dense and hybrid take turns
# in the same run and the fastest round counts. Peak memory is what the process grew by, so zero means that the tensors fitted
# into what it already held. This is the attention of one layer alone; the rest of the model is not in it.

# %% tags=["nbval-ignore-output"]
geometry = Backbone(layers=1, heads=16, kv_heads=8, head_dim=128)
few = [Head(0, h) for h in range(how_many(top_fraction, geometry.heads))]
lengths = [512 * 2**k for k in range(20) if 512 * 2**k <= longest] or [longest]
operator = HybridAttention(few, window=256, sinks=16)
timings = compare_attention(geometry, lengths, operator, device, dtype, rounds=2)
timed = pd.DataFrame(timings).pivot(index="length", columns="kernel")
times = pd.DataFrame(
    {
        "dense, ms": 1e3 * timed.seconds.dense,
        "hybrid, ms": 1e3 * timed.seconds.hybrid,
        "dense / hybrid": timed.seconds.dense / timed.seconds.hybrid,
        "arithmetic limit": [arithmetic_limit(n, geometry.heads, len(few), 256, 16) for n in lengths],
        "dense peak, MB": timed.peak_bytes.dense / 1e6,
        "hybrid peak, MB": timed.peak_bytes.hybrid / 1e6,
    }
)
times.round(1)

# %% mystnb={"figure": {"name": "fig-acceleration-time", "caption": "How many times faster hybrid attention is than dense attention, against the length of the prompt: attention of one layer, one of 16 heads dense with the defaults. Grey: slower than dense. Dashed: the limit that counting query-key pairs gives."}, "image": {"alt": "A curve that rises with length. It starts near one, where hybrid attention gains little or loses, and climbs at long prompts, always below the dashed arithmetic limit."}}
figure, axis = plt.subplots()
ratio, limit = times["dense / hybrid"], times["arithmetic limit"]
axis.axhspan(0, 1, color="#dddddd", lw=0)
axis.plot(lengths, ratio, "o-", color=plots.RED, label="measured")
axis.plot(lengths, limit, "--", color="black", lw=1, label="arithmetic limit")
axis.set_xscale("log", base=2)
axis.set_xticks(lengths, [f"{n:,}" for n in lengths])
axis.set(xlabel="length (tokens)", ylabel="dense time / hybrid time", ylim=(0, 1.08 * max(*limit, *ratio)))
axis.text(lengths[0], 0.08, "slower than dense", fontsize=9)
axis.legend(loc="upper left")
_ = axis.set_title(
    f"Attention alone: {ratio.iloc[0]:.1f} times as fast at {lengths[0]:,} tokens, {ratio.iloc[-1]:.1f} times at {lengths[-1]:,}"
)

# %% tags=["nbval-ignore-output"]
slower = [f"{n:,}" for n in lengths if ratio[n] < 1]
Markdown(
    f"At {lengths[-1]:,} tokens hybrid attention is **{ratio.iloc[-1]:.1f}** times as fast as dense attention, "
    f"{ratio.iloc[-1] / limit.iloc[-1]:.0%} of what counting pairs allows ({limit.iloc[-1]:.1f}). "
    + (
        f"It is slower at {', '.join(slower)} tokens."
        if slower
        else "It was slower at none of these lengths."
    )
    + " The limit itself starts near one: below the window there is nothing to skip. Timings on a small machine are noisy."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise-start} Without sinks
# :label: ex-acceleration-sinks
# ```
#
# Difficulty: 1/5. Take the sinks away and keep the top heads dense. Does the tiny model miss them? Use the tuning scenes.
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-acceleration-sinks
# :class: dropdown
# ```

# %%
without = {}
for number in sorted({0, 1, sinks}):
    with HybridAttention(core, window, number)(loaded.model):
        without[f"{number} sinks"] = evaluate(loaded, tune, progress=False).accuracy
pd.DataFrame({"accuracy": without}).round(2)

# %% [markdown]
# Large models are known to need them {cite:p}`xiao2023streaming`: their heads park the attention that they have no use for on the
# first tokens. Whether a tiny model has learned that habit is a question of fact.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Computing by the head, memory by the group
# :label: ex-acceleration-groups
# ```
#
# Difficulty: 2/5. Under {term}`GQA` a group's keys and values must be kept in full if any of its query heads is dense. What share of
# the KV groups do the top heads touch? Compare with $1-(1-f)^r$, what independent heads would give for a fraction $f$ and $r$
# heads to a group.
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-acceleration-groups
# :class: dropdown
# ```

# %%
full_groups = {(layer, head // shape.group) for layer, head in core}
fraction = len(core) / ranked.score.size
groups_share = len(full_groups) / (shape.layers * shape.kv_heads)
Markdown(
    f"{len(core)} of {ranked.score.size} heads ({fraction:.1%}) lie in {len(full_groups)} of {shape.layers * shape.kv_heads} "
    f"groups (**{groups_share:.1%}**); independent heads would touch {1 - (1 - fraction) ** shape.group:.1%}. "
    "The cache shrinks by less than the computing does."
)

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise-start} A mask is not a kernel
# :label: ex-acceleration-mask
# ```
#
# Difficulty: 3/5. The same attention can be written as dense attention with a mask. How long does that take for 1,024 tokens, next to
# the unmasked kernel and to ours? Where does the saving go?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-acceleration-mask
# :class: dropdown
# ```

# %% tags=["nbval-ignore-output"]
call = random_call(geometry, 1024, device, dtype)
query, key, value = call.query, call.key, call.value
i = torch.arange(1024, device=query.device)
allowed = (i <= i[:, None]) & ((i[:, None] - i < 256) | (i < 16))
mask = allowed.expand(geometry.heads, -1, -1).clone()
mask[: len(few)] = i <= i[:, None]
attend = torch.nn.functional.scaled_dot_product_attention
kernels = {
    "dense": lambda: attend(query, key, value, is_causal=True, enable_gqa=True),
    "dense with a mask": lambda: attend(query, key, value, attn_mask=mask, enable_gqa=True),
    "hybrid": lambda: operator.attend(call, None),
}
fastest = dict.fromkeys(kernels, np.inf)
for name in [*kernels] * 5:
    with measured(query.device) as cost:
        kernels[name]()
    fastest[name] = min(fastest[name], 1e3 * cost.seconds)
pd.DataFrame({"milliseconds": fastest}).round(1)

# %% [markdown]
# The masked kernel computes every pair and then throws most of them away; it cannot even skip what lies above the diagonal.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# Accuracy comes from a tiny model with short prompts, time from random tensors of a realistic shape: neither says what a large
# model keeps, and nothing here is an end-to-end speed-up. Attention is only part of a prefill, and cannot save more than that part.
# Short prompts also mean that a window covers a good part of them. The ranking was made with
# questions of the kind that it is tested on. Nothing is saved in memory yet: the cache is whole.
#
# ## Where to go from here
#
# - Are the same heads needed when all else is dense? [](08_ablation)
# - Where the ranking comes from: [](06_head_ranking)
# - Learned gates for whole KV groups, for cache and decoding: {cite:t}`xiao2024duo`
# - Head-wise cache budgets in multimodal models, for decoding: {cite:t}`wang2025sparsemm`
# - Sparse patterns for each head in prefill: {cite:t}`jiang2024minference`

# %%
publish(
    rows=rows + timings,
    numbers={
        "accuracy_dense": full,
        "accuracy_core": accuracy["ram"][0],
        "accuracy_core_other_rows": accuracy[f"ram-{other}"][0],
        "heads_shared_with_other_rows": len(set(core) & set(core_other)),
        "accuracy_bottom": accuracy["bottom"][0],
        "accuracy_none": accuracy["none"][0],
        **{
            f"accuracy_{kind}_{name}": value
            for kind, values in spread.items()
            for name, value in zip(("median", "min", "max"), values, strict=True)
        },
        **{f"p_{kind}": value for kind, value in p.items()},
        **{
            f"{side}_{kind}": x
            for kind, low_high in ci.items()
            for side, x in zip(("low", "high"), low_high, strict=True)
        },
        **{f"share_kept_{kind}": value for kind, value in kept.items()},
        **{f"accuracy_question_rows_{kind}": float(right.mean()) for kind, right in question_rows.items()},
        **{f"share_kept_question_rows_{kind}": value for kind, value in rows_kept.items()},
        **{f"ratio_{n}": ratio[n] for n in lengths},
        **{f"limit_{n}": limit[n] for n in lengths},
        **{f"probability_{name.replace(' ', '_')}": value for name, value in chances.items()},
        "accuracy_tuning_dense": float(tuned),
        "shortest_window_kept": enough[0] if enough else 0,
        "dense_heads": len(core),
        "question_rows": tail,
        "share_of_groups": groups_share,
        "tokens_example": int(place.size),
        "tokens_seen_streaming": seen,
        "chance": chance,
    },
    inputs={
        "model": loaded.provenance,
        "detection": {"name": dataset, "sha256": samples_checksum(detection)},
        "tuning": {"name": dataset, "sha256": samples_checksum(tuning)},
        "evaluation": {"name": dataset, "sha256": samples_checksum(retrieval + control)},
    },
)
