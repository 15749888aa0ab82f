"""The race of the confirmation: the order of its settings, and whether the first two can be told apart.

In the race's rows of `results.table`, each setting has the name that it had in the first round (`top-1`, `defaults`).
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
    """The first and the second setting of a race.

    Attributes:
        first: The name of the first setting.
        second: The name of the second setting.
        gain: By how much the first is better: the mean difference over the seeds that both had, with its bootstrap
            interval. None if they shared only one seed, or if trainings of one of the two failed.
        n_seeds: The number of seeds that both had.
    """

    first: str
    second: str
    gain: Estimate | None
    n_seeds: int

    @property
    def tied(self) -> bool:
        """Whether the interval contains 0, or there is no interval."""
        return self.gain is None or self.gain.low <= 0 <= self.gain.high


def ranking(validation: pd.DataFrame, direction: str) -> list[str]:
    """Rank the settings of the race, best first.

    The better setting is the one that was trained with more seeds, because only the better ones stay in later rounds;
    then the one that failed less often; then the one with the better mean return (or score). Equal settings keep the
    order of the table. A setting is left out if all its trainings in one environment failed.

    Args:
        validation: Rows of `results.table`: baselines first, then the sweep's best in their order.
        direction: `maximize` or `minimize`.

    Returns:
        The names of the settings.

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
    """The candidates of the race, best first, as `ranking` orders them.

    Args:
        config: The study's config.
        candidates: The files of the first round's candidates.
        validation: The files of the results of the rounds so far.

    Raises:
        SidewinderError: A file is missing or malformed, or no setting is left.
    """
    known = {candidate.name: candidate for candidate in map(Candidate.load, candidates)}
    order = ranking(table(config, read_results(validation)), config.study.return_direction)
    return [known[name] for name in order]


def last_two(validation: pd.DataFrame, direction: str) -> LastTwo | None:
    """Compare the first two settings of the race; None if there was only one.

    Args:
        validation: As for `ranking`.
        direction: `maximize` or `minimize`.

    Raises:
        SidewinderError: No setting is left.
    """
    first, *others = ranking(validation, direction)
    if not others:
        return None
    # Imported late: it takes a second, and the race itself does not need it.
    from sidewinder.confirmation.comparisons import compare

    rows = {str(name): part for name, part in validation.groupby("candidate")}
    shared = rows[first][rows[first]["index"].isin(rows[others[0]]["index"])]
    theirs = rows[others[0]][rows[others[0]]["index"].isin(shared["index"])]
    n_seeds = shared["index"].nunique()
    found = compare(shared, {others[0]: theirs}, direction)[others[0]] if n_seeds > 1 else None
    return LastTwo(first=first, second=others[0], gain=found.gain if found else None, n_seeds=n_seeds)
