"""The objective against each of the most important parameters."""

import numpy as np
from matplotlib.figure import Figure
from optuna.visualization.matplotlib import plot_slice

from sidewinder.report.figures import style
from sidewinder.report.figures.parameter_importance import most_important
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import PAGE

_MOST = 4


def draw(tables: Tables) -> Figure:
    """Draw one axes for each parameter, in order of name. Points are complete trials; later ones are darker."""
    names = most_important(tables, _MOST)
    if not names:
        return style.empty("no parameter varies among those that all complete trials have")
    with style.optuna_plots():
        every = np.array(plot_slice(tables.study(), params=names, target_name=tables.objective), ndmin=1)
    figure: Figure = every[0].figure
    figure.set_size_inches(PAGE, 2.6)
    figure.suptitle("")
    for axes in every:
        axes.set(title="", xlabel=style.short(axes.get_xlabel()))
        axes.set_ylabel(tables.objective if axes is every[0] else "")
        axes.collections[0].set(sizes=[14], linewidth=0.4)
        style.readable_ticks(axes)
        # Names of choices, and numbers on a logarithmic axis, are wider than the distance between ticks.
        for label in axes.get_xticklabels():
            label.set(rotation=30, horizontalalignment="right", rotation_mode="anchor")
    figure.align_xlabels()
    return figure
