# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From pages to tokens
#
# In a document, evidence can be an entry, its block or its whole page, and each has its own exact set of tokens.
#
# **What came out.** For the same questions, even attention scores {glue:text}`even_entry:.2f` on the entry and {glue:text}`even_page:.2f`
# on its page: a larger target collects more just by being larger, so raw scores of targets that differ in size cannot be compared.
# The tiny model's best head hardly cares: {glue:text}`best_ram_entry:.2f` and {glue:text}`best_ram_page:.2f`. Among 40 pages
# the entry still gets {glue:text}`ram_40_pages:.2f` of its attention; pages of other documents in the same prompt get {glue:text}`others_best:.2f`.
#
# ```{glue:figure} fig_document_levels
# :name: fig-document-levels
# :alt: Three columns with the same two small pages under a grid of nine cells each. On one page one cell is filled in the first column, several cells of one row in the second, the whole page in the third; on the other page none.
#
# One question, three targets: entry, block, page. Filled: target tokens.
# ```
#
# A document is many pictures in one prompt, and all of [](02_targets_image) holds for each page.
# Three questions are new: *which page* a token belongs to, *how much* of the page is evidence, and what a score is worth when targets differ in size.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
dataset: str = "documents"  # any with pages or boxes, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
detection_samples: int = 60  # samples that RAM is averaged over {2..100000, quick 24}
pages: int = 8  # pages of one of its documents that are shown, at most {1..100000}
max_pixels: int = 0  # shrink larger pages to so many pixels; 0: as they are {0..}
samples: int = 12  # documents of each length, and of each comparison {2..100000, quick 6}
batch_size: int = 12  # prompts that run at once {1..1024}
seed: int = 0  # seeds the samples {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %% tags=["hide-input"]
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown

from corehead_lib import plots
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.datasets.evidence import at_most, load_evidence, remarks
from corehead_lib.encode import encode, encode_all
from corehead_lib.heads import HeadScores
from corehead_lib.models import load_model
from corehead_lib.ram import measure_ram
from corehead_lib.results import keep, publish
from corehead_lib.samples import Box, Pages

plots.use_style()
loaded = load_model(model, device, dtype)

# %% [markdown]
# ## One document
#
# Our pages have a coloured heading with the page's number, and below it rows of shapes, words and bars with their digits. A question
# asks for one digit. The digit is in one *entry*; the entry is in a *block*, a row that belongs together; the block is on a *page*.
#
# All three are fair answers to "where is the evidence?". The paper, which works with MMDocIR {cite:p}`sun2026core`, marks whole pages.

# %%
LEVELS = ("entry", "block", "page")
bar = {
    level: load_samples(
        "documents", "evaluation", 1, seed, ("bar",), pages=(2, 2), level=level
    )[0]
    for level in LEVELS
}

# %% [markdown]
# The cell table of the prompt says for each visual token which item it shows, and where. Evidence and table together give the
# target, with the same call for every level:

# %%
from corehead_lib.targets import target_cells

cells = encode(loaded, [bar["entry"]]).cells[0]
taken = {level: target_cells(bar[level].evidence, cells) for level in LEVELS}
table = pd.DataFrame({"item": cells.item, "place": cells.position, **taken})
table.groupby("item").agg(
    tokens=("place", "size"), first=("place", "min"), last=("place", "max"),
    **{level: (level, "sum") for level in LEVELS},
)  # fmt: skip

# %% [markdown]
# `first` and `last` are places in the sequence. Between the pages are markers, which belong to no page and are never a target.

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(2, 3, figsize=(7, 4.6))
for column, level in zip(axes.T, LEVELS, strict=True):
    plots.strip(column, bar[level], cells, taken=taken[level])
    column[0].set_title(f"{level}: {taken[level].sum()} of {len(cells)} tokens")
for number, line in enumerate(axes):
    line[0].set_ylabel(f"page {number + 1}")
figure.suptitle(bar["entry"].question)
keep("fig_document_levels", figure)

# %% [markdown]
# ## Your documents, or ours
#
# Only this section uses `dataset`; all others use generated documents. It ranks the heads that the rest of the chapter follows.
#
# Real pages are large: one of 1700 x 2200 pixels can take thousands of tokens. So `pages` limits how many pages of a document are shown, `max_pixels`
# shrinks them, and we count tokens before anything runs. A prompt that is longer than the model's context is refused and named.

# %%
from corehead_lib.tokens import fitting

detection = load_evidence(
    dataset, "detection", detection_samples, seed, (Box, Pages), data_dir,
    **at_most(dataset, pages=pages),
)  # fmt: skip
room = fitting(loaded, detection, max_pixels)
print(room)

