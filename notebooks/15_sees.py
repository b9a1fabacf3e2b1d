# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # It learns to see
#
# SmolLM2-135M of [](12_real_model) has heads that fetch facts from text. We put a vision tower and a connector before it and taught it to answer questions
# about pictures; its own weights stayed as they were, but for low-rank adapters on its attention. Are the heads that fetched from text those that now fetch
# from pictures?
#
# **What came out.** It sees: its accuracy on {glue:text}`samples` questions about pictures is {glue:text}`accuracy:.2f`; guessing among the digits shown gives
# {glue:text}`guess:.2f`. One head of {glue:text}`heads`, the first by {term}`RAM`, carries this: without it {glue:text}`left_first_on_pictures:.2f` are right,
# while tasks that fetch nothing lose {glue:text}`control_first:.2f`; without the others of the top {glue:text}`top_heads`, silenced in two parts, all are. A run from another seed ends
# with the very same head. It was number {glue:text}`first_place_before:.0f` of {glue:text}`heads` in text before, though reading did not need it
# ({glue:text}`nats_first_on_texts:.2f` nats), and the tops of text and pictures share only {glue:text}`shared:.0f` heads, where luck within layers gives
# {glue:text}`shared_luck:.1f` (p = {glue:text}`shared_p:.2f`). With the language model frozen, without adapters, it hardly learns to find things
# ({glue:text}`sees_frozen:.2f` right), and then {glue:text}`shared_frozen:.0f` top heads are those of text (p = {glue:text}`shared_p_frozen:.3f`).
#
# ```{glue:figure} fig_sees
# :name: fig-sees
# :alt: Three panels. Above, RAM on pictures against RAM in text: one head that is in both tops stands high above all others on pictures, most heads near zero; heads that are in the text's top alone lie low, those in the pictures' top alone to the left. Below on the left, asked about pictures: text, pictures, both and first lie left of the dotted line, far from the blue clouds; text alone, pictures alone, both but first and lowest lie on the dashed line. On the right, asked about texts: text lies left of the dotted line, pictures in the left half of its blue cloud, and both and first close to the dashed line.
#
# Above: {term}`RAM` of every head, in text before the model saw a picture and on pictures afterwards. Below: what is left without the top sets (red) and
# without as many other heads of the same layers (blue). Dashed: all heads; dotted: a digit picked blindly.
# ```

# %% tags=["parameters"]
facts: int = 6  # facts in a text {2..20}
detection_samples: int = (
    64  # texts, and pictures, that heads are ranked on {24..100000, quick 24}
)
samples: int = 32  # pictures to test on {2..100000, quick 4}
text_samples: int = (
    40  # texts to test on, those of chapter 12 {2..100000, quick 4}
)
draws: int = (
    50  # layer-matched sets of heads, for each comparison {1..10000, quick 2}
)
batch_size: int = 16  # prompts that run at once {1..1024}
seed: int = 0  # seeds texts, pictures and sets {0..}
top_fraction: float = (
    0.05  # share of heads that is silenced; fixed before looking {0<..1}
)
more_fraction: float = 0.12  # a larger share, as in chapter 08 {0<..1}
device: str = "cpu"  # where to compute {device}
dtype: str = (
    "float32"  # of weights and activations {float32, bfloat16, float16}
)

# %% tags=["hide-input"]
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from corehead_lib import plots
from corehead_lib.chance import chance
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.encode import encode_all
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import HeadScores
from corehead_lib.results import keep, publish
from corehead_lib.text_models import (
    SMOLLM2,
    begun,
    load_text_model,
    multiple_choice,
)
from corehead_lib.worlds.synthetic import DIGITS
from corehead_lib.zoo.sees import load_sees

plots.use_style()
sees, reads = load_sees(device, dtype)
before = load_text_model(SMOLLM2, device, dtype)

# %% [markdown]
# `sees` is a real InternVL from transformers, `reads` the text model that SmolLM2 has become inside it, and `before` the one it was. Its [card](../book/models)
# says how it was trained, and what it can and cannot do; no term of the training looks at attention, and nothing was chosen by looking at it.
#
# ## Pictures and texts
#
# A picture has nine cells of one visual token each; a thing fills one of them. The texts and the way of asking are those of [](12_real_model): we begin the
# answer with "It holds", and the likeliest digit counts.

