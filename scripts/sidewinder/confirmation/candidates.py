"""The settings that are trained again on seeds that the sweep never saw. It knows no sampler.

Two phases, each with seeds of its own: `validation` is the race of the sweep's best settings and the baselines, `test`
gives the winner's figures, beside those of the baselines. What chose is never what is reported.
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
    """A setting to confirm, as its YAML file has it.

    Attributes:
        name: `top-1`, `winner`, `defaults`, `zoo`.
        exists: False for a rank that the sweep has no complete trial for.
        trial: Its number in the sweep, and `params` and `objective` as the sweep had them; None for a baseline.
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
        """A setting that nobody tuned here."""
        return cls(name=name, exists=True, trial=None, params={}, objective=None)

    @classmethod
    def of_trial(cls, name: str, result: Result) -> "Candidate":
        """A trial of the sweep."""
        return cls(name=name, exists=True, trial=result.number, params=result.params, objective=result.objective)

    @classmethod
    def absent(cls, name: str) -> "Candidate":
        """A rank that the sweep has no complete trial for."""
        return cls(name=name, exists=False, trial=None, params={}, objective=None)

    @classmethod
    def load(cls, path: Path) -> "Candidate":
        """Read a candidate's file.

        Raises:
            SidewinderError: It is missing, or not what `dump` writes.
        """
        with reading(path, "`snakemake` makes it once the trials are there"):
            return cls.model_validate(yaml.safe_load(path.read_text()))

    def run_in(self, config: StudyConfig, environment: str | None) -> RunConfig:
        """Its training run in one of the study's environments, without seeds of its own."""
        if self.trial is None:
            return config.for_baseline(self.name, environment)
        return config.for_trial(self.params, environment)


def confirmation_run(
    config: StudyConfig, candidate: Candidate, environment: str | None, phase: Phase, index: int
) -> tuple[RunConfig, HeldOut]:
    """The candidate's run with the training and evaluation seed of this index, and its held-out episodes.

    The seeds are the same for all candidates, so that none is better for an easier start, and no trial has them.
    """
    run = candidate.run_in(config, environment)
    run.training.seed = derive_seed(config.study.seed, f"{phase} training", index)
    run.evaluation.seed = derive_seed(config.study.seed, f"{phase} evaluation", index)
    return run, HeldOut(config.confirmation.n_eval_episodes, derive_seed(config.study.seed, f"{phase} episodes", index))


def made_from(config: StudyConfig, candidate: Candidate, environment: str | None, phase: Phase, index: int) -> str:
    """A hash of all that the result of this training depends on, without composing its run: what planning compares."""
    baseline = config.baselines.get(candidate.name) if candidate.trial is None else None
    setting = (candidate.exists, candidate.trial, candidate.params, baseline)
    episodes = config.confirmation.n_eval_episodes
    return digest((config.digest(), setting, environment, phase, index, episodes))


def chosen_trials(config: StudyConfig, study_dir: Path, trials: "pd.DataFrame") -> list[Result]:
    """The trials to confirm: the sweep's best; of several objectives its Pareto set, or as many of it as are confirmed,
    evenly along the return, both ends included.

    Of trials that were the same training but for their seeds only the best is confirmed, and none that is the same as a
    baseline, which is confirmed anyway; unless there is no other.

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
    """A hash of its runs in all environments, which have no seeds of their own, by what their agents mean."""
    runs = [candidate.run_in(config, environment) for environment in config.environment_names()]
    return digest([run.model_copy(update={"agent": meant(run.agent)}).digest() for run in runs])