# %% tags=["hide-input"]
note = remarks(dataset, room.samples, detection_samples, "documents")
Markdown(note) if note else print(f"{len(room.samples)} generated documents")

# %% [markdown]
# RAM is measured as it is everywhere in the book ([](01_ram_definition)), here at the last prompt token and over the tokens of the question.

# %%
batches = encode_all(loaded, room.samples, batch_size, max_pixels=max_pixels)
given = measure_ram(loaded, batches, ("last", "question"))
scores = HeadScores(given["last"].ram)
core, ranking = scores.top(top_fraction), scores.ranking()
best, lowest = ranking[0], ranking[-1]
pd.DataFrame(
    {"RAM": [given["last"].ram[h] for h in (*core, lowest)]},
    index=[h.name for h in (*core, lowest)],
).round(3)

# %% [markdown]
# The last line is the control, the lowest head of the model.
# Over the question's own tokens the best head has a RAM of {glue:text}`question_best:.2f`: most of those words come before the name of what is asked for
# or say nothing of it ([](01_ram_definition)).
#
# ## A larger target collects more
#
# The same questions three times, with evidence at each level. A head that spreads its attention evenly over all visual tokens scores the *share* of them that
# is target. {term}`Lift` divides RAM by that share, sample by sample: 1 is what such a head gets.


# %%
def at(level):
    """RAM on generated documents of 2 to 8 pages, with evidence of a level."""
    some = load_samples(
        "documents", "detection", detection_samples, seed, level=level
    )
    return measure_ram(loaded, encode_all(loaded, some, batch_size), "last")


ram = {level: at(level) for level in LEVELS}


# %%
def row(scored):
    same = {*HeadScores(scored.ram).top(top_fraction)} & {*core}
    return {
        "even attention": scored.share.mean(),
        "best head, RAM": scored.ram[best],
        "best head, lift": scored.lift[best],
        "median, RAM": np.median(scored.ram),
        "median, lift": np.median(scored.lift),
        "top heads kept": len(same) / len(core),
    }


# %%
levels = pd.DataFrame({level: row(scored) for level, scored in ram.items()})
levels.round(3)

# %% tags=["hide-input", "remove-output"]
figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.6))
spread = np.random.default_rng(0).uniform(-0.25, 0.25, scores.score.shape)
first = np.isin(
    np.arange(spread.size), [h.layer * spread.shape[1] + h.head for h in core]
)
for place, scored in enumerate(ram.values()):
    for axis, value, even in zip(
        panels, (scored.ram, scored.lift), (scored.share.mean(), 1), strict=True
    ):
        for some, colour in ((~first, plots.SKY), (first, plots.RED)):
            axis.plot(
                place + spread.ravel()[some],
                value.ravel()[some],
                "o",
                color=colour,
                ms=4,
            )
        axis.hlines(
            even, place - 0.4, place + 0.4, color=plots.BLACK, ls="--", lw=1.5
        )
panels[0].set(
    title="RAM grows with the target,\neven if nothing aims",
    ylabel="RAM",
    ylim=(-0.03, 1.03),
)
panels[1].set(
    title="Lift: 1 if nothing aims,\nwhatever the size",
    ylabel="lift",
    yscale="symlog",
)
for axis in panels:
    axis.set_xticks(range(3), LEVELS)
keep("fig_document_size", figure)

# %% [markdown]
# ```{glue:figure} fig_document_size
# :name: fig-document-size
# :alt: Two groups of vertical strips of points, a strip for each level. Left, the dashed line of even attention rises from entry to page; right, it stays at one for every level, and the points come down.
#
# Every head by level of evidence; red: top heads. Dashed: even attention.
# ```
#
# From entry to page, the score of even attention grows by a factor of {glue:text}`even_factor:.1f`; the best head's lift falls from
# {glue:text}`best_lift_entry:.0f` to {glue:text}`best_lift_page:.1f`, although it looks at the same place.
# A threshold on raw RAM means nothing without the size of the target.
#
# Lift alone will not do either. It asks where *among* the visual tokens a head looks, however little it looks at them: the median head's lift on the
# entry is {glue:text}`median_lift_entry:.1f`, with a RAM of {glue:text}`median_ram_entry:.3f`. Read both.
#
# Does another level pick other heads? Of the top heads above, {glue:text}`kept_page:.0%` are also at the top by page: here the level changes the values,
# but hardly the heads.
#
# ## Several pages, and pages of others
#
# `Pages` takes any number of pages, and their tokens are one target. So we can ask how far a head strays.
# Each document of three pages now stands between two pages of a second document and two of a third, none of which has the entry that is asked for.
# `among_others` moves the evidence along with its page.

