"""Statistics of returns on several seeds, with bootstrap intervals, from rows of `results.table`.

These are pure functions. Each seed counts with its mean return over episodes, or with its score if there are several
environments. A failed training has no value: the statistics of one setting are computed without it, and a setting with
failed trainings is not compared with others.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from sidewinder.config.study_config import StudyConfig
from sidewinder.config.study_settings import Objective
from sidewinder.training.objectives import spread
from sidewinder.trials.tables import judged

_CONFIDENCE = 0.95
_RESAMPLES = 9999


def value_column(rows: pd.DataFrame) -> str:
    """The name of the column with the value that a run counts with, in rows of `results.table`.

    It is the score if there are several environments, else the mean of the metric that runs are judged by.
    """
    return "score" if "score" in rows else f"mean_{judged(rows)}"


def by_environment(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Split rows of `results.table` by the environment's name. With one environment, all rows have the name ""."""
    if "environment" not in rows:
        return {"": rows}
    return {str(name): part for name, part in rows.groupby("environment", sort=False)}


def n_failed(rows: pd.DataFrame) -> int:
    """How many of a candidate's trainings failed."""
    return int(rows["mean_return"].isna().sum())


def failed(rows: pd.DataFrame) -> str:
    """Text that says how many of a candidate's trainings failed: `failed in 3 of 10`; empty if none did."""
    return f"failed in {n_failed(rows)} of {len(rows)}" if n_failed(rows) else ""


class Estimate(BaseModel):
    """A statistic over seeds with its bootstrap interval: 95 %, percentiles of resampled seeds.

    With several environments, the seeds of each environment are resampled separately.
    """

    value: float
    low: float
    high: float


class SeedSummary(BaseModel):
    """The statistics of a candidate over seeds.

    Each seed counts with its mean return over episodes, or with its score if there are several environments.

    Attributes:
        n_seeds: The number of seeds, failed trainings included.
        n_failed: The number of failed trainings; they do not count in the statistics.
        n_episodes: The number of held-out episodes of each training.
        mean, median: Over the seeds of all environments.
        iqm: The interquartile mean.
    """

    n_seeds: int
    n_failed: int
    n_episodes: int
    mean: Estimate
    median: Estimate
    iqm: Estimate


def summarize(rows: pd.DataFrame) -> SeedSummary | None:
    """Summarize one candidate from its rows of `results.table`.

    Returns:
        None if fewer than two seeds have a return in one of the environments.
    """
    value = value_column(rows)
    samples = [part[value].dropna().to_numpy(float) for part in by_environment(rows).values()]
    if min(map(len, samples)) < 2:
        return None
    from scipy import stats

    return SeedSummary(
        n_seeds=rows["index"].nunique(),
        n_failed=n_failed(rows),
        n_episodes=int(rows["n_episodes"].max()),
        mean=bootstrapped(samples, _mean_of_means),
        median=bootstrapped(samples, lambda *parts, axis: np.median(np.concatenate(parts, axis), axis=axis)),
        iqm=bootstrapped(samples, lambda *parts, axis: stats.trim_mean(np.concatenate(parts, axis), 0.25, axis=axis)),
    )


def objective_estimates(config: StudyConfig, rows: pd.DataFrame) -> dict[Objective, Estimate] | None:
    """Estimate each of the study's objectives for one candidate, from its returns on held-out episodes.

    Args:
        config: The study's config.
        rows: The candidate's rows of `results.table`.

    Returns:
        An estimate by objective, defined as in `training.objectives.objectives`, with the mean over seeds. None if
        fewer than two seeds have a return in one of the environments.
    """
    parts = [part.dropna(subset="mean_return") for part in by_environment(rows).values()]
    if min(map(len, parts)) < 2:
        return None
    first = config.study.objectives[0]
    units = [config.scale(environment)[1] for environment in config.environment_names()]

    def spreads(*picked: np.ndarray, axis: int) -> np.ndarray:
        # Positions are resampled, because a seed's mean and deviation must stay together.
        found = []
        for part, unit, positions in zip(parts, units, picked, strict=True):
            columns = [f"{name}_{first}" for name in ("mean", "std")]
            means, stds = (part[name].to_numpy(float)[positions.astype(int)] for name in columns)
            found.append(spread(means, stds, axis) / unit)
        return _mean(found)

    def estimate(objective: Objective) -> Estimate:
        if objective == "spread":
            return bootstrapped([np.arange(len(part)) for part in parts], spreads)
        column = objective if objective == "steps_per_second" else f"mean_{objective}"
        column = value_column(rows) if objective == first else column
        return bootstrapped([part[column].to_numpy(float) for part in parts], _mean_of_means)

    return {objective: estimate(objective) for objective in config.study.objectives}


