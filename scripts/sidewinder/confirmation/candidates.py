"""Candidates trained again on seeds that the sweep never saw, and the table of their returns. It knows no sampler.

Two phases, each with seeds of its own: `validation` chooses the winner among the sweep's best trials, `test` gives the
winner's figures, beside those of the baselines. What chose is never what is reported.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sidewinder import SidewinderError
from sidewinder.config.schema import HeldOut, RunConfig, StudyConfig, one_line
from sidewinder.determinism import derive_seed
from sidewinder.results import ConfirmationResult, Phase, Result


class Candidate(BaseModel):
    """A setting to confirm, as its YAML file has it.

    Attributes:
        name: `top-1`, `winner`, `defaults`, `zoo`.
        trial: Its number in the sweep, and `params` and `objective` as the sweep had them; None for a baseline.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    trial: int | None
    params: dict[str, Any]
    objective: float | None

    def dump(self) -> str:
        """The text of the file."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)

    @classmethod
    def of_baseline(cls, name: str) -> "Candidate":
        """A setting that nobody tuned here."""
        return cls(name=name, trial=None, params={}, objective=None)

    @classmethod
    def of_trial(cls, name: str, result: Result) -> "Candidate":
        """A trial of the sweep."""
        return cls(name=name, trial=result.number, params=result.params, objective=result.objective)

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

    def run_in(self, config: StudyConfig, environment: str | None) -> RunConfig:
        """Its training run in one of the study's environments, without seeds of its own."""
        if self.trial is None:
            return config.for_baseline(self.name, environment)
        return config.for_trial(self.params, environment)


def seeded(
    config: StudyConfig, candidate: Candidate, environment: str | None, phase: Phase, index: int
) -> tuple[RunConfig, HeldOut]:
    """The candidate's run with the training and evaluation seed of this index, and its held-out episodes.

    The seeds are the same for all candidates, so that none is better for an easier start, and no trial has them.
    """
    run = candidate.run_in(config, environment)
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


def read_table(path: Path) -> pd.DataFrame:
    """Read confirmation.csv as `table` made it.

    Raises:
        SidewinderError: It is missing.
    """
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise SidewinderError(f"{path}: no such file; `snakemake` makes it once the sweep has ended") from None


def table(config: StudyConfig, results: list[ConfirmationResult]) -> pd.DataFrame:
    """One row a result. Columns: `phase`, `candidate`, `trial`, `index`, `state`, `n_episodes`, `mean_return`,
    `std_return` (both over episodes, empty if it failed), `reason`; of several environments also `environment` and
    `score` (of the mean return); and `steps_per_second` where that is an objective."""
    rows = [
        {
            "phase": result.phase,
            "candidate": result.candidate,
            "trial": result.trial,
            "environment": result.environment,
            "index": result.index,
            "state": result.run.state,
            "n_episodes": len(result.run.returns),
            "mean_return": mean,
            "std_return": float(np.std(result.run.returns)) if result.run.returns else None,
            "score": None if mean is None else config.score(mean, result.environment),
            "steps_per_second": result.run.steps_per_second,
            "reason": result.run.reason,
        }
        for result in results
        for mean in [float(np.mean(result.run.returns)) if result.run.returns else None]
    ]
    frame = pd.DataFrame(rows).astype({"trial": "Int64"})
    if not config.environments:
        frame = frame.drop(columns=["environment", "score"])
    if not config.study.timed:
        frame = frame.drop(columns="steps_per_second")
    return frame
