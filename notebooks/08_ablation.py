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
# **Claim.** Silencing the few heads that rank highest by RAM *at the last prompt token* takes retrieval in `tiny-qwen3-vl` close to
# guessing, while silencing as many other heads *of the same layers* does not. RAM averaged over the question's tokens, the definition
# nearest to the paper, shares few of these heads with it and is near zero in all of them.
#
# A head may look at the evidence and do nothing with it. To know whether the model *needs* a head, take the
# head away. {cite:t}`sun2026core` ablate the top 5 % and compare with lower-ranked heads. We add what is missing there and
# in related work: random controls as a whole distribution, matched layer by layer, with intervals.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
dataset: str = "scenes"  # where the samples come from, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
detection_dataset: str = ""  # where heads are ranked, if elsewhere (mlvu has no evidence) {dataset, empty}
detection_dir: str = ""  # its folder, likewise {folder, empty}
detection_samples: int = 96  # samples that heads are ranked on {2..100000, quick 24}
samples: int = 90  # others, to test on; as many again for the control tasks {2..100000, quick 12}
batch_size: int = 16  # prompts that run at once; 1 for long documents {1..1024}
seed: int = 0  # seeds samples and random heads {0..}
top_fraction: float = 0.05  # share of heads that is ablated; fixed before looking {0<..1}
draws: int = 20  # random sets of each kind {1..10000, quick 3}
queries: str = "last"  # rows that rank the heads: last prompt token, or question {last, question}
models: str = ""  # to repeat it with; empty: all of the zoo {models, empty, quick tiny-qwen3-vl-seed1}
samples_each: int = 48  # to rank heads on, and as many to test on, for each of them {2..100000, quick 8}
draws_each: int = 6  # layer-matched sets for each of them {1..10000, quick 2}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %%
from contextlib import suppress
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown
from tqdm import tqdm

from corehead_lib import plots
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.datasets.evidence import chance, load_evidence, remarks
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import HeadScores, layer_matched_heads, random_heads
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import load_model, zoo_names
from corehead_lib.ram import measure_ram
from corehead_lib.results import publish
from corehead_lib.stats import control_p, proportion_interval
from corehead_lib.worlds.synthetic import CONTROL_TASKS

plots.use_style()
ranked_on = detection_dataset or dataset
detection = load_evidence(
    ranked_on, "detection", detection_samples, seed, data_dir=detection_dir if detection_dataset else data_dir
)
retrieval = load_samples(dataset, "evaluation", samples, seed, data_dir=data_dir)
control = load_samples("scenes", "evaluation", samples, seed + 1, CONTROL_TASKS)  # whatever the dataset is
loaded = load_model(model, device, dtype)
test, test_control = encode_all(loaded, retrieval, batch_size), encode_all(loaded, control, batch_size)
shape = loaded.backbone
note = remarks(dataset, retrieval, samples, scored=True)
Markdown(f"{note} Heads are ranked on {len(detection)} samples of `{ranked_on}`.") if note else None

# %% [markdown]
# ## One head, one question
#
# Zero ablation sets a head's output to zero before the layer's output projection, at every token. It is an operator
# like any other here: inside the `with` block the head is silent, after it the model is as before.

# %%
batches = encode_all(loaded, detection, batch_size)
other = {"last": "question", "question": "last"}[queries]
ranked = HeadScores(measure_ram(loaded, batches, queries, progress=False).ram)
ranked_other = HeadScores(measure_ram(loaded, batches, other, progress=False).ram)
core, core_other = ranked.top(top_fraction), ranked_other.top(top_fraction)
asked = retrieval[min(2, len(retrieval) - 1)]
one = encode_all(loaded, [asked])

chances = {"all heads": float(np.exp(evaluate(loaded, one, progress=False).logprob[0]))}
for name, heads in {"without the best head": core[:1], f"without the top {len(core)}": core}.items():
    with ZeroAblation(heads)(loaded.model):
        chances[name] = float(np.exp(evaluate(loaded, one, progress=False).logprob[0]))

