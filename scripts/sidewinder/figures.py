"""What the figures share: their style, their tables, and saving them with the same bytes. It never changes a result."""

import argparse
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import matplotlib
import numpy as np
import optuna
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.visualization.matplotlib import plot_parallel_coordinate

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config import Direction, StudyConfig
from sidewinder.confirmation import read_table
from sidewinder.results import write_atomically
from sidewinder.tables import optuna_study, ranked, read_evaluations, read_trials

# Inches: one and two columns of a journal.
COLUMN, PAGE = 3.5, 7.0
# Of Okabe and Ito's palette, which colour-blind readers can tell apart; and a grey for what is not in focus.
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"
STEPS = "environment steps"

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.formatter.limits": (-4, 5),
    "axes.formatter.use_mathtext": True,
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
# None leaves an entry out: neither a date nor a version goes into a file.
_METADATA: dict[str, dict[str, Any]] = {
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".png": {"Software": None},
    ".svg": {"Creator": None, "Date": None},
}


@dataclass
class Tables:
    """A study as its figures see it.

    Attributes:
        config: The study's.
        trials: As `sidewinder.tables.read_trials` gives it.
        evaluations: As `sidewinder.tables.read_evaluations` gives it.
        distributions: Content of distributions.json.
        confirmation: As `sidewinder.confirmation.table` has it; without rows before the study is confirmed.
    """

    config: StudyConfig
    trials: pd.DataFrame
    evaluations: pd.DataFrame
    distributions: dict[str, Any]
    confirmation: pd.DataFrame

    @classmethod
    def read(cls, config_path: Path, directory: Path) -> Self:
        """Read a study's config.yaml, and the tables in `directory`.

        Raises:
            SidewinderError: One of them is missing, or the config is malformed.
        """
        config = StudyConfig.load(config_path)
        confirmation = directory / "confirmation.csv"
        try:
            return cls(
                config=config,
                trials=read_trials(directory / "trials.csv"),
                evaluations=read_evaluations(directory / "evaluations.csv"),
                distributions=json.loads((directory / "distributions.json").read_text()),
                confirmation=read_table(confirmation) if confirmation.exists() else pd.DataFrame(),
            )
        except FileNotFoundError as error:
            raise SidewinderError(f"{error.filename}: no such file; scripts/tables.py makes it") from None

    @property
    def direction(self) -> Direction:
        """Of the objective; of several, the return's."""
        return self.config.study.return_direction

    @property
    def objective(self) -> str:
        """What the objective is, for an axis."""
        return f"objective ({self.config.evaluation.get('objective', 'best')} mean {self.value})"

    @property
    def value(self) -> str:
        """What trainings are compared by, for an axis."""
        return "score" if self.config.environments else "return"

    @property
    def names(self) -> list[str]:
        """The parameters that any trial has."""
        return list(self.distributions)

    @cached_property
    def params(self) -> dict[int, dict[str, Any]]:
        """Each trial's parameters, by its number."""
        numbers = [int(number) for number in self.trials["number"]]
        return {number: trial.params for number, trial in zip(numbers, self.study().trials, strict=True)}

    def numbers(self, state: str) -> list[int]:
        """The trials in this state, in order of number."""
        return [int(number) for number in self.trials.loc[self.trials["state"] == state, "number"]]

    def ranked(self) -> list[int]:
        """The complete trials, the best first; of equally good trials the one with the lower number first."""
        return ranked(self.trials, self.direction)

    def curve(self, number: int) -> pd.DataFrame:
        """Rows of one trial's evaluations, in order of steps; none if it failed before its first."""
        return self.evaluations[self.evaluations["number"] == number].sort_values("step")

    def study(self, numbers: Sequence[int] | None = None) -> optuna.Study:
        """The study in memory, for Optuna; with its trials, or these of them, in this order."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        trials = self.trials if numbers is None else self.trials.set_index("number", drop=False).loc[list(numbers)]
        return optuna_study(trials, self.evaluations, self.distributions, self.direction)


def parser(description: str | None) -> argparse.ArgumentParser:
    """The command line that every figure has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("tables", type=Path, help="directory of trials.csv, evaluations.csv and distributions.json")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="files to write: .pdf, .png or .svg")
    return parser


def make(draw: Callable[[Tables], Figure], arguments: argparse.Namespace) -> None:
    """Draw from the tables that `arguments` name, and write the files that they name."""
    with errors_in_one_line(), styled():
        for path in arguments.output:
            if path.suffix not in _METADATA:
                raise SidewinderError(f"--output: found {str(path)!r}, accepted: a name in {', '.join(_METADATA)}")
        figure = draw(Tables.read(arguments.config, arguments.tables))
        rendered = render(figure, [path.suffix for path in arguments.output])
        for path, content in zip(arguments.output, rendered, strict=True):
            write_atomically(path, content)


@contextmanager
def styled() -> Iterator[None]:
    """The style of the figures, whatever the user's matplotlibrc says, for drawing and for rendering."""
    matplotlib.use("Agg")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def render(figure: Figure, suffixes: Sequence[str]) -> list[bytes]:
    """The content of a file for each suffix: the same for the same figure, alone or beside others."""
    figure.draw_without_rendering()
    # Lays the figure out once, lest the formats differ.
    figure.set_layout_engine("none")
    return [_render(figure, suffix) for suffix in suffixes]


def _render(figure: Figure, suffix: str) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=suffix.removeprefix("."), metadata=_METADATA[suffix])
    return buffer.getvalue()


def empty(reason: str) -> Figure:
    """A figure that says in one line why there is nothing to draw."""
    figure = Figure(figsize=(COLUMN, 1))
    figure.text(0.5, 0.5, reason, ha="center", va="center", color="black", fontsize=7)
    return figure


def draw_curve(axes: Axes, curve: pd.DataFrame, color: str, linestyle: str, label: str) -> None:
    """Draw a trial's mean return against environment steps, with a band of one standard deviation each way."""
    steps, mean, std = curve["step"], curve["mean_return"], curve["std_return"]
    axes.fill_between(steps, mean - std, mean + std, color=color, alpha=0.2, linewidth=0, zorder=2.1)
    # The marker shows a curve of a single point.
    axes.plot(steps, mean, color=color, linestyle=linestyle, marker=".", markersize=3, label=label, zorder=2.2)


def label_curves(figure: Figure, axes: Axes, value: str) -> None:
    """Label the axes of learning curves, and put their legend above."""
    axes.set(xlabel=STEPS, ylabel=f"mean {value} of an evaluation")
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=6)
    figure.legend(loc="outside upper center", ncols=3, columnspacing=1.2, handlelength=1.8)


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


def parallel_coordinate_axes(study: optuna.Study, names: list[str], objective: str) -> Axes:
    """Optuna's plot, which pyplot then forgets; `axes.figure.axes` are its own, the colours', and the parameters'."""
    with warnings.catch_warnings():
        # That the function is experimental, and that a constant parameter has an axis without length.
        warnings.simplefilter("ignore")
        axes = plot_parallel_coordinate(study, params=names, target_name=objective)
    plt.close()
    return axes
