"""Hyperparameter sensitivity: what one shared setting for several environments costs, against one for each of them."""

import numpy as np
import pandas as pd
from pydantic import BaseModel

from sidewinder.config.study_config import StudyConfig
from sidewinder.trials.tables import return_column


class Sensitivity(BaseModel):
    """How much better an algorithm is when it is tuned for each environment alone, by the trials of the sweep.

    Attributes:
        shared: The trial with the best mean score over the environments.
        alone: For each environment, the trial with the best score there.
        shared_scores: The score of the trial `shared` in each environment.
        alone_scores: The score of the trial `alone` in each environment.
        value: The sensitivity of Adkins et al. (2024), with the study's scores as normalised performance: the mean over
            environments of the best score there, minus the best mean score. With the direction `minimize` the sign is
            turned, so a positive value is always a loss.
    """

    shared: int
    alone: dict[str, int]
    shared_scores: dict[str, float]
    alone_scores: dict[str, float]
    value: float


def sensitivity(config: StudyConfig, trials: pd.DataFrame) -> Sensitivity | None:
    """Compute the sensitivity from the rows of trials.csv.

    Returns None if the study has fewer than two environments, or no complete trial.
    """
    complete = trials[trials["state"] == "complete"]
    if len(config.environments) < 2 or complete.empty:
        return None
    numbers = [int(number) for number in complete["number"]]
    scores = {
        name: dict(zip(numbers, (config.score(value, name) for value in complete[column].astype(float)), strict=True))
        for name in config.environments
        for column in [return_column(name)]
    }
    minimize = config.study.return_direction == "minimize"
    choose = min if minimize else max
    shared = choose(numbers, key=lambda number: np.mean([own[number] for own in scores.values()]))
    alone = {name: choose(own, key=own.__getitem__) for name, own in scores.items()}
    shared_scores = {name: own[shared] for name, own in scores.items()}
    alone_scores = {name: own[alone[name]] for name, own in scores.items()}
    lost = float(np.mean([*alone_scores.values()]) - np.mean([*shared_scores.values()]))
    return Sensitivity(
        shared=shared,
        alone=alone,
        shared_scores=shared_scores,
        alone_scores=alone_scores,
        value=-lost if minimize else lost,
    )


def sensitivity_table(found: Sensitivity) -> pd.DataFrame:
    """Return a table with a row for each environment, as text."""
    rows = [
        {
            "environment": name,
            f"shared setting (trial {found.shared})": f"{found.shared_scores[name]:.3f}",
            "best alone": f"{found.alone_scores[name]:.3f} (trial {found.alone[name]})",
        }
        for name in found.alone
    ]
    return pd.DataFrame(rows)


def said_of(found: Sensitivity) -> str:
    """Return the sentences below the table."""
    return (
        "The last table is of the sweep: scores of one setting for all environments, and of the best one in each. The "
        f"mean difference is the hyperparameter sensitivity of Adkins et al. (2024): {found.value:.3f}. As the best "
        "values of a sweep are lucky, it is rather too high."
    )
