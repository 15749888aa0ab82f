"""The test returns of the winner and of the baselines."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sidewinder.config.metrics import in_words
from sidewinder.confirmation import statistics
from sidewinder.report.figures import style
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import BLUE, COLUMN, GREEN, GREY, VERMILION

COLORS = {"winner": BLUE, "defaults": VERMILION, "zoo": GREEN}
NAMES = {"winner": "tuned", "defaults": "defaults", "zoo": "RL Zoo"}


def draw(tables: Tables) -> Figure:
    """Draw a row for each setting.

    A point is the mean over the episodes of one test seed. A diamond is the interquartile mean over seeds, with its
    95 % interval. With several environments, there is one axes for the scores, and one for the returns in each.
    """
    if tables.confirmation.empty:
        return style.empty("the study is not confirmed yet")
    test = tables.confirmation[tables.confirmation["phase"] == "test"]
    panels = {"score": test} if tables.config.environments else {}
    for environment, rows in statistics.by_environment(test).items():
        metric = in_words(tables.config.study.objectives[0])
        panels[f"{metric} in {environment}" if environment else metric] = rows.drop(
            columns=["environment", "score"], errors="ignore"
        )
    n_rows = test["candidate"].nunique()
    figure = Figure(figsize=(COLUMN, len(panels) * (0.7 + 0.45 * n_rows)))
    every = figure.subplots(len(panels), squeeze=False)[:, 0]
    for axes, (label, rows) in zip(every, panels.items(), strict=True):
        _draw_settings(axes, rows)
        axes.set_xlabel(f"{label} ({rows['index'].nunique()} test seeds; IQM, 95% interval)")
    settings = test.groupby("candidate", sort=False)
    style.note_failures(figure, {NAMES.get(str(name), str(name)): rows for name, rows in settings})
    return figure


def _draw_settings(axes: Axes, test: pd.DataFrame) -> None:
    candidates = list(test["candidate"].unique())
    for height, name in enumerate(candidates):
        rows, color = test[test["candidate"] == name], COLORS.get(name, GREY)
        values = rows[statistics.value_column(rows)].dropna()
        axes.plot(values, np.full(len(values), height + 0.15), ".", color=color, alpha=0.5, markersize=5)
        if (found := statistics.summarize(rows)) is not None:
            draw_estimate(axes, found.iqm, height - 0.15, color)
    axes.set_yticks(range(len(candidates)), [NAMES.get(name, name) for name in candidates])
    axes.set_ylim(len(candidates) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)


def draw_estimate(axes: Axes, estimate: statistics.Estimate, height: float, color: str) -> None:
    """Draw an estimate as a diamond, with its interval as a line."""
    error = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
    axes.errorbar(estimate.value, height, xerr=error, fmt="D", color=color, markersize=4, capsize=2)
