"""The outcome of one training of the confirmation as a file, and the table of all of them, confirmation.csv."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from sidewinder import SidewinderError
from sidewinder.config.study_config import StudyConfig
from sidewinder.errors import one_line
from sidewinder.results import EvaluationResult, State

Phase = Literal["validation", "test"]


class ConfirmationRun(BaseModel):
    """One training run of the confirmation, and the returns of episodes that chose nothing.

    Attributes:
        returns: Undiscounted, one a held-out episode; empty if the run failed.
        evaluations: While it trained: they chose the moment, as `evaluation.objective` says, that `returns` are of.
        steps_per_second: Of the training, if that is an objective of the study.
    """

    model_config = ConfigDict(extra="forbid")

    state: State
    reason: str | None
    returns: list[float]
    evaluations: list[EvaluationResult]
    seeds: dict[str, int]
    bit_exact: bool
    packages: dict[str, str]
    steps_per_second: float | None = None


class ConfirmationResult(BaseModel):
    """Whose run it is.

    Attributes:
        candidate: `top-1` (the sweep's best) and so on, `winner` of the validation, or a baseline: `defaults`, `zoo`.
        trial: The candidate's number in the sweep; None for a baseline.
        index: Which of the phase's seeds, from 0. Runs of one index share training seed and initial states.
        environment: Its name, if the study has several.
    """

    model_config = ConfigDict(extra="forbid")

    phase: Phase
    candidate: str
    trial: int | None
    index: int
    environment: str | None = None
    run: ConfirmationRun


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
