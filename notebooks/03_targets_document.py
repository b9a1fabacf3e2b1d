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
# **Claim.** In a document, evidence can mean one line, one block or a whole page, and each choice has its own exact set of tokens;
# counting tokens instead of asking what they show is right only while all pages are alike, and nothing warns when they are not.
#
# A document is many pictures in one prompt. Everything in [](02_targets_image) still holds for each page; new are three questions:
# *which page* a token belongs to, *how much* of the page is evidence, and what a score is worth when targets differ in size.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
others: str = "tiny-internvl tiny-llava-onevision"  # other families to set beside {models, empty}
dataset: str = "documents"  # any with pages or boxes, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
detection_samples: int = 60  # samples that RAM is averaged over {2..100000, quick 24}
samples: int = 18  # documents of each length, and of each kind in the comparisons {2..100000, quick 12}
batch_size: int = 12  # prompts that run at once {1..1024}
seed: int = 0  # seeds the samples {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %%
from dataclasses import replace
from importlib import metadata
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pypdfium2
from IPython.display import Markdown
from PIL import Image

from corehead_lib import plots
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.datasets.evidence import load_evidence, remarks
from corehead_lib.encode import encode, encode_all
from corehead_lib.evaluate import evaluate
from corehead_lib.explorer import explorer
from corehead_lib.heads import HeadScores
from corehead_lib.models import load_model
from corehead_lib.ram import measure_ram
from corehead_lib.results import publish
from corehead_lib.samples import Box, Pages, Sample
from corehead_lib.targets import target_cells
from corehead_lib.targets_compare import (
    EXACT,
    attention_maps,
    compare,
    paper_targets,
    summary,
    tagged_targets,
)

plots.use_style()
loaded = load_model(model, device, dtype)
family = loaded.model.config.model_type
detection = load_evidence(dataset, "detection", detection_samples, seed, (Box, Pages), data_dir)
note = remarks(dataset, detection, detection_samples, "documents")
Markdown(note) if note else print(f"{len(detection)} samples of {dataset}; the model is a {family}")

# %% [markdown]
# ## One document
#
# Our pages have a coloured heading with the page's number, and below it rows of shapes, words and bars with their digits. A question
# asks for one digit. The answer stands in one *entry*; the entry stands in a *block* (a row that belongs together), the block on
# a *page*. All three are honest answers to "where is the evidence?": the paper, working with MMDocIR, marks whole pages.

# %%
LEVELS = ("entry", "block", "page")


def at_levels(split, number, pages):
    """The same questions with evidence of each level: {level: samples}."""
    return {
        level: load_samples("documents", split, number, seed, pages=pages, level=level) for level in LEVELS
    }


short = at_levels("evaluation", 12, (3, 3))
shown = next(i for i, s in enumerate(short["block"]) if s.task == "bar" and s.evidence[0].item == 1)
example = {level: short[level][shown] for level in LEVELS}
batch = encode(loaded, [example["page"]])
cells = batch.cells[0]
pd.DataFrame(
    [
        {
            "item": item,
            "pixels": "{} x {}".format(*cells.sizes[item]),
            "tokens": int((cells.item == item).sum()),
            "first position": int(cells.position[cells.item == item].min()),
            "last position": int(cells.position[cells.item == item].max()),
            **{
                level: int(target_cells(s.evidence, cells)[cells.item == item].sum())
                for level, s in example.items()
            },
        }
        for item in range(len(cells.sizes))
    ]
).set_index("item")

# %% mystnb={"figure": {"name": "fig-document-levels", "caption": "Three pages with their cells. Above: the entry that answers the question is the evidence. Middle: its block. Below: its page. Filled: the target tokens."}, "image": {"alt": "Three rows of the same three small pages under a grid. In the first row one cell of the middle page is filled, in the second several cells of one row, in the third the whole page."}}
figure, axes = plt.subplots(3, 3, figsize=(7, 7.6))
sizes = {}
for row, (level, sample) in zip(axes, example.items(), strict=True):
    taken = target_cells(sample.evidence, cells)
    sizes[level] = int(taken.sum())
    for item, axis in enumerate(row):
        mine = cells.item == item
        plots.cells_over(axis, sample.media[item], cells.box[mine])
        plots.mark_cells(axis, cells.box[mine & taken])
        plots.evidence(axis, sample, item)
    row[0].set_ylabel(f"{level}: {taken.sum()} tokens")
_ = figure.suptitle(
    f"{example['entry'].question}\n{' / '.join(map(str, sizes.values()))} target tokens of {len(cells)}"
)

