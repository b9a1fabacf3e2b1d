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
# **Claim.** Each visual token of a clip shows a known cell of known *frames*, sometimes of two at once; whoever divides the tokens
# by the number of frames gets targets that drift, and on one family or another no way of counting is right.
#
# A clip adds time to [](02_targets_image). The paper asks for the frames that show an event, as VidSTG does; we can also ask for
# the box of the thing in each of them. Three families, three habits: Qwen3-VL looks at frames *in pairs* and writes the time
# before each, InternVL takes every frame as a tile of its own, LLaVA-OneVision pools every frame to fewer cells.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
others: str = "tiny-internvl tiny-llava-onevision"  # other families to set beside {models, empty}
dataset: str = "clips"  # any with frames, see the page on data {dataset}
data_dir: str = ""  # its folder, if it lies on disk; empty: under $COREHEAD_DATA {folder, empty}
detection_samples: int = 60  # samples that RAM is averaged over {2..100000, quick 24}
samples: int = 24  # clips of each kind in the comparisons {2..100000, quick 12}
batch_size: int = 12  # prompts that run at once {1..1024}
seed: int = 0  # seeds the samples {0..}
top_fraction: float = 0.05  # share of heads that are called CoRe heads {0<..1}
device: str = "cpu"  # where to compute {device}
dtype: str = "float32"  # of weights and activations {float32, bfloat16, float16}

# %%
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from matplotlib.cbook import get_sample_data
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
from corehead_lib.samples import Box, Clip, Frames, Sample
from corehead_lib.targets import target_cells
from corehead_lib.targets_compare import (
    EXACT,
    attention_maps,
    compare,
    mass_on,
    summary,
    tagged_targets,
    units,
)
from corehead_lib.worlds.clips import as_images

plots.use_style()
loaded = load_model(model, device, dtype)
families = [loaded, *(load_model(name, device, dtype) for name in others.split())]
family = loaded.model.config.model_type
wanted = {"level": "frames"} if dataset == "clips" else {}
detection = load_evidence(dataset, "detection", detection_samples, seed, (Frames,), data_dir, **wanted)
note = remarks(dataset, detection, detection_samples, "clips")
Markdown(note) if note else print(f"{len(detection)} samples of {dataset}; the model is a {family}")

# %% [markdown]
# ## One clip
#
# Five frames of moving shapes. The question is about a shape that is there for some of them only. Its evidence is a box *in each
# frame that shows it*, or simply those frames.

# %%
FIVE = [
    load_samples("clips", "evaluation", 24, seed, frames=(5, 5), paired=False, level=level)
    for level in ("box", "frames")
]
number = next(i for i, s in enumerate(FIVE[1]) if (s.evidence[0].start, s.evidence[0].stop) == (1, 4))
boxed, ranged = (some[number] for some in FIVE)
clip = boxed.media[0]
groups = []
for one in families:
    cells = encode(one, [ranged]).cells[0]
    shown, first = np.unique(cells.frames, axis=0, return_index=True)
    groups.append(
        {
            "family": one.model.config.model_type,
            "visual tokens": len(cells),
            "frames of each group": ", ".join(
                "-".join(str(f) for f in range(*pair)) for pair in shown.tolist()
            ),
            "cells of a group": len(cells) // len(shown),
            "first positions": ", ".join(map(str, cells.position[first].tolist())),
            "target, box": int(target_cells(boxed.evidence, cells).sum()),
            "target, frames": int(target_cells(ranged.evidence, cells).sum()),
        }
    )
pd.DataFrame(groups).set_index("family")

