# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From frames to tokens
#
# A visual token of a clip shows a known place in known frames, sometimes in two at once.
#
# **What came out.** The same shape in the same clip is {glue:text}`box_qwen3_vl` target tokens for the tiny Qwen3-VL, which takes frames in pairs, and
# {glue:text}`box_internvl` and {glue:text}`box_llava_onevision` for the tiny InternVL and the tiny LLaVA-OneVision, which take each by itself. Of our
# events, {glue:text}`cut_share:.0%` begin or end inside a pair, and the policy for such a pair moves the best head's RAM on whole frames from
# {glue:text}`frames_any:.2f` to {glue:text}`frames_all:.2f`. Say which policy you use.
#
# ```{glue:figure} fig_video_cells
# :name: fig-video-cells
# :alt: Three rows of the same five small frames, one row for each model family, each under its grid of cells. Cells around a framed shape are filled; in the first row, where frames are taken in pairs, both frames of a pair show the same filled cells; in the others each frame has its own, and frames without the shape have none.
#
# One shape in one clip, by family. Filled: target tokens.
# ```
#
# A clip adds time to [](02_targets_image). Three families have three habits: Qwen3-VL looks at frames *in pairs* and writes the time before each pair
# {cite:p}`bai2025qwen3vl`, InternVL takes every frame as a picture of its own, and LLaVA-OneVision pools every frame to fewer cells.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
others: str = "tiny-internvl tiny-llava-onevision"  # other families to set beside {models, empty}
dataset: str = "clips"  # any with frames or boxes in clips, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
detection_samples: int = 60  # samples that RAM is averaged over {2..100000, quick 24}
frames: int = 12  # frames of one of its clips that are shown, at most {1..100000}
max_pixels: int = 0  # shrink larger frames to so many pixels; 0: as they are {0..}
samples: int = 60  # generated clips of each comparison {2..100000, quick 12}
batch_size: int = 12  # prompts that run at once {1..1024}
seed: int = 0  # seeds the samples {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %% tags=["hide-input"]
import re
from itertools import combinations

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
from corehead_lib.samples import Box, Frames

plots.use_style()
loaded = load_model(model, device, dtype)
families = [
    loaded,
    *(load_model(name, device, dtype) for name in others.split()),
]
families = {one.model.config.model_type: one for one in families}
family = loaded.model.config.model_type

# %% [markdown]
# ## One clip
#
# Five frames of moving shapes. The question is about a shape that appears in only some of them. Its evidence is a box *in each frame that shows it*, or
# those whole frames, as in VidSTG.


# %%
def five(level):
    """Clips of five frames, with evidence of a level: "box" or "frames"."""
    how = {"frames": (5, 5), "paired": False, "level": level}
    return load_samples("clips", "evaluation", 24, seed, **how)


middle = (Frames(1, 4),)  # neither the first frame nor the last
at = next(i for i, s in enumerate(five("frames")) if s.evidence == middle)
boxed, ranged = five("box")[at], five("frames")[at]

# %% [markdown]
# Each family's cell table has a column `frames`: the frames $start \le f < stop$ that a token shows. The targets follow from it.

# %%
from corehead_lib.targets import target_cells

tables = {name: encode(one, [boxed]).cells[0] for name, one in families.items()}
targets = {n: target_cells(boxed.evidence, t) for n, t in tables.items()}
whole = {n: target_cells(ranged.evidence, t) for n, t in tables.items()}


# %%
def groups(cells):
    """The frames that share tokens, such as 0-1 2-3 4."""
    pairs = np.unique(cells.frames, axis=0).tolist()
    return " ".join("-".join(map(str, range(*pair))) for pair in pairs)


count = {n: [targets[n].sum(), whole[n].sum()] for n in tables}
rows = {n: [groups(t), len(t), *count[n]] for n, t in tables.items()}
names = ["frames of a group", "tokens", "target: box", "target: frames"]
pd.DataFrame(rows, index=names).T

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(
    len(families), 5, figsize=(6.6, 1.45 * len(families) + 0.5), squeeze=False
)
for line, (name, cells) in zip(axes, tables.items(), strict=True):
    plots.strip(line, boxed, cells, taken=targets[name])
    line[0].set_ylabel(
        f"{name}: {targets[name].sum()}".replace("_", "\n", 1), fontsize=9
    )
for number, axis in enumerate(axes[0]):
    axis.set_title(f"frame {number}")
