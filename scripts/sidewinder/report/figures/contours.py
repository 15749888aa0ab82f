"""The objective over pairs of the most important parameters."""

import numpy as np
from matplotlib.figure import Figure
from optuna.visualization.matplotlib import plot_contour

from sidewinder.report.figures import style
from sidewinder.report.figures.parameter_importance import most_important
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import PAGE

_MOST = 3


def draw(tables: Tables) -> Figure:
    """Draw a matrix of axes, with a row and a column for each parameter.

    Points are complete trials. Between them the objective is interpolated.
    """
    names = [name for name in most_important(tables, _MOST) if len({p.get(name) for p in tables.params.values()}) > 1]
    if len(names) < 2:
        return style.empty("contours need two parameters that vary")
    with style.optuna_plots():
        every = np.array(plot_contour(tables.study(), params=names, target_name=tables.objective), ndmin=1)
    figure: Figure = every.flat[0].figure
    figure.set_size_inches(PAGE, 5.5)
    figure.suptitle("")
    for axes in every.flat:
        axes.set_title("")
        axes.set_xlabel(style.short(axes.get_xlabel()))
        axes.set_ylabel(style.short(axes.get_ylabel()))
        for points in axes.collections:
            points.set_linewidth(0.4)
        style.readable_ticks(axes)
    return figure
