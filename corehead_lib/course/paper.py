"""Checks of chapter 13."""

from corehead_lib.course import Expected, exercise


@exercise(
    "ex-paper-equal", "answer = ...  # a dict from kind of evidence to its largest share of wrong tokens"
)
def equal(ways) -> Expected:
    slices = ways[ways["way"] == "uniform slices"].groupby("kind")
    worst = slices["wrong"].max().to_dict()
    mistakes = {
        "Those are means over families; a way that fails in one of them is not safe.": slices["wrong"]
        .mean()
        .to_dict(),
        "Those are target tokens that were missed; wrong ones are asked for.": slices["missed"]
        .max()
        .to_dict(),
        "Those are the smallest shares.": slices["wrong"].min().to_dict(),
    }
    return Expected(worst, "What passes with equal items may know nothing of items.", mistakes)