figure.suptitle(boxed.question)
keep("fig_video_cells", figure)

# %% [markdown]
# A last frame without a partner is doubled, so it has its tokens to itself. The shape may move within a pair: then the pair's tokens for *both* places are
# the target, and both frames of the figure show them.
#
# ## What stands between the frames
#
# The prompt holds more than cells. Here it is as each model reads it, with every run of one special token shortened to its count.


# %%
def written(one, sample):
    """The prompt up to the question."""
    tokens = encode(one, [sample]).inputs["input_ids"][0]
    text = one.processor.tokenizer.decode(tokens).split(sample.question)[0]

    def short(run):
        return f"[{len(run[0]) // len(run[1])} {run[1][1:-1].strip('|')}]"

    return re.sub(r"(<[^<>]*>)\1+", short, text).replace("\n", " ")


for name, one in families.items():
    print(f"{name}: {written(one, ranged)[-250:]}\n")

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(
    len(families),
    1,
    figsize=(7.2, 1.1 * len(families) + 0.7),
    squeeze=False,
    sharex=True,
)
signs = {
    "text": "#DDDDDD",
    "frames": plots.SKY,
    "target": plots.AMBER,
    "question": plots.BLACK,
}
between = {}
for axis, (name, one) in zip(axes[:, 0], families.items(), strict=True):
    batch, cells = encode(one, [ranged]), tables[name]
    target, kind = (
        batch.targets()[0].cpu().numpy(),
        np.zeros(batch.question.shape[1], dtype=int),
    )
    kind[cells.position] = 1
    kind[target], kind[batch.question[0].cpu().numpy()] = 2, 3
    span = np.flatnonzero(target)
    between[name] = int((~target[span[0] : span[-1]]).sum())
    for value, (sign, colour) in enumerate(signs.items()):
        axis.bar(
            np.flatnonzero(kind == value), 1, width=1, color=colour, label=sign
        )
    axis.set(yticks=[])
    axis.set_title(name, fontsize=10)
axes[-1, 0].set_xlabel("place in the sequence, tokens")
figure.legend(
    *axes[0, 0].get_legend_handles_labels(), ncols=5, loc="outside lower center"
)
keep("fig_video_sequence", figure)

# %% [markdown]
# ```{glue:figure} fig_video_sequence
# :name: fig-video-sequence
# :alt: One strip for each family. Coloured stretches of visual tokens alternate with grey text where a family writes something between frames; the stretches that show the middle frames are marked as target.
#
# The prompt by token. Target: the frames that show the shape.
# ```
#
# Between the first target token and the last, Qwen3-VL has {glue:text}`between_qwen3_vl` tokens that show nothing, time marks and special tokens; InternVL
# has {glue:text}`between_internvl`, LLaVA-OneVision {glue:text}`between_llava_onevision`. LLaVA-OneVision ends its clip with one newline token, which is
# marked as visual but shows nothing.
#
# ## Your clips, or ours
#
# Only this section uses `dataset`; all others draw generated clips. It ranks the heads that the rest of the chapter follows.
#
# `frames` limits how many frames of a clip are shown, `max_pixels` shrinks them, and we count tokens before anything runs. A prompt that is longer than
# the model's context is refused by name.

# %%
from corehead_lib.tokens import fitting

detection = load_evidence(
    dataset, "detection", detection_samples, seed, (Frames, Box), data_dir,
    **at_most(dataset, frames=frames),
)  # fmt: skip
room = fitting(loaded, detection, max_pixels)
print(room)

# %% tags=["hide-input"]
note = remarks(dataset, room.samples, detection_samples, "clips")
Markdown(note) if note else print(f"{len(room.samples)} generated clips")

# %%
batches = encode_all(loaded, room.samples, batch_size, max_pixels=max_pixels)
given = measure_ram(loaded, batches, "last")
scores = HeadScores(given.ram)
core, ranking = scores.top(top_fraction), scores.ranking()
best, lowest = ranking[0], ranking[-1]
pd.DataFrame(
    {"RAM": [given.ram[h] for h in (*core, lowest)]},
    index=[h.name for h in (*core, lowest)],
).round(3)

# %% [markdown]
# The last line is the control: the lowest head of the model.
#
# ## Half a pair
#
# If an event begins in the middle of a pair, does the pair belong to it? There are two policies: take every group that shows *any* frame of the event (as
# this book does unless it says otherwise), or only groups *all* of whose frames lie in it; if that leaves none, the nearest group.
#
# We compare them on clips whose shapes may come and go between any two frames.