def probability_of_improvement(rows: pd.DataFrame, others: pd.DataFrame, direction: str) -> Estimate | None:
    """The probability that a run of the first candidate is better than a run of the second (Agarwal et al. 2021).

    It is the Mann-Whitney U statistic divided by the number of pairs; with several environments, the mean over them.

    Args:
        rows: The first candidate's rows of `results.table`.
        others: The second candidate's rows.
        direction: `maximize` or `minimize`.

    Returns:
        None if trainings of one of the two failed.
    """
    if n_failed(rows) or n_failed(others):
        return None
    sign = -1 if direction == "minimize" else 1
    samples = [
        (sign * part[f"mean_{judged(part)}"]).to_numpy(float)
        for candidate in (rows, others)
        for part in by_environment(candidate).values()
    ]

    def share(*parts: np.ndarray, axis: int) -> np.ndarray:
        half = len(parts) // 2
        return _mean(_wins(one, other, axis) for one, other in zip(parts[:half], parts[half:], strict=True))

    return bootstrapped(samples, share)


def interval_of_mean(values: Sequence[float]) -> tuple[float, float]:
    """The bootstrap interval of a mean, as (low, high): a function for seaborn's `errorbar`."""
    interval = _bootstrap([np.asarray(values, float)], np.mean)
    return float(interval.low), float(interval.high)


def performance_profile(scores: Sequence[np.ndarray], thresholds: np.ndarray) -> list[Estimate]:
    """The share of runs that score more than each threshold (Agarwal et al. 2021); the mean over several tasks.

    Args:
        scores: For each task, the scores of its runs, shape (runs,).
        thresholds: Shape (thresholds,), in any order.

    Returns:
        An estimate per threshold, in the same order.
    """

    def shares(*parts: np.ndarray, axis: int) -> np.ndarray:
        # Thresholds are a new first axis.
        above = [part > thresholds.reshape(-1, *[1] * part.ndim) for part in parts]
        return _mean(one.mean(axis=axis + 1 if axis >= 0 else axis) for one in above)

    interval = _bootstrap(scores, shares)
    values = zip(shares(*scores, axis=-1), interval.low, interval.high, strict=True)
    return [Estimate(value=float(value), low=float(low), high=float(high)) for value, low, high in values]


def _mean(parts: Iterable[Any]) -> np.ndarray:
    return np.asarray(np.mean(list(parts), axis=0))


def _mean_of_means(*samples: np.ndarray, axis: int) -> np.ndarray:
    return _mean(sample.mean(axis=axis) for sample in samples)


def _wins(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    from scipy import stats

    pairs = first.shape[axis] * second.shape[axis]
    wins: np.ndarray = stats.mannwhitneyu(first, second, axis=axis, method="asymptotic").statistic / pairs
    return wins


def bootstrapped(samples: Sequence[np.ndarray], statistic: Any) -> Estimate:
    """Estimate a statistic of samples, with its bootstrap interval. Each sample is resampled separately.

    Args:
        samples: One array per sample, shape (values,).
        statistic: A function of the samples with a keyword `axis`.
    """
    interval = _bootstrap(samples, statistic)
    return Estimate(value=float(statistic(*samples, axis=-1)), low=float(interval.low), high=float(interval.high))


def _bootstrap(samples: Sequence[np.ndarray], statistic: Any) -> Any:
    # Imported late: it takes a second, and choosing the winner does not need it.
    from scipy import stats

    return stats.bootstrap(
        tuple(samples),
        statistic,
        confidence_level=_CONFIDENCE,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
        vectorized=True,
    ).confidence_interval
