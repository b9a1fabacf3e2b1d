# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From words to tokens
#
# **Claim.** Text needles have exact tokens too, by characters; but which of them a head attends to when it fetches an answer, the key, the
# value or what follows, must be looked at before a target is defined: training runs of one recipe differ in it. Then one can ask whether the heads that fetch words also fetch pictures.
#
# {cite:t}`wu2024retrieval` found a few *retrieval heads* in text-only language models. CoRe heads are their multimodal sisters. A model that answers the same
# questions about text and about pictures lets us compare the two families of heads in one skull.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
others: str = "tiny-internvl tiny-llava-onevision"  # other families to set beside {models, empty}
seeds: str = "tiny-qwen3-vl-seed1 tiny-qwen3-vl-seed2"  # other training runs to set beside {models, empty}
dataset: str = "haystacks"  # any with spans of text, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
detection_samples: int = 96  # samples that RAM is averaged over {2..100000, quick 24}
samples: int = 60  # samples on which accuracy is measured {2..100000, quick 12}
draws: int = 4  # random sets of heads, the control {1..10000, quick 3}
batch_size: int = 12  # prompts that run at once {1..1024}
seed: int = 0  # seeds the samples and the random heads {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %%
from dataclasses import replace
from importlib import metadata

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown

from corehead_lib import plots
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.datasets.evidence import chance, load_evidence, remarks
from corehead_lib.encode import encode, encode_all
from corehead_lib.evaluate import evaluate
from corehead_lib.explorer import explorer
from corehead_lib.heads import HeadScores, layer_matched_heads
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import load_model
from corehead_lib.ram import measure_ram
from corehead_lib.results import publish
from corehead_lib.samples import TextSpan
from corehead_lib.targets_compare import agreement, attention_maps, mass_on
from corehead_lib.targets_paper import END, START, boundary_tags

plots.use_style()
loaded = load_model(model, device, dtype)
detection = load_evidence(dataset, "detection", detection_samples, seed, (TextSpan,), data_dir)
evaluation = load_evidence(dataset, "evaluation", samples, seed, (TextSpan,), data_dir)
note = remarks(dataset, detection, detection_samples, "haystacks")
Markdown(note) if note else print(f"{len(detection)} texts; a model of {loaded.model.config.model_type}")

# %% [markdown]
# ## One needle
#
# A haystack is a text of filler with facts in it, such as "The red star holds 7."; the question asks for one digit. We know the needle by its
# *characters*. The tokenizer says which characters each token stands for, so that a span becomes exactly those tokens that hold a character of it,
# wherever the tokenizer cuts. A needle has parts: the *key* that the question names, the *value* that answers it, and the *separator*, the full stop.

# %%
PARTS = ("fact", "key", "value", "separator")
example = {
    part: load_samples("haystacks", "evaluation", 3, seed, facts=(3, 3), filler=(2, 2), part=part)[2]
    for part in PARTS
}
b = encode(loaded, [example["fact"]])
ids = b.inputs["input_ids"][0].tolist()
words = [loaded.processor.tokenizer.decode(i) for i in ids]
marked = {part: encode(loaded, [s]).targets()[0].cpu().numpy() for part, s in example.items()}
pd.DataFrame(
    {
        part: {
            "characters": f"{s.evidence[0].start} to {s.evidence[0].stop}",
            "text": repr(s.context[s.evidence[0].start : s.evidence[0].stop]),
            "positions": ", ".join(map(str, np.flatnonzero(marked[part]))),
            "tokens": " | ".join(words[i] for i in np.flatnonzero(marked[part])),
        }
        for part, s in example.items()
    }
).T

# %% mystnb={"figure": {"name": "fig-text-tokens", "caption": "A haystack token by token, with the parts of the needle that answers the question. Grey: the chat format."}, "image": {"alt": "A paragraph of small tiles with one token each. The tiles of one sentence are coloured: the words of its key in one colour, the digit in another, the full stop in a third."}}


