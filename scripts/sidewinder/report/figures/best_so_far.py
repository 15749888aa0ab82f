"""Compares studies: the best objective so far against trials, and against environment steps."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from sidewinder.confirmation.statistics import interval_of_mean
from sidewinder.report.figures import style
from sidewinder.report.figures.comparison import Comparison
from sidewinder.report.figures.optimization_history import best_so_far
from sidewinder.report.figures.study_tables import Tables

TRIALS = "trials"


def draw(comparison: Comparison) -> Figure:
    """Draw a row of axes for each environment: against trials on the left, against environment steps on the right.

    Lines are means over the studies that differ in their seed only. Bands are 95 % bootstrap intervals of these means.
    """
    environments = list(comparison.by_environment())
    figure = Figure(figsize=(style.PAGE, 2.2 * len(environments)))
    every = figure.subplots(len(environments), 2, squeeze=False, sharey="row")
    colors = style.palette(comparison.labels)
    for row, (environment, studies) in zip(every, environments, strict=True):
        for axes, x in zip(row, (TRIALS, style.STEPS), strict=True):
            frame = pd.concat(progress(studies, x), ignore_index=True)
            # The mean begins where all studies of a label have a value.
            frame = frame[frame.groupby(["label", x])["best"].transform(lambda best: best.notna().all())]
            sns.lineplot(
                frame,
                x=x,
                y="best",
                hue="label",
                style="label",
                palette=colors,
                errorbar=interval_of_mean,
                legend=False,
                ax=axes,
            )
            axes.set(xlabel=x, ylabel=f"best {studies[0][1].objective}\n{environment}")
            axes.set_xlim(left=0)
            axes.locator_params(axis="x", integer=True)
    style.legend(figure, colors)
    return figure


def progress(studies: list[tuple[str, Tables]], x: str) -> list[pd.DataFrame]:
    """Return the best objective so far of each study.

    Args:
        studies: Label and tables of each study.
        x: `TRIALS` or `style.STEPS`: a row for each trial, or for each of 101 numbers of environment steps, from 0 to
            the last one that all studies reach.

    Returns:
        For each study a frame with the columns `label`, `best` and the one named `x`. `best` is NaN before the first
        complete trial.
    """
    curves = []
    for label, tables in studies:
        trials = tables.trials.set_index("number")
        best = best_so_far(trials["objective"].astype(float), tables.direction)
        curves.append((label, best.to_numpy(), trials["steps"].astype(float).cumsum().to_numpy()))
    grid = np.linspace(0, min(steps[-1] for _, _, steps in curves), 101)
    frames = []
    for label, reached, steps in curves:
        if x == TRIALS:
            frames.append(pd.DataFrame({"label": label, x: np.arange(1, len(reached) + 1), "best": reached}))
        else:
            # The number of trials that have ended by each step.
            last = np.searchsorted(steps, grid, side="right")
            frames.append(pd.DataFrame({"label": label, x: grid, "best": np.append(np.nan, reached)[last]}))
    return frames
