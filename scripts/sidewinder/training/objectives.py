"""Computes a study's objectives from evaluations, over replicates and environments. Pure functions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sidewinder.config.run_config import RunConfig
from sidewinder.config.study_config import StudyConfig
from sidewinder.results import EvaluationResult, Result


def reached(
    evaluations: Sequence[EvaluationResult], run: RunConfig, metric: str, direction: str
) -> tuple[float, float]:
    """Return a training's value of a metric, as `evaluation.objective` defines it: mean and standard deviation over
    episodes.

    Args:
        evaluations: The training's evaluations, at least one.
        run: The training run. Its first metric decides which evaluation is the best; of equals, the first one.
        metric: Name of the metric.
        direction: `maximize` or `minimize`, for the first metric.
    """
    which = run.evaluation.objective
    if which == "best":
        first, pick = run.evaluation.metrics[0], max if direction == "maximize" else min
        return pick(evaluations, key=lambda evaluation: evaluation.of(first)[0]).of(metric)
    if which == "last":
        return evaluations[-1].of(metric)
    if which == "auc":
        # A training that a callback ended early keeps its last value up to the budget.
        steps = [*(evaluation.step for evaluation in evaluations), run.training.total_timesteps]
        means, stds = zip(*(evaluation.of(metric) for evaluation in [*evaluations, evaluations[-1]]), strict=True)
        length = max(steps) - steps[0]
        return (float(np.trapezoid(means, np.maximum.accumulate(steps)) / length) if length else means[0]), stds[-1]
    means, stds = zip(*(evaluation.of(metric) for evaluation in evaluations[-which.mean_of_last :]), strict=True)
    return float(np.mean(means)), float(spread(means, stds))


def objectives(config: StudyConfig, trainings: Sequence[Result]) -> dict[str, float]:
    """Compute the study's objectives for one setting.

    Args:
        config: The study.
        trainings: The setting's trainings, each with at least one evaluation; equally many in each environment.

    Returns:
        The objectives by name, in the study's order. A metric is aggregated over replicates, as `study.aggregate`
        says. `spread` is the first metric's standard deviation over all episodes of all replicates.
        `steps_per_second` is the mean. With several environments each value is the mean over them, and the first
        metric and the spread are scores.
    """
    run = config.for_trial(trainings[0].params)
    directions = dict(zip(config.study.objectives, config.study.directions, strict=True))
    first = config.study.objectives[0]
    found: list[dict[str, float]] = []
    for environment in config.environment_names():
        here = [training for training in trainings if training.environment == environment]
        worth: dict[str, float] = {}
        for metric in run.evaluation.metrics:
            if metric not in directions:
                continue
            pairs = [reached(one.evaluations, run, metric, directions[first]) for one in here]
            means, stds = map(list, zip(*pairs, strict=True))
            worth[metric] = aggregate(means, config.study.aggregate, directions[metric])
            if metric == first:
                worth[metric] = config.score(worth[metric], environment)
                worth["spread"] = float(spread(means, stds)) / config.scale(environment)[1]
        if config.study.timed:
            worth["steps_per_second"] = float(np.mean([one.further_objectives["steps_per_second"] for one in here]))
        found.append(worth)
    return {name: float(np.mean([worth[name] for worth in found])) for name in config.study.objectives}


def aggregate(returns: Sequence[float], how: str | float, direction: str) -> float:
    """Aggregate the values of several replicates.

    Args:
        returns: One value per replicate.
        how: `mean`, `median`, `iqm` (interquartile mean), or a share q between 0 and 1. A share gives the quantile
            such that q of the values are worse, interpolated as `numpy.quantile` does.
        direction: `maximize` (lower values are worse) or `minimize` (higher values are worse).
    """
    match how:
        case "mean":
            return float(np.mean(returns))
        case "median":
            return float(np.median(returns))
        case "iqm":
            # Imported late: it takes most of a second, in each trial.
            from scipy import stats

            return float(stats.trim_mean(returns, 0.25))
        case _:
            share = float(how)
            return float(np.quantile(returns, share if direction == "maximize" else 1 - share))


def spread(means: ArrayLike, stds: ArrayLike, axis: int = -1) -> np.ndarray:
    """Return the standard deviation over the episodes of several evaluations.

    All evaluations must have the same number of episodes.

    Args:
        means: Mean of each evaluation.
        stds: Standard deviation of each evaluation; same shape as `means`.
        axis: The axis of the evaluations. The result lacks it.
    """
    return np.asarray(np.sqrt(np.square(np.asarray(stds)).mean(axis=axis) + np.asarray(means).var(axis=axis)))