# %% [markdown]
# ## A larger target collects more
#
# Here are all three levels on the same questions, read at the last prompt token. A head that spreads its attention evenly over
# all visual tokens scores the *share* of them that is target. {term}`Lift` divides by that, sample by sample: 1 is what such a head gets.

# %%
levels = at_levels("detection", detection_samples, (2, 8))
if dataset != "documents":
    boxes = [s for s in detection if all(isinstance(piece, Box) for piece in s.evidence)]
    whole = [replace(s, evidence=(Pages(tuple(sorted({b.item for b in s.evidence}))),)) for s in boxes]
    levels = {"as given": detection} | ({"page": whole} if whole else {})
ram = {
    level: measure_ram(loaded, encode_all(loaded, some, batch_size), "last", progress=False)
    for level, some in levels.items()
}
finest, coarsest = next(iter(ram)), list(ram)[-1]
scores = HeadScores(ram[finest].ram)
core, best, bottom = scores.top(top_fraction), scores.ranking()[0], scores.ranking()[-1]
measures = {
    "even attention": lambda r: r.share.mean(),
    "best head, RAM": lambda r: r.ram[best],
    "best head, lift": lambda r: r.lift[best],
    "median head, RAM": lambda r: np.median(r.ram),
    "median head, lift": lambda r: np.median(r.lift),
    f"top {len(core)} shared": lambda r: len({*HeadScores(r.ram).top(top_fraction)} & {*core}),
}
pd.DataFrame({level: {n: f(r) for n, f in measures.items()} for level, r in ram.items()}).round(3)

# %% mystnb={"figure": {"name": "fig-document-size", "caption": "RAM (left) and lift (right) of every head at the last prompt token, by what counts as evidence. Each point is a head; the frame marks those that lead by the finest evidence. Dashed: a head that spreads its attention over all visual tokens evenly."}, "image": {"alt": "Two groups of vertical strips of points, one strip for each level of evidence. Left, the dashed line of even attention rises from entry to page. Right, it stays at one for every level."}}
figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.8))
spread = np.random.default_rng(0).uniform(-0.25, 0.25, scores.score.size)
first = np.isin(np.arange(scores.score.size), [h.layer * loaded.backbone.heads + h.head for h in core])
for place, r in enumerate(ram.values()):
    for axis, value, even in ((panels[0], r.ram, r.share.mean()), (panels[1], r.lift, 1)):
        axis.plot(place + spread[~first], value.ravel()[~first], "o", color=plots.SKY, ms=3, alpha=0.7)
        axis.plot(place + spread[first], value.ravel()[first], "o", color=plots.RED, ms=5)
        axis.hlines(even, place - 0.4, place + 0.4, color=plots.BLACK, ls="--", lw=1.2)
for axis, name in zip(panels, ("RAM", "lift"), strict=True):
    axis.set(ylabel=name, xticks=range(len(ram)), xticklabels=list(ram))
_ = figure.suptitle(
    f"Even attention alone scores {ram[finest].share.mean():.2f} on the {finest}, {ram[coarsest].share.mean():.2f} on the {coarsest}",
    fontweight="bold",
)

# %%
gain = ram[coarsest].ram[best] / max(ram[finest].ram[best], 1e-9)
even_gain = ram[coarsest].share.mean() / ram[finest].share.mean()
shared = len({*HeadScores(ram[coarsest].ram).top(top_fraction)} & {*core})
Markdown(
    f"From {finest} to {coarsest} the RAM of the best head (layer {best.layer}, head {best.head}) changes by a factor of **{gain:.2f}**, "
    f"what even attention scores by {even_gain:.2f}; its lift goes from {ram[finest].lift[best]:.1f} to {ram[coarsest].lift[best]:.1f}. "
    f"{shared} of the top {len(core)} heads are the same. A threshold on raw RAM therefore means nothing without the size of the target, "
    f"and scores of two modalities, whose targets differ, cannot be compared without it."
)

# %% [markdown]
# ## From 2 to 40 pages
#
# Even attention falls as the document grows, like one over the number of pages. Does the head's?

