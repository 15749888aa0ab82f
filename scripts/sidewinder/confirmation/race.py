"""The race of the validation: who is ahead after its rounds, and whether its last two can be told apart.

In rows of `results.table` of the validation each setting stands by its own name (`top-1`, `defaults`), wherever it was
in the race.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel

from sidewinder import SidewinderError
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate
from sidewinder.confirmation.results import read_results, table
from sidewinder.confirmation.statistics import Estimate, by_environment, n_failed, value_column


class LastTwo(BaseModel):
    """The first and the second of a race.

    Attributes:
        first: Its name, and that of the `second`.
        gain: By how much the first is better: the mean difference over the seeds that both had, with its bootstrap
            interval; None where they had one seed, or trainings of either failed.
        n_seeds: How many seeds both had.
    """

    first: str
    second: str
    gain: Estimate | None
    n_seeds: int

    @property
    def tied(self) -> bool:
        """Whether the interval spans 0, or there is none."""
        return self.gain is None or self.gain.low <= 0 <= self.gain.high


def ranking(validation: pd.DataFrame, direction: str) -> list[str]:
    """The settings, the best first: who was trained with more seeds, for only the better went on; who failed less
    often; who has the better mean return (or score). Of equal ones the first in the table is the better.

    Settings of which all trainings in some environment failed are left out.

    Args:
        validation: Rows of `table`: baselines, then the sweep's best in their order.
        direction: `maximize` or `minimize`.

    Raises:
        SidewinderError: No setting is left.
    """
    value = value_column(validation)
    settings = {str(name): rows for name, rows in validation.groupby("candidate", sort=False)}
    found = pd.DataFrame(
        {
            "seeds": {name: rows["index"].nunique() for name, rows in settings.items()},
            "failed": {name: n_failed(rows) for name, rows in settings.items()},
            "mean": {
                name: np.mean([part[value].mean() for part in by_environment(rows).values()])
                for name, rows in settings.items()
            },
        }
    )
    found = found.dropna(subset="mean").sort_values(
        ["seeds", "failed", "mean"], ascending=[False, True, direction == "minimize"], kind="stable"
    )
    if found.empty:
        raise SidewinderError(f"confirmation: found only failed runs, the last one: {validation['reason'].iloc[-1]}")
    return [str(name) for name in found.index]


def standing(config: StudyConfig, candidates: list[Path], validation: list[Path]) -> list[Candidate]:
    """The settings of the race, the best first, as `ranking` has them.

    Args:
        config: The study's.
        candidates: The files of the first round's settings.
        validation: The results of the rounds so far.

    Raises:
        SidewinderError: A file is missing or malformed, or no setting is left.
    """
    known = {candidate.name: candidate for candidate in map(Candidate.load, candidates)}
    order = ranking(table(config, read_results(validation)), config.study.return_direction)
    return [known[name] for name in order]


def last_two(validation: pd.DataFrame, direction: str) -> LastTwo | None:
    """How the race ended; None if there was but one setting."""
    first, *others = ranking(validation, direction)
    if not others:
        return None
    # Imported late: it takes a second, which the race itself need not pay.
    from sidewinder.confirmation.comparisons import compare

    rows = {str(name): part for name, part in validation.groupby("candidate")}
    shared = rows[first][rows[first]["index"].isin(rows[others[0]]["index"])]
    theirs = rows[others[0]][rows[others[0]]["index"].isin(shared["index"])]
    n_seeds = shared["index"].nunique()
    found = compare(shared, {others[0]: theirs}, direction)[others[0]] if n_seeds > 1 else None
    return LastTwo(first=first, second=others[0], gain=found.gain if found else None, n_seeds=n_seeds)