# %%
TEXT = {"facts": (facts, facts), "filler": (1, 2)}
PICTURE = {"size": (96, 96), "things": (3, 6), "anywhere": False}


def pictures(split, number, tasks=("shape", "colour", "pair")):
    return load_samples("scenes", split, number, seed, tasks, **PICTURE)


# %%
def texts(split, number, part="value"):
    kind = ("haystacks", split, number, seed, ("fact",))
    found = load_samples(*kind, part=part, **TEXT)
    names = [s.question.split(" the ")[1].rstrip("?") for s in found]
    return [
        replace(s, question=f"What digit does the {name} hold?")
        for s, name in zip(found, names, strict=True)
    ]


# %%
def of_text(loaded, some):
    return encode_all(begun(loaded, "It holds "), some, batch_size)


def choose(loaded, some):
    return evaluate(multiple_choice(loaded, DIGITS), of_text(loaded, some))


# %%
test = pictures("evaluation", samples), texts("evaluation", text_samples)
shown = encode_all(sees, test[0], batch_size)
right = {"pictures": evaluate(sees, shown)}
right["text, before"] = choose(before, test[1])
right["text, after"] = choose(reads, test[1])
{name: round(found.accuracy, 2) for name, found in right.items()}

# %% [markdown]
# ## Which heads look at the evidence?
#
# Targets and rows were fixed beforehand. The target in a text is the token to be copied (the *value*, which [](12_real_model) found the sharpest target), in a
# picture the cell of the thing that is asked about; both are seen from the last prompt token. For comparison we add the whole fact, and the text model after
# training.

# %%
from corehead_lib.ram import measure_ram

seen = pictures("detection", detection_samples)
encoded = encode_all(sees, seen, batch_size)
ram = {"pictures": measure_ram(sees, encoded, "last")}
for part in ("value", "fact"):
    some = texts("detection", detection_samples, part)
    for when, loaded in (("before", before), ("after", reads)):
        found = measure_ram(loaded, of_text(loaded, some), "last")
        ram[f"{part}, {when}"] = found

# %%
from corehead_lib.heads import how_many, mass_concentration

scores = {name: HeadScores(of.ram) for name, of in ram.items()}
half = {n: mass_concentration(of.score) for n, of in scores.items()}
best = {n: of.score.max() for n, of in scores.items()}
pd.DataFrame({"best head": best, "half of the mass in": half}).round(3)

# %% [markdown]
# A ranking compared with itself, on two halves of the samples, is the ceiling; *luck* puts the heads of each layer in random order. All p-values are corrected
# together (Holm).

# %%
from corehead_lib.stats import halves

size = ram["pictures"].ram.size
top = how_many(top_fraction, size)
cut, whole = {}, {}
for name, of in ram.items():
    ids = [s.id for s in (seen if name == "pictures" else some)]
    whole[name], side, named = (of.target, ids), halves(ids), np.array(ids)
    cut[name] = tuple((of.target[x], named[x]) for x in (side, ~side))

# %%
from corehead_lib.study import likeness

COMPARED = [
    ("value, before", "pictures"),
    ("fact, before", "pictures"),
    ("value, after", "pictures"),
    ("value, before", "value, after"),
]
pairs = {f"{name}, itself": both for name, both in cut.items()}
pairs |= {" - ".join(p): (whole[p[0]], whole[p[1]]) for p in COMPARED}
alike = likeness(pairs, top, seed=seed)

# %%
columns = ["spearman", "spearman_low", "spearman_luck", "spearman_adjusted"]
columns += [name.replace("spearman", "shared") for name in columns]
alike[columns].round(3)

