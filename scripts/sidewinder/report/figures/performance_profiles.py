"""How many trainings reach at least a score, with the tuned settings and with the baselines, over all tasks."""

import numpy as np
from matplotlib.figure import Figure

from sidewinder.confirmation.statistics import performance_profile
from sidewinder.report.figures import style
from sidewinder.report.figures.comparison import Comparison
from sidewinder.report.figures.test_returns import COLORS, NAMES
from sidewinder.trials.tables import judged


def draw(comparison: Comparison) -> Figure:
    """Axes: score, share of the trainings that score more. Scores are returns between the worst (0) and the best (1) of
    all trainings in the same environment; bands are 95 % bootstrap intervals, seeds resampled in each task. A training
    that failed reaches no score; a setting of which all failed has no line."""
    if comparison.test.empty:
        return style.empty("no study has a winner")
    scores, thresholds = scores_by_candidate(comparison), np.linspace(0, 1, 51)
    figure = Figure(figsize=(style.COLUMN, 2.4))
    axes = figure.subplots()
    for name, in_tasks in scores.items():
        if all(np.isnan(in_task).all() for in_task in in_tasks):
            continue
        profile = performance_profile(in_tasks, thresholds)
        low, high = [one.low for one in profile], [one.high for one in profile]
        axes.plot(thresholds, [one.value for one in profile], color=COLORS[name], label=NAMES[name])
        axes.fill_between(thresholds, low, high, color=COLORS[name], alpha=0.2, linewidth=0)
    n_tasks = len(next(iter(scores.values())))
    axes.set(xlabel=f"score ({n_tasks} tasks)", ylabel="share of trainings with more", xlim=(0, 1), ylim=(0, 1.02))
    figure.legend(loc="outside upper center", ncols=3)
    style.note_failures(figure, comparison.settings())
    return figure


def scores_by_candidate(comparison: Comparison) -> dict[str, list[np.ndarray]]:
    """The scores in each task, for each setting that was tested in all tasks. A failed training has none."""
    test, sign = comparison.test, -1 if comparison.studies[0].direction == "minimize" else 1
    returns = sign * test[f"mean_{judged(test)}"]
    in_environment = returns.groupby(test["task"])
    low, high = in_environment.transform("min"), in_environment.transform("max")
    test = test.assign(score=((returns - low) / (high - low).where(high > low, 1)))
    tasks = {
        name: test[test["candidate"] == name].groupby(["label", "task"], sort=False) for name in comparison.candidates
    }
    return {name: [part["score"].to_numpy(float) for _, part in parts] for name, parts in tasks.items()}
