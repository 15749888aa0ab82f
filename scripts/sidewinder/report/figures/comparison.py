"""The data of figures that compare studies."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import pandas as pd

from sidewinder import SidewinderError
from sidewinder.config.matrix import Entry, factors
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.test_returns import NAMES

_SHARED = ("study.seed", "environment")


@dataclass
class Comparison:
    """The studies of one entry of config/config.yaml.

    Attributes:
        labels: A label for each study: the values in which it differs from others, without environment and seed.
            Studies with the same label and the same environment differ in their seed only.
        environments: The environment of each study, in the same order; several ones are joined by commas.
        studies: The tables of each study, in the same order.
    """

    labels: list[str]
    environments: list[str]
    studies: list[Tables]

    @classmethod
    def read(cls, entry: str, overrides: Entry, results: Path) -> Self:
        """Read the tables of an entry's studies.

        Args:
            entry: The entry's name.
            overrides: The entry's overrides in config/config.yaml.
            results: The directory of the studies' directories.

        Raises:
            SidewinderError: A table is missing or malformed, or the studies have different metrics.
        """
        found = factors(entry, overrides)
        studies = [Tables.read(results / study) for study in found]
        if len(metrics := {tables.config.study.objectives[0] for tables in studies}) > 1:
            raise SidewinderError(
                f"{entry}: evaluation.metric: found {', '.join(sorted(metrics))} in one entry, accepted: one metric; "
                "studies with another metric need a separate entry"
            )
        labels = [[value for key, value in own.items() if key not in _SHARED] for own in found.values()]
        return cls(
            labels=[" ".join(label) or entry for label in labels],
            environments=[
                ", ".join(tables.config.environments) or str(tables.config.environment["env_id"]) for tables in studies
            ],
            studies=studies,
        )

    def by_environment(self) -> Iterator[tuple[str, list[tuple[str, Tables]]]]:
        """Give each environment, with the labels and tables of its studies."""
        for environment in dict.fromkeys(self.environments):
            yield (
                environment,
                [
                    (label, tables)
                    for label, own, tables in zip(self.labels, self.environments, self.studies, strict=True)
                    if own == environment
                ],
            )

    @cached_property
    def test(self) -> pd.DataFrame:
        """The rows of all studies' test phases, as in `confirmation.results.table`.

        Two columns are added: `label`, and `task`, which is the environment. The columns `environment` and `score` are
        left out. There are no rows if no study has a winner.
        """
        parts = []
        for label, environment, tables in zip(self.labels, self.environments, self.studies, strict=True):
            table = tables.confirmation
            if len(table) and "winner" in set(table["candidate"]):
                rows = table[table["phase"] == "test"]
                task = rows.get("environment", environment)
                parts.append(
                    rows.assign(label=label, task=task).drop(columns=["environment", "score"], errors="ignore")
                )
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def settings(self) -> dict[str, pd.DataFrame]:
        """Return the rows of `test` for each setting of each label and task, by a name for readers."""
        grouped = self.test.groupby(["label", "task", "candidate"], sort=False)
        return {
            f"{label}, {task}: {NAMES.get(str(candidate), str(candidate))}": rows
            for (label, task, candidate), rows in grouped
        }

    @property
    def candidates(self) -> list[str]:
        """The settings that were tested for each label in each of its tasks: the winner, and baselines."""
        tasks = self.test.groupby("candidate", sort=False)[["label", "task"]].apply(
            lambda rows: len(rows.drop_duplicates())
        )
        return list(tasks.index[tasks == tasks.max()])