# %% [markdown]
# Whether the model reads or sees, few heads do it: half of the mass on the cell sits in {glue:text}`half_pictures:.1%` of the heads, half of that on the value
# in {glue:text}`half_text:.1%`. The best head on pictures gives the cell {glue:text}`best_pictures:.2f` of its attention, more than any head gives a value
# ({glue:text}`best_text:.2f`).
#
# Over all heads, text before and pictures after agree beyond luck (Spearman {glue:text}`spearman:.2f`), far below the ceiling of {glue:text}`ceiling:.2f`.
# Their tops, which would share {glue:text}`ceiling_shared:.0f` heads with a perfect likeness, share {glue:text}`shared:.0f`, which luck can explain (p =
# {glue:text}`shared_p:.2f`); ranked by the whole fact, {glue:text}`shared_fact:.0f` (p = {glue:text}`shared_p_fact:.2f`).
#
# Learning to see also changed how it reads: it is right on {glue:text}`accuracy_text_after:.2f` of the texts now, on {glue:text}`accuracy_text:.2f` before. Its
# text top *now* shares {glue:text}`shared_after:.0f` heads with the top on pictures (p = {glue:text}`shared_p_after:.3f`), and {glue:text}`shared_texts:.0f`
# with its own former top (p = {glue:text}`shared_p_texts:.2f`). In one and the same model, text and pictures are fetched by much the same heads, as
# [](07_stability) found in ours; they are not the heads that it started with.
#
# ## Which heads are needed?
#
# We silence ({term}`zero ablation`) the top {glue:text}`share:.0%` and {glue:text}`more:.0%` of either ranking: on pictures, in the model that sees, and on
# texts, in the model that never saw a picture. The {glue:text}`shared:.0f` heads that are in both tops, and those that are in only one, are silenced by
# themselves, too; so is the first head on pictures.

# %%
text, picture = scores["value, before"], scores["pictures"]
tops = {"text": text.top(top_fraction), "pictures": picture.top(top_fraction)}
first, second = (set(heads) for heads in tops.values())
parts = {"both": first & second, "first": set(picture.ranking()[:1])}
parts |= {"text alone": first - second, "pictures alone": second - first}
parts["both but first"] = parts["both"] - parts["first"]
tops |= {name: sorted(heads) for name, heads in parts.items() if heads}
tops["text, more"] = text.top(more_fraction)
tops["pictures, more"] = picture.top(more_fraction)
tops["lowest"] = picture.bottom(top_fraction)

# %%
from corehead_lib.study import controls


def like(*names):
    """Layer-matched sets for each of these tops, where layers have enough."""
    sets = {}
    for name in (name for name in names if name in tops):
        found = controls(tops[name], text, draws, seed, ["layer"]).values()
        sets |= {f"like {name}/{n}": heads for n, heads in enumerate(found)}
    return sets


# %%
from corehead_lib.study import outcomes

against = {"pictures": ("text", "both"), "texts": ("pictures",)}
asked = {"pictures": (sees, shown)}
asked["texts"] = (multiple_choice(before, DIGITS), of_text(before, test[1]))
lost = {
    kind: outcomes(*of, tops | like(*against[kind]))
    for kind, of in asked.items()
}

# %%
from corehead_lib.study import able, verdicts

plain = pictures("evaluation", samples, ("background", "sum"))
plain = encode_all(sees, plain, batch_size)
other = outcomes(sees, plain, tops)
counts = {"pictures": other[other.task.isin(able(other, plain))]}
made = {k: verdicts(t, counts.get(k), tops, "text") for k, t in lost.items()}
table = pd.concat({k: t.set_index("set") for k, t in made.items()})
columns = ["k", "drop", "low", "high", "nats", "drop_control", "p_adjusted"]
table[columns].round(3)

# %% [markdown]
# **On pictures** losing either top costs nearly everything: the text's {glue:text}`nats_text_on_pictures:.2f` nats, the pictures' own
# {glue:text}`nats_pictures_on_pictures:.2f`. So does losing the {glue:text}`shared:.0f` heads of both ({glue:text}`nats_both_on_pictures:.2f`), and of these
# the first on pictures alone ({glue:text}`nats_first_on_pictures:.2f`): the others of both cost {glue:text}`nats_both_but_first_on_pictures:.2f`, the rest of
# the text's top {glue:text}`nats_text_alone_on_pictures:.2f`, and the rest of the pictures' top {glue:text}`nats_pictures_alone_on_pictures:.2f`. In
# backgrounds and sums, where {glue:text}`control:.2f` are right with all heads, the first costs {glue:text}`control_first:.2f`, the {glue:text}`shared:.0f` of
# both {glue:text}`control_both:.2f`, and the text's whole top {glue:text}`control_text:.2f`. We silenced the first alone only after the figure had shown how
# far it stands out.
#
# **In texts** there is less to lose: {glue:text}`accuracy_text:.2f` are right with all heads, {glue:text}`guess_text:.2f` by guessing. Losing the text's own
# top costs {glue:text}`nats_text_on_texts:.2f` nats, the pictures' top {glue:text}`nats_pictures_on_texts:.2f`, the {glue:text}`shared:.0f` heads of both
# {glue:text}`nats_both_on_texts:.2f`, and the first on pictures {glue:text}`nats_first_on_texts:.2f`: what reading needs is spread wider, over heads that
# seeing left alone. After correction over the sets tested on texts, the losses of accuracy without the text's top, without the part of it that pictures do not
# use, and without either set of {glue:text}`more:.0%` are beyond doubt (p = {glue:text}`p_text_on_texts_accuracy:.2f`); those without the pictures' top, the
# shared heads or the first are not.
#
# Is that more than any such set costs? For the heads of the *other* side, and for the shared ones, we draw {glue:text}`draws` sets of as many heads from the
# same layers.

