# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The heads that look
#
# Show a multimodal language model a picture and ask which digit is on one of its shapes. Something in it has to get from the words of the
# question to the few {term}`visual tokens <visual token>` that show this shape, and bring back what is there. Which parts do that, and how few?
#
# ::::{grid} 1 1 3 3
# :gutter: 2
#
# :::{grid-item}
# ```{glue:figure} fig_asked
# :name: fig-introduction-asked
# :alt: A small picture of coloured shapes, each with a digit on it. A frame marks one of them.
#
# A question. The model never sees the frame.
# ```
# :::
#
# :::{grid-item}
# ```{glue:figure} fig_looks
# :name: fig-introduction-looks
# :alt: The same picture, darkened where one attention head does not look. The brightest part is at the framed shape.
#
# Where the best of {glue:text}`heads` heads looks. Dark: no attention.
# ```
# :::
#
# :::{grid-item}
# ```{glue:figure} fig_without
# :name: fig-introduction-without
# :alt: Accuracy against the number of silenced heads, from none to half of them, with marks at 5 and 12 percent. One line silences first the heads that look most at the evidence, the others silence heads in random order. All start at the level of the untouched model; a dotted line marks the level of guessing.
#
# What is left when heads are silenced.
# ```
# :::
# ::::
#
# The model gives the right answer to this question a probability of {glue:text}`shown_none:.2f`. Without the {glue:text}`heads_few` heads that look most
# (5 % of all), it is {glue:text}`shown_few:.2f`; without the {glue:text}`heads_more` that look most (12 %), it is {glue:text}`shown_more:.2f`. Of
# {glue:text}`samples` such questions, the model gets {glue:text}`accuracy_dense:.0%` right, {glue:text}`accuracy_few:.0%` without the 5 %, and
# {glue:text}`accuracy_more:.0%` without the 12 %; guessing among the digits shown would give {glue:text}`guess:.0%`.
#
# That a few heads do this, and what they are good for, is the claim of {cite:t}`sun2026core`, who call them
# {term}`CoRe heads <CoRe head>` and rank them by {term}`RAM`, *retrieval attention mass*: the share of its attention that a head gives to the evidence.
# This book rebuilds the work from end to end on models small enough to run live on two processor cores, and questions it.
#
# ## What we found
#
# ```{verdicts}
# ```
#
# Every number here comes from the chapter named beside it. *Rests on* counts the models and sets of samples in that chapter's record of its
# inputs; numbers quoted from [](14_models) rest on all models. [](../book/results) has more numbers, each with a link to the cell that computed it.
#
# ## Try it
#
# One of the tiny models runs in this page. Choose a picture or draw one (*Your own*), choose a question, and switch heads off: the top 5 % or
# 12 %, as many others from the same layers, as many of the lowest, or any that you click. Watch the model's answer, and where a head looks.
#
# <div class="corehead-lab"><p>The lab is drawn by a script in the rendered book.</p></div>
# <script defer src="../_static/lab/lab.js"></script>
#
# What you see is one question. Whether the same holds for many, and for sets of heads drawn at random, is what the chapters measure.
#
# ## What to keep in mind
#
# - **The models are tiny and trained by us.** They show that a mechanism exists and can be measured; they say nothing
#   about its size in a model with billions of parameters.
# - **We do not know the paper's exact normalisation of {term}`RAM`.** We say which rows we average over, and show the alternatives
#   next to it: the question's tokens, the last token of the prompt, the rows that write the answer.
# - **Attention is not explanation** {cite:p}`jain2019attention`. That a head looks somewhere does not prove that the
#   model uses what is there, which is why each ranking is followed by an intervention.
# - **Zeroing a head is a blunt tool.** It puts the model into a state that it has never been in, and later layers may
#   repair the damage. Read "no effect" as weak evidence.
#
# ## How to read it
#
# Each chapter opens with what came out. The code follows; cells that only load, draw or publish are folded, and exercises close
# the chapter. Words set as links are defined in the [glossary](../book/glossary).
#
# ```{chapters}
# ```
#
# To run all this, or one chapter with your own values, see [](../book/how_to_run).
#
# The models are genuine Qwen3-VL {cite:p}`bai2025qwen3vl`, InternVL and LLaVA-OneVision models from the `transformers` library
# {cite:p}`wolf2020transformers`, with every kind of part but far fewer of each, trained on generated scenes, documents, clips and texts.
# Their [cards](../book/models) say how. Some are independent training runs, some share parts; [](07_stability) keeps the two apart.
#
# ## Where the claim comes from
#
# Retrieval heads were found in text-only models by {cite:t}`wu2024retrieval`, tied to the query by
# {cite:t}`zhang2025qrhead`, and looked for in images by {cite:t}`li2026mmretheads`, {cite:t}`park2026vrh` and
# {cite:t}`gandikota2026gaze`.
# Treating heads unequally to save time or memory is the idea of {cite:t}`xiao2024duo` and, for images, of
# {cite:t}`wang2025sparsemm`; the window with a few {term}`sinks <sink>` comes from {cite:t}`xiao2023streaming`.
#
# ## How the pictures above were made
#
# Run this page with another `model`, and the pictures are about that one.

# %% tags=["parameters"]
model: str = "tiny-qwen3-vl"  # the model to look into {model}
question: int = 0  # which of the held-out questions is shown {0..}
detection_samples: int = (
    48  # samples that heads are ranked on {2..100000, quick 12}
)
samples: int = 48  # other samples, for the accuracy, those of chapter 08 {2..100000, quick 8}
batch_size: int = 16  # prompts that run at once {1..1024}
draws: int = 5  # random orders of the heads {1..1000, quick 2}
seed: int = 0  # seeds samples and random orders {0..}
device: str = "cpu"  # where to compute {device}
dtype: str = (
    "float32"  # of weights and activations {float32, bfloat16, float16}
)

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

