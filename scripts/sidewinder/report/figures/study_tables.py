"""A study as its figures see it: what its tables say, and its Optuna study made again from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import optuna
import pandas as pd

from sidewinder.config.metrics import in_words, moment_in_words
from sidewinder.config.study_config import StudyConfig
from sidewinder.config.study_settings import Direction
from sidewinder.confirmation.results import read_table
from sidewinder.report.figures.in_memory import optuna_study
from sidewinder.trials.tables import ranked, read_distributions, read_evaluations, read_timings, read_trials


@dataclass
class Tables:
    """A study as its figures see it.

    Attributes:
        config: The study's.
        trials: As `sidewinder.trials.tables.read_trials` gives it.
        evaluations: As `sidewinder.trials.tables.read_evaluations` gives it.
        distributions: Content of distributions.json.
        timings: As `sidewinder.trials.tables.read_timings` gives it; without rows where nobody has kept them.
        confirmation: As `sidewinder.confirmation.results.table` has it; without rows before the study is confirmed.
    """

    config: StudyConfig
    trials: pd.DataFrame
    evaluations: pd.DataFrame
    distributions: dict[str, Any]
    timings: pd.DataFrame
    confirmation: pd.DataFrame

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read a study's config.yaml and tables from its directory.

        Raises:
            SidewinderError: One of them is missing or malformed.
        """
        config = StudyConfig.load(directory / "config.yaml")
        timings, confirmation = directory / "timings.csv", directory / "confirmation.csv"
        return cls(
            config=config,
            trials=read_trials(directory / "trials.csv"),
            evaluations=read_evaluations(directory / "evaluations.csv"),
            distributions=read_distributions(directory / "distributions.json"),
            timings=read_timings(timings) if timings.exists() else pd.DataFrame(),
            confirmation=read_table(confirmation) if confirmation.exists() else pd.DataFrame(),
        )

    @property
    def direction(self) -> Direction:
        """Of the objective; of several, the return's."""
        return self.config.study.return_direction

    @property
    def objective(self) -> str:
        """What the objective is, for an axis."""
        return f"objective ({moment_in_words(self.config.evaluation.get('objective', 'best'))} mean {self.value})"

    @property
    def value(self) -> str:
        """What trainings are compared by, for an axis."""
        return "score" if self.config.environments else in_words(self.config.study.objectives[0])

    @property
    def names(self) -> list[str]:
        """The parameters that any trial has."""
        return list(self.distributions)

    @cached_property
    def params(self) -> dict[int, dict[str, Any]]:
        """Each trial's parameters, by its number."""
        numbers = [int(number) for number in self.trials["number"]]
        return {number: trial.params for number, trial in zip(numbers, self.study().trials, strict=True)}

    def numbers(self, state: str) -> list[int]:
        """The trials in this state, in order of number."""
        return [int(number) for number in self.trials.loc[self.trials["state"] == state, "number"]]

    def ranked(self) -> list[int]:
        """The complete trials, the best first; of equally good trials the one with the lower number first."""
        return ranked(self.trials, self.direction)

    def curve(self, number: int) -> pd.DataFrame:
        """Rows of one trial's evaluations, in order of steps; none if it failed before its first."""
        return self.evaluations[self.evaluations["number"] == number].sort_values("step")

    def study(self, numbers: Sequence[int] | None = None) -> optuna.Study:
        """The study in memory, for Optuna; with its trials, or these of them, in this order."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        trials = self.trials if numbers is None else self.trials.set_index("number", drop=False).loc[list(numbers)]
        return optuna_study(trials, self.evaluations, self.distributions, self.direction)