# %%
from corehead_lib.study import summarise
from corehead_lib.study.sets import by_task

rows = {}
for kind, name in ((k, n) for k, names in against.items() for n in names):
    for of in ("accuracy", "logprob"):
        found = summarise(by_task(lost[kind]), name, of).set_index("kind")
        found = found[["sets", "median", "low", "p"]]
        rows[kind, name, of] = found.reindex([f"like {name}"]).iloc[0]

# %%
from corehead_lib.stats import holm

spread = pd.DataFrame(rows).T.astype(float)
spread["p_adjusted"] = holm(spread.p)
spread.round(3)

# %% [markdown]
# On pictures no drawn set comes near: of those like the text's top the worst leaves {glue:text}`low_like_text:.2f`, half of them
# {glue:text}`median_like_text:.2f` or more; of those like the shared heads the worst leaves {glue:text}`low_like_both:.2f`. In texts the pictures' top costs no
# more than such sets can cost (p = {glue:text}`p_pictures_on_texts_nats:.2f` in nats, before correction).

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplot_mosaic("ll;pt", figsize=(7.4, 6.6))
left, right_two = axes["l"], (axes["p"], axes["t"])
drawn = {"both": plots.RED, "text alone": plots.AMBER}
drawn |= {"pictures alone": plots.GREEN}
taken = {head for name in drawn for head in tops.get(name, [])}
rest = [head for head in text.ranking() if head not in taken]
for name, colour in {"neither": plots.SKY, **drawn}.items():
    heads = rest if name == "neither" else tops.get(name, [])
    at = tuple(np.array(heads, dtype=int).reshape(-1, 2).T)
    left.plot(text.score[at], picture.score[at], ".", color=colour, label=name)
left.set(xlabel="RAM on the value, before", ylabel="RAM on the cell, after")
left.legend(title="in the top of", loc="upper left")
order = ["text", "text alone", "pictures", "pictures alone", "both"]
order += ["first", "both but first", "lowest"]
order = [name for name in order if name in tops]
for axis, (kind, of) in zip(right_two, lost.items(), strict=True):
    values = of.groupby(["kind", "set"], sort=False).logprob.mean()
    for place, name in enumerate(order):
        own = [k for k in values.index if k[0] == f"like {name}"]
        jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(own))
        axis.plot(values[own], place + jitter, ".", color=plots.BLUE, alpha=0.5)
        axis.plot(values[name, name], place, "o", color=plots.RED)
    axis.axvline(values["none", "none"], color="black", ls="--")
    axis.axvline(-np.log(len(DIGITS)), color="black", ls=":")
    axis.set_yticks(range(len(order)), order)
    axis.invert_yaxis()
    axis.set(xlabel="gold log-probability, nats")
    axis.set_title(f"asked about {kind}")
figure.tight_layout(rect=(0, 0, 1, 0.95))
keep(
    "fig_sees",
    figure,
    "One head fetches from pictures; reading does not need it",
)

# %% [markdown]
# ## Two more runs
#
# All of this is one training run, the one we looked at first. We made two more afterwards: the same from another seed, and one *frozen*, without adapters, so
# its heads are to the last weight those that read. All questions, texts and sets are those used above.

# %%
from corehead_lib.zoo.sees import SEES

RUNS = {"adapters": "", "another seed": "-seed1", "frozen": "-frozen"}


def witness(end):
    eyes, reading = load_sees(device, dtype, SEES.with_name(SEES.name + end))
    batches = encode_all(eyes, seen, batch_size)
    looked = measure_ram(eyes, batches, "last").target
    return eyes, reading, looked