def paragraph(axis, words, colours, inks=None, width=76):
    """Draw tokens as tiles, wrapped to ``width`` letters; one face colour for each."""
    x, y = 0, 0
    for i, (word, colour) in enumerate(zip(words, colours, strict=True)):
        shown = word.replace("\n", "↵").replace(" ", " ")
        x, y = (0, y - 1) if x + len(shown) > width else (x, y)
        axis.add_patch(plt.Rectangle((x, y), len(shown), 0.86, fc=colour, ec="#BBBBBB", lw=0.4))
        ink = plots.BLACK if inks is None else inks[i]
        axis.text(
            x + len(shown) / 2,
            y + 0.4,
            shown,
            ha="center",
            va="center",
            fontsize=7.5,
            family="monospace",
            color=ink,
        )
        x += len(shown)
    axis.set(xlim=(0, width), ylim=(y - 0.1, 1), xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)


context = b.context[0]
paint = ["#EEEEEE" if start == stop else "#FFFFFF" for start, stop in context]
tones = {"fact": "#FFF2CC", "key": plots.SKY, "value": plots.AMBER, "separator": plots.PINK}
for part in PARTS:
    paint = [tones[part] if inside else colour for inside, colour in zip(marked[part], paint, strict=True)]
figure, axis = plt.subplots(figsize=(9.5, 2.4))
paragraph(axis, words, paint)
_ = axis.set_title(
    f"{example['fact'].question} The needle is {marked['fact'].sum()} of {len(words)} tokens", fontsize=11
)

# %% [markdown]
# ## Where does the mass go?
#
# Before we choose a target we look: for the last prompt token, how much attention goes to each part of the right needle, to the other
# sentences, to the question, and to everything else (the chat format, where sinks live)?

# %%
by_part = {"fact": detection}
if dataset == "haystacks":
    by_part = {part: load_samples(dataset, "detection", detection_samples, seed, part=part) for part in PARTS}
encoded = {part: encode_all(loaded, some, batch_size) for part, some in by_part.items()}
columns, found = [*by_part, "other sentences", "question"], []
for group in zip(*encoded.values(), strict=True):
    parts = [g.targets() for g in group]
    text = group[0].source & ~group[0].visual
    masks = torch.stack([*parts, text & ~parts[0], group[0].question])
    found.append(mass_on(loaded, group[0], masks, group[0].last))
where = dict(zip(columns, np.concatenate(found, axis=1).mean(1), strict=True))  # name: (layers, heads)
definitions = {part: HeadScores(where[part]) for part in by_part}
leaders = {part: d.ranking()[0] for part, d in definitions.items()}
pd.DataFrame(
    {
        f"highest on {part}: L{h.layer} H{h.head}": {c: where[c][h] for c in columns}
        for part, h in leaders.items()
    }
).round(3)

# %% mystnb={"figure": {"name": "fig-text-parts", "caption": "Where the last prompt token looks: attention on each part of the right needle, for the heads that give most to the needle as a whole. The rest of the needle is its other words."}, "image": {"alt": "Stacked bars, one for each of the top heads, with pieces for key, value, separator and the rest of the needle, other sentences and the question."}}
top = definitions["fact"].top(top_fraction)
if len(by_part) > 1:
    stack = {p: where[p] for p in ("key", "value", "separator")}
    stack = {"key": where["key"], "value": where["value"], "separator": where["separator"]}
    stack["rest of the needle"] = where["fact"] - sum(stack.values())
else:
    stack = {"needle": where["fact"]}
stack |= {c: where[c] for c in ("other sentences", "question")}
figure, axis = plt.subplots(figsize=(8, 3.6))
low = np.zeros(len(top))
for (name, mass), colour in zip(
    stack.items(), (plots.SKY, plots.AMBER, plots.PINK, "#FFF2CC", "#BBBBBB", plots.BLACK), strict=False
):
    height = np.array([max(mass[h], 0) for h in top])
    axis.bar(range(len(top)), height, bottom=low, color=colour, label=name, ec="white", lw=0.5)
    low += height
axis.set(
    xticks=range(len(top)),
    xticklabels=[f"L{h.layer} H{h.head}" for h in top],
    ylabel="attention",
    ylim=(0, 1.02),
)
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
shares = {name: float(np.mean([stack[name][h] for h in top])) for name in stack}
inside = [name for name in stack if name not in ("other sentences", "question")]
most = max(inside, key=shares.get)
_ = axis.set_title(
    f"Of the needle, the top {len(top)} heads look most at the {most}: {shares[most]:.2f}", fontsize=11
)