# %%
def clips(level):
    how = {"paired": False, "level": level}
    return load_samples("clips", "evaluation", samples, seed, **how)


events = [sample.evidence[0] for sample in clips("frames")]
lengths = [len(sample.media[0].frames) for sample in clips("frames")]
start, stop = (
    np.array([getattr(e, k) for e in events]) for k in ("start", "stop")
)
cut = (start % 2 == 1) | ((stop % 2 == 1) & (stop < np.array(lengths)))
print(f"{cut.sum()} of {len(cut)} events begin or end inside a pair")

# %%
made = {n: encode_all(loaded, clips(n), batch_size) for n in ("box", "frames")}
scored = {
    "box": measure_ram(loaded, made["box"], "last"),
    "frames, any": measure_ram(loaded, made["frames"], "last"),
    "frames, all": measure_ram(loaded, made["frames"], "last", groups="all"),
}

# %%
policies = pd.DataFrame(
    {
        name: {
            "best head": r.ram[best], "its lift": r.lift[best],
            "lowest head": r.ram[lowest], "even attention": r.share.mean(),
        } for name, r in scored.items()
    }
)  # fmt: skip
policies.round(3)

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=(7, 2.6))
for name, colour, marker in (
    ("best head", plots.RED, "o"),
    ("even attention", plots.BLACK, "|"),
    ("lowest head", plots.SKY, "s"),
):
    axis.plot(
        policies.loc[name],
        range(3),
        marker,
        color=colour,
        ms=11,
        mew=2,
        label=name,
    )
axis.set(
    yticks=range(3),
    ylim=(2.5, -0.5),
    xlim=(-0.03, 1.03),
    xlabel="RAM at the last prompt token",
)
axis.set_yticklabels(policies.columns)
axis.grid(axis="x", alpha=0.3)
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
axis.set_title(
    "The policy for half a pair moves RAM, and even attention's share"
)
keep("fig_video_policy", figure)

# %% [markdown]
# ```{glue:figure} fig_video_policy
# :name: fig-video-policy
# :alt: Three lines of markers: box, frames under any, frames under all. The best head is far to the right on the first two, and less so under all. Even attention stands well to its left on each line, furthest for the box. The lowest head is at zero.
#
# RAM by what counts as evidence.
# ```
#
# Whole frames are a large target: even attention scores {glue:text}`even_any:.2f` on them under *any* and {glue:text}`even_all:.2f` under *all*, but {glue:text}`even_box:.2f` on the boxes.
# The best head aims at the shape: its RAM is {glue:text}`best_box:.2f` on the boxes, and adding the rest of their frames raises it only a little, to
# {glue:text}`best_any:.2f` under *any*. So its lift falls from {glue:text}`lift_box:.1f` on the boxes to {glue:text}`lift_any:.1f` on the frames. Under
# *all* its RAM is lower, {glue:text}`best_all:.2f`, since pairs that show the shape in only one frame no longer count, but so is even attention's score,
# and the lift is {glue:text}`lift_all:.1f`. The lowest head, the control, stays far below even attention in each case.
#
# ## The same clips, each family
#
# One call serves all families. Each is asked about the same boxes and read at its own best head, ranked on other clips.

# %%
from corehead_lib.chance import chance
from corehead_lib.evaluate import evaluate


def ranked(one):
    """The head that leads on clips of the other split, and the last one."""
    some = load_samples("clips", "detection", samples, seed, paired=False)
    found = measure_ram(one, encode_all(one, some, batch_size), "last")
    order = HeadScores(found.ram).ranking()
    return order[0], order[-1]


# %%
def measured(one):
    top, bottom = ranked(one)
    made = encode_all(one, clips("box"), batch_size)
    r, right = measure_ram(one, made, "last"), evaluate(one, made)
    found = {"head": top.name, "RAM": r.ram[top]}
    found |= {"lift": r.lift[top], "lowest head": r.ram[bottom]}
    return found | {
        "even attention": r.share.mean(),
        "accuracy": right.accuracy,
    }


# %%
by_family = pd.DataFrame(map(measured, families.values()), list(families))
print(f"chance: {chance(clips('box')).line:.2f}")
by_family.round(2)

