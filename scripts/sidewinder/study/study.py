"""The shared Optuna study: gives each trial its parameters, the same whichever process asks and when. It never trains.

The database is an index of the files, kept for Optuna's tools and to save work. Each suggestion is a trial in it, and
each result on file is attached to its trial. A suggestion is made from a private copy in memory, which has only the
results that the trial may see (`study.view`, `study.schedule`). So what other processes write meanwhile has no effect.
Then the suggestion is added to the database in one transaction. Pruners see the same copy plus the trial's own reports.
"""

import gc
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from sidewinder import SidewinderError
from sidewinder.config.study_config import StudyConfig
from sidewinder.errors import first_line
from sidewinder.results import Result, load_result, result_path
from sidewinder.study import clock, progress
from sidewinder.study.databases import database_of
from sidewinder.study.failures import stop_if_too_many_failed
from sidewinder.study.schedule import virtual_view, window_view
from sidewinder.study.seals import PRUNER_ATTRS, RESULT_SEAL, SEAL, WORK, BrokenSealError, check, result_seal, seal
from sidewinder.study.view import View

_T = TypeVar("_T")
logger = logging.getLogger(__name__)
optuna.logging.set_verbosity(optuna.logging.WARNING)

# With the schedule `virtual`: the trial's possible ends, as `clock.possible_ends` returned them.
_ENDS = "sidewinder:ends"
# Errors that reading or writing a database raises if something in it is missing or has an unexpected type.
_OF_DATABASE = (SQLAlchemyError, optuna.exceptions.OptunaError, sqlite3.Error, LookupError, TypeError, ValueError)


class NotYetError(SidewinderError):
    """The trial's view is not known yet: earlier trials, `unfinished`, must end or train further first."""

    def __init__(self, unfinished: list[int]) -> None:
        super().__init__(f"waiting for trials {unfinished}")
        self.unfinished = unfinished


