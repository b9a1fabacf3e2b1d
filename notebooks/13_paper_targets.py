# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Appendix: the paper's target tokens
#
# The appendix of {cite:t}`sun2026core` finds target tokens by counting, not by asking what a token shows. How far does that take us?
#
# **What came out.** Used as the paper uses them, its three ways give exactly the tokens of the cell table in {glue:text}`exact_cases` of {glue:text}`cases`
# cases (a way, a family, a kind of evidence), and the ranking of heads stays near the exact one in every case (Spearman {glue:text}`worst_spearman:.2f` at the
# least). Of what *uniform slices* take in documents, {glue:text}`slices_alike:.0%` is wrong if all pages have one size, and {glue:text}`slices_mixed:.0%` if
# sizes differ (means over three tiny families). *Tags* miss nothing, and all they take in excess is newlines. Used otherwise, the ways fail silently: of places
# found between tags in a text, {glue:text}`plain_text:.0%` are wrong in the plain prompt.
#
# ```{glue:figure} fig_paper
# :name: fig-paper-targets
# :alt: Three panels, one for each family. Each row is a kind of evidence, each marker one of three ways to find tokens, its position the share of wrong tokens. Tags stand at or near zero everywhere; slices stand to the right where sizes differ, offsets only in the third family.
#
# Share of wrong tokens for the paper's ways, used as in the paper, on what the models were shown.
# ```

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
others: str = "tiny-internvl tiny-llava-onevision"  # two more families to set beside it {models}
samples: int = 24  # samples of each kind of evidence {6..100000, quick 6}
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
from PIL import ImageOps

from corehead_lib import plots
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.encode import encode, encode_all
from corehead_lib.models import load_model
from corehead_lib.results import keep, publish
from corehead_lib.samples import Pages
from corehead_lib.worlds.clips import as_images
from corehead_lib.worlds.synthetic import ask, make_scene

plots.use_style()
loaded = [load_model(name, device, dtype) for name in (model, *others.split())]
families = {one.model.config.model_type: one for one in loaded}

# %% [markdown]
# ## Three ways to count
#
# - **Boundary tags** (equations 7, 12 and 16): write `<GT_START>` and `<GT_END>` around each page or frame that is evidence, and take the visual tokens between
#   each pair (in a text, all tokens).
# - **Uniform slices** (14, 18): cut all M visual tokens into N equal runs, one for each picture, page or frame.
# - **Cumulative offsets**: give every item the tokens of its blocks (tiles), 256 each in InternVL3.5, and go on from there with the next.
#
# Take six visual tokens of two pages, at places 4 to 9 of a sequence:

# %%
from corehead_lib.targets_paper import cumulative_offsets, uniform_slices

visual = np.arange(4, 10)
print("second of two equal pages:", uniform_slices(visual, 2, [1]))
print(
    "pages of one and two blocks:", cumulative_offsets(visual, [1, 2], 2, [1])
)

# %% [markdown]
# Tags are found in a sequence that is longer than the one without them, and the model must be run on that sequence:

# %%
from corehead_lib.targets_paper import END, START, boundary_tags, tagged_span

needle = load_samples("haystacks", "detection", 1, seed)[0]
marked = encode(loaded[0], [tagged_span(needle)])
start, end = (
    loaded[0].processor.tokenizer(t)["input_ids"] for t in (START, END)
)
found = boundary_tags(marked.inputs["input_ids"][0].cpu().numpy(), start, end)
plain = encode(loaded[0], [needle]).targets()[0].nonzero().flatten()
print("between the tags:", found.tolist(), "without tags:", plain.tolist())

# %% [markdown]
# ## What is compared
#
# All samples are generated: these ways need evidence made of whole items, and we need to choose the sizes.
#
# No count can say where a box lies *within* a picture, so for pictures the target is the whole of the second of two.