# %% mystnb={"figure": {"name": "fig-video-cells", "caption": "The same clip as each family cuts it. The frame marks the shape that the question asks for; filled: the target tokens, drawn on every frame that they show. Where two frames share their tokens, cells of both places are filled in both."}, "image": {"alt": "Rows of the same five small frames, one row for each model family, each under its grid of cells. Cells around a moving framed shape are filled; where frames are taken in pairs, each frame of a pair shows the same filled cells."}}
figure, axes = plt.subplots(len(families), 5, figsize=(9, 1.9 * len(families) + 0.4), squeeze=False)
for line, one in zip(axes, families, strict=True):
    cells = encode(one, [boxed]).cells[0]
    taken = target_cells(boxed.evidence, cells)
    for frame, axis in enumerate(line):
        mine = (cells.frames[:, 0] <= frame) & (frame < cells.frames[:, 1])
        plots.cells_over(axis, clip.frames[frame], cells.box[mine])
        plots.mark_cells(axis, cells.box[mine & taken])
        plots.evidence(axis, boxed, frame=frame)
        if one is loaded:
            axis.set_title(f"frame {frame}")
    line[0].set_ylabel(f"{one.model.config.model_type}\n{taken.sum()} tokens", fontsize=9)
_ = figure.suptitle(f"{boxed.question} {' / '.join(str(g['target, box']) for g in groups)} target tokens")

# %% [markdown]
# ## What stands between the frames
#
# The prompt is more than cells. Here is the clip as each model reads it, every run of cells shortened to one sign. A
# `<video>` that is left over in LLaVA-OneVision's is its newline: a visual token that shows nothing.


# %%
def written(one, sample):
    """The prompt, with runs of visual tokens as [n]; two samples of other families may differ a lot."""
    b = encode(one, [sample])
    seen = np.isin(np.arange(b.question.shape[1]), b.cells[0].position)
    text, run = "", 0
    for token, visual in zip(b.inputs["input_ids"][0].tolist(), seen.tolist(), strict=True):
        text += f"[{run}]" * (run > 0 and not visual) + (
            "" if visual else one.processor.tokenizer.decode(token)
        )
        run = run + 1 if visual else 0
    return text[: text.index(sample.question)].replace("\n", " ")


for one in families:
    print(f"{one.model.config.model_type}: ...{written(one, ranged)[-270:]}\n")

# %% mystnb={"figure": {"name": "fig-video-sequence", "caption": "The sequence of each family, by token: text (markers, timestamps, newlines), the groups of frames in turn, the target and the question."}, "image": {"alt": "One strip for each family. Coloured stretches of visual tokens alternate with grey text where a family writes something between frames; part of them is marked as target."}}
figure, axes = plt.subplots(len(families), 1, figsize=(9, 1.15 * len(families) + 0.5), squeeze=False)
colours = {
    "text": "#DDDDDD",
    "frames": plots.SKY,
    "next frames": plots.BLUE,
    "target": plots.AMBER,
    "question": plots.BLACK,
}
between = {}
for axis, one in zip(axes[:, 0], families, strict=True):
    b = encode(one, [ranged])
    kind, cells = np.zeros(b.question.shape[1], dtype=int), b.cells[0]
    kind[cells.position] = 1 + np.unique(cells.frames[:, 0], return_inverse=True)[1] % 2
    target = b.targets()[0].cpu().numpy()
    span = np.flatnonzero(target)
    between[one.model.config.model_type] = int((~target[span[0] : span[-1]]).sum())
    kind[target], kind[b.question[0].cpu().numpy()] = 3, 4
    for value, (name, colour) in enumerate(colours.items()):
        axis.bar(np.flatnonzero(kind == value), 1, width=1, color=colour, label=name)
    axis.set(yticks=[], xlim=(-0.5, len(kind) - 0.5))
    axis.set_ylabel(one.model.config.model_type, fontsize=8)
