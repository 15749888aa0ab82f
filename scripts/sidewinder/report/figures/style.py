"""How the figures look: their style, and what several of them draw alike."""

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

# Inches: one and two columns of a journal.
COLUMN, PAGE = 3.5, 7.0
# Of Okabe and Ito's palette, which colour-blind readers can tell apart; and a grey for what is not in focus.
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
    """The style of the figures, whatever the user's matplotlibrc says, for drawing and for rendering."""
    matplotlib.use("Agg")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def empty(reason: str) -> Figure:
    """A figure that says in one line why there is nothing to draw."""
    figure = Figure(figsize=(COLUMN, 1))
    figure.text(0.5, 0.5, reason, ha="center", va="center", color="black", fontsize=7)
    return figure


def draw_curve(axes: Axes, curve: pd.DataFrame, color: str, linestyle: str, label: str) -> None:
    """Draw the means of a trial's evaluations against environment steps, with a band of one standard deviation each
    way."""
    metric = judged(curve)
    steps, mean, std = curve["step"], curve[f"mean_{metric}"], curve[f"std_{metric}"]
    axes.fill_between(steps, mean - std, mean + std, color=color, alpha=0.2, linewidth=0, zorder=2.1)
    # The marker shows a curve of a single point.
    axes.plot(steps, mean, color=color, linestyle=linestyle, marker=".", markersize=3, label=label, zorder=2.2)


def label_curves(figure: Figure, axes: Axes, value: str) -> None:
    """Label the axes of learning curves, and put their legend above."""
    axes.set(xlabel=STEPS, ylabel=f"mean {value} of an evaluation")
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=6)
    figure.legend(loc="outside upper center", ncols=3, columnspacing=1.2, handlelength=1.8)


def palette(labels: Sequence[str]) -> dict[str, Any]:
    """A colour for each different label, of a palette that colour-blind readers can tell apart."""
    names = list(dict.fromkeys(labels))
    return dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))


def legend(figure: Figure, colors: Mapping[str, Any]) -> None:
    """Say above the figure which colour is what."""
    handles = [Line2D([], [], color=color, label=label) for label, color in colors.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, columnspacing=1.2, handlelength=1.5)


def note_failures(figure: Figure, settings: Mapping[str, pd.DataFrame]) -> None:
    """Say below the figure which settings had trainings that failed, and how many: these have nothing to draw.

    Args:
        figure: What is drawn.
        settings: Rows of `results.table` by a name for readers.
    """
    found = [f"{name} {words}" for name, rows in settings.items() if (words := failed(rows))]
    if found:
        text = fill("; ".join(found), 70)
        figure.set_figheight(figure.get_figheight() + 0.1 * len(text.splitlines()))
        figure.supxlabel(text, fontsize=6, color=VERMILION)


def short(name: str) -> str:
    """A parameter's name as a figure has room for: `agent.learning_rate` is `learning_rate`."""
    return name.removeprefix("+").removeprefix("agent.").removeprefix("policy_kwargs.")


def apart(first: Any, second: Any) -> tuple[str, str]:
    """Two different values as text, with three digits, or as many as it takes to tell them apart."""
    texts = str(first), str(second)
    if isinstance(first, float) and isinstance(second, float):
        short_texts = ((f"{first:.{digits}g}", f"{second:.{digits}g}") for digits in range(3, 17))
        return next((pair for pair in short_texts if pair[0] != pair[1]), texts)
    return texts


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`: decades, or more where they are fewer than three."""
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
    """Few ticks on the numerical ones of both axes, with plain numbers where they are logarithmic."""
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            ticks = log_ticks(*axis.get_view_interval())
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.set_minor_locator(NullLocator())
        elif isinstance(axis.get_major_locator(), AutoLocator):
            axis.set_major_locator(MaxNLocator(4))


@contextmanager
def optuna_plots() -> Iterator[None]:
    """Where Optuna draws: its plots ask for the style `ggplot`, which is the figures' own here, and pyplot keeps no
    hold of them afterwards."""
    library = matplotlib.style.library
    with warnings.catch_warnings(), patch.dict(library, ggplot=RcParams(_STYLE)):
        # That the functions are experimental, and that a constant parameter has an axis without length.
        warnings.simplefilter("ignore")
        yield
    plt.close()