from corehead_lib import plots
from corehead_lib.chance import chance
from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.datasets.judged import judged_outcomes
from corehead_lib.encode import encode, encode_all
from corehead_lib.explorer import attention_to
from corehead_lib.models import load_model
from corehead_lib.rankings import rank
from corehead_lib.results import keep, publish
from corehead_lib.study import first_heads

plots.use_style()
loaded = load_model(model, device, dtype)
detection = load_samples("scenes", "detection", detection_samples, seed)
tested = load_samples("scenes", "evaluation", samples, seed)

# %% [markdown]
# Rank the heads by how much they look at the evidence from the last token of the prompt, and take the first:

# %%
batches = encode_all(loaded, detection, batch_size)
ram = rank(loaded, batches, ["ram-last"])["ram-last"]
order = ram.ranking()
best = order[0]
best

# %% [markdown]
# Where does it look when the model is asked this question? With one target per visual token, we get its attention to each of them:

# %%
shown = tested[question % len(tested)]
batch = encode(loaded, [shown])
looked = attention_to(loaded, batch, batch.visual[0].nonzero().flatten())
looked = looked[:, best.layer, best.head]  # (visual tokens,)
print(f"{looked.sum():.2f} of its attention is on the picture")

# %% [markdown]
# And what is lost without the heads that look most? First for this question. The claim is about 5 %, and 12 % goes beyond it; every run of
# this page uses these two shares:

# %%
shares = {"5 %": ram.top(0.05), "12 %": ram.top(0.12)}
asked = judged_outcomes(loaded, [shown], shares, 1).set_index("set")
probability = np.exp(asked.logprob).rename("probability")
probability.round(2)

# %% [markdown]
# Then for {glue:text}`samples` questions, silencing more and more of these heads, and as many in {glue:text}`draws` random orders.
# [](08_ablation) does this with more care.

# %%
rng, every = np.random.default_rng(seed), len(order)
orders = {"most": order}
for n in range(draws):
    orders[f"random {n}"] = [order[i] for i in rng.permutation(every)]
some = {1, 2, 3, 4, 8, 12, 16, 32, every // 2, *map(len, shares.values())}
sizes = sorted(n for n in some if n <= every // 2)
sets = first_heads(orders, sizes)
left = judged_outcomes(loaded, tested, sets, batch_size)
curve = left.groupby(["kind", "heads"]).correct.mean()
curve.drop("none").unstack().round(2)

# %% tags=["hide-input", "remove-output"]
from textwrap import fill

side = 3.1, 2.5
figure, axis = plt.subplots(figsize=side)
plots.picture(axis, shown.media[0])
plots.evidence(axis, shown)
axis.set_title(fill(shown.question, 26))
keep("fig_asked", figure)

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=side)
plots.cells_over(axis, shown.media[0], batch.cells[0].box, looked)
plots.evidence(axis, shown)
axis.set_title(f"Layer {best.layer}, head {best.head}\nlooks here")
keep("fig_looks", figure)

# %% tags=["hide-input", "remove-output"]
figure, axis = plt.subplots(figsize=side)
dense = float(curve["none"].item())
guess = chance(tested).option
for kind in orders:
    line = curve[kind]
    chosen = kind == "most"
    axis.plot(
        [0, *line.index],
        [dense, *line],
        "o-" if chosen else "-",
        color=plots.RED if chosen else plots.BLUE,
        alpha=1 if chosen else 0.4,
        ms=4,
        zorder=2 + chosen,
        label={"most": "that look most", "random 0": "at random"}.get(kind, "_"),
    )
for share, heads in shares.items():
    axis.axvline(len(heads), color=plots.BLACK, lw=0.8, ls=":", zorder=0)
    axis.text(len(heads), 1.06, share, ha="center", fontsize=8)
axis.set_xscale("symlog", base=2, linthresh=1)
axis.set_xticks([0, 1, 4, 16], ["0", "1", "4", "16"])
axis.set(xlim=(-0.2, None), ylim=(-0.03, 1.05))
axis.set(xlabel="silenced heads", ylabel="accuracy")
axis.legend(loc="best", fontsize=9)
axis.axhline(guess, color=plots.BLACK, lw=0.8, ls=":", zorder=0)
least, many = curve.xs(len(shares["12 %"]), level="heads"), len(shares["12 %"])
axis.set_title(
    f"{least['most']:.0%} right without the {many} that look most,\n"
    f"{least.drop('most').median():.0%} without {many} random ones",
    pad=14,
)
keep("fig_without", figure)

# %% tags=["hide-input"]
numbers = {"heads": every, "draws": draws, "samples": len(tested)}
numbers |= {"accuracy_dense": dense, "on_picture": float(looked.sum())}
numbers["guess"] = guess
numbers["shown_none"] = float(probability["none"])
for name, (share, heads) in zip(("few", "more"), shares.items(), strict=True):
    numbers |= {
        f"heads_{name}": len(heads),
        f"shown_{name}": float(probability[share]),
        f"accuracy_{name}": float(curve["most"][len(heads)]),
    }
publish(
    rows=curve.reset_index().to_dict("records"),
    numbers=numbers,
    inputs={
        "model": loaded.provenance,
        "detection": {"name": "scenes", "sha256": samples_checksum(detection)},
        "evaluation": {"name": "scenes", "sha256": samples_checksum(tested)},
    },
)