print(asked.question, "gold answer:", asked.answer)
pd.DataFrame({"probability of the gold answer": chances}).round(3)

# %% [markdown]
# ## The experiment
#
# The heads were ranked on the {term}`detection set`; the accuracy below is measured on other scenes. Every set
# has the same number of heads:
#
# - **top RAM**: the highest-ranked heads, by the rows that `queries` names;
# - **top RAM, other rows**: the highest-ranked by the other choice of rows;
# - **bottom RAM**: the lowest-ranked;
# - **random**: drawn from all heads outside the top set;
# - **layer-matched**: drawn so that each layer loses as many heads as under top RAM, from that layer's other heads.

# %%
rng = np.random.default_rng(seed)
outside = {
    "random": lambda: random_heads(len(core), shape.layers, shape.heads, rng, without=core),
    "layer-matched": lambda: layer_matched_heads(core, shape.heads, rng),
}
plan = [
    ("none", 0, []),
    ("ram", 0, core),
    (f"ram-{other}", 0, core_other),
    ("bottom", 0, ranked.bottom(top_fraction)),
]
plan += [(kind, draw, pick()) for kind, pick in outside.items() for draw in range(draws)]

rows, accuracy = [], {}
for ranking, draw, heads in tqdm(plan, desc="ablations"):
    with ZeroAblation(heads)(loaded.model):
        results = {
            "retrieval": evaluate(loaded, test, progress=False),
            "control": evaluate(loaded, test_control, progress=False),
        }
    accuracy.setdefault(ranking, []).append(results["retrieval"].accuracy)
    for kind, result in results.items():
        for task in [kind, *dict.fromkeys(result.task)]:
            chosen = (result.task == task) | (task == kind)
            rows.append(
                {
                    "task": str(task),
                    "ranking": ranking,
                    "fraction": len(heads) / ranked.score.size,
                    "draw": draw,
                    "accuracy": float(result.correct[chosen].mean()),
                    "logprob": float(result.logprob[chosen].mean()),
                    "samples": int(chosen.sum()),
                }
            )
table = pd.DataFrame(rows)

# %% mystnb={"figure": {"name": "fig-ablation-controls", "caption": "Accuracy on held-out retrieval questions after silencing as many heads, chosen in five ways. Each point of the random groups is one draw, the bar its median. Dashed: no head silenced. Dotted: chance."}, "image": {"alt": "Five strips of points. The point of the heads ranked by the chosen rows lies far below the others. Points of the random and the layer-matched draws lie mostly near the level of the untouched model, with a spread. The bottom RAM point stands by itself."}}
guessing = chance(retrieval)
figure, axis = plt.subplots(figsize=(7, 3.8))
groups = {
    f"top RAM\n({queries})": "ram",
    f"top RAM\n({other})": f"ram-{other}",
    "layer-\nmatched": "layer-matched",
    "random": "random",
    "bottom\nRAM": "bottom",
}
plots.control_strips(axis, {k: accuracy[v] for k, v in groups.items()}, accuracy["none"][0], guessing)
dense, without_core = accuracy["none"][0], accuracy["ram"][0]
ci = {
    k: proportion_interval(np.arange(len(retrieval)) < round(accuracy[k][0] * len(retrieval)))
    for k in ("none", "ram", "bottom")
}
can = ci["none"][0] > guessing  # a model that only guesses has nothing to lose
cannot = f"The untouched model is no better than guessing ({dense:.2f}): accuracy has nothing to lose"
_ = axis.set_title(
    f"Without its top {len(core)} of {ranked.score.size} heads: {dense:.2f} falls to {without_core:.2f}"
    if can
    else cannot
)