# %%
LENGTHS = (2, 4, 8, 16, 40)
by_length = []
for pages in LENGTHS:
    some = load_samples("documents", "evaluation", samples, seed, pages=(pages, pages))
    batches = encode_all(loaded, some, batch_size if pages < 16 else 3)
    result = measure_ram(loaded, batches, "last", progress=False)
    by_length.append(
        {
            "pages": pages,
            "tokens in the prompt": int(
                np.mean([b.inputs["attention_mask"].sum(1).float().mean() for b in batches])
            ),
            "accuracy": evaluate(loaded, batches, progress=False).accuracy,
            "best_ram": result.ram[best],
            "core_ram": float(np.mean([result.ram[h] for h in core])),
            "even": float(result.share.mean()),
            "best_lift": result.lift[best],
            "control_ram": result.ram[bottom],
        }
    )
lengths = pd.DataFrame(by_length)
lengths.round(3)

# %% mystnb={"figure": {"name": "fig-document-length", "caption": "RAM on the entry at the last prompt token, and accuracy, against the number of pages. The heads were chosen on documents of 2 to 8 pages. Lowest head and even attention are the controls."}, "image": {"alt": "Lines against the number of pages on a logarithmic axis: accuracy, the RAM of the best head and of all top heads, even attention, which falls steadily, and the lowest head near zero."}}
figure, axis = plt.subplots(figsize=(7, 3.8))
for column, name, colour, style in (
    ("accuracy", "accuracy", plots.BLACK, ":"),
    ("best_ram", "best head", plots.RED, "-"),
    ("core_ram", f"mean of the top {len(core)}", plots.AMBER, "-"),
    ("even", "even attention", plots.BLUE, "--"),
    ("control_ram", "lowest head", plots.SKY, "-"),
):
    axis.plot(lengths["pages"], lengths[column], style, marker="o", color=colour, label=name)
axis.set(xscale="log", xlabel="pages", ylabel="RAM, accuracy", ylim=(-0.03, 1.05))
axis.set_xticks(LENGTHS, map(str, LENGTHS))
axis.minorticks_off()
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
start, end = by_length[0], by_length[-1]
_ = axis.set_title(
    f"From {start['pages']} to {end['pages']} pages the best head's RAM goes from {start['best_ram']:.2f} to {end['best_ram']:.2f}, "
    f"accuracy from {start['accuracy']:.2f} to {end['accuracy']:.2f}",
    fontsize=11,
)

# %% [markdown]
# ## Where heads look
#
# The paper's figures 1 and 8 draw heads over a page. Here are the best head by RAM at the last prompt token, the best by RAM averaged over
# the question's tokens, and the lowest, over one document.

# %%
question_ram = measure_ram(
    loaded, encode_all(loaded, levels[finest], batch_size), "question", progress=False
).ram
best_question = HeadScores(question_ram).ranking()[0]
four = load_samples("documents", "evaluation", 6, seed, pages=(4, 4))[0]
group = encode(loaded, [four])
maps = {rows: attention_maps(loaded, group, getattr(group, rows))[:, 0] for rows in ("last", "question")}
print("attention adds up to 1 for every head:", np.allclose(maps["last"].sum(0), 1, atol=1e-3))

# %% mystnb={"figure": {"name": "fig-document-heads", "caption": "Where heads look (the paper's figures 1 and 8), over one document of four pages: a row for each head, scaled to its own maximum over all pages, dark where the head does not look. The frame is the evidence, never shown to the model."}, "image": {"alt": "A table of pages. The first row shows four pages with a frame around one entry. The other rows show the same pages darkened except where a head looks."}}
rows = [
    ("highest RAM", best, "last"),
    ("highest over\nthe question", best_question, "question"),
    ("lowest RAM", bottom, "last"),
]
figure, axes = plt.subplots(4, 4, figsize=(8, 8.4))
table = group.cells[0]
inside = target_cells(four.evidence, table)
for item, axis in enumerate(axes[0]):
    plots.picture(axis, four.media[item])
    axis.set_title(f"page {item + 1}")
landed = []
for line, (title, head, asked) in zip(axes[1:], rows, strict=True):
    weight = maps[asked][table.position, head.layer, head.head]
    landed.append(float(weight[inside].sum()))
    for item, axis in enumerate(line):
        mine = table.item == item
        plots.cells_over(axis, four.media[item], table.box[mine], weight[mine], float(weight.max()))
    line[0].set_ylabel(f"{title}\nL{head.layer} H{head.head}: {landed[-1]:.2f}", fontsize=10)
for line in axes:
    for item, axis in enumerate(line):
        plots.evidence(axis, four, item)
_ = figure.suptitle(
    f"{four.question} On the evidence: " + ", ".join(f"{m:.2f}" for m in landed), fontweight="bold"
)