# %% [markdown]
# Guessing is right in {glue:text}`chance:.2f` of the cases, the three tiny models in {glue:text}`accuracy_qwen3_vl:.2f`, {glue:text}`accuracy_internvl:.2f` and {glue:text}`accuracy_llava_onevision:.2f`.
#
# In pairs of frames a shape takes up more of what there is to look at: even attention scores {glue:text}`even_qwen3_vl:.2f` in Qwen3-VL,
# {glue:text}`even_internvl:.2f` and {glue:text}`even_llava_onevision:.2f` in the others. Lift has an upper limit, one over that share in each clip, so the
# lifts of {glue:text}`lift_qwen3_vl:.1f`, {glue:text}`lift_internvl:.1f` and {glue:text}`lift_llava_onevision:.1f` do not rank the families: use lift to
# compare heads of one family.
#
# ## Where heads look
#
# As in the paper's figure 2, we show a strip of frames as three heads see it: the first, the second and the last of the ranking. Where frames share
# tokens, both show the same light.

# %%
from corehead_lib.explorer import attention_to

strips = load_samples(
    "clips", "evaluation", 3, seed, frames=(6, 6), paired=True
)
six = strips[0]
alone = encode(loaded, [six])
look = attention_to(loaded, alone, alone.visual[0].nonzero().flatten())
inside = target_cells(six.evidence, alone.cells[0])
followed = {"first": ranking[0], "second": ranking[1], "last": lowest}
landed = {name: look[inside][:, *h].sum() for name, h in followed.items()}

# %% tags=["hide-input", "remove-output"]
figure, axes = plt.subplots(3, 6, figsize=(7.2, 4))
plots.looks(axes, six, alone.cells[0], look, followed, landed)
for number, axis in enumerate(axes[0]):
    axis.set_title(f"frame {number}")
figure.suptitle(six.question)
keep("fig_video_heads", figure)

# %% [markdown]
# ```{glue:figure} fig_video_heads
# :name: fig-video-heads
# :alt: Three rows of the same six frames, darkened where a head does not look, all on one scale. In the first row, cells under the framed shape are bright in the frames that show it, and nearly all else is dark; in the second row less so. In the last row every frame is dark.
#
# Where three heads look, on one scale. The frame around the shape is the evidence, never shown to the model.
# ```
#
# The cells of the framed shape get {glue:text}`example_first:.2f` of the first head's attention, {glue:text}`example_second:.2f` of the second's, and next
# to nothing from the last.
#
# Choose any two heads in the map, one of three clips, and the token whose attention is shown. The first clip is the one above, and both heads share one
# scale unless you stretch it.

# %%
from corehead_lib.explorer import explorer

explorer(loaded, strips, scores)

# %% [markdown]
# ## Exercises
#
# ```{exercise-start} More RAM, less lead
# :label: ex-video-read
# ```
#
# Difficulty: 1/5, 5 minutes. Read from {numref}`fig-video-policy`, to within 0.05, how far the best head stands to the right of even attention: on the
# box, on the frames under *any*, and on the frames under *all*. `answer` is these three distances. On which target is RAM highest, and on which is the
# distance largest?
#
# :::{dropdown} Hint 1
# The vertical strokes are even attention, the dots are the best head.
# :::
#
# :::{dropdown} Hint 2
# Read both off the axis and subtract, line by line.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-video-read
# :class: dropdown
# ```

# %%
distance = policies.loc["best head"] - policies.loc["even attention"]
answer = distance.tolist()
distance.round(2)

# %% [markdown]
# A larger target gives every head more, even one that spreads its attention evenly. So the target with the highest RAM need not be the one that the head
# tells from the rest best: report even attention's score beside each RAM, or two targets cannot be compared.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} All ranges of eight frames
# :label: ex-video-ranges
# ```
#
# Difficulty: 2/5, 10 minutes. Take a clip of eight frames (`load_samples("clips", "evaluation", 1, seed, frames=(8, 8))`) and every range of frames in it,
# 36 in all. For how many ranges do *any* and *all* give different targets, and for how many does *all* take a token that shows a frame outside the range?
# `answer` is these two whole numbers.
#
# :::{dropdown} Hint 1
# `combinations(range(9), 2)` gives all pairs of a start and an end.
# :::
#
# :::{dropdown} Hint 2
# `target_cells((Frames(start, stop),), cells, groups="all")` marks cells, and `cells.frames` says which frames each of them shows.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-video-ranges
# :class: dropdown
# ```

