"""Compares studies: the test returns of the tuned settings and of the baselines."""

import numpy as np
from matplotlib.figure import Figure

from sidewinder.config.metrics import in_words
from sidewinder.confirmation import statistics
from sidewinder.report.figures import style
from sidewinder.report.figures.comparison import Comparison
from sidewinder.report.figures.test_returns import COLORS, NAMES, draw_estimate


def draw(comparison: Comparison) -> Figure:
    """Draw an axes for each environment, with a group of rows for each label and a row for each setting.

    A point is one test seed; studies that differ in their seed only are drawn in one row. A diamond is the
    interquartile mean with its 95 % bootstrap interval.
    """
    if comparison.test.empty:
        return style.empty("no study has a winner")
    metric = in_words(comparison.studies[0].config.study.objectives[0])
    tasks = {str(task): rows for task, rows in comparison.test.groupby("task", sort=False)}
    heights = [1 + rows.groupby("label").ngroups for rows in tasks.values()]
    figure = Figure(figsize=(style.COLUMN, 0.55 * sum(heights) + 0.4))
    every = figure.subplots(len(tasks), squeeze=False, height_ratios=heights)[:, 0]
    for axes, (task, rows) in zip(every, tasks.items(), strict=True):
        labels = list(rows["label"].unique())
        for (label, candidate), own in rows.groupby(["label", "candidate"], sort=False):
            height = labels.index(str(label)) + 0.25 * (list(COLORS).index(str(candidate)) - 1)
            color = COLORS[str(candidate)]
            axes.plot(
                own[statistics.value_column(own)], np.full(len(own), height), ".", color=color, alpha=0.3, markersize=3
            )
            if (found := statistics.summarize(own)) is not None:
                draw_estimate(axes, found.iqm, height, color)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(f"{metric} in {task} (interquartile mean, 95% interval)")
    style.legend(figure, {NAMES[name]: color for name, color in COLORS.items()})
    style.note_failures(figure, comparison.settings())
    return figure