# %%
def two_pictures(number, margin=0):
    rng = np.random.default_rng([seed, number])
    pair = [make_scene(rng, unique=True, size=(128, 96)) for _ in range(2)]
    asked = ask(pair[1], "shape", rng)
    first = ImageOps.expand(pair[0].image, (0, 0, margin, 0), "white")
    media = (first, pair[1].image)
    return replace(
        asked, id=f"two/{number}", media=media, evidence=(Pages((1,)),)
    )


# %% [markdown]
# Documents come with pages of one size, and with every other page twice as wide, like a fold-out plan.


# %%
def folded_out(sample):
    wide = [
        ImageOps.expand(page, (0, 0, page.width, 0), "white")
        if item % 2 == 0
        else page
        for item, page in enumerate(sample.media)
    ]
    return replace(sample, media=tuple(wide))


# %% [markdown]
# Clips have an even or an odd number of frames. Tags cannot be written into a clip, so its frames are also handed over one by one, as images. Haystacks are
# text alone; for them we also try another common habit, to tokenize the needle by itself and *search* for its tokens.


# %% tags=["hide-input"]
def of_lengths(lengths):
    """Clips of these lengths, sorted by length; evidence: frames."""
    each = max(1, samples // len(lengths))
    asked = [("clips", "evaluation", each, seed + n, n) for n in lengths]
    options = {"paired": False, "level": "frames"}
    made = [load_samples(*a, frames=(n, n), **options) for *a, n in asked]
    return [sample for part in made for sample in part]


pages = load_samples(
    "documents", "detection", samples, seed + 1, pages=(3, 6), level="page"
)
odd = of_lengths((5, 7, 9))
kinds = {
    "pictures, one size": [two_pictures(n) for n in range(samples)],
    "pictures, two sizes": [two_pictures(n, 64) for n in range(samples)],
    "pages, one size": pages,
    "pages, two sizes": [folded_out(s) for s in pages],
    "clips, even": of_lengths((4, 6, 8)),
    "clips, odd": odd,
    "clips, frame by frame": [as_images(s) for s in odd],
    "text": load_samples("haystacks", "detection", samples, seed),
}

# %% [markdown]
# `compare` finds the tokens in every way that applies and measures all heads on each result, at the last prompt token. The exact cells are the baseline; their
# {term}`RAM` tells what the others should read. `wrong` is the share of the tokens taken that show no evidence, `wrong_tokens` their number (both averaged over
# samples). First, the paper's ways:

# %%
from corehead_lib.targets_compare import EXACT, PAPER, compare, summary

rows = []
for name, one in families.items():
    for kind, some in kinds.items():
        batches = encode_all(one, some, batch_size)
        found = compare(one, batches)
        rows += summary(found, top_fraction, family=name, kind=kind)
ways = pd.DataFrame(rows)

# %%
at = ways.set_index(["way", "kind", "family"])
count = at[["wrong", "wrong_tokens"]].unstack(sort=False)
count.loc[list(PAPER)].round(2)

# %%
own = ways[ways["way"].isin(PAPER)]
exact = own.set_index(["way", "family"])[["wrong", "missed"]].eq(0)
exact = exact.all(axis=1).groupby(["way", "family"], sort=False)
exact.agg(["sum", "size"]).unstack()

# %% tags=["hide-input", "remove-output"]
marks = {
    "uniform slices": ("o", plots.BLUE),
    "cumulative offsets": ("s", plots.GREEN),
    "tags": ("^", plots.PINK),
    "offsets without thumbnails": ("s", plots.GREEN),
    "tags, all between": ("^", plots.PINK),
    "tags, first pair alone": ("D", plots.AMBER),
    "tags, in the plain prompt": ("v", plots.RED),
    "search for the needle": ("x", plots.BLACK),
}


def draw(chosen, title):
    figure, axes = plt.subplots(
        1, len(families), figsize=(8, 4.2), sharey=True, layout="none"
    )
    figure.subplots_adjust(
        left=0.22, right=0.98, top=0.84, bottom=0.26, wspace=0.12
    )
    for axis, name in zip(np.atleast_1d(axes), families, strict=True):
        mine = ways[ways["family"] == name]
        for place, way in enumerate(chosen):
            part = mine[mine["way"] == way]
            shift = 0.15 * (place - (len(chosen) - 1) / 2)
            rows_at = [list(kinds).index(k) + shift for k in part["kind"]]
            marker, colour = marks[way]
            axis.plot(
                part["wrong"], rows_at, marker, color=colour, label=way, ms=6
            )
        axis.set(title=name, xlim=(-0.06, 1.06), xticks=(0, 0.5, 1))
        axis.grid(axis="y", alpha=0.3)
    first_axis = np.atleast_1d(axes)[0]
    first_axis.set_yticks(range(len(kinds)), list(kinds))
    first_axis.invert_yaxis()
    figure.supxlabel("share of wrong tokens", y=0.14, fontsize=10)
    figure.suptitle(title, fontweight="bold", fontsize=11)
    named = first_axis.get_legend_handles_labels()
    figure.legend(*named, loc="lower center", ncols=3, fontsize=9)
    return figure


keep("fig_paper", draw(PAPER, "Slices fail where sizes differ, tags hold"))

# %% tags=["hide-input", "remove-output"]
misused = [way for way in marks if way not in PAPER]
keep("fig_misused", draw(misused, "Used otherwise, most miss evidence"))

# %% [markdown]
# ## Where each holds
#
# **Uniform slices** are as good as the assumption that all items have equally many tokens. Pages of one size satisfy it in Qwen3-VL and InternVL; in
# LLaVA-OneVision newlines slip in. Pages of two sizes break it in the first two, but not in LLaVA-OneVision, which pads each of several pictures to a square.
# Clips break it in Qwen3-VL, where two frames share their tokens: in odd clips {glue:text}`slices_odd_wrong:.0%` are wrong and
# {glue:text}`slices_odd_missed:.0%` missed.
#
# **Cumulative offsets** exist for families with blocks. In InternVL they are exact. In LLaVA-OneVision, which our copy of the paper does not mention, newlines
# shift them; in clips, where it pools each frame to fewer tokens than a block has, {glue:text}`offsets_pooled:.0%` are wrong.
#
# **Tags** find all of the evidence, in every case. Only in LLaVA-OneVision do they take too much: newlines, which have the id of a visual token,
# {glue:text}`tags_newlines:.1f` per sample at the most.
#
# ## Used otherwise
#
# Here are five ways to go wrong that are not the paper's but are easily mistaken for its own:

# %%
count.drop([EXACT, *PAPER]).round(2)

# %% [markdown]
# ```{glue:figure} fig_misused
# :name: fig-paper-misused
# :alt: Three panels, one for each family, rows as before, five markers. Tags with all that stands between them lie at the left, no further than a quarter, places of tags used in the plain prompt mostly far to the right, the search for the needle at the right in text.
#
# Wrong tokens when the ways are used otherwise.
# ```
#
# - *Places in the plain prompt.* Places found in the tagged sequence are used in the other, where everything after a tag stands elsewhere:
#   {glue:text}`plain_text:.0%` wrong in text.
# - *The first pair alone.* Taken literally, the largest value finds only the first of several equal tags (equations 12 and 16 have an index for each page or
#   frame). With frames handed over one by one, it misses {glue:text}`tags_missed:.0%` of the evidence (first family), since most events last several frames.
# - *All between.* Markers come along: {glue:text}`markers:.1f` tokens per sample where there are most. Our items are so small that this is up to
#   {glue:text}`markers_share:.0%` of what is taken; two markers beside a block of 256 tokens would be {glue:text}`markers_real:.1%`.
# - *Thumbnails forgotten.* In InternVL, {glue:text}`offsets_bare:.0%` of the tokens are wrong on pages of two sizes.
# - *Search.* It misses {glue:text}`search_missed:.0%` of the needle's tokens, because the needle's first word is one token at the start of a text and another
#   after a space.
#
# ## What it does to RAM
#
# A wrong target raises no error; it only gives another number. Here is the first family:

# %%
first = next(iter(families))
table = ways[ways["family"] == first].set_index(["kind", "way"])
table[["missed", "ram_best", "spearman", "top_shared"]].round(2)

# %% [markdown]
# With uniform slices on pages of two sizes, the best head's RAM reads {glue:text}`ram_slices:.2f` instead of {glue:text}`ram_exact:.2f`.
#
# Over all families and kinds, the paper's ways leave a Spearman correlation with the exact ranking of {glue:text}`worst_spearman:.2f` at the least. That is in
# the tagged prompt: the model reads the tags, too (a tiny model, which never saw any), so ranks move even where the tokens are right; in text the rankings
# agree to {glue:text}`tagged_spearman:.2f` (mean over families). Slices and offsets, in the plain prompt, leave {glue:text}`counted_spearman:.2f` at the least.
#
# Where the tags' places are used in the plain prompt, the ranking can turn upside down, to {glue:text}`misused_spearman:.2f`: a head that gives its attention
# to the evidence has little left for what stands next to it.
#
# ## Exercises
#
# ```{exercise-start} A test that proves nothing
# :label: ex-paper-equal
# ```
#
# Difficulty: 1/5, 5 minutes. Which kinds of evidence would let *uniform slices* pass in every family? `answer` is a dict: for each kind in `ways` that can be
# sliced, the largest share of wrong tokens that slices take in any family.
#
# :::{dropdown} Hint 1
# `ways` has a row for each kind, way and family, with `wrong` and `missed`.
# :::
#
# :::{dropdown} Hint 2
# Keep the rows of this way, group them by kind, and take the largest share.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-paper-equal
# :class: dropdown
# ```

# %%
slices = ways[ways["way"] == "uniform slices"].groupby("kind", sort=False)
answer = slices["wrong"].max().to_dict()
slices[["wrong", "missed"]].max().round(2)

# %% [markdown]
# Only kinds with zeros in both columns, and there are none: because of one family's newlines, not even items of one size are safe. In the other two families
# pictures and pages of one size are, so a test set that has nothing else cannot tell counting from knowing there.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Slices on paper
# :label: ex-paper-slices
# ```
#
# Difficulty: 2/5, 10 minutes. In a clip of five frames, nine tokens show frames 0 and 1, nine more show frames 2 and 3, and nine show the last. The event is
# frames 1 to 3, and every token that shows one of them is right. What share of the tokens that *uniform slices* take for these three frames is wrong, and what
# share of the right ones do they miss? Use a pencil. `answer` is these two shares.
#
# :::{dropdown} Hint 1
# Write down the places from 0 to 26, and what each shows. A slice has 27 // 5 tokens.
# :::
#
# :::{dropdown} Hint 2
# The slices of frames 1, 2 and 3 follow one another: where does the first begin, and where does the last end?
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-paper-slices
# :class: dropdown
# ```

# %%
taken = set(uniform_slices(np.arange(27), 5, [1, 2, 3]).tolist())
shows_event = set(range(18))  # the pairs 0-1 and 2-3
answer = (
    len(taken - shows_event) / len(taken),
    len(shows_event - taken) / len(shows_event),
)
print("wrong {:.2f}, missed {:.2f}".format(*answer))

# %% [markdown]
# Each frame gets a slice of its own, though two share their tokens. So the first of the three begins in the middle of a pair, whose beginning is missed, and the last reaches into the next group.
# Look at both shares: a way that takes little is seldom wrong, and one that takes all misses nothing.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Two pages
# :label: ex-paper-two
# ```
#
# Difficulty: 2/5, 15 minutes. A question needs two pages of six, the second and the fifth. Take
# `load_samples("documents", "detection", 1, seed, pages=(6, 6), level="page")`, give it this evidence, write the tags around both pages, and take the first
# pair alone (`boundary_tags(..., pairs=1)`), as a literal reading would. `answer` is, in the first family, the share of the evidence's tokens that you miss,
# and the number of tokens by which the tags lengthen the prompt. How would you mend the tags without giving them up?
#
# :::{dropdown} Hint 1
# `replace(sample, evidence=(Pages((1, 4)),))` is the evidence, and `tagged(sample, [1, 4])` from `corehead_lib.targets_paper` writes the tags.
# :::
#
# :::{dropdown} Hint 2
# `encode(loaded[0], [sample]).targets()` marks the evidence in the tagged prompt, too. Compare its places with those that `boundary_tags` returns.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-paper-two
# :class: dropdown
# ```

# %%
from corehead_lib.targets_paper import tagged

which = {"pages": (6, 6), "level": "page"}
(six,) = load_samples("documents", "detection", 1, seed, **which)
both_pages = replace(six, evidence=(Pages((1, 4)),))
bare = encode(loaded[0], [both_pages])
with_tags = encode(loaded[0], [tagged(both_pages, [1, 4])])
ids = with_tags.inputs["input_ids"][0].cpu().numpy()
needed = with_tags.targets()[0].cpu().numpy().nonzero()[0]

# %%
between = boundary_tags(ids, start, end, pairs=1)
missed = np.setdiff1d(needed, between).size / needed.size
answer = missed, len(ids) - bare.question.shape[1]
print("missed {:.2f}, {} tokens more".format(*answer))

# %% [markdown]
# Only one page is found: the first pair is the first start tag and the first end tag, and says nothing about the other page. Without `pairs=1` the scan goes
# on, pair by pair, and finds both. But the prompt is still longer, each tag moves what follows it further, and the model reads the tags.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Would you have noticed?
# :label: ex-paper-notice
# ```
#
# Difficulty: 3/5, 10 minutes. A colleague says that the target must be right because the ranking of heads comes out as it should. Call a row of `ways` *faulty*
# if more than 0.1 of its tokens are wrong or more than 0.1 of the evidence is missed. `answer` is how many rows are faulty, and how many of these have a
# Spearman correlation above 0.9 with the exact ranking.
#
# :::{dropdown} Hint 1
# The columns are `wrong`, `missed` and `spearman`, one row for each family, kind and way; the rows of the exact cells are never faulty.
# :::
#
# :::{dropdown} Hint 2
# `(ways["wrong"] > 0.1) | (ways["missed"] > 0.1)` marks the faulty ones.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-paper-notice
# :class: dropdown
# ```

# %%
faulty = ways[(ways["wrong"] > 0.1) | (ways["missed"] > 0.1)]
unseen = faulty[faulty["spearman"] > 0.9]
answer = len(faulty), len(unseen)
shown_as = ["family", "kind", "way", "wrong", "missed", "spearman"]
unseen[shown_as].round(2)

# %% [markdown]
# The heads that look at a page also look at the part of it that a wrong slice still holds, so they lead both rankings. A ranking that looks as expected is
# therefore no test of a target. Look at the tokens instead: which pixels, or which words, does each of them show?
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Break it
# :label: ex-paper-break
# ```
#
# Difficulty: 4/5, 20 minutes. Find sizes of three pages for which at least half of what *uniform slices* take for the **second** page is wrong, in at least one
# of `families`. `answer` is three pairs of width and height in pixels, all from 16 to 512. Do they break *cumulative offsets*, too?
#
# :::{dropdown} Hint 1
# A slice has a third of all tokens, the second page only its own. How can you make the one much longer, but not the other?
# :::
#
# :::{dropdown} Hint 2
# `Image.new("RGB", size)` makes a page, and any text will do as a question. `paper_targets(one, batch)` from `corehead_lib.targets_compare` takes the slices;
# `batch.targets()` are the right tokens.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-paper-break
# :class: dropdown
# ```

# %%
from PIL import Image

from corehead_lib.samples import Sample
from corehead_lib.targets_compare import paper_targets

answer = [(384, 96), (96, 96), (96, 96)]
blank = tuple(Image.new("RGB", size) for size in answer)
middle_page = (Pages((1,)),)
asked = Sample("three", "break", "Which digit?", "1", blank, middle_page)

# %%
off = {}
for name, one in families.items():
    batch = encode(one, [asked])
    for way, mask in paper_targets(one, batch).items():
        share = (mask & ~batch.targets()).sum() / mask.sum()
        off.setdefault(name, {})[way] = float(share)
pd.DataFrame(off).round(2)

# %% [markdown]
# One page that is much larger than the others stretches every slice, whether it stands before the second page or after it. Pages of alternating sizes, as in
# this chapter, stretch them too, but the errors partly cancel. Where each page is padded to the same square, no size does harm. Offsets that count the blocks
# of each page are not stretched. So test the extreme, not the typical, and in each family.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# We did not have the paper's code: these are the equations of its appendix, as `corehead_lib/targets_paper.py` writes them down with the assumptions of each.
# Items are small here; with real pages of thousands of tokens, a slice that is off by a part of a page is off by more tokens, not by more pages.
#
# ## Where to go from here
#
# - The exact way, and what goes wrong within one picture: [](02_targets_image)
# - The same for pages, frames and words: [](03_targets_document), [](04_targets_video), [](05_targets_text)

# %% tags=["hide-input"]
at = at.sort_index()
mean = ways.groupby(["way", "kind"])[["wrong", "missed", "spearman"]].mean()
most = ways.groupby("way")[["wrong", "wrong_tokens"]].max()
least = ways.groupby("way")["spearman"].min()
second = list(families)[1]
bare = ("offsets without thumbnails", "pages, two sizes", second)
pooled = ("cumulative offsets", "clips, even", list(families)[-1])
odd_slices = at.loc[("uniform slices", "clips, odd", first)]
alone = ("tags, first pair alone", "clips, frame by frame", first)
numbers = {
    "cases": len(own),
    "exact_cases": exact.sum().sum(),
    "slices_alike": mean.loc[("uniform slices", "pages, one size"), "wrong"],
    "slices_mixed": mean.loc[("uniform slices", "pages, two sizes"), "wrong"],
    "plain_text": mean.loc[("tags, in the plain prompt", "text"), "wrong"],
    "slices_odd_wrong": odd_slices["wrong"],
    "slices_odd_missed": odd_slices["missed"],
    "offsets_bare": at.loc[bare, "wrong"] if bare in at.index else 0.0,
    "offsets_pooled": at.loc[pooled, "wrong"] if pooled in at.index else 0.0,
    "tags_newlines": most.loc["tags", "wrong_tokens"],
    "tags_missed": at.loc[alone, "missed"],
    "markers": most.loc["tags, all between", "wrong_tokens"],
    "markers_share": most.loc["tags, all between", "wrong"],
    "markers_real": 2 / (256 + 2),
    "search_missed": mean.loc[("search for the needle", "text"), "missed"],
    "ram_slices": at.loc[
        ("uniform slices", "pages, two sizes", first), "ram_best"
    ],
    "ram_exact": at.loc[(EXACT, "pages, two sizes", first), "ram_best"],
    "worst_spearman": own["spearman"].min(),
    "counted_spearman": least.reindex(PAPER[:2]).min(),
    "misused_spearman": least.reindex(misused).min(),
    "tagged_spearman": mean.loc[("tags", "text"), "spearman"],
}
data = {
    kind: {"name": kind, "sha256": samples_checksum(some)}
    for kind, some in kinds.items()
}
models = {f"model_{i}": one.provenance for i, one in enumerate(loaded)}
publish(rows=rows, numbers=numbers, inputs={**models, **data})
