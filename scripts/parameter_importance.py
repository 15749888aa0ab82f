"""Rule parameter_importance: draw how much of the objective's variance each parameter explains, by fANOVA."""

from matplotlib.figure import Figure
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from sidewinder import figures
from sidewinder.figures import BLUE, COLUMN, Tables


def main() -> None:
    figures.make(draw, figures.parser(__doc__).parse_args())


def draw(tables: Tables) -> Figure:
    """Horizontal bars, the most important parameter above. Axis: share of the variance explained, in sum 1."""
    complete = [tables.params[number] for number in tables.ranked()]
    if len(complete) < 2:
        return figures.empty(f"importance needs two complete trials, found {len(complete)}")
    assessed = [name for name in tables.names if all(name in params for params in complete)]
    if all(params[name] == complete[0][name] for params in complete for name in assessed):
        return figures.empty("no parameter varies among those that all complete trials have")
    evaluator = FanovaImportanceEvaluator(seed=0)
    try:
        importances = get_param_importances(tables.study(), evaluator=evaluator, params=assessed)
    except RuntimeError:
        # Optuna's, where no tree of the forest splits.
        return figures.empty("the objective does not vary with the parameters")
    return _bars(importances, [name for name in tables.names if name not in assessed], len(complete))


def _bars(importances: dict[str, float], not_assessed: list[str], n_trials: int) -> Figure:
    """A bar for each importance, and a row without for each parameter not assessed."""
    figure = Figure(figsize=(COLUMN, 0.7 + 0.2 * (len(importances) + len(not_assessed))))
    axes = figure.subplots()
    names = [figures.short(name) for name in [*importances, *not_assessed]]
    bars = axes.barh(names, [*importances.values(), *(0 for _ in not_assessed)], color=BLUE, height=0.7)
    labels = [*(f"{value:.2f}" for value in importances.values()), *("not in all trials" for _ in not_assessed)]
    axes.bar_label(bars, labels, padding=2, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(importances.values()))
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"importance (fANOVA, {n_trials} complete trials)")
    return figure


if __name__ == "__main__":
    main()
