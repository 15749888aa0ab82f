"""How much of the objective's variance each parameter explains, by fANOVA, and how sure that is."""

import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from sidewinder.report.figures import style
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import BLUE, COLUMN

_RESAMPLES, _TREES_A_RESAMPLE = 20, 16


def draw(tables: Tables) -> Figure:
    """Horizontal bars, the most important parameter above. Axis: share of the variance explained, in sum 1. Lines are
    from the 5th to the 95th percentile of the same in resampled trials."""
    complete = tables.ranked()
    if len(complete) < 2:
        return style.empty(f"importance needs two complete trials, found {len(complete)}")
    assessed = assessable(tables)
    if not assessed:
        return style.empty("no parameter varies among those that all complete trials have")
    importances = _importances(tables.study(complete), assessed)
    if not importances:
        return style.empty("the objective does not vary with the parameters")
    not_assessed = [name for name in tables.names if name not in assessed]
    figure = Figure(figsize=(COLUMN, 0.7 + 0.2 * (len(importances) + len(not_assessed))))
    axes = figure.subplots()
    names = [style.short(name) for name in [*importances, *not_assessed]]
    bars = axes.barh(names, [*importances.values(), *(0 for _ in not_assessed)], color=BLUE, height=0.7)
    low, high = np.percentile(_resampled(tables, list(importances)), [5, 95], axis=0)
    axes.hlines(range(len(importances)), low, high, color="black", linewidth=1)
    labels = [*(f"{value:.2f}" for value in importances.values()), *("not in all trials" for _ in not_assessed)]
    for bar, label, end in zip(bars, labels, [*high, *(0 for _ in not_assessed)], strict=True):
        place = max(end, bar.get_width()), bar.get_y() + bar.get_height() / 2
        axes.annotate(label, place, xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(*high, *importances.values()))
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"importance (fANOVA, {len(complete)} complete trials)")
    return figure


def assessable(tables: Tables) -> list[str]:
    """The parameters that all complete trials have, if any of them varies."""
    complete = [tables.params[number] for number in tables.ranked()]
    found = [name for name in tables.names if all(name in params for params in complete)]
    varies = any(params[name] != complete[0][name] for params in complete for name in found)
    return found if varies else []


def most_important(tables: Tables, n_parameters: int) -> list[str]:
    """The parameters to look at first: so many, the most important first; in order of name where that is unknown."""
    assessed = assessable(tables)
    importances = _importances(tables.study(tables.ranked()), assessed) if assessed else {}
    return list(importances or assessed)[:n_parameters]


def _importances(study: optuna.Study, assessed: list[str], n_trees: int = 64, seed: int = 0) -> dict[str, float]:
    """By name, the most important first; none where no tree of the forest splits. 64 trees are Optuna's default."""
    evaluator = FanovaImportanceEvaluator(n_trees=n_trees, seed=seed)
    try:
        return get_param_importances(study, evaluator=evaluator, params=assessed)
    except RuntimeError:  # Optuna's
        return {}


def _resampled(tables: Tables, names: list[str]) -> list[list[float]]:
    """The importance of each parameter in resampled trials: resamples x parameters."""
    complete, random, found = tables.ranked(), np.random.default_rng(0), []
    for seed in range(_RESAMPLES):
        numbers = [int(number) for number in random.choice(complete, len(complete))]
        if importances := _importances(tables.study(numbers), names, _TREES_A_RESAMPLE, seed):
            found.append([importances[name] for name in names])
    return found or [[np.nan] * len(names)]
