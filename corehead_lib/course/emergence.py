"""Checks of chapter 11."""

from scipy.stats import norm

from corehead_lib.course import Expected, exercise


@exercise("ex-emergence-power", "answer = ...  # one whole number of seeds")
def power(share=0.9, level=0.05) -> Expected:
    sure, found = norm.ppf(1 - level / 2), norm.ppf(share)
    squared = 4 / 3.141592653589793  # (mean difference of two runs / sigma)^2
    number = 2 * (sure + found) ** 2 / squared
    mistakes = {
        "That is the number for one setting measured against a known value; here both are uncertain.": number
        / 2,
        "That has a power of one half only: add the quantile of nine in ten.": 2 * sure**2 / squared,
        "That is for both settings together; give the seeds of each.": 2 * number,
    }
    return Expected(number, "Small effects in noisy runs are dear.", mistakes, 2)