# %%
from corehead_lib.worlds.documents import among_others

own = load_samples("documents", "evaluation", 5 * samples, seed, pages=(3, 3))
rng = np.random.default_rng(seed)
mixed = [among_others(sample, rng, pages=2) for sample in own]

# %% [markdown]
# Four targets in the same prompts, three nested in one another and the other documents beside them:

# %%
AREAS = {
    "entry": lambda sample: sample.evidence,
    "its page": lambda sample: (Pages((sample.evidence[0].item,)),),
    "its document": lambda sample: (Pages((2, 3, 4)),),
    "other documents": lambda sample: (Pages((0, 1, 5, 6)),),
}


# %%
def on(area):
    """RAM, with one of the areas in the place of the evidence."""
    some = [replace(s, evidence=AREAS[area](s)) for s in mixed]
    return measure_ram(loaded, encode_all(loaded, some, batch_size), "last")


away = {area: on(area) for area in AREAS}
three = {"best head": best, "lowest head": lowest}
areas = {n: {a: r.ram[h] for a, r in away.items()} for n, h in three.items()}
areas["even attention"] = {a: r.share.mean() for a, r in away.items()}
pd.DataFrame(areas).round(3)

# %% [markdown]
# The best head gives {glue:text}`others_best:.3f` to the other documents, where even attention would give {glue:text}`others_even:.2f`.
# Of the {glue:text}`own_best:.2f` that it gives to the right document, almost all is on the entry: {glue:text}`own_entry:.2f`. The lowest head,
# the control, gives next to nothing to any of them.
#
# Do the answers suffer? A guess is the best constant answer, or a random one of the digits on the pages; the higher accuracy of the two is the line to beat.

# %%
from corehead_lib.chance import chance
from corehead_lib.evaluate import evaluate

answers = {
    name: (
        evaluate(loaded, encode_all(loaded, some, batch_size)).accuracy,
        chance(some).line,
    )
    for name, some in {"alone": own, "among others": mixed}.items()
}
pd.DataFrame(answers, index=["accuracy", "chance"]).round(2)

# %% [markdown]
# Hardly: {glue:text}`accuracy_alone:.2f` alone and {glue:text}`accuracy_among_others:.2f` among others, far above chance ({glue:text}`chance_alone:.2f` and {glue:text}`chance_among_others:.2f`).
#
# ## From 2 to 40 pages
#
# Even attention falls as one over the number of pages. Does that of our heads, which were ranked on documents of a few pages?

# %%
from corehead_lib.stats import proportion_interval


def of_length(number):
    """Attention and answers in documents of so many pages."""
    some = load_samples(
        "documents", "evaluation", samples, seed, pages=(number, number)
    )
    made = encode_all(loaded, some, 3)
    scored, right = measure_ram(loaded, made, "last"), evaluate(loaded, made)
    low = proportion_interval(right.correct)[0]
    return number, scored, right.accuracy, low, chance(some).line


# %%
LENGTHS = (2, 4, 8, 16, 40)
lengths = pd.DataFrame(
    {
        "pages": n, "accuracy": right, "at least": low, "chance": line,
        "best head": scored.ram[best], "lowest head": scored.ram[lowest],
        "top heads": np.mean([scored.ram[head] for head in core]),
        "even attention": scored.share.mean(),
    } for n, scored, right, low, line in map(of_length, LENGTHS)
).set_index("pages")  # fmt: skip
lengths.round(3)

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=(7, 3.7))
drawn = {
    "accuracy": (plots.BLACK, "-"),
    "chance": (plots.BLACK, ":"),
    "best head": (plots.RED, "-"),
    "top heads": (plots.AMBER, "-"),
    "even attention": (plots.BLUE, "--"),
    "lowest head": (plots.SKY, "-"),
}
for name, (colour, style) in drawn.items():
    axis.plot(
        lengths.index,
        lengths[name],
        style,
        marker="o",
        color=colour,
        label=name,
    )
axis.set(
    xscale="log",
    xlabel="pages",
    ylabel="accuracy, or RAM on the entry",
    ylim=(-0.03, 1.05),
)
axis.set_xticks(LENGTHS, map(str, LENGTHS))
axis.minorticks_off()
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
axis.set_title("The best head still finds the entry among 40 pages")
keep("fig_document_length", figure)