axes[-1, 0].set_xlabel("position in the sequence")
axes[0, 0].legend(ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
_ = figure.suptitle(
    "Tokens inside the event that show nothing of it: " + ", ".join(f"{n} ({f})" for f, n in between.items()),
    fontweight="bold",
    y=1.06,
)

# %% [markdown]
# ## Half a group
#
# If an event begins in the middle of a pair, does the pair belong to it? Two policies: take every group that shows *any* frame of the
# event (used in this book unless said otherwise), or only groups *all* of whose frames lie in it; if that leaves none, the nearest group.

# %%
clips = {
    level: load_samples("clips", "detection", detection_samples, seed, paired=False, level=level)
    for level in ("box", "frames")
}
if dataset != "clips":
    clips = {"frames": detection}
batches = {level: encode_all(loaded, some, batch_size) for level, some in clips.items()}
policies = {
    policy: measure_ram(loaded, batches["frames"], "last", groups=policy, progress=False)
    for policy in ("any", "all")
}
level = next(iter(clips))
ram = {
    name: measure_ram(loaded, b, "last", progress=False) for name, b in batches.items() if name != "frames"
}
ram["frames"] = policies["any"]
scores = HeadScores(ram[level].ram)
core, best, bottom = scores.top(top_fraction), scores.ranking()[0], scores.ranking()[-1]
pd.DataFrame(
    {
        name: {
            "even attention": r.share.mean(),
            "best head, RAM": r.ram[best],
            "best head, lift": r.lift[best],
            "lowest head, RAM": r.ram[bottom],
            f"top {len(core)} shared": len({*HeadScores(r.ram).top(top_fraction)} & {*core}),
        }
        for name, r in (
            {level: ram[level], "frames, any": policies["any"], "frames, all": policies["all"]}
        ).items()
    }
).round(3)

# %%
even = {policy: r.share.mean() for policy, r in policies.items()}
Markdown(
    f"Whole frames are a large target: even attention scores {even['any']:.2f} on them under *any*, {even['all']:.2f} under *all*. The best "
    f"head (layer {best.layer}, head {best.head}) has a RAM of **{ram[level].ram[best]:.2f}** on the {level} with a lift of "
    f"{ram[level].lift[best]:.1f}, and **{policies['any'].ram[best]:.2f}** on the frames with a lift of {policies['any'].lift[best]:.1f}. A raw score on "
    f"frames is flattered by the size of its target; say which policy, and give the lift."
)

# %% [markdown]
# ## Where heads look
#
# After the paper's figure 2: a strip of frames, as a few heads see it. Where frames share tokens, both show the same light.

# %%
question_ram = measure_ram(loaded, batches[level], "question", progress=False).ram
best_question = HeadScores(question_ram).ranking()[0]
strip = load_samples("clips", "evaluation", 3, seed, frames=(6, 6), paired=True)[0]
group = encode(loaded, [strip])
maps = {rows: attention_maps(loaded, group, getattr(group, rows))[:, 0] for rows in ("last", "question")}

# %% mystnb={"figure": {"name": "fig-video-heads", "caption": "Where heads look, over a clip of six frames: a row for each head, scaled to its own maximum over the clip, dark where it does not look. The frame is the evidence, never shown to the model."}, "image": {"alt": "Four rows of six small frames. The first shows the clip with a frame around one shape where it appears. The others show it darkened except where a head looks."}}
lines = [
    ("highest RAM", best, "last"),
    ("over the question", best_question, "question"),
    ("lowest RAM", bottom, "last"),
]
figure, axes = plt.subplots(4, 6, figsize=(10, 7))
cells, landed = group.cells[0], []
inside = target_cells(strip.evidence, cells)
for frame, axis in enumerate(axes[0]):
    plots.picture(axis, strip.media[0].frames[frame])
    axis.set_title(f"frame {frame}")
for line, (title, head, asked) in zip(axes[1:], lines, strict=True):
    weight = maps[asked][cells.position, head.layer, head.head]
    landed.append(float(weight[inside].sum()))
    for frame, axis in enumerate(line):
        mine = (cells.frames[:, 0] <= frame) & (frame < cells.frames[:, 1])
        plots.cells_over(
            axis, strip.media[0].frames[frame], cells.box[mine], weight[mine], float(weight.max())
        )
    line[0].set_ylabel(f"{title}\nL{head.layer} H{head.head}: {landed[-1]:.2f}", fontsize=9)
for line in axes:
    for frame, axis in enumerate(line):
        plots.evidence(axis, strip, frame=frame)
_ = figure.suptitle(
    f"{strip.question} On the evidence: " + ", ".join(f"{m:.2f}" for m in landed), fontweight="bold"
)

# %% [markdown]
# ## Counting instead of asking
#
# The paper counts frames as it counts pages: *uniform slices* of M visual tokens over N frames, *cumulative offsets* of so many
# tokens a frame, or *tags* around a frame. We run the first two on clips with an even and with an odd number of frames. Tags cannot
# be written into a clip, whose frames come from one placeholder (and put between Qwen's tokens they would break its positions),
# so for them frames are handed over one by one, as images.


# %%
def of_lengths(lengths):
    """Clips of these lengths, as many in all as asked for, sorted by length; evidence: frames."""
    each = max(1, samples // len(lengths))
    return [
        s
        for n in lengths
        for s in load_samples(
            "clips", "evaluation", each, seed + n, frames=(n, n), paired=False, level="frames"
        )
    ]


kinds = {"even number": of_lengths((4, 6, 8)), "odd number": of_lengths((5, 7, 9))}
kinds["one by one"] = [as_images(s) for s in kinds["odd number"]]
ways = pd.DataFrame(
    [
        row
        for one in families
        for kind, some in kinds.items()
        for row in summary(
            compare(one, encode_all(one, some, batch_size)),
            top_fraction,
            family=one.model.config.model_type,
            frames=kind,
        )
    ]
)
ways.set_index(["family", "frames", "way"]).round(2)

# %% mystnb={"figure": {"name": "fig-video-ways", "caption": "Wrong tokens (filled) and missed ones (open), as shares, for each way of finding target tokens. Exact cells, the baseline, are at zero by definition."}, "image": {"alt": "A panel for each family with one line for each way and kind of clip; a filled and an open marker on every line tell how many tokens are wrong and how many are missed."}}
part = ways[ways["way"] != EXACT]
order = [f"{way}, {kind}" for way, kind in dict.fromkeys(zip(part["way"], part["frames"], strict=True))]
figure, axes = plt.subplots(
    1, len(families), figsize=(3.1 * len(families) + 2, 3.9), squeeze=False, sharey=True
)
for axis, name in zip(axes[0], dict.fromkeys(part["family"]), strict=True):
    own = part[part["family"] == name]
    places = [order.index(f"{way}, {kind}") for way, kind in zip(own["way"], own["frames"], strict=True)]
    axis.plot(own["wrong"], places, "o", color=plots.RED, label="wrong")
    axis.plot(own["missed"], places, "o", mfc="none", mec=plots.BLUE, ms=9, label="missed")
    axis.set(title=name, xlim=(-0.06, 1.06), xlabel="share", yticks=range(len(order)))
    axis.set_yticklabels(order, fontsize=8)
    axis.grid(axis="y", alpha=0.3)
axes[0, 0].invert_yaxis()
axes[0, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
mine = ways[ways["family"] == family].set_index(["frames", "way"])
sliced = {kind: mine.loc[(kind, "uniform slices")] for kind in ("even number", "odd number")}
_ = figure.suptitle(
    f"Uniform slices on {family}: {sliced['even number']['missed']:.0%} missed in even clips, "
    f"{sliced['odd number']['wrong']:.0%} wrong and {sliced['odd number']['missed']:.0%} missed in odd ones",
    fontweight="bold",
)

# %%
accuracy = {}
for kind, some in {"as a clip": kinds["odd number"], "one by one": kinds["one by one"]}.items():
    accuracy[kind] = evaluate(loaded, encode_all(loaded, some, batch_size), progress=False).accuracy
tags = [tagged_targets(loaded, b)[0] for b in encode_all(loaded, kinds["one by one"], batch_size)]
accuracy["one by one, tagged"] = evaluate(loaded, tags, progress=False).accuracy
several = np.mean([len(units(s)[1]) for s in kinds["one by one"]])
tag = mine.loc[("one by one", "tags, in the tagged prompt")]
worst = part.sort_values(["spearman", "top_shared"]).iloc[0]
Markdown(
    f"On {family}, uniform slices miss **{sliced['even number']['missed']:.0%}** of the evidence in clips of an even length and "
    f"{sliced['odd number']['missed']:.0%} in those of an odd one, and {sliced['even number']['wrong']:.0%} and {sliced['odd number']['wrong']:.0%} of their tokens are wrong; "
    f"Spearman with the exact ranking is {sliced['even number']['spearman']:.2f} and {sliced['odd number']['spearman']:.2f}, and "
    f"{sliced['even number']['top_shared']:.0%} and {sliced['odd number']['top_shared']:.0%} of the top heads are found. "
    + (
        "Part of the evidence is missed and nothing complains. "
        if sliced["even number"]["missed"] + sliced["odd number"]["missed"] > 0
        else "Here every frame has tokens of its own, so that slicing is right. "
    )
    + f"An event has {several:.1f} frames on average, but the scan for tags stops "
    f"at the first pair, so that tags miss **{tag['missed']:.0%}** of the evidence. They are also read: accuracy is {accuracy['as a clip']:.2f} for "
    f"clips, {accuracy['one by one']:.2f} for the same frames one by one, {accuracy['one by one, tagged']:.2f} with tags. The lowest agreement of all is "
    f"{worst['spearman']:.2f}, of *{worst['way']}* on {worst['family']} ({worst['frames']})."
)

# %% [markdown]
# ## A photograph in motion
#
# No short clip with a clear licence is among the packages that this book installs, and none is shipped. We move a camera over a photograph instead:
# Matplotlib's picture of Grace Hopper (by James S. Davis for the US Navy, in the public domain), five frames, her name plate as the evidence. *Only the geometry is real*.

# %%
photo = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
corners = [(24 * step, 200 + 20 * step) for step in range(5)]  # upper left of what the camera sees
views = tuple(photo.crop((x, y, x + 320, y + 320)) for x, y in corners)
plate = [
    Box(max(0, 79 - x), 484 - y, min(320, 168 - x), min(320, 518 - y), 0, frame)
    for frame, (x, y) in enumerate(corners)
    if frame in (1, 2, 3)
]
pan = Sample("pan", "photo", "Which name is on the plate?", "Hopper", (Clip(views, 2.0),), tuple(plate))

# %% mystnb={"figure": {"name": "fig-video-photo", "caption": "A camera moves over a photograph. The evidence is the name plate in frames 1 to 3; filled: target cells, by family, in the tiny models' settings."}, "image": {"alt": "Rows of five crops of the photograph of an officer, moving to the lower right, each under a grid. In the middle three a frame marks the name plate, and the cells that touch it are filled."}}
figure, axes = plt.subplots(len(families), 5, figsize=(9.5, 1.95 * len(families) + 0.4), squeeze=False)
photo_rows = []
for line, one in zip(axes, families, strict=True):
    cells = encode(one, [pan]).cells[0]
    taken = target_cells(pan.evidence, cells)
    photo_rows.append(
        {"family": one.model.config.model_type, "tokens": len(cells), "target": int(taken.sum())}
    )
    for frame, axis in enumerate(line):
        here = (cells.frames[:, 0] <= frame) & (frame < cells.frames[:, 1])
        plots.cells_over(axis, views[frame], cells.box[here])
        plots.mark_cells(axis, cells.box[here & taken])
        plots.evidence(axis, pan, frame=frame)
    line[0].set_ylabel("{family}\n{target} of {tokens}".format(**photo_rows[-1]), fontsize=9)
_ = figure.suptitle(
    "One plate in three frames: " + ", ".join(f"{r['target']}" for r in photo_rows) + " target tokens",
    fontweight="bold",
)

# %% [markdown]
# ## Exercises
#
# ```{exercise-start} All ranges of eight frames
# :label: ex-video-ranges
# ```
#
# Difficulty: 2/5. Take a clip of eight frames and every range of frames in it. For how many ranges do *any* and *all* give another
# target? Is there a range for which *all* takes frames outside it?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-video-ranges
# :class: dropdown
# ```

# %%
eight = encode(loaded, load_samples("clips", "evaluation", 1, seed, frames=(8, 8))).cells[0]
differ, outside, ranges = 0, 0, list(combinations(range(9), 2))
for start, stop in ranges:
    one, both = (target_cells((Frames(start, stop),), eight, groups=policy) for policy in ("any", "all"))
    differ += bool((one != both).any())
    outside += bool(((eight.frames[both] < start) | (eight.frames[both] > stop)).any())
print(f"{len(ranges)} ranges: other targets in {differ}; with all, frames outside in {outside}")

# %% [markdown]
# Wherever a family takes frames in pairs, ranges that begin or end in the middle of a pair differ; where every frame has its own
# tokens, none does. A range shorter than a pair, or across two halves, has no group of its own, and gets the nearest one.
#
# ```{solution-end}
# ```
#
# ```{exercise-start} Everything in between
# :label: ex-video-between
# ```
#
# Difficulty: 2/5. A colleague takes *all* tokens from the first target token to the last. How much larger is the target, and what does the best
# head's RAM become? What are the additional tokens?
#
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-video-between
# :class: dropdown
# ```

# %%
rows = []
for b in batches["frames"]:
    target = b.targets()
    filled = (target.cumsum(1) > 0) & (target.flip(1).cumsum(1).flip(1) > 0)
    mass = mass_on(loaded, b, torch.stack([target, filled]), b.last)[..., best.layer, best.head]
    rows.append(np.stack([*mass, *(t.sum(1).cpu().numpy() for t in (target, filled))]))
exact_mass, filled_mass, exact_size, filled_size = np.concatenate(rows, axis=1).mean(1)
print(
    f"{exact_size:.1f} tokens, RAM {exact_mass:.3f}; with all between {filled_size:.1f} tokens, RAM {filled_mass:.3f}"
)

# %% [markdown]
# The additional tokens are text: timestamps and markers, where a family writes them. Heads that look at markers would pass for heads that look at frames.
#
# ```{solution-end}
# ```
#
# ## Look for yourself
#
# Choose a head, or slide along the ranking from the first to the last. The frame is the {term}`target`; dark places get little attention.

# %%
explorer(loaded, [strip], scores)

# %% [markdown]
# ## Limits
#
# Our clips have a dozen frames at most and shapes that jump by whole cells. Real ones are sampled first, and an event between two sampled
# frames is lost before any table is made: the table says which frames a token shows, not what was left out. Tokens of a pair
# show two moments at once, and no policy can tell them apart. One seed and one model of each family.
#
# ## Where to go from here
#
# - One picture: [](02_targets_image); many pages: [](03_targets_document); words: [](05_targets_text)
# - What is done with the target: [](01_ram_definition)
# - The model's own account of its clips: {cite:t}`bai2025qwen3vl`
# - The figures and algorithms that this chapter follows and tests: {cite:t}`sun2026core`

# %%
publish(
    rows=[{"part": "ways", **row} for row in ways.to_dict("records")]
    + [{"part": "photo", **row} for row in photo_rows]
    + [{"part": "groups", **row} for row in groups],
    numbers={
        "even_any": even["any"],
        "even_all": even["all"],
        "best_ram_finest": ram[level].ram[best],
        "best_lift_finest": ram[level].lift[best],
        "best_ram_frames": policies["any"].ram[best],
        "best_lift_frames": policies["any"].lift[best],
        "slices_wrong_odd": sliced["odd number"]["wrong"],
        "slices_missed_odd": sliced["odd number"]["missed"],
        "slices_missed_even": sliced["even number"]["missed"],
        "slices_spearman_odd": sliced["odd number"]["spearman"],
        "slices_spearman_even": sliced["even number"]["spearman"],
        "slices_wrong_even": sliced["even number"]["wrong"],
        "slices_top_shared_odd": sliced["odd number"]["top_shared"],
        "slices_top_shared_even": sliced["even number"]["top_shared"],
        "event_frames": several,
        "tags_missed": tag["missed"],
        **{f"accuracy_{kind.replace(', ', '_').replace(' ', '_')}": a for kind, a in accuracy.items()},
        "worst_spearman": worst["spearman"],
        **{f"between_{name}": n for name, n in between.items()},
        "example_mass_best": landed[0],
        "example_mass_question": landed[1],
        "example_mass_bottom": landed[2],
    },
    inputs={
        "model": loaded.provenance,
        **{f"other_{i}": one.provenance for i, one in enumerate(families[1:], 1)},
        "data": {"name": dataset, "split": "detection", "sha256": samples_checksum(detection)},
        "photo": {"name": "grace_hopper.jpg, shipped with matplotlib", "sha256": samples_checksum([pan])},
    },
)