# %%
without_other, without_bottom = accuracy[f"ram-{other}"][0], accuracy["bottom"][0]
matched = np.array(accuracy["layer-matched"])
drop = dense - without_core
p = control_p(drop, list(dense - matched))
Markdown(
    ("" if can else f"{cannot}. ")
    + f"All heads: **{dense:.2f}** (95 % interval {ci['none'][0]:.2f} to {ci['none'][1]:.2f}). "
    f"Without the top {len(core)}: **{without_core:.2f}** ({ci['ram'][0]:.2f} to {ci['ram'][1]:.2f}; chance {guessing:.2f}). "
    f"Without {len(core)} others of the same layers: median **{np.median(matched):.2f}**, from {matched.min():.2f} to {matched.max():.2f} "
    f"over {draws} draws; permutation p = {p:.3f}, the smallest that {draws} draws can give is {1 / (draws + 1):.3f}. "
    f"Without the top {len(core)} by the rows “{other}”, of which {len(set(core) & set(core_other))} are the same heads: **{without_other:.2f}**. "
    f"Without the bottom {len(core)}: **{without_bottom:.2f}** ({ci['bottom'][0]:.2f} to {ci['bottom'][1]:.2f})."
)

# %% [markdown]
# Why do the rows matter so much? The answer is written from the last prompt token, and it is from there that this model looks.
# Averaged over the question's own tokens RAM is close to zero in every head, so most of that top is the order of very small numbers:
# looking had a price at every token in training, and the model waits until it knows all that it is asked. One shared head can still be
# enough for a fall, if it is the one that does most of the work; the first exercise silences each alone.
# {cite:t}`park2026vrh` report for large models, too, that output tokens as queries find the heads that matter and prompt tokens
# find them less well.
#
# ## Is it retrieval, or just capacity?
#
# If the top heads merely did a lot of work, everything would break. Counting, the background's colour and small sums need
# the same layers, and the first two need the picture, but no fetching of one place in it. These control questions are about
# generated scenes whatever `dataset` is.

# %%
median = table.groupby(["task", "ranking"]).accuracy.median().unstack()
order = list(dict.fromkeys(s.task for s in [*retrieval, *control]))
median.loc[order, ["none", "ram", f"ram-{other}", "layer-matched", "random", "bottom"]].rename(
    columns={
        "none": "all heads",
        "ram": f"top RAM ({queries})",
        f"ram-{other}": f"top RAM ({other})",
        "bottom": "bottom RAM",
    }
).round(2)

# %% [markdown]
# Columns of the random groups are medians over the draws. Read the table by rows: where a control task falls together with
# retrieval, the heads do more than retrieve, or zero is too far from what the later layers are used to.
#
# ## How many heads does it take?

# %%
steps = sorted({1, 2, 3, 4, len(core), 2 * len(core), 4 * len(core)})
curve = []
for number in tqdm(steps, desc="curve"):
    for ranking, heads in {
        "ram": ranked.ranking()[:number],
        "bottom": ranked.ranking()[::-1][:number],
    }.items():
        with ZeroAblation(heads)(loaded.model):
            result = evaluate(loaded, test, progress=False)
        curve.append({"ranking": ranking, "heads": number, "accuracy": result.accuracy})
curve = pd.DataFrame(curve)

# %% mystnb={"figure": {"name": "fig-ablation-curve", "caption": "Accuracy on held-out retrieval questions against the number of silenced heads, taken from the top and from the bottom of the RAM ranking."}, "image": {"alt": "Two curves over the number of silenced heads. The one that takes heads from the top of the ranking falls early and towards chance; the one from the bottom stays above it."}}
figure, axis = plt.subplots()
for ranking, name in {"ram": "from the top", "bottom": "from the bottom"}.items():
    part = curve[curve.ranking == ranking]
    axis.plot([0, *part.heads], [dense, *part.accuracy], "o-", label=name)