# %% [markdown]
# ## Which definition finds the heads that matter?
#
# Each part makes its own ranking. We silence the top heads of each ({term}`zero ablation`) and ask the model again. Controls: as many random heads *of the
# same layers*, and the lowest by the whole needle. For {cite:t}`wu2024retrieval` a head scores each time the token that it looks at *most*, over the whole text,
# is the one to be copied; here that is the value, so their score comes for free.

# %%
if "value" in encoded:
    hits = []
    for group in encoded["value"]:
        maps = attention_maps(loaded, group, group.last)  # (tokens, batch, layers, heads)
        hit = torch.from_numpy(maps.argmax(0))  # (batch, layers, heads), the place that gets most
        target = group.targets().cpu()
        hits.append(np.stack([target[i][hit[i]].numpy() for i in range(len(hit))]))
    definitions["copied (Wu et al.)"] = HeadScores(np.concatenate(hits).mean(0))

asked = encode_all(loaded, evaluation, batch_size)


def accuracy_without(one, heads, batches):
    with ZeroAblation(heads)(one.model):
        return evaluate(one, batches, progress=False).accuracy


dense = evaluate(loaded, asked, progress=False).accuracy
rng = np.random.default_rng(seed)
chosen = {name: d.top(top_fraction) for name, d in definitions.items()}
off = {name: accuracy_without(loaded, heads, asked) for name, heads in chosen.items()}
off["lowest"] = accuracy_without(loaded, definitions["fact"].bottom(top_fraction), asked)
drawn = [layer_matched_heads(chosen["fact"], loaded.backbone.heads, rng) for _ in range(draws)]
controls = [accuracy_without(loaded, heads, asked) for heads in drawn]
pd.DataFrame(
    {
        name: {
            "accuracy without its top heads": off[name],
            "top shared with the needle's": len({*chosen[name]} & {*top}) / len(top),
            "Spearman with the needle's": agreement(
                definitions["fact"].score, definitions[name].score, top_fraction
            )[0],
        }
        for name in definitions
    }
).T.round(2)

# %% mystnb={"figure": {"name": "fig-text-ablation", "caption": "Accuracy on held-out texts without the top heads of each definition. Controls: the lowest heads, and random heads of the same layers. Dashed: all heads; dotted: guessing."}, "image": {"alt": "Points for each definition of the target, with a line for all heads above and a line for guessing below; the last strips are the controls."}}
figure, axis = plt.subplots(figsize=(9, 3.6))
guess = chance(evaluation)
strips = {name.replace(" (", "\n("): [value] for name, value in off.items()} | {
    "random,\nsame layers": controls
}
for place, values in enumerate(strips.values()):
    axis.plot(
        [place] * len(values),
        values,
        "o",
        color=plots.BLUE if place >= len(definitions) else plots.RED,
        ms=9,
        alpha=0.7,
    )
axis.axhline(dense, color=plots.BLACK, lw=1, ls="--")
axis.axhline(guess, color=plots.BLACK, lw=1, ls=":")
axis.set_xticks(range(len(strips)), list(strips))
axis.set(ylim=(-0.03, 1.05), ylabel="accuracy")
sharpest = min(definitions, key=off.get)
_ = axis.set_title(
    f"Accuracy {dense:.2f}; without the top {len(top)} by the {sharpest} {off[sharpest]:.2f}, without random ones {np.median(controls):.2f} (median)",
    fontsize=11,
)

# %%
Markdown(
    f"With all heads the model is right in {dense:.2f} of the cases (guessing: {guess:.2f}). "
    + ", ".join(f"{off[name]:.2f} without the top {len(top)} by the {name}" for name in definitions)
    + f"; {off['lowest']:.2f} without the lowest, {np.median(controls):.2f} in the median of {draws} random draws from the same layers. "
    f"Most of the top heads' attention inside the needle goes to the **{most}** ({shares[most]:.2f}). A definition that leaves this part out can rank "
    f"the wrong heads first, and its RAM would not say so; the ablation does."
)

# %% [markdown]
# ## Where heads look
#
# The same text as before, as the best head by the whole needle sees it from the last prompt token, the best head over the question's tokens, and the lowest.

# %%
question_ram = measure_ram(loaded, encoded["fact"], "question", progress=False).ram
best, bottom = definitions["fact"].ranking()[0], definitions["fact"].ranking()[-1]
best_question = HeadScores(question_ram).ranking()[0]
maps = {rows: attention_maps(loaded, b, getattr(b, rows))[:, 0] for rows in ("last", "question")}

