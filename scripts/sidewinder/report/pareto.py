"""The Pareto set of a study with several objectives, as configs that train.py runs and as tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from sidewinder import SidewinderError
from sidewinder.config.metrics import digits_of, in_words
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.statistics import Estimate, failed, objective_estimates
from sidewinder.report.texts import from_archives, latex, markdown, parameters, taken_from, text, trainable
from sidewinder.results import Result, result_path
from sidewinder.trials.tables import undominated


def write_pareto_set(
    config: StudyConfig, study_dir: Path, confirmed: pd.DataFrame, output: Path, write: Callable[[Path, str], None]
) -> None:
    """Write pareto/<trial>.yaml for each confirmed trial, then pareto.csv, pareto.md and pareto.tex.

    Args:
        config: The study's config.
        study_dir: The study's directory.
        confirmed: Rows of confirmation.csv.
        output: The directory to write to.
        write: Called with a path and a text to write each file.

    Raises:
        SidewinderError: The study has one objective, or a result is missing.
    """
    if len(config.study.objectives) == 1:
        raise SidewinderError(f"{study_dir}: study.objectives: found only return, accepted: several (best.py: one)")
    by_candidate = confirmed.groupby("candidate", sort=False)
    settings = [Setting(config, study_dir, str(name), rows) for name, rows in by_candidate]
    # A setting with failed trainings is not compared: the mean of its other trainings would be too good.
    tested = [setting for setting in settings if setting.test and not setting.failed]
    means = [[estimate.value for estimate in (setting.test or {}).values()] for setting in tested]
    best = [tested[position].name for position in undominated(means, config.study.directions)]
    trials = {setting.name: setting.trial for setting in settings if setting.trial}
    for setting in settings:
        if setting.trial:
            provenance = {"undominated_in_test": setting.name in best, "test": setting.data()}
            provenance |= {"failed": setting.failed} if setting.failed else {}
            path = output / "pareto" / f"{setting.trial.number}.yaml"
            write(path, trainable(config, setting.trial, provenance))
    rows = [setting.row() | {"undominated in test": str(setting.name in best).lower()} for setting in settings]
    frames = [
        parameters(config, {name: trial.params for name, trial in trials.items()}),
        pd.DataFrame(
            [setting.cells() | {"undominated": "yes" if setting.name in best else ""} for setting in settings]
        ),
    ]
    note = _note(config) + taken_from(from_archives(confirmed))
    write(output / "pareto.tex", latex(frames, note))
    write(output / "pareto.csv", pd.DataFrame(rows).to_csv(index=False))
    write(output / "pareto.md", markdown(config.study.name, frames, note))


class Setting:
    """A trial of the Pareto set, or a baseline, with its objectives in the sweep and on the test seeds."""

    def __init__(self, config: StudyConfig, study_dir: Path, candidate: str, rows: pd.DataFrame) -> None:
        """Compute the estimates of a candidate from its rows of confirmation.csv."""
        self.objectives = config.study.objectives
        self.digits = {name: digits_of(name, scored=bool(config.environments)) for name in self.objectives}
        number = rows["trial"].iloc[0]
        self.trial = None if pd.isna(number) else Result.load(result_path(study_dir, int(number)))
        self.name = f"trial {self.trial.number}" if self.trial else candidate
        self.test = objective_estimates(config, rows)
        self.failed = failed(rows)

    @property
    def sweep(self) -> dict[str, float]:
        """The setting's values in the sweep, by objective; empty for a baseline."""
        if self.trial is None or self.trial.objective is None:
            return {}
        return {self.objectives[0]: self.trial.objective, **self.trial.further_objectives}

    def data(self) -> dict[str, Any]:
        """Return the test estimates, for pareto/<trial>.yaml."""
        return {name: estimate.model_dump() for name, estimate in (self.test or {}).items()}

    def row(self) -> dict[str, Any]:
        """Return the setting's row of pareto.csv."""
        row: dict[str, Any] = {"setting": self.name, "failed": self.failed}
        for name in self.objectives:
            estimate = (
                self.test[name] if self.test else Estimate(value=float("nan"), low=float("nan"), high=float("nan"))
            )
            row[f"{name} in sweep"] = self.sweep.get(name)
            row |= {f"{name} in test": estimate.value, f"{name} low": estimate.low, f"{name} high": estimate.high}
        return row

    def cells(self) -> dict[str, str]:
        """Return the setting's row of pareto.md and pareto.tex, as text."""
        cells = {"setting": f"{self.name} ({self.failed})" if self.failed else self.name}
        for name in self.objectives:
            value, digits = self.sweep.get(name), self.digits[name]
            cells[f"{name} in sweep"] = "" if value is None else f"{value:.{digits}f}"
            cells[f"{name} in test [95% CI]"] = text(self.test[name], digits) if self.test else self.failed
        return cells


def _note(config: StudyConfig) -> str:
    """Return the note below the tables: how the values were measured."""
    confirmation, settings = config.confirmation, config.study
    aims = ", ".join(f"{name} ({way})" for name, way in zip(settings.objectives, settings.directions, strict=True))
    return (
        f"Objectives: {aims}. The sweep's Pareto set of {settings.n_trials} trials, at most {confirmation.top_k} of it "
        f"evenly along the {in_words(settings.objectives[0])}, trained again on {confirmation.n_test_seeds} test seeds "
        "that chose nothing, "
        f"{confirmation.n_eval_episodes} episodes a seed. Undominated: no other setting here has better test "
        "means; settings of which trainings failed are not compared."
    )