class Study:
    """A study: its database, and the files beside it that the database must agree with."""

    def __init__(self, directory: Path, config: StudyConfig) -> None:
        """Take the study's directory, with its config.yaml and trials/, and its config. Nothing is opened yet."""
        self.directory = directory
        self.config = config
        self.database = database_of(directory, config)
        self.digest = config.digest()
        # By trial number: the row whose seals were checked, and the hash of its suggestion.
        self._checked: dict[int, tuple[FrozenTrial, str]] = {}

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open the study in `directory`, with its config.yaml.

        Raises:
            SidewinderError: The config is missing or malformed, or `study.storage` cannot be used.
        """
        return cls(directory, StudyConfig.load(directory / "config.yaml"))

    def ask(self, number: int) -> optuna.Trial:
        """Give the trial with this number and its suggested parameters.

        Also makes all missing suggestions of lower numbers. Any number of processes may call it at a time. With the
        schedule `window`, the results of the view must be on file.

        Returns:
            A trial of a private copy of the study. Its `report` and `should_prune` work without the database.

        Raises:
            NotYetError: With the schedule `virtual`, the trial's view is not known yet.
            SidewinderError: A result is missing or does not belong to this study, or too many trials have failed.
        """
        with self.database.lock():
            trials, visible = self._repaired(lambda storage, study_id: self._suggest_up_to(number, storage, study_id))
        seen = [trials[k] for k in visible]
        stop_if_too_many_failed(
            self.config, [t.user_attrs["reason"] for t in seen if t.user_attrs["state"] == "failed"]
        )
        return View(self.config, trials[:number], visible).start(trials[number])

    def tell(self, result: Result) -> None:
        """Attach a result to its trial in the database. The result's file must be written already.

        If the database cannot be written, or was lost since `ask`, this only logs a warning. The database is an index,
        and the next `ask` attaches the result.
        """

        def attach(storage: BaseStorage, study_id: int) -> None:
            if result.number >= len(self._sealed(storage, study_id)):
                raise SidewinderError(f"trial {result.number} is not in it yet")
            self._attach(result.number, result, storage, study_id)

        try:
            with self.database.lock():
                self._repaired(attach)
        except (*_OF_DATABASE, OSError, SidewinderError) as error:
            logger.warning("the study's database lags behind: %s", first_line(error))

    def catch_up(self) -> None:
        """Complete the database: a row for each trial of the budget, and all results that are on file.

        Raises:
            NotYetError: With the schedule `virtual`, results that a trial may see are not there yet.
            SidewinderError: The database cannot be written, or results are missing or do not belong to this study.
        """

        def attach_all(storage: BaseStorage, study_id: int) -> None:
            trials, _ = self._suggest_up_to(self.config.study.n_trials - 1, storage, study_id)
            for trial in trials:
                if not trial.state.is_finished() and (result := self._result(trial.number)):
                    self._attach(trial.number, result, storage, study_id)

        with self.database.lock():
            self._repaired(attach_all)

    def _repaired(self, action: Callable[[BaseStorage, int], _T]) -> _T:
        """Run an action on the database, and repair the database first if needed.

        A database that is damaged, belongs to another study, or was changed by another program is set aside. The action
        then runs on a new one, which is made from the files.

        Raises:
            SidewinderError: The database cannot be used, or a result on file does not belong to this study.
        """
        try:
            return self._done(action)
        except BrokenSealError as broken:
            reason = f"is not as this study left it ({broken})"
        except _AtOddsWithFilesError as error:
            reason = f"does not agree with the results on file ({error})"
        except _OF_DATABASE as error:
            if unusable := self.database.unusable(error):
                raise SidewinderError(unusable) from None
            reason = f"is damaged ({first_line(error)})"
        self._checked.clear()
        if (aside := self.database.set_aside()) is not None:
            logger.warning("the study's database %s; it is made again from the files; %s", reason, aside)
        try:
            return self._done(action)
        except _AtOddsWithFilesError as error:
            raise SidewinderError(str(error)) from None
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError, sqlite3.Error) as error:
            raise SidewinderError(
                self.database.unusable(error) or f"the study's database: {first_line(error)}"
            ) from None

    def _done(self, action: Callable[[BaseStorage, int], _T]) -> _T:
        with self.database.open() as opened, _without_garbage_collection():
            return action(*opened)

    def _sealed(self, storage: BaseStorage, study_id: int) -> list[FrozenTrial]:
        """Read the database's rows and check their seals.

        Raises:
            BrokenSealError: A row is not as this study left it, or the directions are not this study's.
        """
        directions = [direction.name.lower() for direction in storage.get_study_directions(study_id)]
        if directions != self.config.study.directions:
            raise BrokenSealError("its directions belong to another study")
        trials = storage.get_all_trials(study_id, deepcopy=False)
        before = self.digest
        for number, trial in enumerate(trials):
            known = self._checked.get(number)
            # Optuna's cache returns the same object for a finished trial, so its seal is checked only once.
            before = known[1] if known and known[0] is trial else check(trial, number, before)
            self._checked[number] = (trial, before)
        return trials

    def _suggest_up_to(
        self, number: int, storage: BaseStorage, study_id: int
    ) -> tuple[list[FrozenTrial], Sequence[int]]:
        """Make all missing suggestions up to trial `number`, and attach the results that it may see.

        Returns:
            All trials of the database, and the numbers of the trials in the view of trial `number`.

        Raises:
            NotYetError: A view is not known yet.
            BrokenSealError: A row is not as this study left it.
        """
        trials = self._sealed(storage, study_id)

        def see(number: int) -> Sequence[int]:
            visible, on_file = self._view(trials[:number])
            for k in visible:
                if not trials[k].state.is_finished():
                    trials[k] = self._attach(k, on_file[k], storage, study_id)
            return visible

        known: View | None = None
        for missing in range(len(trials), number + 1):
            visible = see(missing)
            known = known or View(self.config, trials, visible)
            known.show(visible)
            suggested = known.suggest(missing)
            if self.config.study.schedule == "virtual":
                suggested.system_attrs[_ENDS] = clock.possible_ends(self.config, suggested.params)
            before = trials[-1].system_attrs[SEAL]["hash"] if trials else self.digest
            suggested.system_attrs[SEAL] = seal(suggested, before)
            created = storage.get_trial(storage.create_new_trial(study_id, template_trial=suggested))
            if created.number != missing:
                raise BrokenSealError(f"trial {missing}: another program has put a trial in its place")
            trials.append(created)
        return trials, see(number)

    def _view(self, earlier: list[FrozenTrial]) -> tuple[Sequence[int], dict[int, Result]]:
        """The view of the trial after `earlier`, and the results in it that the database lacks.

        Each file is read once: a result that appears or disappears meanwhile counts either as there or as missing.

        Returns:
            The numbers of the trials in the view, and results by trial number.

        Raises:
            NotYetError: With the schedule `virtual`, the view is not known yet.
        """
        unfinished = [trial.number for trial in earlier if not trial.state.is_finished()]
        visible: Sequence[int]
        if (window := self.config.study.window) is not None:
            visible = window_view(len(earlier), window)
            return visible, {k: self._load(k) for k in unfinished if k in visible}
        on_file = {k: result for k in unfinished if (result := self._result(k))}
        work = [self._work(trial, on_file.get(trial.number)) for trial in earlier]
        visible = virtual_view(work, self.config.study.workers)
        still_running = [k for k in unfinished if k not in on_file]
        if not set(visible).isdisjoint(still_running):
            raise NotYetError(still_running)
        return visible, on_file

    def _result(self, number: int) -> Result | None:
        try:
            return self._load(number)
        except SidewinderError:
            if result_path(self.directory, number).exists():
                raise
            return None

    def _load(self, number: int) -> Result:
        return load_result(self.directory, number, self.digest, self.config.study.give_up)

    def _work(self, trial: FrozenTrial, result: Result | None) -> int:
        """The trial's work on the virtual clock; of a running trial, a lower bound."""
        if trial.state.is_finished():
            work: int = trial.system_attrs[WORK]
            return work
        ends = trial.system_attrs[_ENDS]
        if result:
            return clock.work_done(self.config, result, ends)
        return progress.work_so_far(self.directory, self.config, trial.number, ends)

    def _attach(self, number: int, result: Result, storage: BaseStorage, study_id: int) -> FrozenTrial:
        """Attach a result to its trial. It may be repeated, for example after a kill half way."""
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, number)
        trial = storage.get_trial(trial_id)
        if result.params != trial.params:
            raise _AtOddsWithFilesError(
                f"{result_path(self.directory, number)}: params: found {result.params}, accepted: {trial.params}, "
                f"which this study suggests for trial {number}; the file belongs to another study or sampler version"
            )
        if trial.state.is_finished():
            return trial
        reports = self._reports(result)
        for step, value in reports.items():
            storage.set_trial_intermediate_value(trial_id, step, value)
        attrs: dict[str, Any] = {PRUNER_ATTRS: result.pruner_attrs}
        if ends := trial.system_attrs.get(_ENDS):
            # Uses the result as it was read: Snakemake deletes the file when it kills another job that was to make it.
            attrs[WORK] = clock.work_done(self.config, result, ends)
        user_attrs = {"state": result.state, "reason": result.reason}
        if result.objective is not None:
            state, values = TrialState.COMPLETE, [result.objective, *result.further_objectives.values()]
        else:
            # Like Optuna's tell: a pruned trial's value is its last report.
            state, values = TrialState.PRUNED, list(reports.values())[-1:]
        own = result_seal(trial.system_attrs[SEAL]["hash"], state, values or None, reports, attrs | user_attrs)
        for name, attr in {**attrs, RESULT_SEAL: own}.items():
            storage.set_trial_system_attr(trial_id, name, attr)
        for name, text in user_attrs.items():
            storage.set_trial_user_attr(trial_id, name, text)
        storage.set_trial_state_values(trial_id, state, values or None)
        return storage.get_trial(trial_id)

    def _reports(self, result: Result) -> dict[int, float]:
        """What the trial reported to its pruner, by step.

        These are the means of its evaluations; for replicates in sequence, the objective of each replicate. With
        several objectives there are none, because Optuna has no pruner for them.
        """
        if len(self.config.study.objectives) > 1:
            return {}
        if result.replicates and self.config.study.replicates_in == "sequence":
            return {
                index: self.config.score(replicate.objective, replicate.environment)
                for index, replicate in enumerate(result.replicates)
                if replicate.objective is not None
            }
        metric = self.config.study.objectives[0]
        return {evaluation.step: evaluation.of(metric)[0] for evaluation in result.evaluations}


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Switch garbage collection off: while thousands of trials are read, it takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _AtOddsWithFilesError(Exception):
    """A result on file has other parameters than its trial in the database."""