# %% [markdown]
# ```{glue:figure} fig_document_length
# :name: fig-document-length
# :alt: Lines against the number of pages on a logarithmic axis. Accuracy stays at one, the best head's RAM falls from 0.95 to 0.54, the mean of the top heads from 0.84 to 0.32, even attention falls to nearly zero, the lowest head lies at zero.
#
# RAM on the entry and accuracy, by number of pages.
# ```
#
# At 40 pages the best head's RAM is {glue:text}`ram_40_pages:.2f`, where even attention would give {glue:text}`even_40_pages:.3f`;
# accuracy is {glue:text}`accuracy_40_pages:.2f`, with chance at {glue:text}`chance_40_pages:.2f`. With {glue:text}`asked_40_pages` questions, `at least`,
# the lower end of Wilson's 95 % interval, is {glue:text}`accuracy_40_pages_low:.2f`: far above chance, but no proof of perfection.
# The mean of the top heads falls further, from {glue:text}`core_2_pages:.2f` at two pages to {glue:text}`core_40_pages:.2f`, and the model still answers.
# It was trained on documents of eight pages at most.
#
# ## Where heads look
#
# After the paper's figures 1 and 8: one document as three heads see it, the first, the second and the last of the ranking.

# %%
from corehead_lib.explorer import attention_to

documents = load_samples("documents", "evaluation", 6, seed, pages=(4, 4))
four = documents[0]
alone = encode(loaded, [four])
look = attention_to(loaded, alone, alone.visual[0].nonzero().flatten())
inside = target_cells(four.evidence, alone.cells[0])
followed = {"first": ranking[0], "second": ranking[1], "last": lowest}
landed = {name: look[inside][:, *h].sum() for name, h in followed.items()}

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(3, 4, figsize=(7, 5.7))
plots.looks(axes, four, alone.cells[0], look, followed, landed)
for number, axis in enumerate(axes[0]):
    axis.set_title(f"page {number + 1}")
figure.suptitle(four.question)
keep("fig_document_heads", figure)

# %% [markdown]
# ```{glue:figure} fig_document_heads
# :name: fig-document-heads
# :alt: Three rows of the same four pages, darkened where a head does not look, all on one scale. In the first row the framed entry is bright and all else is dark. In the last row every page is dark.
#
# Where three heads look, on one scale. The frame is the evidence, never shown to the model.
# ```
#
# The framed entry gets {glue:text}`example_first:.2f` of the first head's attention, {glue:text}`example_second:.2f` of the second's, and next to nothing
# of the last one's.
#
# Choose any two heads in the map, one of three documents, and the token whose attention is shown. The first document is the one above; both heads share one
# scale unless you stretch it.

# %%
from corehead_lib.explorer import explorer

explorer(loaded, documents[:3], scores)

# %% [markdown]
# ## Exercises
#
# ```{exercise-start} How far they fall
# :label: ex-document-read
# ```
#
# Difficulty: 1/5, 5 minutes. From 2 pages to 40, by what factor does even attention fall, and by what factor does the best head's RAM? Read
# {numref}`fig-document-length`, or the table `lengths` above it. `answer` is these two factors, both above 1.
#
# :::{dropdown} Hint 1
# A factor is a quotient: the value at 2 pages over the one at 40.
# :::
#
# :::{dropdown} Hint 2
# Even attention is one over the number of cells, and there are twenty times as many pages.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-document-read
# :class: dropdown
# ```

# %%
fall = lengths.loc[2] / lengths.loc[40]
answer = [fall["even attention"], fall["best head"]]
fall.drop(["chance", "at least"]).round(1)

# %% [markdown]
# Every page thins out even attention. A head that searches has more to search through, yet loses far less.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} A head that does nothing
# :label: ex-document-even
# ```
#
# Difficulty: 2/5, 10 minutes. Predict the RAM, with whole pages as evidence, of a head that spreads its attention evenly over all visual tokens,
# in documents of n equal pages: `answer` is three numbers, for n = 2, 5 and 10. Count tokens to see whether you are right.
# What does mean RAM over documents of *different* n mostly tell you?
#
# :::{dropdown} Hint 1
# How many of the n pages are the target?
# :::
#
# :::{dropdown} Hint 2
# `load_samples("documents", "detection", 4, seed, pages=(n, n), level="page")` makes documents; a batch has `targets()` and `visual`.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-document-even
# :class: dropdown
# ```

# %%
answer = []
for n in (2, 5, 10):
    some = load_samples(
        "documents", "detection", 4, seed, pages=(n, n), level="page"
    )
    counted = encode(loaded, some)
    share = counted.targets().sum(1) / counted.visual.sum(1)
    answer.append(share.mean().item())
    print(f"{n} pages: {answer[-1]:.2f}, and 1/n is {1 / n:.2f}")