# %% mystnb={"figure": {"name": "fig-text-heads", "caption": "Attention of three heads over the text, token by token; dark tokens get most, each panel scaled to its own maximum. The number is the mass on the needle."}, "image": {"alt": "Three copies of the same paragraph of tiles; in the first the dark tiles lie in the needle, in the others elsewhere or spread out."}}
figure, axes = plt.subplots(3, 1, figsize=(9.5, 6.6))
lines = [
    ("highest RAM", best, "last"),
    ("highest over the question", best_question, "question"),
    ("lowest RAM", bottom, "last"),
]
landed = []
for axis, (title, head, rows) in zip(axes, lines, strict=True):
    weight = maps[rows][:, head.layer, head.head]
    landed.append(float(weight[marked["fact"]].sum()))
    share = weight / weight.max()
    paragraph(
        axis, words, [plt.cm.Blues(0.9 * s) for s in share], ["white" if s > 0.6 else "black" for s in share]
    )
    axis.set_title(
        f"{title}: layer {head.layer}, head {head.head}, {landed[-1]:.2f} on the needle", fontsize=10
    )
_ = figure.suptitle(
    f"{example['fact'].question} On the needle: " + ", ".join(f"{m:.2f}" for m in landed), fontweight="bold"
)

# %% [markdown]
# ## Searching instead of asking
#
# The paper writes tags around the needle and scans for them; another habit is to tokenize the needle alone and search for its tokens. Both are compared with
# the offsets. A tag changes what it touches: tokens merge or split at its edges, and everything behind it moves.

# %%
tokenizer = loaded.processor.tokenizer
start_tag, end_tag = (tokenizer(tag)["input_ids"] for tag in (START, END))


def tagged_text(sample):
    """Tags around the needle; the evidence moves along."""
    span, c = sample.evidence[0], sample.context
    context = c[: span.start] + START + c[span.start : span.stop] + END + c[span.stop :]
    return replace(
        sample, context=context, evidence=(TextSpan(span.start + len(START), span.stop + len(START)),)
    )


def searched(ids, sample):
    """Places of the needle, tokenized alone and searched for; none if its tokens do not occur."""
    span = sample.evidence[0]
    needle = tokenizer(sample.context[span.start : span.stop], add_special_tokens=False)["input_ids"]
    hits = [i for i in range(len(ids) - len(needle) + 1) if ids[i : i + len(needle)] == needle]
    return np.arange(hits[0], hits[0] + len(needle)) if hits else np.arange(0)


plain_rows = {"tags, in the tagged prompt": [], "tags, in the plain prompt": [], "search for the needle": []}
for s in detection[: 4 * batch_size]:
    one, tag = encode(loaded, [s]), encode(loaded, [tagged_text(s)])
    there = boundary_tags(tag.inputs["input_ids"][0].cpu().numpy(), start_tag, end_tag)
    for name, run, places in (
        ("tags, in the tagged prompt", tag, there),
        ("tags, in the plain prompt", one, there),
        ("search for the needle", one, searched(one.inputs["input_ids"][0].tolist(), s)),
    ):
        exact = set(run.targets()[0].nonzero().flatten().tolist())
        taken = set(places.tolist())
        plain_rows[name].append(
            (1 - len(taken & exact) / len(taken) if taken else 1.0, 1 - len(taken & exact) / len(exact))
        )
text_ways = pd.DataFrame(
    {n: dict(zip(("wrong", "missed"), np.mean(r, axis=0), strict=True)) for n, r in plain_rows.items()}
).T
text_ways.round(2)

# %%
tagged_batches = encode_all(loaded, [tagged_text(s) for s in evaluation], batch_size)
with_tags = evaluate(loaded, tagged_batches, progress=False).accuracy
Markdown(
    f"Against the offsets, tags miss {text_ways.loc['tags, in the tagged prompt', 'missed']:.0%} of the needle's tokens on the tagged prompt and "
    f"{text_ways.loc['tags, in the plain prompt', 'missed']:.0%} on the plain one; the search misses {text_ways.loc['search for the needle', 'missed']:.0%}, "
    f"where a word is one token at the start of a text and another behind a space. The model reads the tags, too: with them around the needle its accuracy is {with_tags:.2f} instead of {dense:.2f}."
)

# %% [markdown]
# ## Do the same heads fetch words and pixels?
#
# We rank heads twice, by text needles and by boxes in scenes, both at the last prompt token, and silence each set on both kinds of question.


