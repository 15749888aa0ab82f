"""The mean return of every trial against environment steps. The best, the median and the worst trial are marked."""

from typing import Any

from matplotlib.figure import Figure

from sidewinder.report.figures import style
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import BLUE, COLUMN, GREEN, GREY, VERMILION
from sidewinder.trials.tables import judged

MARKS = [("best", BLUE, "-"), ("worst", VERMILION, "--"), ("median", GREEN, "-.")]


def draw(tables: Tables) -> Figure:
    """Draw the curves. Best, median and worst are the ranks of complete trials by their objective."""
    if tables.evaluations.empty:
        return style.empty("no trial was evaluated")
    figure = Figure(figsize=(COLUMN, 2.6))
    axes = figure.subplots()
    complete = tables.ranked()
    # With one or two complete trials, the median is also the best or the worst; each is marked once.
    ranks = [complete[rank] for rank in (0, -1, len(complete) // 2)] if complete else []
    marked = dict(zip(dict.fromkeys(ranks), MARKS, strict=False))
    others = [number for number in tables.params if number not in marked and not tables.curve(number).empty]
    # The dot marks the last evaluation. It is all that is seen of a trial with one evaluation.
    look: dict[str, Any] = {"color": GREY, "linewidth": 0.5, "marker": ".", "markersize": 2, "markevery": [-1]}
    for number in others:
        curve, label = tables.curve(number), "other trials" if number == others[0] else "_"
        axes.plot(curve["step"], curve[f"mean_{judged(curve)}"], label=label, **look)
    for number, (name, color, line) in marked.items():
        style.draw_curve(axes, tables.curve(number), color, line, f"{name} (trial {number})")
    style.label_curves(figure, axes, tables.value)
    return figure
