"""Each complete trial as a line through its parameters, coloured by its objective."""

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator
from optuna.visualization.matplotlib import plot_parallel_coordinate

from sidewinder.report.figures import style
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import PAGE


def draw(tables: Tables) -> Figure:
    """Draw an axis for the objective and for each parameter, in order of name. The best trial's line is on top."""
    best_first = tables.ranked()
    names = sorted({name for number in best_first for name in tables.params[number]})
    if not names:
        return style.empty("no complete trial that has a parameter")
    with style.optuna_plots():
        axes = plot_parallel_coordinate(tables.study(best_first[::-1]), params=names, target_name=tables.objective)
    # The figure's axes: the plot's, the colour bar's, then one for each parameter.
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.set_size_inches(PAGE, 3.2)
    axes.set_title("")
    labels = ["objective", *map(style.short, names)]
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right", rotation_mode="anchor")
    # Good objectives are dark.
    colors = "viridis" if tables.direction == "minimize" else "viridis_r"
    axes.collections[0].set(cmap=colors, clip_on=False, linewidth=1)
    for parameter in figure.axes[2:]:
        _style(parameter)
    return figure


def _style(axes: Axes) -> None:
    """Show a parameter's axis, with few ticks and with labels that stay readable over lines."""
    axes.spines["left"].set_visible(False)
    axes.spines["right"].set_visible(True)
    if isinstance(axes.yaxis.get_major_locator(), FixedLocator):
        names = [label.get_text() for label in axes.get_yticklabels()]
        axes.set_yticks(axes.get_yticks(), [textwrap.fill(name, 10, break_long_words=False) for name in names])
    elif axes.get_yscale() == "log":
        ticks = style.log_ticks(*axes.get_ylim())
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    for label in axes.get_yticklabels():
        label.set_path_effects([withStroke(linewidth=2, foreground="white")])
