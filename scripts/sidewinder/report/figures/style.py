"""The style of the figures, and parts that several of them draw."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import Any
from unittest.mock import patch

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import RcParams
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import AutoLocator, MaxNLocator, NullLocator

from sidewinder.confirmation.statistics import failed
from sidewinder.trials.tables import judged

# Widths in inches: one column of a journal, and two.
COLUMN, PAGE = 3.5, 7.0
# Colours from Okabe and Ito's palette, which colour-blind readers can tell apart, and a grey for the background.
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"
STEPS = "environment steps"

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.formatter.limits": (-4, 5),
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 300,
    "font.size": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "svg.hashsalt": "sidewinder",
    "xtick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.labelsize": 7,
    "ytick.major.width": 0.6,
}


@contextmanager
def styled() -> Iterator[None]:
    """Use the figures' style instead of the user's matplotlibrc. Both drawing and rendering need it."""
    matplotlib.use("Agg")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def empty(reason: str) -> Figure:
    """Return a figure that says in one line why there is nothing to draw."""
    figure = Figure(figsize=(COLUMN, 1))
    figure.text(0.5, 0.5, reason, ha="center", va="center", color="black", fontsize=7)
    return figure


def draw_curve(axes: Axes, curve: pd.DataFrame, color: str, linestyle: str, label: str) -> None:
    """Draw the means of a trial's evaluations against environment steps.

    The band is one standard deviation wide to each side.
    """
    metric = judged(curve)
    steps, mean, std = curve["step"], curve[f"mean_{metric}"], curve[f"std_{metric}"]
    axes.fill_between(steps, mean - std, mean + std, color=color, alpha=0.2, linewidth=0, zorder=2.1)
    # The marker shows a curve of a single point.
    axes.plot(steps, mean, color=color, linestyle=linestyle, marker=".", markersize=3, label=label, zorder=2.2)


def label_curves(figure: Figure, axes: Axes, value: str) -> None:
    """Label the axes of learning curves, and put a legend above them."""
    axes.set(xlabel=STEPS, ylabel=f"mean {value} of an evaluation")
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=6)
    figure.legend(loc="outside upper center", ncols=3, columnspacing=1.2, handlelength=1.8)


def palette(labels: Sequence[str]) -> dict[str, Any]:
    """Return a colour for each different label, from a palette that colour-blind readers can tell apart."""
    names = list(dict.fromkeys(labels))
    return dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))


def legend(figure: Figure, colors: Mapping[str, Any]) -> None:
    """Draw a legend above the figure, with a line for each label in its colour."""
    handles = [Line2D([], [], color=color, label=label) for label, color in colors.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, columnspacing=1.2, handlelength=1.5)


def note_failures(figure: Figure, settings: Mapping[str, pd.DataFrame]) -> None:
    """Write below the figure which settings have failed trainings, and how many. The figure does not show these.

    Args:
        figure: The figure; it becomes higher if there is something to write.
        settings: Rows of confirmation.csv for each setting, by a name for readers.
    """
    found = [f"{name} {words}" for name, rows in settings.items() if (words := failed(rows))]
    if found:
        text = fill("; ".join(found), 70)
        figure.set_figheight(figure.get_figheight() + 0.1 * len(text.splitlines()))
        figure.supxlabel(text, fontsize=6, color=VERMILION)


def short(name: str) -> str:
    """Return a parameter's short name: `learning_rate` for `agent.learning_rate`."""
    return name.removeprefix("+").removeprefix("agent.").removeprefix("policy_kwargs.")


def apart(first: Any, second: Any) -> tuple[str, str]:
    """Return two different values as text: with three digits, or with as many as needed to tell them apart."""
    texts = str(first), str(second)
    if isinstance(first, float) and isinstance(second, float):
        short_texts = ((f"{first:.{digits}g}", f"{second:.{digits}g}") for digits in range(3, 17))
        return next((pair for pair in short_texts if pair[0] != pair[1]), texts)
    return texts


def log_ticks(low: float, high: float) -> list[float]:
    """Return at least three round numbers from `low` to `high` if possible: decades, or also numbers between them."""
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for factors in ([1], [1, 3], [1, 2, 5]):
        ticks = np.outer(decades, factors).ravel()
        inside = ticks[(low <= ticks) & (ticks <= high)]
        if len(inside) >= 3:
            break
    else:
        ticks = np.asarray(MaxNLocator(4).tick_values(low, high))
        inside = ticks[(low <= ticks) & (ticks <= high)]
    return [float(tick) for tick in inside]


def readable_ticks(axes: Axes) -> None:
    """Set a few ticks on each axis that is numerical. Logarithmic axes get plain numbers instead of powers of ten."""
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            ticks = log_ticks(*axis.get_view_interval())
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.set_minor_locator(NullLocator())
        elif isinstance(axis.get_major_locator(), AutoLocator):
            axis.set_major_locator(MaxNLocator(4))


@contextmanager
def optuna_plots() -> Iterator[None]:
    """Let Optuna's plots have the style of the figures, and close them in pyplot afterwards.

    Optuna's functions select the style `ggplot`, so here this name stands for the style of the figures.
    """
    library = matplotlib.style.library
    with warnings.catch_warnings(), patch.dict(library, ggplot=RcParams(_STYLE)):
        # The warnings: the functions are experimental, and the axis of a constant parameter has no length.
        warnings.simplefilter("ignore")
        yield
    plt.close()
