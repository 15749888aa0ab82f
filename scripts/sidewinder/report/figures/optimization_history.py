"""The objective of each trial, the best so far, and which trials have none."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import BLUE, COLUMN, GREY, VERMILION


def draw(tables: Tables) -> Figure:
    """Draw objectives against the trial's number. Pruned and failed trials are marked at the lower end."""
    figure = Figure(figsize=(COLUMN, 2.4))
    axes = figure.subplots()
    objectives = tables.trials.set_index("number")["objective"].astype(float)
    best = best_so_far(objectives, tables.direction)
    axes.plot(objectives.index, best, drawstyle="steps-post", color="black", label="best so far")
    axes.plot(objectives.index, objectives, ".", color=BLUE, markersize=5, label="complete")
    _mark(axes, tables.numbers("pruned"), "v", GREY, "pruned")
    _mark(axes, tables.numbers("failed"), "x", VERMILION, "failed")
    # Room for the marks below the lowest objective.
    axes.margins(y=0.12)
    axes.set(xlabel="trial", ylabel=tables.objective)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper center", ncols=4, columnspacing=1.2, handlelength=1.5)
    return figure


def best_so_far(objectives: "pd.Series[float]", direction: str) -> "pd.Series[float]":
    """Return for each trial the best objective up to that trial; NaN before the first complete trial."""
    best = objectives.cummin() if direction == "minimize" else objectives.cummax()
    return best.ffill()


def _mark(axes: Axes, numbers: list[int], marker: str, color: str, label: str) -> None:
    """Mark trials without an objective just above the lower end of the axes."""
    if numbers:
        heights = [0.03] * len(numbers)
        axes.plot(
            numbers, heights, marker, color=color, markersize=3, label=label, transform=axes.get_xaxis_transform()
        )
