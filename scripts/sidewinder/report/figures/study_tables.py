"""The data of a study's figures: its config, its tables, and the Optuna study that is made from them."""

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
    """A study's config and tables.

    Attributes:
        config: The study's config.
        trials: Rows of trials.csv, from `sidewinder.trials.tables.read_trials`.
        evaluations: Rows of evaluations.csv, from `sidewinder.trials.tables.read_evaluations`.
        distributions: The content of distributions.json.
        timings: Rows of timings.csv, from `sidewinder.trials.tables.read_timings`; empty if there is no such file.
        confirmation: Rows of confirmation.csv, from `sidewinder.confirmation.results.read_table`; empty if there is no
            such file, as the study is not confirmed yet.
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
            SidewinderError: A file is missing or malformed. Only timings.csv and confirmation.csv may be missing.
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
        """The direction of the objective; with several objectives, of the first one."""
        return self.config.study.return_direction

    @property
    def objective(self) -> str:
        """The label of an axis that shows the objective."""
        return f"objective ({moment_in_words(self.config.evaluation.get('objective', 'best'))} mean {self.value})"

    @property
    def value(self) -> str:
        """The label of an axis that shows the value of a training: `score`, or the metric in words."""
        return "score" if self.config.environments else in_words(self.config.study.objectives[0])

    @property
    def names(self) -> list[str]:
        """The names of the parameters that at least one trial has."""
        return list(self.distributions)

    @cached_property
    def params(self) -> dict[int, dict[str, Any]]:
        """The parameters of each trial, by the trial's number."""
        numbers = [int(number) for number in self.trials["number"]]
        return {number: trial.params for number, trial in zip(numbers, self.study().trials, strict=True)}

    def numbers(self, state: str) -> list[int]:
        """Return the numbers of the trials in this state, in order."""
        return [int(number) for number in self.trials.loc[self.trials["state"] == state, "number"]]

    def ranked(self) -> list[int]:
        """Return the numbers of the complete trials, best first. Of equally good trials the lower number is first."""
        return ranked(self.trials, self.direction)

    def curve(self, number: int) -> pd.DataFrame:
        """Return the rows of a trial's evaluations, in order of steps; empty if it failed before the first one."""
        return self.evaluations[self.evaluations["number"] == number].sort_values("step")

    def study(self, numbers: Sequence[int] | None = None) -> optuna.Study:
        """Make the Optuna study in memory.

        Args:
            numbers: The trials to have, in this order; a number may be repeated (default: all trials).
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        trials = self.trials if numbers is None else self.trials.set_index("number", drop=False).loc[list(numbers)]
        return optuna_study(trials, self.evaluations, self.distributions, self.direction)
