"""The work of the jobs of trials: each job makes its results under locks, so no result is made twice.

This module does not depend on Snakemake.
"""

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import optuna
from filelock import Timeout

from sidewinder import SidewinderError
from sidewinder.attempts import attempt
from sidewinder.files import to_json, write_atomically
from sidewinder.locks import file_lock
from sidewinder.results import Result, checked, replicate_path, result_path
from sidewinder.study import progress
from sidewinder.study.schedule import window_view
from sidewinder.study.study import NotYetError, Study
from sidewinder.trials.replicates import gather, reporter, train_replicate
from sidewinder.trials.tables import read_timing

_FOREVER, _NOT_AT_ALL = -1.0, 0.0
# Seconds that a trial may be idle before a job that waits for it makes it, and seconds between two looks.
_PATIENCE, _INTERVAL = 10.0, 0.5
logger = logging.getLogger(__name__)


def make_trials(study: Study, number: int) -> None:
    """Make the results of a job: of one trial, or of all trials of its block (`StudyConfig.block_of`).

    If the block has several trials, the job always makes the next idle trial of the study, of whichever block. It ends
    once its block has all results, and it has made as many results as the block has or finds no further idle trial.
    Other jobs do the same, so no job has to wait for a trial that comes late in another block.

    Raises:
        SidewinderError: As for `make_trial`.
    """
    block = study.config.block_of(number)
    if len(block) == 1:
        make_trial(study, number)
        return
    made: set[int] = set()
    left = len(block)
    while True:
        ahead = _next_to_make(study, made)
        done = all(result_path(study.directory, own).exists() for own in block)
        if done and (ahead is None or left <= 0):
            return
        if ahead is None:
            # Results that were there may have been removed meanwhile.
            made = {number for number in made if result_path(study.directory, number).exists()}
            time.sleep(_INTERVAL)
            continue
        with suppress(Timeout):
            make_trial(study, ahead, _NOT_AT_ALL)
            left -= 1


def make_trial(study: Study, number: int, patience: float = _FOREVER) -> None:
    """Make the result of a trial, unless it is there already.

    If replicates are jobs, it combines their results, which must be there.

    Args:
        study: The study.
        number: The trial's number.
        patience: Seconds to wait while another process makes the same result; -1 waits without a limit.

    Raises:
        Timeout: Another process still makes it after that time.
        SidewinderError: A file of the study is missing or belongs to another study, or too many trials have failed.
    """
    path = result_path(study.directory, number)
    with _lock(study, path, patience):
        if path.exists():
            logger.info("trial %d has its result already", number)
            return
        result, timings = _gathered(study, number) if study.config.replicate_jobs() else _trained(study, number)
        _save(result, timings, path)
        logger.info("trial %d %s: objective %s", number, result.state, result.objective)
        study.tell(result)


def make_replicate(study: Study, number: int, name: str, patience: float = _FOREVER) -> None:
    """Make the result of a replicate that is a job, unless it is there already.

    Args:
        study: The study.
        number: The trial's number.
        name: The replicate's name, as `StudyConfig.replicate_jobs` has it.
        patience: As for `make_trial`.

    Raises:
        Timeout: Another process still makes it after that time.
        SidewinderError: There is no such replicate; or as for `make_trial`.
    """
    if name not in (names := study.config.replicate_jobs()):
        raise SidewinderError(f"replicate: found {name!r}, accepted: {', '.join(names) or 'none in this study'}")
    path = replicate_path(study.directory, number, name)
    with _lock(study, path, patience):
        if path.exists():
            logger.info("replicate %s of trial %d has its result already", name, number)
            return
        result, timing = _trained_once(study, number, name, path)
        _save(result, [timing], path)


def _lock(study: Study, path: Path, patience: float) -> AbstractContextManager[Any]:
    """The lock of a result, because only one process may make it: after a kill of Snakemake, its job may still run.

    The lock is freed when its holder ends, even by SIGKILL.
    """
    return file_lock(path.with_name(".lock"), study.config.study.storage).acquire(timeout=patience)


def _save(result: Result, timings: list[dict[str, Any]], path: Path) -> None:
    write_atomically(path.with_name("timing.json"), to_json(timings))
    result.save(path)
    progress.forget_progress(path)
    _forget_checkpoint(path)


def _checkpoint(path: Path) -> Path:
    """The checkpoint directory of the training whose result will be at `path`."""
    return path.with_name("checkpoint")


def _forget_checkpoint(path: Path) -> None:
    shutil.rmtree(_checkpoint(path), ignore_errors=True)


def _gathered(study: Study, number: int) -> tuple[Result, list[dict[str, Any]]]:
    """The result and the timings of a trial whose replicates were jobs, from their files."""
    paths = [replicate_path(study.directory, number, replicate) for replicate in study.config.replicate_jobs()]
    config, give_up = study.config.digest(), study.config.study.give_up
    results = [checked(path, Result.load(path), number, config, give_up) for path in paths]
    files = [path.with_name("timing.json") for path in paths]
    # If a timing.json is lost, only its timing is missing; the trial is still good.
    timings = [timing for file in files if file.exists() for timing in read_timing(file)]
    return gather(study.config, results), timings