axis.axhline(guessing, color="black", lw=1, ls=":")
axis.set(xlabel=f"silenced heads (of {ranked.score.size})", ylabel="accuracy", ylim=(0, 1.03))
axis.legend()
half = next(
    (
        int(n)
        for n, a in zip(*curve[curve.ranking == "ram"][["heads", "accuracy"]].to_numpy().T, strict=True)
        if a < (dense + guessing) / 2
    ),
    None,
)
_ = axis.set_title(
    f"{half} {'head' if half == 1 else 'heads'} from the top cost{'s' * (half == 1)} more than half of what retrieval is worth"
    if half and can
    else ("Retrieval survives every set shown" if can else cannot)
)

# %% [markdown]
# ## Does it hold for other models?
#
# The same experiment, smaller, on other seeds, sizes and families of the zoo. Each model's heads are ranked anew. (Which models share a part
# with another says [](07_stability): the two of other families have the language model of the first.) The last column counts the heads that have
# to go, from the top down, until more than half of what the model has beyond guessing is lost.

# %%
names = [model] + [name for name in (models.split() or zoo_names()) if name != model]
repeated = []
for name in tqdm(names, desc="models"):
    one = loaded if name == model else load_model(name, device, dtype)
    looked, questions = (encode_all(one, part[:samples_each], batch_size) for part in (detection, retrieval))
    own = HeadScores(measure_ram(one, looked, queries, progress=False).ram)
    top = own.top(top_fraction)
    sets = [[], top]
    with suppress(CoreheadError):  # a layer that gives up most of its heads has too few others
        sets += [layer_matched_heads(top, one.backbone.heads, rng) for _ in range(draws_each)]
    found = []
    for heads in sets:
        with ZeroAblation(heads)(one.model):
            found.append(evaluate(one, questions, progress=False).accuracy)
    enough = None
    for number in (1, 2, 3, 4, 5, 6, 8, 10, 12, 16):
        with ZeroAblation(own.ranking()[:number])(one.model):
            if evaluate(one, questions, progress=False).accuracy < (found[0] + guessing) / 2:
                enough = number
                break
    repeated.append(
        {
            "model": Path(name).name,
            "checksum": one.checksum,
            "heads": own.score.size,
            "ablated": len(top),
            "in layers": ", ".join(map(str, sorted({head.layer for head in top[:3]}))),
            "all heads": found[0],
            "without the top": found[1],
            "matched, median": float(np.median(found[2:] or [np.nan])),
            "matched, least": min(found[2:], default=np.nan),
            "heads until half is lost": "more than 16" if enough is None else str(enough),
        }
    )
repeated = pd.DataFrame(repeated)
repeated.drop(columns="checksum").rename(columns={"in layers": "layers of the best 3"}).round(2).set_index(
    "model"
)

# %% mystnb={"figure": {"name": "fig-ablation-models", "caption": "Accuracy on held-out retrieval questions with all heads (black), without the top heads of the model's own ranking (red), and without as many others of the same layers (blue: median, and from there a line to the least of the draws). Dotted: chance."}, "image": {"alt": "One row to a model. The black mark is at the right, the red mark in all but few rows far to its left near the dotted line; the blue line says how far layer-matched sets fall."}}
figure, axis = plt.subplots(figsize=(7, 0.42 * len(repeated) + 1.3))
rows_shown = range(len(repeated))
axis.hlines(rows_shown, repeated["matched, least"], repeated["matched, median"], color=plots.BLUE)
for column, colour, mark, label in (
    ("matched, median", plots.BLUE, "o", "without layer-matched heads"),
    ("all heads", "black", "|", "all heads"),
    ("without the top", plots.RED, "o", "without the top"),
):
    axis.plot(repeated[column], rows_shown, mark, color=colour, label=label, ms=7)
