# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The runs of a sweep, compared
#
# Each panel is one number that the runs found; a dot is a run, a bar the mean of the dots on its line.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd

from corehead_lib.plots import BLACK, BLUE, use_style
from corehead_lib.results import keep, publish

use_style()

# %% tags=["parameters"]
table: str = "table.csv"  # the table of a sweep
by: str = "model"  # the parameter to compare by
most: int = 24  # panels at most {1..200}

# %%
runs = pd.read_csv(table)
parameters = list(runs.columns[2:-2])
varied = [name for name in parameters if runs[name].nunique() > 1]
by = by if by in parameters else (varied or ["run"])[0]
others = [name for name in varied if name != by and "seed" not in name]
words = runs[[by, *others]].fillna("-").astype(str)
runs["line"] = [", ".join(row) for row in words.to_numpy()]
runs["panel"] = runs.notebook.astype(str).str[:2] + ": " + runs.number
grouped = runs.groupby(["panel", "line"], sort=False).value
summary = grouped.agg(["mean", "min", "max", "size"]).reset_index()
print(f"{runs.run.nunique()} runs by {', '.join([by, *others])}")

# %% tags=["hide-input", "remove-output"]
panels = list(dict.fromkeys(runs.panel))[:most]
names = list(dict.fromkeys(runs.line))[::-1]
rows = -(-len(panels) // 3)
height = rows * (0.7 + 0.22 * len(names))
figure, axes = plt.subplots(rows, 3, figsize=(10, height), sharey=True, squeeze=False)
for axis in axes.flat[len(panels) :]:
    axis.set_visible(False)
for axis, panel in zip(axes.flat, panels, strict=False):
    dots, bars = (part[part.panel == panel] for part in (runs, summary))
    axis.plot(dots.value, [names.index(line) for line in dots.line], "o", color=BLUE, alpha=0.6)
    axis.plot(bars["mean"], [names.index(line) for line in bars.line], "|", color=BLACK, markersize=12)
    axis.set(yticks=range(len(names)), yticklabels=names, ylim=(-0.5, len(names) - 0.5))
    axis.set_title(panel, fontsize=8)
figure.tight_layout()
keep("fig_sweep", figure)

# %% [markdown]
# ```{glue:figure} fig_sweep
# :name: fig-sweep
# :alt: One panel for each number that the runs found, one line for each setting, one dot for each run.
#
# Every number, run by run.
# ```

# %%
wide = summary.pivot(index="panel", columns="line", values="mean")
wide[names[::-1]].style.format("{:.3g}", na_rep="")

# %% tags=["hide-input"]
publish(
    rows=[{str(name): row[name] for name in row} for row in summary.to_dict("records")],
    numbers={"runs": runs.run.nunique(), "settings": len(names)},
    inputs={},
)
