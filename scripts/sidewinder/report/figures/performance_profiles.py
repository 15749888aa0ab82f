"""The share of trainings that score more than a threshold, with tuned settings and with baselines, over all tasks."""

import numpy as np
from matplotlib.figure import Figure

from sidewinder.confirmation.statistics import performance_profile
from sidewinder.report.figures import style
from sidewinder.report.figures.comparison import Comparison
from sidewinder.report.figures.test_returns import COLORS, NAMES
from sidewinder.trials.tables import judged


def draw(comparison: Comparison) -> Figure:
    """Draw the share of the trainings that score more than a threshold against the threshold, a line for each setting.

    A score is a return, scaled to 0 for the worst and 1 for the best training in the same environment. Bands are 95 %
    bootstrap intervals, with seeds resampled in each task. A failed training counts as below all thresholds. A setting
    whose trainings all failed has no line.
    """
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
    """Return the scores in each task, for each setting that was tested in all tasks.

    An array has one score a training, NaN for a failed one.
    """
    test, sign = comparison.test, -1 if comparison.studies[0].direction == "minimize" else 1
    returns = sign * test[f"mean_{judged(test)}"]
    in_environment = returns.groupby(test["task"])
    low, high = in_environment.transform("min"), in_environment.transform("max")
    test = test.assign(score=((returns - low) / (high - low).where(high > low, 1)))
    tasks = {
        name: test[test["candidate"] == name].groupby(["label", "task"], sort=False) for name in comparison.candidates
    }
    return {name: [part["score"].to_numpy(float) for _, part in parts] for name, parts in tasks.items()}
