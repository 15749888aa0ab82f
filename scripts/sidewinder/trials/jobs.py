"""What the jobs of trials do: each makes one result, once, whoever else is at work. It knows no Snakemake."""

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
# How long a trial that others wait for may be in nobody's hands before they take it on, and how often they look.
_PATIENCE, _INTERVAL = 10.0, 0.5
logger = logging.getLogger(__name__)


def make_trials(study: Study, number: int) -> None:
    """Make the results of a trial and of those that share its job (`StudyConfig.block_of`).

    Where there are several, it makes whichever trial of the study is next and in nobody's hands, until its own are
    there and it has made as many: others do the same, so that none waits for one that comes late in another's block.

    Raises:
        SidewinderError: As `make_trial`.
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
            # A result may have been removed since it was seen.
            made = {number for number in made if result_path(study.directory, number).exists()}
            time.sleep(_INTERVAL)
            continue
        with suppress(Timeout):
            make_trial(study, ahead, _NOT_AT_ALL)
            left -= 1


def make_trial(study: Study, number: int, patience: float = _FOREVER) -> None:
    """Make the result of a trial, unless it is there already.

    Where replicates are jobs of their own, it gathers their results, which must be there.

    Args:
        study: The study.
        number: Which trial.
        patience: Seconds to wait for another process that is making it.

    Raises:
        Timeout: Another process is making it.
        SidewinderError: A file of the study is missing or does not belong to it, or too many trials have failed.
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
    """Make the result of a replicate of a trial that is a job of its own, unless it is there already.

    Raises:
        Timeout: Another process is making it.
        SidewinderError: There is no such replicate; or as `make_trial`.
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
    """One process makes a result: after a kill of Snakemake alone, its orphan may still be at it. The lock is freed
    when its holder dies, however it dies."""
    return file_lock(path.with_name(".lock"), study.config.study.storage).acquire(timeout=patience)


def _save(result: Result, timings: list[dict[str, Any]], path: Path) -> None:
    write_atomically(path.with_name("timing.json"), to_json(timings))
    result.save(path)
    progress.forget_progress(path)
    _forget_checkpoint(path)


def _checkpoint(path: Path) -> Path:
    """Where the training keeps its checkpoint whose result will be at `path`."""
    return path.with_name("checkpoint")


def _forget_checkpoint(path: Path) -> None:
    shutil.rmtree(_checkpoint(path), ignore_errors=True)


def _gathered(study: Study, number: int) -> tuple[Result, list[dict[str, Any]]]:
    """The result and the timings of a trial whose replicates were jobs."""
    paths = [replicate_path(study.directory, number, replicate) for replicate in study.config.replicate_jobs()]
    config, give_up = study.config.digest(), study.config.study.give_up
    results = [checked(path, Result.load(path), number, config, give_up) for path in paths]
    files = [path.with_name("timing.json") for path in paths]
    # A lost one is no loss but of what the timings say.
    timings = [timing for file in files if file.exists() for timing in read_timing(file)]
    return gather(study.config, results), timings


def _trained(study: Study, number: int) -> tuple[Result, list[dict[str, Any]]]:
    """Train the trial: once, or its replicates in sequence until one fails or the pruner has seen enough."""
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
    """Train a trial or one of its replicates, which reports to the study's pruner; `path` is where its result will be.
    Each time with a trial that has no reports yet."""
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
    """Train; where that fails again from the beginning, as often as `study.retries` says; where a process vanishes, the
    next one goes on."""
    given_up = number in study.config.study.give_up
    ways = f"; or study.give_up: {sorted({*study.config.study.give_up, number})}, which counts the trial as failed"
    left = study.config.study.retries
    while True:
        with attempt(path, f"trial {number}", ways) as progressed:
            result, timing = train(progressed=progressed)
        if result.state != "failed" or given_up or left == 0:
            return result, timing
        logger.warning("trial %d failed and is tried again; times left: %d", number, left)
        _forget_checkpoint(path)
        left -= 1


def _noting(study: Study, report: Callable[[int, float], bool], path: Path) -> Callable[[int, float], bool]:
    """The same report, which on the virtual clock also notes how often the training was let go on."""
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
    """Ask the study as soon as it is known what the trial may see. Who waits takes on an earlier trial that is in
    nobody's hands, so that it is no matter in which order jobs start, or whether one of them is lost."""
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
    """The first trial that nobody makes, by the window if its view is on file; `made` grows by those that are."""
    for number in range(study.config.study.n_trials):
        if number in made:
            continue
        if result_path(study.directory, number).exists():
            made.add(number)
        elif _is_free(study, number):
            # Later ones would see more.
            window = study.config.study.window
            return number if window is None or made.issuperset(window_view(number, window)) else None
    return None


def _left_to_do(study: Study, number: int) -> list[Path]:
    """The results that a trial lacks: of what trains for it, and once all of that is there, its own."""
    parts = progress.part_paths(study.directory, study.config, number)
    return [path for path in parts if not path.exists()] or [result_path(study.directory, number)]


def _is_free(study: Study, number: int) -> bool:
    """Whether something of an unfinished trial is left to do, and nobody does it."""
    for path in _left_to_do(study, number):
        with suppress(Timeout), _lock(study, path, _NOT_AT_ALL):
            return True
    return False


def _take_on(study: Study, number: int) -> None:
    """Make what is left to do of a trial, but for what others are making now."""
    for name in study.config.replicate_jobs():
        with suppress(Timeout):
            make_replicate(study, number, name, _NOT_AT_ALL)
    own = result_path(study.directory, number)
    if _left_to_do(study, number) == [own]:
        with suppress(Timeout):
            make_trial(study, number, _NOT_AT_ALL)