# %% [markdown]
# ## Counting instead of asking
#
# The appendix of {cite:t}`sun2026core` finds a page's tokens by *counting*, in three ways:
#
# - **tags**: write `<GT_START>` and `<GT_END>` around the page and take all tokens between them;
# - **uniform slices**: cut the M visual tokens into as many equal runs as there are pages;
# - **cumulative offsets**: give every page its number of blocks times the tokens of a block.
#
# We run them as they stand, on documents whose pages are all of one size, and on the same documents with every other page folded out to
# twice the width. A token is *wrong* if it shows nothing of the evidence page.


# %%
def folded_out(sample):
    """The sample with every other page twice as wide, blank on the right: boxes stay where they are."""
    media = list(sample.media)
    for item in range(0, len(media), 2):
        wide = Image.new("RGB", (2 * media[item].width, media[item].height), (250, 250, 250))
        wide.paste(media[item])
        media[item] = wide
    return replace(sample, media=tuple(media))


def compare_documents(one):
    """All ways on equal and on mixed pages, for one model: rows of a table."""
    name = one.model.config.model_type
    return [
        row
        for kind, some in kinds.items()
        for row in summary(
            compare(one, encode_all(one, some, batch_size)), top_fraction, family=name, pages=kind
        )
    ]


alike = load_samples("documents", "detection", samples, seed + 1, pages=(3, 6), level="page")
kinds = {"one size": alike, "mixed sizes": [folded_out(s) for s in alike]}
families = [loaded, *(load_model(name, device, dtype) for name in others.split())]
ways = pd.DataFrame([row for one in families for row in compare_documents(one)])
ways.set_index(["family", "pages", "way"]).round(2)

# %% mystnb={"figure": {"name": "fig-document-ways", "caption": "Share of wrong tokens in the target, by family, for documents whose pages are of one size (circles) and of mixed sizes (triangles)."}, "image": {"alt": "For each model family a column of lines, one for each way to find target tokens. A circle and a triangle on each line tell how many of the tokens are wrong; on the line of the exact cells both stand at zero."}}
names = list(dict.fromkeys(ways["family"]))
figure, axes = plt.subplots(1, len(names), figsize=(3.6 * len(names) + 1.5, 3.4), squeeze=False, sharey=True)
order = list(dict.fromkeys(ways["way"]))
for axis, name in zip(axes[0], names, strict=True):
    for kind, marker, colour in (("one size", "o", plots.BLUE), ("mixed sizes", "^", plots.RED)):
        part = ways[(ways["family"] == name) & (ways["pages"] == kind)]
        axis.plot(
            part["wrong"], [order.index(w) for w in part["way"]], marker, color=colour, label=kind, ms=7
        )
    axis.set(
        title=name, xlim=(-0.04, 1.04), xlabel="wrong tokens", yticks=range(len(order)), yticklabels=order
    )
    axis.grid(axis="y", alpha=0.3)
