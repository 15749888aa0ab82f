"""The study as one trial may see it: a copy in memory, for the sampler and the pruner."""

import copy
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

import optuna
from hydra.utils import get_method, instantiate
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from sidewinder.config.study_config import StudyConfig
from sidewinder.study.samplers import make_sampler
from sidewinder.study.seals import PRUNER_ATTRS, suggestion_attrs

# The study's attributes after a suggestion (QMC's position, NSGA-II's parents), stored with the suggested trial.
STUDY_ATTRS = "sidewinder:study_attrs"


class View:
    """The study in memory. Trials in the view have their results; all other trials count as running."""

    def __init__(self, config: StudyConfig, trials: list[FrozenTrial], visible: Iterable[int]) -> None:
        """Copy the trials to a study in memory.

        Args:
            config: The study's config.
            trials: All earlier trials, in order of number. The list may grow and its results may arrive later.
            visible: The numbers of those whose results are shown.
        """
        self.config = config
        self.trials = trials
        self.shown = set(visible)
        self.storage = InMemoryStorage()
        self.study = optuna.create_study(
            storage=self.storage,
            study_name=config.study.name,
            directions=config.study.directions,
            sampler=optuna.samplers.RandomSampler(),
            pruner=instantiate(config.pruner),
        )
        self.study_id = self.storage.get_study_id_from_name(config.study.name)
        for trial in trials:
            template = _as_finished(trial) if trial.number in self.shown else _as_suggested(trial)
            self.storage.create_new_trial(self.study_id, template_trial=template)
        for key, value in (trials[-1].system_attrs.get(STUDY_ATTRS, {}) if trials else {}).items():
            self.storage.set_study_system_attr(self.study_id, key, value)

    def show(self, visible: Iterable[int]) -> None:
        """Show the results of these trials too."""
        for number in set(visible) - self.shown:
            trial, trial_id = self.trials[number], self._id_of(number)
            for step, value in trial.intermediate_values.items():
                self.storage.set_trial_intermediate_value(trial_id, step, value)
            for key, value in trial.system_attrs.get(PRUNER_ATTRS, {}).items():
                self.storage.set_trial_system_attr(trial_id, key, value)
            self.storage.set_trial_state_values(trial_id, trial.state, trial.values)
            self.shown.add(number)

    def start(self, trial: FrozenTrial) -> optuna.Trial:
        """Add a trial that is about to train, with its parameters. Later system attributes are its pruner's notes."""
        started = _as_suggested(trial)
        started.system_attrs = {}
        return optuna.Trial(self.study, self.storage.create_new_trial(self.study_id, started))

    def suggest(self, number: int) -> FrozenTrial:
        """Suggest trial `number`, the next one, and return it as it should be in the database."""
        self.study.sampler = make_sampler(self.config, number)
        if number < len(self.config.study.enqueue):
            self.study.enqueue_trial(self.config.study.enqueue[number])
        trial, space = self.study.ask(), self.config.space()
        for key, distribution in space.distributions.items():
            if space.has(key, trial.params):
                suggest(trial, key, distribution)
        if self.config.study.custom_search_space:
            extend = get_method(self.config.study.custom_search_space)
            extend(OmegaConf.create(self.config.model_dump()), trial)
        frozen = self.storage.get_trial(self._id_of(trial.number))
        assert frozen.number == number
        if attrs := self.storage.get_study_system_attrs(self.study_id):
            frozen.system_attrs[STUDY_ATTRS] = attrs
        return frozen

    def _id_of(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)


class _SharedTrial(FrozenTrial):
    """A trial whose deep copies are shallow: copying thousands of trials takes longer than a suggestion.

    It is safe, because Optuna's storage in memory replaces a trial's parts and never changes them.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return copy.copy(self)


def _as_suggested(trial: FrozenTrial) -> FrozenTrial:
    """The trial as it was after its suggestion: running, without reports."""
    attrs = suggestion_attrs(trial)
    return _SharedTrial(
        number=trial.number,
        trial_id=trial.number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=trial.datetime_start or datetime.now(),
        datetime_complete=None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={},
        system_attrs=attrs,
        intermediate_values={},
    )


def _as_finished(trial: FrozenTrial) -> FrozenTrial:
    """The trial with its result."""
    finished = _as_suggested(trial)
    finished.state, finished.datetime_complete = trial.state, trial.datetime_complete
    finished.values = trial.values
    finished.intermediate_values = trial.intermediate_values
    finished.system_attrs |= trial.system_attrs.get(PRUNER_ATTRS, {})
    return finished


def suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    """Suggest a value from this distribution, by the method of Optuna's trial for its kind.

    Raises:
        TypeError: The distribution is not one of Optuna's three kinds.
    """
    match distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(name, low, high, step=step, log=log)
    raise TypeError(f"found {distribution}, accepted: one of Optuna's three")


def pruner_attrs(trial: optuna.Trial) -> dict[str, Any]:
    """The pruner's notes on a trial that `Study.ask` returned: its system attributes."""
    return trial.study.get_trials(deepcopy=False)[trial.number].system_attrs
