"""The candidates of the confirmation: settings that are trained again on seeds that the sweep never saw.

There are two phases, each with its own seeds. `validation` is the race of the sweep's best settings and the baselines.
`test` gives the returns of the winner and the baselines that are reported. Returns that chose a setting are never the
returns that are reported for it. This module does not depend on the sampler.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict

from sidewinder import SidewinderError
from sidewinder.config.algorithms import meant
from sidewinder.config.digests import digest
from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.results import Phase
from sidewinder.determinism import derive_seed
from sidewinder.files import reading
from sidewinder.results import Result, load_result

if TYPE_CHECKING:
    import pandas as pd


class Candidate(BaseModel):
    """A setting to confirm, with the content of its YAML file.

    Attributes:
        name: `top-1` (the sweep's best) and so on, `winner`, `defaults` or `zoo`.
        exists: False for a rank that the sweep has no complete trial for.
        trial: The trial's number in the sweep; None for a baseline.
        params: The trial's parameters; empty for a baseline.
        objective: The trial's objective in the sweep; None for a baseline.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    exists: bool
    trial: int | None
    params: dict[str, Any]
    objective: float | None

    def dump(self) -> str:
        """The text of the file."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)

    @classmethod
    def of_baseline(cls, name: str) -> "Candidate":
        """Make the candidate of a baseline, a setting that was not tuned here."""
        return cls(name=name, exists=True, trial=None, params={}, objective=None)

    @classmethod
    def of_trial(cls, name: str, result: Result) -> "Candidate":
        """Make the candidate of a trial of the sweep."""
        return cls(name=name, exists=True, trial=result.number, params=result.params, objective=result.objective)

    @classmethod
    def absent(cls, name: str) -> "Candidate":
        """Make the candidate of a rank that the sweep has no complete trial for."""
        return cls(name=name, exists=False, trial=None, params={}, objective=None)

    @classmethod
    def load(cls, path: Path) -> "Candidate":
        """Read a candidate's file.

        Raises:
            SidewinderError: The file is missing or malformed.
        """
        with reading(path, "`snakemake` makes it once the trials are there"):
            return cls.model_validate(yaml.safe_load(path.read_text()))

    def run_in(self, config: StudyConfig, environment: str | None) -> RunConfig:
        """The candidate's training run in one of the study's environments, without the confirmation's seeds."""
        if self.trial is None:
            return config.for_baseline(self.name, environment)
        return config.for_trial(self.params, environment)


def confirmation_run(
    config: StudyConfig, candidate: Candidate, environment: str | None, phase: Phase, index: int
) -> tuple[RunConfig, HeldOut]:
    """The candidate's run with the training and evaluation seeds of this index, and its held-out episodes.

    All candidates have the same seeds and so the same initial states. No trial has these seeds.

    Args:
        config: The study's config.
        candidate: The setting.
        environment: The environment's name, if the study has several.
        phase: `validation` or `test`.
        index: The index of the seed in the phase, from 0.
    """
    run = candidate.run_in(config, environment)
    run.training.seed = derive_seed(config.study.seed, f"{phase} training", index)
    run.evaluation.seed = derive_seed(config.study.seed, f"{phase} evaluation", index)
    return run, HeldOut(config.confirmation.n_eval_episodes, derive_seed(config.study.seed, f"{phase} episodes", index))


def made_from(config: StudyConfig, candidate: Candidate, environment: str | None, phase: Phase, index: int) -> str:
    """A hash of everything that the result of this training depends on.

    Planning compares it with the hash in the result's file. It needs no composed run, so it is fast.
    """
    baseline = config.baselines.get(candidate.name) if candidate.trial is None else None
    setting = (candidate.exists, candidate.trial, candidate.params, baseline)
    episodes = config.confirmation.n_eval_episodes
    return digest((config.digest(), setting, environment, phase, index, episodes))


def chosen_trials(config: StudyConfig, study_dir: Path, trials: "pd.DataFrame") -> list[Result]:
    """Choose the trials to confirm, at most `confirmation.top_k`.

    With one objective, they are the sweep's best. With several, they are the Pareto set. If that is too large, trials
    are taken from it at even distances along the first objective, both ends included.

    Trials that differ only in their seeds count as one setting: only the best of them is confirmed. A trial with the
    setting of a baseline is left out, because the baseline is confirmed anyway. If no other trial is left, the best one
    is confirmed all the same.

    Args:
        config: The study's config.
        study_dir: The study's directory.
        trials: trials.csv, as `read_trials` returns it.

    Raises:
        SidewinderError: No trial is complete, or a result is missing or malformed.
    """
    # Imported late: trainings, and Snakemake itself, need not load pandas.
    import numpy as np

    from sidewinder.trials.tables import pareto_set, ranked

    n_confirmed, settings = len(config.candidates()), config.study

    def different(numbers: list[int]) -> Iterator[Result]:
        known = {_setting(config, Candidate.of_baseline(name)) for name in config.compared()}
        for number in numbers:
            result = load_result(study_dir, number, config.digest(), settings.give_up)
            setting = _setting(config, Candidate.of_trial("", result))
            if setting not in known:
                yield result
            known.add(setting)

    if len(settings.objectives) == 1:
        order = ranked(trials, settings.return_direction)
        chosen = list(islice(different(order), n_confirmed))
    else:
        order = pareto_set(trials, settings.objectives, settings.directions)
        front = list(different(order))
        positions = np.linspace(0, len(front) - 1, min(n_confirmed, len(front))).round()
        chosen = [front[int(position)] for position in positions]
    if not order:
        raise SidewinderError(f"{study_dir / 'trials.csv'}: state: found no complete trial, accepted: at least one")
    return chosen or [load_result(study_dir, order[0], config.digest(), settings.give_up)]


def _setting(config: StudyConfig, candidate: Candidate) -> str:
    """A hash of a candidate's runs in all environments, without seeds. Agents that mean the same have the same hash."""
    runs = [candidate.run_in(config, environment) for environment in config.environment_names()]
    return digest([run.model_copy(update={"agent": meant(run.agent)}).digest() for run in runs])