# %%
eight = load_samples("clips", "evaluation", 1, seed, frames=(8, 8))
cells = encode(loaded, eight).cells[0]
answer = [0, 0]
for start, stop in combinations(range(9), 2):
    either = target_cells((Frames(start, stop),), cells, groups="any")
    fully = target_cells((Frames(start, stop),), cells, groups="all")
    first, end = cells.frames[fully].T
    answer[0] += int((either != fully).any())
    answer[1] += int(((first < start) | (stop < end)).any())
answer

# %% [markdown]
# Where a family takes frames in pairs, the policies differ on ranges that begin or end inside a pair, except for single frames, whose pair both policies
# take. A range that holds no whole pair gets the nearest one under *all*, part of which lies outside the range. Where every frame has its own tokens, they
# never differ: try `model=tiny-internvl`.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Everything in between
# :label: ex-video-between
# ```
#
# Difficulty: 2/5, 15 minutes. A colleague takes *all* tokens from the first target token to the last. Compare the best head's RAM on the target with its
# RAM on all these tokens, for the clips of `made["frames"][0]` at the last prompt token. `answer` is both numbers. What are the additional tokens?
#
# :::{dropdown} Hint 1
# `batch.targets()` marks the target in each row; fill each row from its first mark to its last.
# :::
#
# :::{dropdown} Hint 2
# `mass(loaded, batch, masks, "last")` from `corehead_lib.ram` takes several masks at once, stacked, and gives (masks, samples, layers, heads).
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-video-between
# :class: dropdown
# ```

# %%
import torch

from corehead_lib.ram import mass

batch = made["frames"][0]
target = batch.targets()
filled = (target.cumsum(1) > 0) & (target.flip(1).cumsum(1).flip(1) > 0)
masks = torch.stack([target, filled])
both = mass(loaded, batch, masks, "last")  # (2, B, L, H)
answer = both.mean(1)[:, best.layer, best.head]
print("target {:.3f}, from first to last {:.3f}".format(*answer))

# %% [markdown]
# The additional tokens are text: time marks and special tokens, where a family writes them. This head hardly looks at them; heads that do would pass for
# heads that look at frames.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} A frame too late
# :label: ex-video-late
# ```
#
# Difficulty: 3/5, 15 minutes. An annotator counts frames from one, and you count from zero: every event of `clips("frames")` now begins and ends one frame
# too late, in the last frame of its clip at the latest. Under *any*, what is the best head's RAM at the last prompt token, and what share of the tokens
# that you take is wrong, on average over clips? `answer` is these two numbers. Would RAM alone have told you?
#
# :::{dropdown} Hint 1
# `events` and `lengths` are at hand. A range starts at `min(start + 1, length - 1)` and stops at `min(stop + 1, length)`; `replace` of `dataclasses` puts it into a sample.
# :::
#
# :::{dropdown} Hint 2
# `batch.targets()` of your batches and of `made["frames"]` cover the same tokens in the same order: a token is wrong if only yours mark it.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-video-late
# :class: dropdown
# ```

# %%
from dataclasses import replace

late = [
    replace(s, evidence=(Frames(min(e.start + 1, n - 1), min(e.stop + 1, n)),))
    for s, e, n in zip(clips("frames"), events, lengths, strict=True)
]
moved = encode_all(loaded, late, batch_size)

# %%
wrong = []
for old, new in zip(made["frames"], moved, strict=True):
    taken = new.targets()
    wrong += ((taken & ~old.targets()).sum(1) / taken.sum(1)).tolist()
reads = measure_ram(loaded, moved, "last")
answer = reads.ram[best], np.mean(wrong)
print("RAM {:.2f}, wrong {:.2f}".format(*answer))
print(f"right target: RAM {policies.loc['best head', 'frames, any']:.2f}")
print(f"even attention on the wrong one: {reads.share.mean():.2f}")