axis.axvline(guessing, color="black", lw=1, ls=":")
axis.set_yticks(rows_shown, repeated["model"])
axis.set(xlim=(-0.02, 1.03), xlabel="accuracy")
axis.invert_yaxis()
figure.legend(loc="outside lower center", ncols=3, fontsize=8)
# carry: without them, more than half of what the model has beyond guessing is lost
broken = repeated["without the top"] < (repeated["all heads"] + guessing) / 2
harmed = repeated["matched, least"] < (repeated["all heads"] + guessing) / 2
_ = axis.set_title(
    f"Top heads carry retrieval in {broken.sum()} of {len(repeated)} models, layer-matched ones in {harmed.sum()}"
)

# %% [markdown]
# A share of heads that was fixed beforehand is not always the right one: where heads are few, as in the small model, 5 % of them are two, and
# those that are left can do the work. The last column of the table says how many it takes.
#
# ## Exercises
#
# ```{exercise-start} Only one of them
# :label: ex-ablation-one
# ```
#
# Difficulty: 1/5. Silence each of the top heads alone. Does any single one break retrieval? What does that say about
# effects of single heads?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ablation-one
# :class: dropdown
# ```

# %%
alone, few = {}, encode_all(loaded, retrieval[:48], batch_size)
for head in core:
    with ZeroAblation([head])(loaded.model):
        alone[f"layer {head.layer}, head {head.head}"] = evaluate(loaded, few, progress=False).accuracy
pd.DataFrame({"accuracy without it": alone}).round(2)

# %% [markdown]
# Where a single loss does little, the others still carry the answer: effects of single heads are lower bounds, which is why the
# experiment ablates sets.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} What is left of the certainty
# :label: ex-ablation-logprob
# ```
#
# Difficulty: 2/5. Accuracy has a threshold in it. Compare the mean {term}`gold log-probability` under top RAM with the spread of
# the layer-matched draws. Does a continuous measure tell the same story?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ablation-logprob
# :class: dropdown
# ```

# %%
table[table.task == "retrieval"].groupby("ranking").logprob.agg(["min", "median", "max"]).round(2)

# %% [markdown]
# ```{solution-end}
# ```
#
# ## Limits
#
# Zero is a value that a head's output never has, so zero ablation can do damage beyond removing what the head says.
# Bottom-ranked heads are not idle heads: RAM measures one job, and a head with another job (forming the query, say) ranks low.
# The tiny model was trained with a small price on looking, which makes retrieval sparse.
# Tiny models, a handful of training runs, one kind of picture; a set that breaks the model is not the only such set.
#
# ## Where to go from here
#
# - What the definition measures: [](01_ram_definition)
# - What the heads buy: [](10_acceleration)
# - Ablations of text retrieval heads: {cite:t}`wu2024retrieval`; of visual ones: {cite:t}`park2026vrh`, {cite:t}`li2026mmretheads`

# %%
publish(
    rows=rows,
    numbers={
        "accuracy_dense": dense,
        "accuracy_without_top": without_core,
        "accuracy_without_top_other_rows": without_other,
        "accuracy_without_bottom": without_bottom,
        "accuracy_layer_matched_median": float(np.median(matched)),
        "accuracy_layer_matched_min": float(matched.min()),
        "accuracy_layer_matched_max": float(matched.max()),
        "p_layer_matched": p,
        "chance": guessing,
        "heads_ablated": len(core),
        "models": len(repeated),
        "models_broken_by_top": int(broken.sum()),
        "models_broken_by_matched": int(harmed.sum()),
        **{f"without_top_{row['model']}": row["without the top"] for _, row in repeated.iterrows()},
    },
    inputs={
        "model": loaded.provenance,
        "detection": {"name": ranked_on, "sha256": samples_checksum(detection)},
        "evaluation": {"name": dataset, "sha256": samples_checksum(retrieval)},
        "control": {"name": "scenes", "sha256": samples_checksum(control)},
        **{
            f"model {r['model']}": {"name": r["model"], "checksum": r["checksum"]}
            for _, r in repeated.iterrows()
        },
    },
)
