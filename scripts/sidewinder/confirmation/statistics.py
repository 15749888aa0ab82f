"""What returns on several seeds say: figures with bootstrap intervals, from rows of `results.table`.

Pure functions. A seed counts with its mean return over episodes, or in several environments with its score. A training
that failed has no value: figures of one setting are of its other trainings, and settings of which trainings failed are
compared with none.
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
    """What a run counts with, in rows of `table`: its score, of several environments, else its mean of the metric that
    it is judged by."""
    return "score" if "score" in rows else f"mean_{judged(rows)}"


def by_environment(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of `table` for each environment, by name; all of them by the empty name if there is only one."""
    if "environment" not in rows:
        return {"": rows}
    return {str(name): part for name, part in rows.groupby("environment", sort=False)}


def n_failed(rows: pd.DataFrame) -> int:
    """How many of a candidate's trainings failed."""
    return int(rows["mean_return"].isna().sum())


def failed(rows: pd.DataFrame) -> str:
    """How many of a candidate's trainings failed, for readers: `failed in 3 of 10`; empty if none did."""
    return f"failed in {n_failed(rows)} of {len(rows)}" if n_failed(rows) else ""


class Estimate(BaseModel):
    """A figure over seeds with its bootstrap interval (95 %, percentiles of resampled seeds; of several environments
    the seeds are resampled in each)."""

    value: float
    low: float
    high: float


class SeedSummary(BaseModel):
    """What a candidate's test seeds say: each seed counts with its mean return over episodes, or in several
    environments with its score; `iqm` is their interquartile mean. Trainings that failed have no return and are only
    counted."""

    n_seeds: int
    n_failed: int
    n_episodes: int
    mean: Estimate
    median: Estimate
    iqm: Estimate


def summarize(rows: pd.DataFrame) -> SeedSummary | None:
    """SeedSummary of one candidate from its rows of `table`; None if in some environment fewer than two seeds have a
    return."""
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
    """Each of the study's objectives over one candidate's seeds, from its rows of `table`: `objectives` of runs with
    returns on held-out episodes. None if in some environment fewer than two seeds have a return."""
    parts = [part.dropna(subset="mean_return") for part in by_environment(rows).values()]
    if min(map(len, parts)) < 2:
        return None
    first = config.study.objectives[0]
    units = [config.scale(environment)[1] for environment in config.environment_names()]

    def spreads(*picked: np.ndarray, axis: int) -> np.ndarray:
        # Pairs of a seed's mean and deviation are resampled together: by their position.
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
    """How probably one run of the first candidate is better than one of the second (Agarwal et al. 2021), in several
    environments the mean: the Mann-Whitney U statistic over the number of pairs. None if trainings of either failed."""
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
    """The bootstrap interval of a mean, as seaborn's `errorbar` has it."""
    interval = _bootstrap([np.asarray(values, float)], np.mean)
    return float(interval.low), float(interval.high)


def performance_profile(scores: Sequence[np.ndarray], thresholds: np.ndarray) -> list[Estimate]:
    """The share of runs that score more than each threshold, in several tasks the mean (Agarwal et al. 2021).

    Args:
        scores: Of the runs in each task.
        thresholds: In any order.
    """

    def shares(*parts: np.ndarray, axis: int) -> np.ndarray:
        # Thresholds come first: a new axis.
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
    """A statistic of samples, which are resampled each for itself, with its interval."""
    interval = _bootstrap(samples, statistic)
    return Estimate(value=float(statistic(*samples, axis=-1)), low=float(interval.low), high=float(interval.high))


def _bootstrap(samples: Sequence[np.ndarray], statistic: Any) -> Any:
    # Imported late: it takes a second, which choosing the winner need not pay.
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