# %%
def without(eyes, look):
    """What is left of each task without this run's own first heads."""
    sets = {"first": look.ranking()[:1], "top": look.top(top_fraction)}
    sets |= {"text's top": tops["text"], "top, more": look.top(more_fraction)}
    left = outcomes(eyes, shown, sets)
    return left.groupby("set", sort=False).correct.mean()


place = {head: n for n, head in enumerate(text.ranking(), 1)}
runs, compared = {}, {}

# %%
for name, end in RUNS.items():
    eyes, reading, target = witness(end)
    look = HeadScores(target.mean(0))
    compared[name] = whole["value, before"], (target, whole["pictures"][1])
    runs[name] = without(eyes, look).add_prefix("without ").to_dict()
    runs[name]["easy"] = evaluate(eyes, plain).accuracy
    runs[name]["reads"] = choose(reading, test[1]).accuracy
    runs[name]["best"] = look.score.max()
    runs[name]["place"] = place[look.ranking()[0]]

# %%
kin = likeness(compared, top, seed=seed)
columns = ["spearman", "spearman_luck", "shared", "shared_luck"]
columns += ["spearman_adjusted", "shared_adjusted"]
runs = pd.DataFrame(runs).T.rename(columns={"without none": "sees"})
runs = runs.join(kin[columns])
runs.T.round(3)

# %% [markdown]
# `sees` is the share of right answers about things, `easy` about backgrounds and sums, `reads` about texts; `best` is the highest RAM on pictures, `place`
# where that head stood in the text's ranking before; the last p-values are corrected together.
#
# **Another seed, the same head.** Both runs with adapters end with one head of {glue:text}`heads` that fetches; it is number
# {glue:text}`first_place_before:.0f` of the text's ranking in the first run and number {glue:text}`first_place_seed1:.0f` in the second: the very same head.
# Without it the second run keeps {glue:text}`left_first_seed1:.2f`. The runs start from the same language model and tower, and share nothing else that was
# random, so what decided is what this head was before. The top shares {glue:text}`shared_seed1:.0f` heads with the text's, no more than luck gives, as before.
#
# **Frozen, it hardly learns to find.** It is right on {glue:text}`easy_frozen:.2f` of backgrounds and sums, on {glue:text}`sees_frozen:.2f` of things, where
# guessing would give {glue:text}`guess:.2f`. No head stands out: the best gives the cell {glue:text}`best_frozen:.2f`, and it is number
# {glue:text}`first_place_frozen:.0f` of the text's ranking. Here the tops are alike: they share {glue:text}`shared_frozen:.0f` heads, where luck would give
# {glue:text}`shared_luck_frozen:.1f` (p = {glue:text}`shared_p_frozen:.3f`). So a model whose heads cannot change looks at pictures with much the same heads as
# at texts, but does not fetch well with them: without the top on pictures, {glue:text}`left_top_frozen:.2f` is left; without the text's top,
# {glue:text}`left_text_frozen:.2f`, hardly less than with all heads. What adapters do is turn one head, not quite the first of those that read, into one that
# fetches.
#
# %% [markdown]
# ## Exercises
#
# ```{exercise} The whole fact
# :label: ex-sees-fact
#
# Difficulty: 1/5, five minutes. If we had ranked by the whole fact instead of the value, would this chapter's question have another answer? Read it off the
# table that compares rankings.
# ```
#
# ```{solution} ex-sees-fact
# :class: dropdown
#
# The tops would share {glue:text}`shared_fact:.0f` heads of {glue:text}`top_heads` instead of {glue:text}`shared:.0f`, neither more than luck explains, and the
# rankings of all heads would be less alike, {glue:text}`spearman_fact:.2f` instead of {glue:text}`spearman:.2f`, still beyond luck. The answer is the same.
# ```
#
# ```{exercise} Things anywhere
# :label: ex-sees-anywhere
#
# Difficulty: 3/5, half an hour. Training showed one thing per cell. Put `"anywhere": True` into `PICTURE` in a copy of this page. What happens to accuracy, and
# to the heads?
# ```
#
# ```{solution} ex-sees-anywhere
# :class: dropdown
#
# Look at accuracy first: where the model cannot answer, its heads say nothing of how it would. Then compare the `rows` of both `results.json`; a thing can
# fill several cells now, so RAM is a sum over them.
# ```
#
# ## Limits
#
# - One model, three runs, and one kind of picture, with nine cells of which one is the evidence: the model has little to choose from. What the two
#   later runs lose was measured on the {glue:text}`samples` pictures of the first.
# - We do not know whether a frozen model would learn to fetch with more steps or another connector.
# - A cell shows a thing's name and its digit at once; in a text they are tokens apart. The tops are compared by what they look at, not by how they find it.
# - {glue:text}`draws` sets allow no p below {glue:text}`p_both_on_pictures:.2f`; corrected for the comparisons of their table it is {glue:text}`p_least:.2f`.
#   More sets (`-p draws 200`) would say more.
# - Texts are asked about as in [](12_real_model), where this model is right too seldom to lose much.