# %%
def bridge(one):
    """Agreement of the two rankings, and accuracy on text and scenes with each set of heads off."""
    kinds = {"text": (detection, evaluation)}
    kinds["scenes"] = tuple(
        load_samples("scenes", split, n, seed)
        for split, n in (("detection", detection_samples), ("evaluation", samples))
    )
    ranked = {
        k: HeadScores(measure_ram(one, encode_all(one, d, batch_size), "last", progress=False).ram)
        for k, (d, _) in kinds.items()
    }
    tests = {k: encode_all(one, e, batch_size) for k, (_, e) in kinds.items()}
    sets = {f"top by {k}": r.top(top_fraction) for k, r in ranked.items()}
    sets = (
        {"none": []}
        | sets
        | {
            "random, same layers": layer_matched_heads(
                sets["top by text"], one.backbone.heads, np.random.default_rng(seed)
            )
        }
    )
    rho, shared = agreement(ranked["text"].score, ranked["scenes"].score, top_fraction)
    rows = [
        {
            "family": one.model.config.model_type,
            "silenced": name,
            **{k: accuracy_without(one, heads, t) for k, t in tests.items()},
        }
        for name, heads in sets.items()
    ]
    return {"spearman": rho, "shared": shared}, rows


families = [loaded, *(load_model(name, device, dtype) for name in others.split())]
bridged = {one.model.config.model_type: bridge(one) for one in families}
cross = pd.DataFrame([row for _, rows in bridged.values() for row in rows])
cross.set_index(["family", "silenced"]).round(2)

# %% mystnb={"figure": {"name": "fig-text-bridge", "caption": "Cross-ablation: accuracy on text (circles) and on scenes (squares), with the top heads by text or by scenes switched off, and with random heads of the same layers as the text's. One panel for each family."}, "image": {"alt": "A panel for each model family. For each set of silenced heads a circle and a square show accuracy on text and on scenes."}}
figure, axes = plt.subplots(
    1, len(families), figsize=(3.3 * len(families) + 1.2, 3.5), squeeze=False, sharey=True
)
for axis, (name, (stats, rows)) in zip(axes[0], bridged.items(), strict=True):
    for kind, marker, colour in (("text", "o", plots.RED), ("scenes", "s", plots.BLUE)):
        axis.plot([r[kind] for r in rows], marker, color=colour, ms=9, label=kind)
    axis.set_xticks(
        range(len(rows)),
        [r["silenced"].replace(", ", ",\n").replace("by ", "by\n") for r in rows],
        fontsize=9,
    )
    axis.set(ylim=(-0.03, 1.05), xlim=(-0.5, len(rows) - 0.5))
    axis.set_title(f"{name}\n{stats['shared']:.0%} of the top shared", fontsize=10)
