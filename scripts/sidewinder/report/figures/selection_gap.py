"""How lucky the sweep's best values were (the winner's curse)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sidewinder.confirmation.statistics import value_column
from sidewinder.report.figures import style
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import BLUE, COLUMN, GREY


def draw(tables: Tables) -> Figure:
    """Draw a line for each confirmed trial: its objective in the sweep, then its mean over validation seeds.

    The winner's line goes on to its mean over test seeds. Dashes are single seeds.
    """
    if tables.confirmation.empty:
        return style.empty("the study is not confirmed yet")
    figure = Figure(figsize=(COLUMN, 2.4))
    axes = figure.subplots()
    if tables.config.evaluation.get("objective") == "auc":
        return style.empty("an area under a curve compares with no mean of a test")
    trials = tables.confirmation.dropna(subset="trial")
    tuned = tables.trials.set_index("number")["objective"].astype(float)
    winner = int(trials.loc[trials["candidate"] == "winner", "trial"].iloc[0])
    numbers = sorted({int(number) for number in trials["trial"]}, key=lambda number: number == winner)
    for number in numbers:
        label = f"winner (trial {number})" if number == winner else "others" if number == numbers[0] else None
        _line(axes, tuned[number], trials[trials["trial"] == number], winner == number, label)
    axes.set_xticks([0, 1, 2], ["sweep", "validation\nseeds", "test\nseeds"])
    axes.set_xlim(-0.3, 2.3)
    axes.set_ylabel(tables.value)
    figure.legend(loc="outside upper center", ncols=3, columnspacing=1.2, handlelength=1.5)
    trained = {
        f"{phase} of trial {number}": trials[(trials["trial"] == number) & (trials["phase"] == phase)]
        for number in numbers
        for phase in ("validation", "test")
    }
    style.note_failures(figure, trained)
    return figure


def _line(axes: Axes, tuned: float, rows: pd.DataFrame, won: bool, label: str | None) -> None:
    color = BLUE if won else GREY
    # One value for each seed; with several environments its mean score.
    seeds = rows.groupby(["phase", "index"])[value_column(rows)].mean().dropna()
    phases = {phase: seeds[seeds.index.get_level_values("phase") == phase] for phase in ("validation", "test")}
    # The means by position on the axis. A phase without values, whose trainings all failed, is left out.
    means = {0: tuned} | {place: own.mean() for place, own in enumerate(phases.values(), start=1) if len(own)}
    axes.plot(list(means), list(means.values()), "o-" if won else "s--", color=color, markersize=4, label=label)
    for position, returns in enumerate(phases.values(), start=1):
        axes.plot([position] * len(returns), returns, "_", color=color, alpha=0.7, markersize=7)
