"""Candidates trained again on seeds that the sweep never saw, and what their returns say. It knows no sampler.

Two phases, each with seeds of its own: `validation` chooses the winner among the sweep's best trials, `test` gives the
winner's figures, beside those of the baselines. What chose is never what is reported.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy import stats

from sidewinder import SidewinderError
from sidewinder.config import HeldOut, RunConfig, StudyConfig, one_line
from sidewinder.determinism import derive_seed
from sidewinder.results import ConfirmationResult, Phase, Result

Metric = Literal["mean", "median", "iqm"]
_CONFIDENCE = 0.95
_RESAMPLES = 9999


class Candidate(BaseModel):
    """A setting to confirm, as its YAML file has it.

    Attributes:
        name: `top-1`, `winner`, `defaults`, `zoo`.
        trial: Its number in the sweep, and `params` and `objective` as the sweep had them; None for a baseline.
        run: The training run, without seeds of its own.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    trial: int | None
    params: dict[str, Any]
    objective: float | None
    run: RunConfig

    def dump(self) -> str:
        """The text of the file."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)

    @classmethod
    def of_baseline(cls, config: StudyConfig, name: str) -> "Candidate":
        """A setting that nobody tuned here."""
        return cls(name=name, trial=None, params={}, objective=None, run=config.for_baseline(name))

    @classmethod
    def of_trial(cls, config: StudyConfig, name: str, result: Result) -> "Candidate":
        """A trial of the sweep."""
        run = config.for_trial(result.params)
        return cls(name=name, trial=result.number, params=result.params, objective=result.objective, run=run)

    @classmethod
    def load(cls, path: Path) -> "Candidate | None":
        """Read a candidate's file; None if it says that there is no such candidate.

        Raises:
            SidewinderError: It is missing, or not what `dump` writes.
        """
        try:
            content = yaml.safe_load(path.read_text())
            return None if content is None else cls.model_validate(content)
        except FileNotFoundError:
            raise SidewinderError(f"{path}: no such file; `snakemake` makes it once the trials are there") from None
        except (yaml.YAMLError, ValidationError) as error:
            raise SidewinderError(f"{path}: {one_line(error)}") from None


def seeded(config: StudyConfig, candidate: Candidate, phase: Phase, index: int) -> tuple[RunConfig, HeldOut]:
    """The candidate's run with the training and evaluation seed of this index, and its held-out episodes.

    The seeds are the same for all candidates, so that none is better for an easier start, and no trial has them.
    """
    run = candidate.run.model_copy(deep=True)
    run.training.seed = derive_seed(config.study.seed, f"{phase} training", index)
    run.evaluation.seed = derive_seed(config.study.seed, f"{phase} evaluation", index)
    return run, HeldOut(config.confirmation.n_eval_episodes, derive_seed(config.study.seed, f"{phase} episodes", index))


def read_results(paths: list[Path]) -> list[ConfirmationResult]:
    """Read confirmation results, without those of candidates that do not exist (`null`).

    Raises:
        SidewinderError: One is missing or malformed.
    """
    results = []
    for path in paths:
        try:
            content = path.read_text()
            if content.strip() != "null":
                results.append(ConfirmationResult.model_validate_json(content))
        except FileNotFoundError:
            raise SidewinderError(f"{path}: no such file; run `snakemake` again to train that candidate") from None
        except ValidationError as error:
            raise SidewinderError(f"{path}: {one_line(error)}; delete the file to make it again") from None
    return results


def table(results: list[ConfirmationResult]) -> pd.DataFrame:
    """One row a result. Columns: `phase`, `candidate`, `trial`, `index`, `state`, `n_episodes`, `mean_return`,
    `std_return` (both over episodes, empty if it failed), `reason`."""
    rows = [
        {
            "phase": result.phase,
            "candidate": result.candidate,
            "trial": result.trial,
            "index": result.index,
            "state": result.run.state,
            "n_episodes": len(result.run.returns),
            "mean_return": float(np.mean(result.run.returns)) if result.run.returns else None,
            "std_return": float(np.std(result.run.returns)) if result.run.returns else None,
            "reason": result.run.reason,
        }
        for result in results
    ]
    return pd.DataFrame(rows).astype({"trial": "Int64"})


def winner(validation: pd.DataFrame, direction: str) -> str:
    """The candidate with the best mean return over the validation seeds; those with the fewest failed seeds come first,
    of equally good ones the one that was better in the sweep.

    Args:
        validation: Rows of `table`, in order of rank in the sweep.
        direction: `maximize` or `minimize`.

    Raises:
        SidewinderError: Every run of every candidate failed.
    """
    by_candidate = validation.groupby("candidate", sort=False)["mean_return"]
    ranking = pd.DataFrame(
        {"failed": by_candidate.apply(lambda returns: returns.isna().sum()), "mean": by_candidate.mean()}
    )
    ranking = ranking.dropna(subset="mean").sort_values(
        ["failed", "mean"], ascending=[True, direction == "minimize"], kind="stable"
    )
    if ranking.empty:
        raise SidewinderError(f"confirmation: found only failed runs, the last one: {validation['reason'].iloc[-1]}")
    return str(ranking.index[0])


class Estimate(BaseModel):
    """A figure over seeds with its bootstrap interval (95 %, percentiles of resampled seeds)."""

    value: float
    low: float
    high: float


class Figures(BaseModel):
    """What a candidate's test seeds say: each seed counts with its mean return over episodes, `iqm` is their
    interquartile mean. Failed seeds have no return and are only counted."""

    n_seeds: int
    n_failed: int
    n_episodes: int
    mean: Estimate
    median: Estimate
    iqm: Estimate


def figures(rows: pd.DataFrame) -> Figures | None:
    """Figures of one candidate from its rows of `table`; None if fewer than two seeds have a return."""
    returns = rows["mean_return"].dropna().to_numpy(float)
    if len(returns) < 2:
        return None
    return Figures(
        n_seeds=len(rows),
        n_failed=len(rows) - len(returns),
        n_episodes=int(rows["n_episodes"].max()),
        mean=_estimate((returns,), np.mean),
        median=_estimate((returns,), np.median),
        iqm=_estimate((returns,), lambda sample, axis: stats.trim_mean(sample, 0.25, axis=axis)),
    )


def probability_of_improvement(rows: pd.DataFrame, others: pd.DataFrame, direction: str) -> Estimate:
    """How probably one run of the first candidate is better than one of the second (Agarwal et al. 2021): the
    Mann-Whitney U statistic over the number of pairs. A failed run is worse than any."""
    sign = -1 if direction == "minimize" else 1
    samples = tuple((sign * part["mean_return"]).fillna(-np.inf).to_numpy(float) for part in (rows, others))

    def share(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
        pairs = first.shape[axis] * second.shape[axis]
        wins: np.ndarray = stats.mannwhitneyu(first, second, axis=axis, method="asymptotic").statistic / pairs
        return wins

    return _estimate(samples, share)


def _estimate(samples: tuple[np.ndarray, ...], statistic: Any) -> Estimate:
    interval = stats.bootstrap(
        samples,
        statistic,
        confidence_level=_CONFIDENCE,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
        vectorized=True,
    ).confidence_interval
    value = statistic(*samples, axis=-1)
    return Estimate(value=float(value), low=float(interval.low), high=float(interval.high))
