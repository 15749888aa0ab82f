"""What trainings are worth: a study's objectives from evaluations, over replicates and environments. Pure functions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sidewinder.config.study_config import StudyConfig
from sidewinder.results import EvaluationResult, Result


def counted(evaluations: Sequence[EvaluationResult], which: str, direction: str) -> EvaluationResult:
    """The evaluation that a training is judged by: the `best` (of equally good ones the first) or the `last`."""
    if which == "last":
        return evaluations[-1]
    best = max if direction == "maximize" else min
    return best(evaluations, key=lambda evaluation: evaluation.mean_return)


def objectives(config: StudyConfig, trainings: Sequence[Result]) -> dict[str, float]:
    """The study's objectives of one setting, in their order.

    Args:
        config: The study's.
        trainings: Of that setting, each with an evaluation at least: in each of the study's environments equally many.

    Returns:
        `return`: the aggregate over replicates, as `study.aggregate` says; `spread`: the standard deviation over all
        episodes of all replicates; `steps_per_second`: the mean. Of several environments the mean of each; returns and
        spreads are then scores.
    """
    which = str(config.for_trial(trainings[0].params).evaluation.objective)
    found: list[dict[str, float]] = []
    for environment in config.environment_names():
        here = [training for training in trainings if training.environment == environment]
        reached = [counted(one.evaluations, which, config.study.return_direction) for one in here]
        means, stds = ([getattr(one, name) for one in reached] for name in ("mean_return", "std_return"))
        value = aggregate(means, config.study.aggregate, config.study.return_direction)
        worth = {"return": config.score(value, environment)}
        if "spread" in config.study.objectives:
            worth["spread"] = float(spread(means, stds)) / config.scale(environment)[1]
        if config.study.timed:
            worth["steps_per_second"] = float(np.mean([one.further_objectives["steps_per_second"] for one in here]))
        found.append(worth)
    return {name: float(np.mean([worth[name] for worth in found])) for name in config.study.objectives}


def aggregate(returns: Sequence[float], how: str | float, direction: str) -> float:
    """One value for several replicates.

    Args:
        returns: One a replicate.
        how: `mean`, `median`, `iqm` (interquartile mean), or a share q: the value that this share of them is worse
            than, interpolated as numpy does.
        direction: `maximize` or `minimize`: which values are the worse ones.
    """
    match how:
        case "mean":
            return float(np.mean(returns))
        case "median":
            return float(np.median(returns))
        case "iqm":
            # Imported late: it takes most of a second, which each trial would pay.
            from scipy import stats

            return float(stats.trim_mean(returns, 0.25))
        case _:
            share = float(how)
            return float(np.quantile(returns, share if direction == "maximize" else 1 - share))


def spread(means: ArrayLike, stds: ArrayLike, axis: int = -1) -> np.ndarray:
    """The standard deviation over the episodes of several evaluations of equally many, from their means and theirs
    along an axis."""
    return np.asarray(np.sqrt(np.square(np.asarray(stds)).mean(axis=axis) + np.asarray(means).var(axis=axis)))
