"""The importance of each parameter by two measures, with its spread over resampled trials."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)

from sidewinder.report.figures import style
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import BLUE, PAGE

_RESAMPLES, _TREES, _TREES_A_RESAMPLE = 20, 64, 16
# PED-ANOVA compares the best trials with all trials. Optuna's default is the best tenth, its advice at least five.
_BEST, _FEWEST = 0.1, 5


def draw(tables: Tables) -> Figure:
    """Draw horizontal bars, with the most important parameter at the top: left by PED-ANOVA, right by fANOVA.

    The bars of a measure sum to 1. Lines reach from the 5th to the 95th percentile of the importance in resampled
    trials.
    """
    complete = tables.ranked()
    if len(complete) < 2:
        return style.empty(f"importance needs two complete trials, found {len(complete)}")
    had = [name for name in tables.names if any(name in tables.params[number] for number in complete)]
    if not _varies(tables, complete, had):
        return style.empty("no parameter varies among complete trials")
    measures: dict[str, tuple[_Evaluator, list[str]]] = {
        f"PED-ANOVA: to be among the best {_n_best(len(complete))}": (_ped_anova, had),
        "fANOVA: share of the variance": (_fanova, assessable(tables)),
    }
    found = [_importances(tables, complete, evaluator, assessed) for evaluator, assessed in measures.values()]
    names = sorted(had, key=lambda name: -found[0].get(name, 0))
    figure = Figure(figsize=(PAGE, 0.8 + 0.2 * len(names)))
    for axes, importances, (title, (evaluator, assessed)) in zip(
        figure.subplots(1, 2, sharey=True), found, measures.items(), strict=True
    ):
        _bars(axes, names, importances, _resampled(tables, complete, evaluator, assessed), assessed)
        axes.set_xlabel(title)
    figure.axes[0].invert_yaxis()
    figure.suptitle(f"importance in {len(complete)} complete trials", fontsize=8)
    return figure


def assessable(tables: Tables) -> list[str]:
    """Return the parameters that all complete trials have; none if none of these varies."""
    complete = tables.ranked()
    found = [name for name in tables.names if all(name in tables.params[number] for number in complete)]
    return found if _varies(tables, complete, found) else []


def most_important(tables: Tables, n_parameters: int) -> list[str]:
    """Return the most important parameters, among the ones that all complete trials have.

    They are in order of importance by fANOVA. Where it is unknown, they are in the order of the tables.

    Args:
        tables: The study's tables.
        n_parameters: How many to return, at most.
    """
    assessed = assessable(tables)
    importances = _importances(tables, tables.ranked(), _fanova, assessed)
    return sorted(importances or assessed, key=lambda name: -importances.get(name, 0))[:n_parameters]


def _varies(tables: Tables, numbers: Sequence[int], names: Sequence[str]) -> bool:
    params = [[tables.params[number].get(name) for name in names] for number in numbers]
    return any(one != params[0] for one in params)


_Evaluator = Callable[[int, int, int], BaseImportanceEvaluator]


def _n_best(n_trials: int) -> int:
    return min(max(_FEWEST, int(np.ceil(_BEST * n_trials))), (n_trials + 1) // 2)


def _ped_anova(n_trials: int, _n_trees: int, _seed: int) -> BaseImportanceEvaluator:
    return PedAnovaImportanceEvaluator(target_quantile=_n_best(n_trials) / n_trials)


def _fanova(_n_trials: int, n_trees: int, seed: int) -> BaseImportanceEvaluator:
    return FanovaImportanceEvaluator(n_trees=n_trees, seed=seed)


def _importances(
    tables: Tables,
    numbers: Sequence[int],
    evaluator: _Evaluator,
    names: list[str],
    n_trees: int = _TREES,
    seed: int = 0,
) -> dict[str, float]:
    """Return importances by parameter; empty if Optuna cannot compute them from these trials."""
    if not names:
        return {}
    study: optuna.Study = tables.study(numbers)
    try:
        # Optuna warns of too few trials. The lines of the figure show this.
        with warnings.catch_warnings(action="ignore"):
            return get_param_importances(study, evaluator=evaluator(len(numbers), n_trees, seed), params=names)
    except (RuntimeError, ValueError):  # from Optuna, if no tree splits or no resampled trial has a parameter
        return {}


def _resampled(
    tables: Tables, complete: Sequence[int], evaluator: _Evaluator, names: list[str]
) -> list[dict[str, float]]:
    """Return the importances in each sample of trials, drawn with replacement."""
    random = np.random.default_rng(0)
    samples = [[int(number) for number in random.choice(complete, len(complete))] for _ in range(_RESAMPLES)]
    found = (
        _importances(tables, numbers, evaluator, names, _TREES_A_RESAMPLE, seed) for seed, numbers in enumerate(samples)
    )
    return [importances for importances in found if importances]


def _bars(
    axes: Axes,
    names: Sequence[str],
    importances: dict[str, float],
    resampled: Sequence[dict[str, float]],
    assessed: Sequence[str],
) -> None:
    values = [importances.get(name, 0.0) for name in names]
    axes.barh([style.short(name) for name in names], values, color=BLUE, height=0.7)
    ends = list(values)
    for position, name in enumerate(names):
        sampled = [one[name] for one in resampled if name in one]
        if name in importances and sampled:
            low, high = np.percentile(sampled, [5, 95])
            axes.hlines(position, low, high, color="black", linewidth=1)
            ends[position] = max(values[position], float(high))
        label = f"{values[position]:.2f}" if name in importances else "unknown"
        label = label if name in assessed else "not in all trials"
        axes.annotate(
            label, (ends[position], position), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7
        )
    axes.set_xlim(0, 1.25 * max(*ends, 0.1))
    axes.tick_params(axis="y", length=0)