# %% [markdown]
# One page of `n` is `1 / n`. So mean RAM tells you how long the documents are, which is why lift is taken sample by sample, before the mean.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Off by one
# :label: ex-document-off
# ```
#
# Difficulty: 2/5, 10 minutes. Some datasets count pages from 1, some from 0, and nothing fails if you mix them up. Take `own`, our documents of three pages,
# and use as evidence the whole page *after* the right one (after the last, the first). `answer` is the best head's RAM on that, and what even
# attention would get.
#
# :::{dropdown} Hint 1
# `sample.evidence[0].item` is the number of the right page, `Pages((1,))` the second page as evidence.
# :::
#
# :::{dropdown} Hint 2
# `measure_ram` returns `ram`, an array of layers and heads that `best` can index, and `share`, what even attention gets from each sample.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-document-off
# :class: dropdown
# ```


# %%
def next_page(sample):
    page = (sample.evidence[0].item + 1) % len(sample.media)
    return replace(sample, evidence=(Pages((page,)),))

# %%
off = [next_page(sample) for sample in own]
wrong = measure_ram(loaded, encode_all(loaded, off, batch_size), "last")
answer = wrong.ram[best], wrong.share.mean()
print("best head {:.3f}, even attention {:.3f}".format(*answer))

# %% [markdown]
# Far below even attention: {glue:text}`off_best:.3f` against {glue:text}`off_even:.2f`. If the best head's lift is below 1, look at the annotation first.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# - Our pages are small, and each entry fills one cell. On a real page a line of print is far smaller than a cell, so its target shows its neighbours, too.
# - With a page as evidence, glances at its heading count, too; with an entry, nothing else counts.
# - The tiny models were trained on documents of a few pages. Beyond that, falling RAM can also be a sign of unfamiliar positions.
# - This is one model. [](07_stability) compares seeds, sizes and families.
#
# ## Where to go from here
#
# - The paper's three ways of counting a page's tokens, and where they go wrong: [](13_paper_targets)
# - One picture, and how much of a cell a box must cover: [](02_targets_image)
# - Pages that follow one another in time: [](04_targets_video)
# - Retrieval heads on long multimodal documents: {cite:t}`li2026mmretheads`

# %% tags=["hide-input"]
last = lengths.loc[40]
publish(
    rows=[
        {"part": "length", **row}
        for row in lengths.reset_index().to_dict("records")
    ]
    + [
        {"part": "level", "level": name, **row}
        for name, row in levels.to_dict().items()
    ]
    + [
        {"part": "area", "area": name, **row}
        for name, row in pd.DataFrame(areas).T.to_dict().items()
    ],
    numbers={
        f"even_{name}": scored.share.mean() for name, scored in ram.items()
    }
    | {f"best_ram_{name}": scored.ram[best] for name, scored in ram.items()}
    | {f"best_lift_{name}": scored.lift[best] for name, scored in ram.items()}
    | {
        "median_lift_entry": levels["entry"]["median, lift"],
        "median_ram_entry": levels["entry"]["median, RAM"],
    }
    | {"even_factor": ram["page"].share.mean() / ram["entry"].share.mean()}
    | {
        "kept_page": levels["page"]["top heads kept"],
        "question_best": given["question"].ram[best],
    }
    | {
        "others_best": areas["best head"]["other documents"],
        "core_40_pages": last["top heads"],
        "core_2_pages": lengths["top heads"][2],
    }
    | {
        "others_even": areas["even attention"]["other documents"],
        "ram_40_pages": last["best head"],
    }
    | {
        "even_40_pages": last["even attention"],
        "accuracy_40_pages": last["accuracy"],
    }
    | {
        "chance_40_pages": last["chance"],
        "accuracy_40_pages_low": last["at least"],
        "asked_40_pages": samples,
        "off_best": wrong.ram[best],
        "off_even": wrong.share.mean(),
    }
    | {
        f"accuracy_{name.replace(' ', '_')}": pair[0]
        for name, pair in answers.items()
    }
    | {
        f"chance_{name.replace(' ', '_')}": pair[1]
        for name, pair in answers.items()
    }
    | {
        "own_best": areas["best head"]["its document"],
        "own_entry": areas["best head"]["entry"],
    }
    | {f"example_{name}": value for name, value in landed.items()},
    inputs={
        "model": loaded.provenance,
        "data": {
            "name": dataset,
            "split": "detection",
            "sha256": samples_checksum(room.samples),
        },
    },
)
