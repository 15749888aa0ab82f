"""The learning curves of two trials, by default the best and the worst, and the parameters in which they differ."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sidewinder import SidewinderError
from sidewinder.report.figures import style
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import BLUE, COLUMN, VERMILION


def draw(tables: Tables, trials: Sequence[int] | None = None) -> Figure:
    """Draw both trials' mean returns against environment steps, and below them a table of the parameters that differ.

    Args:
        tables: The study's tables.
        trials: The numbers of the two trials (default: the best and the worst complete trial).

    Raises:
        SidewinderError: The study has no trial with such a number.
    """
    complete = tables.ranked()
    if trials is None and len(complete) < 2:
        return style.empty(f"a contrast needs two complete trials, found {len(complete)}")
    first, second = trials or (complete[0], complete[-1])
    for number in (first, second):
        if number not in tables.params:
            raise SidewinderError(f"--trials: found {number}, accepted: a trial, 0 to {max(tables.params)}")
    labels = (f"trial {first}", f"trial {second}") if trials else (f"best (trial {first})", f"worst (trial {second})")
    rows = [("", *labels), *differences(tables, first, second)]
    heights = [2.4, 0.14 * len(rows)]
    figure = Figure(figsize=(COLUMN, sum(heights)))
    curves, table = figure.subplots(2, height_ratios=heights)
    style.draw_curve(curves, tables.curve(first), BLUE, "-", labels[0])
    style.draw_curve(curves, tables.curve(second), VERMILION, "--", labels[1])
    style.label_curves(figure, curves, tables.value)
    _write(table, rows)
    return figure


def differences(tables: Tables, first: int, second: int) -> list[tuple[str, str, str]]:
    """Return the short name and both values of each parameter that differs, as text.

    The value is `-` if a trial does not have the parameter.
    """
    pairs = [(name, [tables.params[number].get(name, "-") for number in (first, second)]) for name in tables.names]
    rows = [(style.short(name), *style.apart(*values)) for name, values in pairs if values[0] != values[1]]
    return rows or [("no parameter differs", "", "")]


def _write(axes: Axes, rows: list[tuple[str, str, str]]) -> None:
    axes.set_axis_off()
    for i, row in enumerate(rows):
        y = 1 - (i + 0.5) / len(rows)
        axes.text(0, y, row[0], ha="left", va="center", fontsize=7)
        axes.text(0.65, y, row[1], ha="right", va="center", fontsize=7, color=BLUE)
        axes.text(1, y, row[2], ha="right", va="center", fontsize=7, color=VERMILION)
