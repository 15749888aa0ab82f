"""The objectives of all trials against each other, with the sweep's Pareto set and its test results."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sidewinder.config.metrics import in_words
from sidewinder.confirmation.statistics import objective_estimates
from sidewinder.report.figures import style
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import BLUE, COLUMN, GREY, VERMILION
from sidewinder.trials.tables import pareto_set, value_columns


def draw(tables: Tables) -> Figure:
    """Draw each further objective against the first objective, on one axes each.

    Dotted lines lead from a setting's values in the sweep to its means on the test seeds. Bars are 95 % intervals.
    """
    settings = tables.config.study
    objectives = settings.objectives
    if len(objectives) == 1:
        return style.empty("the study has one objective")
    if not (front := pareto_set(tables.trials, objectives, settings.directions)):
        return style.empty("no complete trial")
    sweep = tables.trials.set_index("number")[value_columns(objectives)].astype(float).set_axis(objectives, axis=1)
    figure = Figure(figsize=(COLUMN, 2.6 * (len(objectives) - 1)))
    for axes, other in zip(figure.subplots(len(objectives) - 1, squeeze=False)[:, 0], objectives[1:], strict=True):
        first = objectives[0]
        axes.plot(sweep[first], sweep[other], ".", color=GREY, markersize=4, label="trials")
        points = sweep.loc[front].sort_values(first)
        # With more than two objectives, a line through the points would not be the front.
        joined = "o-" if len(objectives) == 2 else "o"
        axes.plot(points[first], points[other], joined, color=BLUE, markersize=4, label="Pareto set, in the sweep")
        _draw_test(axes, tables, sweep, other)
        spread = f"spread of the {in_words(first)}"
        axes.set(xlabel=tables.value, ylabel=spread if other == "spread" else in_words(other))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, columnspacing=1.2, handlelength=1.5)
    if len(tables.confirmation):
        candidates = tables.confirmation.groupby("candidate", sort=False)
        style.note_failures(figure, {_name(str(name), rows): rows for name, rows in candidates})
    return figure


def _name(candidate: str, rows: pd.DataFrame) -> str:
    trial = rows["trial"].iloc[0]
    return candidate if pd.isna(trial) else f"trial {int(trial)}"


def _draw_test(axes: Axes, tables: Tables, sweep: pd.DataFrame, other: str) -> None:
    styles = {"trials": ("D", BLUE, "the same, on test seeds"), "baselines": ("s", VERMILION, "baselines")}
    labelled, first = set(), tables.config.study.objectives[0]
    for name, rows in tables.confirmation.groupby("candidate", sort=False) if len(tables.confirmation) else ():
        if (found := objective_estimates(tables.config, rows)) is None:
            continue
        trial = rows["trial"].iloc[0]
        kind = "baselines" if pd.isna(trial) else "trials"
        marker, color, label = styles[kind]
        x, y = found[first], found[other]
        axes.errorbar(
            x.value,
            y.value,
            xerr=[[x.value - x.low], [x.high - x.value]],
            yerr=[[y.value - y.low], [y.high - y.value]],
            fmt=marker,
            color=color,
            markerfacecolor="white",
            markersize=4,
            linewidth=0.8,
            label="_" if kind in labelled else label,
        )
        labelled.add(kind)
        if kind == "trials":
            from_x, from_y = (float(sweep[name][int(trial)]) for name in (first, other))
            axes.plot([from_x, x.value], [from_y, y.value], ":", color=GREY, linewidth=0.8)
        else:
            axes.annotate(str(name), (x.value, y.value), xytext=(3, 3), textcoords="offset points", fontsize=6)