def _trained(study: Study, number: int) -> tuple[Result, list[dict[str, Any]]]:
    """Train a trial: once, or its replicates in sequence until one fails or the trial is pruned."""
    path, replicates = result_path(study.directory, number), list(study.config.replicates())
    if len(replicates) == 1:
        result, timing = _trained_once(study, number, replicates[0], path)
        return gather(study.config, [result]), [timing]
    trial = _ask(study, number)
    log, report = path.with_name("tensorboard"), _noting(study, reporter(trial), path)
    results: list[Result] = []
    timings = []
    pruned = False
    for index, replicate in enumerate(replicates):
        train = partial(
            train_replicate,
            study.config,
            study.directory,
            trial,
            replicate,
            log / replicate,
            checkpoint=_checkpoint(path) / replicate,
        )
        result, timing = _tried(study, number, path, train)
        results.append(result)
        timings.append(timing)
        if result.objective is None:
            break
        pruned = report(index, study.config.score(result.objective, result.environment))
        if pruned:
            break
    return gather(study.config, results, pruned=pruned and len(results) < len(replicates)), timings


def _trained_once(study: Study, number: int, replicate: str, path: Path) -> tuple[Result, dict[str, Any]]:
    """Train a trial or one of its replicates, with reports to the study's pruner.

    A retry asks the study for the trial again, because a trial that is trained must not have reports yet.

    Args:
        study: The study.
        number: The trial's number.
        replicate: The replicate's name.
        path: The file that the result will be written to.

    Returns:
        The result and the timing, as `train_replicate` gives them.
    """
    trials = [_ask(study, number)]

    def train(progressed: Callable[[], None]) -> tuple[Result, dict[str, Any]]:
        trial = trials.pop() if trials else _ask(study, number)
        report = _noting(study, reporter(trial), path)
        log = path.with_name("tensorboard")
        return train_replicate(
            study.config, study.directory, trial, replicate, log, report, _checkpoint(path), progressed
        )

    return _tried(study, number, path, train)


def _tried(
    study: Study, number: int, path: Path, train: Callable[..., tuple[Result, dict[str, Any]]]
) -> tuple[Result, dict[str, Any]]:
    """Train, and retry a failed training from its beginning up to `study.retries` times.

    If the process is killed, the next one resumes from the checkpoint (`attempts.attempt`).
    """
    given_up = number in study.config.study.give_up
    ways = f"; or study.give_up: {sorted({*study.config.study.give_up, number})}, which counts the trial as failed"
    left = study.config.study.retries
    while True:
        with attempt(path, f"trial {number}", ways) as progressed:
            result, timing = train(progressed=progressed)
        if result.state != "failed" or given_up or left == 0:
            return result, timing
        logger.warning("trial %d failed; trying again, times left: %d", number, left)
        _forget_checkpoint(path)
        left -= 1


def _noting(study: Study, report: Callable[[int, float], bool], path: Path) -> Callable[[int, float], bool]:
    """Wrap a report: with the schedule `virtual`, it also notes how many reports the training has survived."""
    if study.config.study.schedule == "window":
        return report
    reports = count(1)

    def noted(step: int, value: float) -> bool:
        pruned = report(step, value)
        if not pruned:
            progress.note_progress(path, next(reports))
        return pruned

    return noted


def _ask(study: Study, number: int) -> optuna.Trial:
    """Ask the study for a trial, and wait until its view is known.

    While it waits, it makes earlier trials that are idle. So the study continues in any order of jobs, and after a
    job is lost.
    """
    seen_free: dict[int, float] = {}
    while True:
        try:
            return study.ask(number)
        except NotYetError as wait:
            if not seen_free:
                logger.info("trial %d: %s", number, wait)
            free = [earlier for earlier in wait.unfinished if _is_free(study, earlier)]
            seen_free = {earlier: seen_free.get(earlier, time.monotonic()) for earlier in free}
        if free and time.monotonic() - seen_free[free[0]] > _PATIENCE:
            logger.info("trial %d: nobody makes trial %d, so this job does", number, free[0])
            _take_on(study, free[0])
        else:
            time.sleep(_INTERVAL)


def _next_to_make(study: Study, made: set[int]) -> int | None:
    """The first trial that has no result and that no process makes.

    Args:
        study: The study.
        made: Trials that are known to have a result; further ones are added to it.

    Returns:
        Its number. None if there is no such trial, or if the schedule is `window` and its view is not on file yet.
    """
    for number in range(study.config.study.n_trials):
        if number in made:
            continue
        if result_path(study.directory, number).exists():
            made.add(number)
        elif _is_free(study, number):
            # Later trials have larger views, so they could not start either.
            window = study.config.study.window
            return number if window is None or made.issuperset(window_view(number, window)) else None
    return None


def _left_to_do(study: Study, number: int) -> list[Path]:
    """The missing results of a trial's parts; once all are there, the trial's own result."""
    parts = progress.part_paths(study.directory, study.config, number)
    return [path for path in parts if not path.exists()] or [result_path(study.directory, number)]


def _is_free(study: Study, number: int) -> bool:
    """Whether an unfinished trial has a missing result that no process makes."""
    for path in _left_to_do(study, number):
        with suppress(Timeout), _lock(study, path, _NOT_AT_ALL):
            return True
    return False


def _take_on(study: Study, number: int) -> None:
    """Make the missing results of a trial, except those that other processes make now."""
    for name in study.config.replicate_jobs():
        with suppress(Timeout):
            make_replicate(study, number, name, _NOT_AT_ALL)
    own = result_path(study.directory, number)
    if _left_to_do(study, number) == [own]:
        with suppress(Timeout):
            make_trial(study, number, _NOT_AT_ALL)