axes[0, 0].set_ylabel("accuracy")
axes[0, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
own, mine = bridged[loaded.model.config.model_type]
byset = {r["silenced"]: r for r in mine}
_ = figure.suptitle(
    f"Heads found on scenes, silenced: text {byset['none']['text']:.2f} to {byset['top by scenes']['text']:.2f}",
    fontweight="bold",
)

# %%
Markdown(
    f"In {loaded.model.config.model_type} the two rankings share **{own['shared']:.0%}** of their top {len(top)} heads (Spearman {own['spearman']:.2f}). Silencing the "
    f"top heads by scenes takes scenes from {byset['none']['scenes']:.2f} to {byset['top by scenes']['scenes']:.2f} and text from {byset['none']['text']:.2f} to "
    f"{byset['top by scenes']['text']:.2f}; those by text take text to {byset['top by text']['text']:.2f} and scenes to {byset['top by text']['scenes']:.2f}. "
    f"Random heads of the same layers leave {byset['random, same layers']['text']:.2f} and {byset['random, same layers']['scenes']:.2f}. Overlap of two lists and overlap of two functions "
    f"are different things: the lists depend on where we put the target, the ablations do not."
)

# %% [markdown]
# ## Another training run, another habit
#
# In a causal model everything behind the needle may know what the needle says. So the mass may land behind it, too. Each model below was
# trained anew by the same recipe. Two targets are tried on each: the needle, and the *sentence behind it*, which says nothing of the answer.


# %%
def sentence_behind(sample):
    """The same sample with the sentence behind the needle as its evidence; None if there is none."""
    start = sample.evidence[0].stop
    stop = sample.context.find(".", start) + 1
    return replace(sample, evidence=(TextSpan(start, stop),)) if stop else None


followed = [(s, behind) for s in detection if (behind := sentence_behind(s))]
scenes = load_samples("scenes", "detection", detection_samples, seed)
runs = [loaded, *(load_model(name, device, dtype) for name in seeds.split())]
habits = []
for one in runs:
    asked_of = encode_all(one, evaluation, batch_size)
    habits.append(
        {"model": one.name, "top by": "(all heads)", "accuracy": accuracy_without(one, [], asked_of)}
    )
    aims = {"needle": [s for s, _ in followed], "sentence behind": [b for _, b in followed], "scenes": scenes}
    for aim, aimed in aims.items():
        ranked = HeadScores(measure_ram(one, encode_all(one, aimed, batch_size), "last", progress=False).ram)
        habits.append(
            {
                "model": one.name,
                "top by": aim,
                "best RAM": float(ranked.score.max()),
                "accuracy": accuracy_without(one, ranked.top(top_fraction), asked_of),
            }
        )
habits = pd.DataFrame(habits)
habits.set_index(["model", "top by"]).round(2)

# %% mystnb={"figure": {"name": "fig-text-habits", "caption": "Accuracy on held-out texts without the top heads by three targets: the needle, the sentence behind it, and the evidence in scenes. Dashed: all heads; dotted: guessing. The number over a point is the RAM of the best head on that target."}, "image": {"alt": "One panel to a training run. In each, three points say how much accuracy is left without the top heads by needle, by the sentence behind, and by scenes; which of them is lowest differs between the panels."}}
figure, axes = plt.subplots(1, len(runs), figsize=(2.6 * len(runs) + 1, 3.3), sharey=True, squeeze=False)
worst = {}
for axis, one in zip(axes[0], runs, strict=True):
    part = habits[habits["model"] == one.name].set_index("top by")
    axis.axhline(part.accuracy["(all heads)"], color=plots.BLACK, lw=1, ls="--")
    axis.axhline(guess, color=plots.BLACK, lw=1, ls=":")
    part = part.drop("(all heads)")
    axis.plot(range(len(part)), part.accuracy, "o", color=plots.RED, ms=9)
    for place, (accuracy, best_ram) in enumerate(zip(part.accuracy, part["best RAM"], strict=True)):
        axis.annotate(
            f"{best_ram:.2f}", (place, accuracy), (0, 7), textcoords="offset points", ha="center", fontsize=8
        )
    axis.set_xticks(range(len(part)), [name.replace(" ", "\n") for name in part.index])
    axis.set(xlim=(-0.5, len(part) - 0.5), ylim=(-0.03, 1.12))
    axis.set_title(one.name, fontsize=10)
    texts_only = part.accuracy.drop("scenes")
    worst[one.name] = "nothing" if texts_only.min() > (dense + guess) / 2 else texts_only.idxmin()
axes[0, 0].set_ylabel("accuracy")
_ = figure.suptitle("Needed heads look at: " + ", ".join(worst.values()), fontweight="bold")

# %%
Markdown(
    "Of the two targets in the text, the one whose top heads are needed most is "
    + "; ".join(f"the **{aim}** in {name}" for name, aim in worst.items())
    + ". (“nothing”: neither takes accuracy half-way to guessing.) A ranking by a target where no needed head looks is no warning of itself: it has "
    "a first place like any other. Its RAM, close to what even attention would give, and the ablation are."
)

# %% [markdown]
# ## Exercises
#
# ```{exercise-start} Depth
# :label: ex-text-depth
# ```
#
# Difficulty: 2/5. Needle-in-a-haystack tests vary the depth of the needle. Does the best head's RAM depend on it? Split the detection set into three thirds.
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-text-depth
# :class: dropdown
# ```

# %%
single = measure_ram(loaded, encoded["fact"], "last", progress=False).target[:, best.layer, best.head]
depth = np.array([s.evidence[0].start / len(s.context) for s in by_part["fact"]])
for name, low, high in (("first third", 0, 1 / 3), ("middle", 1 / 3, 2 / 3), ("last third", 2 / 3, 1.01)):
    some = (low <= depth) & (depth < high)
    print(f"{name}: {some.sum()} needles, RAM {single[some].mean() if some.any() else 0:.2f}")

# %% [markdown]
# If the thirds differ, a ranking made on one depth need not hold for another: draw the depth at random, as we do.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Real prose
# :label: ex-text-real
# ```
#
# Difficulty: 3/5. Hide the needles in real text: put the evaluation questions' facts between sentences of the project's licence (Apache-2.0). What are accuracy and the
# best head's RAM, and why?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-text-real
# :class: dropdown
# ```

# %%
licence = metadata.distribution("corehead_lib").read_text("licenses/LICENSE")
sentences = [" ".join(s.split()) + ". " for s in licence.split("1. Definitions.")[1].split(".")[1:9]]


def in_licence(sample, number):
    """The sample's needle alone, between sentences of the licence."""
    span = sample.evidence[0]
    before = "".join(sentences[: number % 4 + 1])
    fact = sample.context[span.start : span.stop]
    return replace(
        sample,
        context=before + fact + " " + sentences[5] + "\n",
        evidence=(TextSpan(len(before), len(before) + len(fact)),),
    )


real = encode_all(loaded, [in_licence(s, i) for i, s in enumerate(evaluation[:24])], 4)
in_real = measure_ram(loaded, real, "last", progress=False).ram[best]
print(f"accuracy {evaluate(loaded, real, progress=False).accuracy:.2f}, RAM of the best head {in_real:.2f}")

# %% [markdown]
# Offsets work on any text. The tiny model has never seen such words, and its tokenizer cuts them into single letters, so that these texts are longer
# than any in its training. What is lost here is the model, not the target.
#
# ```{solution-end}
# ```
#
# ## Look for yourself
#
# Choose a head, or slide along the ranking from the first to the last. The frame is the {term}`target`; dark places get little attention.

# %%
explorer(loaded, [example["fact"]], definitions["fact"])

# %% [markdown]
# ## Limits
#
# Every needle has one form, and the answer is one token. Retrieval heads of large models copy long spans, token by token, and are measured while they write; we
# read one token, before the answer. That the same heads serve text and scenes in a tiny model that was trained to answer both in the same words, with a price
# on looking, says little about a large one that learned text first. Three seeds, one model of each other family.
#
# ## Where to go from here
#
# - Pixels: [](02_targets_image), [](03_targets_document), [](04_targets_video)
# - Retrieval heads of language models: {cite:t}`wu2024retrieval`, {cite:t}`zhang2025qrhead`
# - The same question for large multimodal models: {cite:t}`li2026mmretheads`, {cite:t}`park2026vrh`
# - Ablation done with care: [](08_ablation)

# %%
publish(
    rows=[{"part": "definitions", "definition": name, "accuracy": off[name]} for name in off]
    + [{"part": "definitions", "definition": "random, same layers", "accuracy": a} for a in controls]
    + [{"part": "bridge", **row} for row in cross.to_dict("records")]
    + [{"part": "habits", **row} for row in habits.dropna().to_dict("records")],
    numbers={
        "accuracy_all": dense,
        "chance": guess,
        "random_median": float(np.median(controls)),
        "accuracy_tagged": with_tags,
        **{f"without_{name.split(' ')[0]}": a for name, a in off.items()},
        **{f"share_{name.replace(' ', '_')}": v for name, v in shares.items()},
        **{
            f"{way.replace(', ', '_').replace(' ', '_')}_missed": float(text_ways.loc[way, "missed"])
            for way in text_ways.index
        },
        **{f"spearman_{name}": stats["spearman"] for name, (stats, _) in bridged.items()},
        **{f"shared_{name}": stats["shared"] for name, (stats, _) in bridged.items()},
        **{
            f"{k}_without_{n.replace(', ', '_').replace(' ', '_')}": r[k]
            for n, r in byset.items()
            for k in ("text", "scenes")
        },
        "example_mass_best": landed[0],
        "example_mass_question": landed[1],
        "example_mass_bottom": landed[2],
    },
    inputs={
        "model": loaded.provenance,
        **{f"other_{i}": one.provenance for i, one in enumerate(families[1:] + runs[1:], 1)},
        "data": {"name": dataset, "split": "detection", "sha256": samples_checksum(detection)},
        "evaluation": {"name": dataset, "split": "evaluation", "sha256": samples_checksum(evaluation)},
    },
)