# %% tags=["hide-input"]
accuracy = {k: t.groupby("set").correct.mean() for k, t in lost.items()}
cost = {
    f"{name.replace(' ', '_')}_on_{kind}": (kind, name)
    for kind in lost
    for name in order
}
p_values = {
    f"p_{name}_on_{kind}" + "_nats" * (column == "logprob"): p
    for (kind, name, column), p in spread.p.items()
    if np.isfinite(p)
}
LIKE = {
    "": "value, before - pictures",
    "_fact": "fact, before - pictures",
    "_after": "value, after - pictures",
    "_texts": "value, before - value, after",
}
publish(
    rows=[
        {"layer": layer, "head": head}
        | {n: of.score[layer, head] for n, of in scores.items()}
        for layer, head in np.ndindex(text.score.shape)
    ],
    numbers={
        "heads": size,
        "top_heads": top,
        "share": top_fraction,
        "more": more_fraction,
        "draws": draws,
        "samples": samples,
        "text_samples": text_samples,
        "guess": chance(test[0]).option,
        "guess_text": chance(test[1]).option,
        "accuracy": right["pictures"].accuracy,
        "accuracy_text": right["text, before"].accuracy,
        "accuracy_text_after": right["text, after"].accuracy,
        "control": other[other["set"] == "none"].correct.mean(),
        "half_pictures": half["pictures"],
        "half_text": half["value, before"],
        "best_pictures": best["pictures"],
        "best_text": best["value, before"],
        "ceiling": alike.loc["pictures, itself", "spearman"],
        "ceiling_shared": alike.loc["pictures, itself", "shared"],
        **{
            f"{name}{where}": alike.loc[pair, column]
            for where, pair in LIKE.items()
            for name, column in {
                "spearman": "spearman",
                "spearman_luck": "spearman_luck",
                "spearman_p": "spearman_adjusted",
                "shared": "shared",
                "shared_luck": "shared_luck",
                "shared_p": "shared_adjusted",
            }.items()
        },
        **{f"left_{k}": accuracy[at[0]][at[1]] for k, at in cost.items()},
        **{f"nats_{k}": table.nats[at] for k, at in cost.items()},
        "p_text_on_texts_accuracy": table.p_adjusted["texts", "text"],
        **{
            f"control_{name.replace(' ', '_')}": v
            for name, v in table.drop_control["pictures"].items()
            if name in order and np.isfinite(v)
        },
        **p_values,
        **{
            f"{name}{suffix}": runs.loc[run, column]
            for run, suffix in (
                ("adapters", "_before"),
                ("another seed", "_seed1"),
                ("frozen", "_frozen"),
            )
            for name, column in {
                "first_place": "place",
                "sees": "sees",
                "easy": "easy",
                "best": "best",
                "left_first": "without first",
                "left_top": "without top",
                "left_text": "without text's top",
                "shared": "shared",
                "shared_luck": "shared_luck",
                "shared_p": "shared_adjusted",
            }.items()
        },
        "p_least": spread.p_adjusted.min(),
        "median_like_text": spread["median"]["pictures", "text", "accuracy"],
        "low_like_text": spread.low["pictures", "text", "accuracy"],
        "low_like_both": spread.low["pictures", "both", "accuracy"],
    },
    inputs={
        "model": sees.provenance,
        "before": before.provenance,
        **{
            f"{name}, {split}": {"name": name, "sha256": samples_checksum(part)}
            for name, split, part in (
                ("scenes", "detection", seen),
                ("scenes", "evaluation", test[0]),
                ("haystacks", "detection", some),
                ("haystacks", "evaluation", test[1]),
            )
        },
    },
)