# %% [markdown]
# Most events last several frames, so most of the target is still there, and RAM stays above even attention: without the right target beside it, nothing
# looks amiss. A high RAM does not prove an annotation right. What could tell is a test that such a slip must fail: events of a single frame, for instance,
# which it misses unless their pair saves them.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} A control in time
# :label: ex-video-own
# ```
#
# Difficulty: 4/5, 30 minutes. A clip allows controls that no picture has. For the clips of `made["box"]`, choose a target that shares something with the
# evidence but is not it: its place at another time, its time at another place, another shape. Say first how much a head that knows only this would give
# your target. `answer` is the best head's RAM on your target at the last prompt token, and what even attention would give, both averaged over clips that
# have such a target. What does your control rule out, and what not?
#
# :::{dropdown} Hint 1
# The cells of row `i` are `batch.cells[i]`; they have `position`, `box` and `frames`. `target_cells(batch.samples[i].evidence, cells)` marks those of the evidence.
# :::
#
# :::{dropdown} Hint 2
# `mass(loaded, batch, mask, "last")` from `corehead_lib.ram` measures any mask shaped like `batch.visual`; even attention gives
# `mask.sum(1) / batch.visual.sum(1)`.
# :::
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-video-own
# :class: dropdown
# ```
#
# For instance, take the shape's places at all times when it is not there:

# %%
def elsewhen(cells, sample):
    own = target_cells(sample.evidence, cells)
    same_place = (cells.box[:, None] == cells.box[own]).all(-1).any(1)
    same_time = np.isin(cells.frames[:, 0], cells.frames[own, 0])
    return cells.position[same_place & ~same_time]


# %%
seen = []
for batch in made["box"]:
    mask = torch.zeros_like(batch.visual)
    for row, *what in zip(mask, batch.cells, batch.samples, strict=True):
        row[elsewhen(*what)] = True
    even = (mask.sum(1) / batch.visual.sum(1)).cpu().numpy()
    by_clip = mass(loaded, batch, mask, "last")[:, best.layer, best.head]
    seen += np.stack([by_clip, even], axis=1)[even > 0].tolist()
answer = np.mean(seen, axis=0)
print("RAM {:.3f}, even attention {:.3f}".format(*answer))

# %% [markdown]
# A head that knew only the place would look there at any time. If the best head gives this target less than even attention would, it is no such head: it
# looks where the shape is, when it is there. That it looks for *this* shape is not shown yet; for that, take another shape at the same time.
#
# ```{solution-end}
# ```
#
# ## Limits
#
# - Our clips have a dozen frames at most, and shapes of one size that jump by the width of a cell. Real clips are sampled first, and an event between
#   two sampled frames is lost before any table is made: the table says which frames a token shows, not what was left out.
# - Tokens of a pair show two moments at once, and no policy can tell the two apart.
# - We look at one tiny model of each family. [](07_stability) compares seeds and sizes.
#
# ## Where to go from here
#
# - The paper's ways of counting a frame's tokens, and where they go wrong: [](13_paper_targets)
# - One picture: [](02_targets_image); many pages: [](03_targets_document); words: [](05_targets_text)
# - What is done with the target: [](01_ram_definition)
# - The paper that asks for frames: {cite:t}`sun2026core`

# %% tags=["hide-input"]
publish(
    rows=[
        {"part": "policy", "target": name, **row}
        for name, row in policies.to_dict().items()
    ]
    + [
        {"part": "family", "family": name, **row}
        for name, row in by_family.T.to_dict().items()
    ],
    numbers={f"box_{name}": target.sum() for name, target in targets.items()}
    | {f"between_{name}": number for name, number in between.items()}
    | {
        f"accuracy_{name}": value
        for name, value in by_family["accuracy"].items()
    }
    | {f"lift_{name}": value for name, value in by_family["lift"].items()}
    | {
        f"even_{name}": value
        for name, value in by_family["even attention"].items()
    }
    | {
        f"even_{name.split()[-1]}": value
        for name, value in policies.loc["even attention"].items()
    }
    | {
        f"best_{name.split()[-1]}": value
        for name, value in policies.loc["best head"].items()
    }
    | {
        f"lift_{name.split()[-1]}": value
        for name, value in policies.loc["its lift"].items()
    }
    | {
        "frames_any": policies["frames, any"]["best head"],
        "frames_all": policies["frames, all"]["best head"],
    }
    | {
        "cut_share": np.mean([bool(c) for c in cut]),
        "chance": chance(clips("box")).line,
    }
    | {f"example_{name}": value for name, value in landed.items()},
    inputs={
        "model": loaded.provenance,
        **{
            f"other_{name}": one.provenance
            for name, one in families.items()
            if one is not loaded
        },
        "data": {
            "name": dataset,
            "split": "detection",
            "sha256": samples_checksum(room.samples),
        },
    },
)