axes[0, 0].invert_yaxis()
axes[0, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
own = ways[ways["family"] == family].set_index(["pages", "way"])
slices = [float(own.loc[(kind, "uniform slices"), "wrong"]) for kind in ("one size", "mixed sizes")]
_ = figure.suptitle(
    f"Uniform slices on {family}: {slices[0]:.0%} wrong while pages are alike, {slices[1]:.0%} when they are not",
    fontweight="bold",
)

# %% mystnb={"figure": {"name": "fig-document-silent", "caption": "Which cells each way takes for the framed evidence page, in one document of mixed sizes. Cells alone are drawn: what else a way takes (markers, newlines) shows nothing."}, "image": {"alt": "Rows of the same few pages, some twice as wide. In the first row the framed page is filled and nothing else. In the others cells of neighbouring pages are filled, or part of the framed page is not."}}
alone = next(s for s in kinds["mixed sizes"] if len(s.media) == 4 and s.evidence[0].index[0] in (1, 2))
b = encode(loaded, [alone])
drawn = {
    EXACT: b.targets(),
    **paper_targets(loaded, b),
    "tags, in the\nplain prompt": tagged_targets(loaded, b)[2],
}
figure, axes = plt.subplots(
    len(drawn), 4, figsize=(9, 1.75 * len(drawn)), width_ratios=[i.width for i in alone.media]
)
counts = []
for line, (way, target) in zip(axes, drawn.items(), strict=True):
    taken = target[0].cpu().numpy()[b.cells[0].position]
    counts.append(int((taken & ~target_cells(alone.evidence, b.cells[0])).sum()))
    for item, axis in enumerate(line):
        mine = b.cells[0].item == item
        plots.cells_over(axis, alone.media[item], b.cells[0].box[mine])
        plots.mark_cells(axis, b.cells[0].box[mine & taken])
        plots.evidence(axis, alone, item)
    line[0].set_ylabel(way, fontsize=9)
_ = figure.suptitle(f"Cells of other pages in the target: {', '.join(map(str, counts))}", fontweight="bold")

# %%
there = own.loc[("one size", "tags, in the tagged prompt")]
here = own.loc[("one size", "tags, in the plain prompt")]
mixed = own.loc[("mixed sizes", "uniform slices")]
true_ram = float(own.loc[("mixed sizes", EXACT), "ram_best"])
worst = ways[ways["way"] != EXACT].sort_values(["spearman", "top_shared"]).iloc[0]
Markdown(
    f"For {family}: uniform slices take {slices[0]:.0%} wrong tokens while all pages are alike, and {slices[1]:.0%} when sizes are mixed; "
    f"the best head's RAM then reads **{mixed['ram_best']:.2f}** instead of **{true_ram:.2f}**, and no error is raised. Tags include what stands beside the page "
    f"({there['wrong']:.0%} of their tokens show nothing). They also move everything behind them: places found in the tagged prompt "
    f"and used in the plain one are wrong in {here['wrong']:.0%} of the cases. Over all families the ranking suffers most from "
    f"*{worst['way']}* on {worst['family']} ({worst['pages']}): Spearman {worst['spearman']:.2f}, {worst['top_shared']:.0%} of the top heads still found. "
    f"Where the right pages are in the target and only few tokens are wrong, the ranking can survive; the values do not tell which case it is."
)

# %% [markdown]
# ## A PDF page
#
# Nobody's document ships with this book, so we typeset one: the first lines of the project's own licence (Apache-2.0), written to a PDF
# by Matplotlib and read back by PDFium, like any PDF. The evidence comes from the PDF's text layer: the box of the words "copyright licence"
# as the licence spells them. *Only the geometry is real here*; a tiny model cannot read this page.

# %%
licence = metadata.distribution("corehead_lib").read_text("licenses/LICENSE").splitlines()
with plt.rc_context({"pdf.fonttype": 42}):  # keeps letters as letters
    paper = plt.figure(figsize=(6.12, 7.92))
    paper.text(0.08, 0.95, "\n".join(licence[1:85]), va="top", family="monospace", fontsize=6)
    file = BytesIO()
    paper.savefig(file, format="pdf", metadata={"CreationDate": None})
    plt.close(paper)
page = pypdfium2.PdfDocument(file.getvalue())[0]
layer = page.get_textpage()
sought = "copyright license"
place, length = layer.search(sought).get_next()
corners = np.array(
    [layer.get_charbox(i) for i in range(place, place + length)]
)  # left, bottom, right, top; from below
zoom = 1.0  # pixels per point
scan = page.render(scale=zoom).to_pil()
left, bottom = corners[:, :2].min(0)
right, top = corners[:, 2:].max(0)
words = Box(left * zoom, scan.height - top * zoom, right * zoom, scan.height - bottom * zoom)
printed = Sample("licence", "pdf", f"Where is the {sought}?", "there", (scan,), (words,))

# %% mystnb={"figure": {"name": "fig-document-pdf", "caption": "One page of a PDF as each family cuts it: cells of the main view, and filled those that show the framed words. The tiny models' own settings; real models cut finer."}, "image": {"alt": "The same page of small print once for each model family, under a fine grid, or a coarse grid. A small frame stands around two words, and the few cells that touch it are filled."}}
figure, axes = plt.subplots(1, len(families), figsize=(3.6 * len(families), 4.8), squeeze=False)
pdf_rows = []
for axis, one in zip(axes[0], families, strict=True):
    table = encode(one, [printed]).cells[0]
    taken, main = target_cells(printed.evidence, table), table.view == "main"
    plots.cells_over(axis, scan, table.box[main])
    plots.mark_cells(axis, table.box[main & taken])
    plots.evidence(axis, printed)
    axis.set_title(f"{one.model.config.model_type}\n{taken.sum()} of {len(table)} tokens")
    pdf_rows.append({"family": one.model.config.model_type, "tokens": len(table), "target": int(taken.sum())})
_ = figure.suptitle(
    "The same two words: " + ", ".join(f"{r['target']}" for r in pdf_rows) + " tokens", fontweight="bold"
)

# %% [markdown]
# ## Exercises
#
# ```{exercise-start} Evidence on two pages
# :label: ex-document-two
# ```
#
# Difficulty: 2/5. Some questions need two pages. Extend the evidence of each sample by the page behind it, and compare the ways again.
# Which one now misses evidence, and how much?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-document-two
# :class: dropdown
# ```


# %%
def with_next(sample):
    (piece,) = sample.evidence
    return replace(sample, evidence=(Pages((piece.index[0], piece.index[0] + 1)),))


pairs = [with_next(s) for s in alike if s.evidence[0].index[0] + 1 < len(s.media)]
two = compare(loaded, encode_all(loaded, pairs, batch_size))
pd.DataFrame(
    {
        way: {"wrong": f"{f.share_wrong.mean():.0%}", "missed": f"{f.share_missed.mean():.0%}"}
        for way, f in two.items()
    }
).T

# %% [markdown]
# The tags: the scan looks for the *first* start and the *first* end, and finds the same pair again for the second page.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} A head that does nothing
# :label: ex-document-even
# ```
#
# Difficulty: 2/5. Predict RAM and lift, at the level of pages, of a head that spreads its attention over all visual tokens evenly,
# in documents of n equal pages. Check the prediction for n = 2, 5 and 10 by counting tokens. What does mean RAM over a set of documents with
# *different* n mostly tell you?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-document-even
# :class: dropdown
# ```
#
# One page of n, so 1/n, and a lift of 1:

# %%
for n in (2, 5, 10):
    some = encode(loaded, load_samples("documents", "detection", 4, seed, pages=(n, n), level="page"))
    print(
        n,
        "pages:",
        np.round((some.targets().sum(1) / some.visual.sum(1)).cpu().numpy(), 3),
        "predicted:",
        round(1 / n, 3),
    )

# %% [markdown]
# It tells how long the documents are. That is why lift is taken sample by sample, before the mean.
#
# ```{solution-end}
# ```
#
# ## Look for yourself
#
# Choose a head, or slide along the ranking from the first to the last. The frame is the {term}`target`; dark places get little attention.

# %%
explorer(loaded, [four], scores)

# %% [markdown]
# ## Limits
#
# Our pages are small, and each entry fills one cell. On real pages a line of print is far smaller than a cell of a whole page, and
# an entry's target shows its neighbours, too. Levels of evidence differ in what they forgive: a page counts glances at the heading, an entry
# none. The tiny models were trained on documents of few pages; beyond that, falling accuracy and falling RAM can both be signs of
# the same unfamiliar positions. One seed and one model of each family.
#
# ## Where to go from here
#
# - One picture, and how much of a cell a box must cover: [](02_targets_image)
# - Pages that follow one another in time: [](04_targets_video)
# - What is done with the target: [](01_ram_definition)
# - The appendix that {numref}`fig-document-ways` tests: {cite:t}`sun2026core`
# - Retrieval heads on long multimodal documents: {cite:t}`li2026mmretheads`

# %%
publish(
    rows=[{"part": "ways", **row} for row in ways.to_dict("records")]
    + [{"part": "lengths", **row} for row in by_length]
    + [{"part": "pdf", **row} for row in pdf_rows],
    numbers={
        **{f"even_{level.replace(' ', '_')}": r.share.mean() for level, r in ram.items()},
        **{f"best_ram_{level.replace(' ', '_')}": r.ram[best] for level, r in ram.items()},
        **{f"best_lift_{level.replace(' ', '_')}": r.lift[best] for level, r in ram.items()},
        "levels_ram_factor": gain,
        "levels_even_factor": even_gain,
        "levels_top_shared": shared,
        "slices_wrong_one_size": slices[0],
        "slices_wrong_mixed": slices[1],
        "mixed_ram_slices": mixed["ram_best"],
        "mixed_ram_exact": true_ram,
        "tags_wrong_tagged": there["wrong"],
        "tags_wrong_plain": here["wrong"],
        "worst_spearman": worst["spearman"],
        "worst_top_shared": worst["top_shared"],
        "example_mass_best": landed[0],
        "example_mass_question": landed[1],
        "example_mass_bottom": landed[2],
    },
    inputs={
        "model": loaded.provenance,
        **{f"other_{i}": one.provenance for i, one in enumerate(families[1:], 1)},
        "data": {"name": dataset, "split": "detection", "sha256": samples_checksum(detection)},
        "pdf": {"name": "Apache-2.0 licence of this project, typeset", "sha256": samples_checksum([printed])},
    },
)
