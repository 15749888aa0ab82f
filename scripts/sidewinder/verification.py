"""Trains trainings on record again, and compares evaluations and returns bit by bit."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate, confirmation_run
from sidewinder.confirmation.results import ConfirmationResult
from sidewinder.determinism import is_pinned, processor
from sidewinder.results import EvaluationResult, Result, other_packages
from sidewinder.training.archives import archived, check_archives, names_in
from sidewinder.training.sources import sources
from sidewinder.training.store import Kept, Training, fitting
from sidewinder.trials.replicates import replicate_run


@dataclass(frozen=True)
class OnRecord:
    """A training on record that can be made again.

    Attributes:
        name: `trials/3`, `trials/3/1` for one of several replicates, or `confirmation/test/winner/0`. For a training in
            an archive: its digest.
        run: The run that was trained.
        held_out: Its held-out episodes; None for a trial.
        evaluations: Its evaluations; of a pruned training, those until it was pruned.
        returns: The undiscounted returns of the held-out episodes.
        metrics: The other metrics of the held-out episodes, by name.
        packages: The versions of the packages that it was trained with.
        processor: The processor that it was trained on; None if that is not on record.
        direction: The direction of the study's return: `maximize` or `minimize`.
    """

    name: str
    run: RunConfig
    held_out: HeldOut | None
    evaluations: list[EvaluationResult]
    returns: list[float]
    metrics: dict[str, list[float]]
    packages: dict[str, str]
    processor: str | None
    direction: str


def on_record(study_dir: Path, names: Sequence[str], number: int) -> list[OnRecord]:
    """Find trainings of a study. Trainings that failed or are not bit-exact are left out: they cannot be compared.

    Args:
        study_dir: The study's directory.
        names: Names of trainings, or of directories of them, such as `trials/7` or `confirmation/test/winner`.
        number: How many trainings to choose at random if there are no names.

    Raises:
        SidewinderError: A file is missing or malformed.
    """
    config = StudyConfig.load(study_dir / "config.yaml")
    config.study.archives = []  # results from an archive name it, and the processor, themselves
    paths = sorted([*study_dir.glob("trials/*/result.json"), *study_dir.glob("confirmation/*/*/*.json")])
    if not names:
        random.shuffle(paths)
    found: list[OnRecord] = []
    for path in paths:
        trainings = _of_trial if path.name == "result.json" else _of_confirmation
        for training in trainings(config, study_dir, path):
            named = any(f"{training.name}/".startswith(f"{name}/") for name in names)
            if named or (not names and len(found) < number):
                found.append(training)
    return found


def in_archive(archive: str, number: int) -> tuple[list[OnRecord], int]:
    """Choose trainings of an archive at random.

    Args:
        archive: The archive's name, as in `archives` of the configfile.
        number: How many trainings to choose.

    Returns:
        The trainings, and how many trainings of the archive were left out. These have failed, were made with other
        versions of packages or other code, or need another instruction set or number of threads than this process has.

    Raises:
        SidewinderError: There is no such archive, or it cannot be read.
    """
    found: list[OnRecord] = []
    left_out = 0
    check_archives([archive])
    names = names_in(archive)
    random.shuffle(names)
    for name in names:
        known = fitting(archived(archive, name) or b"")
        run = _run_here(known) if known else None
        if not (known and run and known.state == "complete"):
            left_out += 1
        elif len(found) < number:
            returns, made_with = known.held_out_returns, (known.packages, known.processor, known.direction)
            name, metrics = Path(name).stem, known.held_out_metrics
            found.append(OnRecord(name, run, known.held_out, known.evaluations, returns, metrics, *made_with))
    return found, left_out


def _run_here(known: Training) -> RunConfig | None:
    """The run of an archive's training; None if this process cannot train it with the same code and pins."""
    run = RunConfig.model_validate(known.run)
    pinned = is_pinned(run.training.instruction_set, run.training.threads)
    return run if pinned and sources(run) == known.sources else None


def difference(training: OnRecord) -> str | None:
    """Train a training again and compare it with the record.

    Returns:
        The first difference, in one line such as `at step 1000: ...`; None if all evaluations and returns are the same.
    """
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.training.run import train

    reports = iter(range(1, len(training.evaluations)))
    outcome = train(
        training.run,
        held_out=training.held_out,
        direction=training.direction,
        report=lambda _step, _mean_return: next(reports, None) is None,
    )
    for known, found in zip(training.evaluations, outcome.evaluations, strict=False):
        if known != found:
            return f"at step {known.step}: {_values(known)} on record, {_values(found)} here, at {found.step}"
    if len(training.evaluations) != len(outcome.evaluations):
        return f"{len(training.evaluations)} evaluations on record, {len(outcome.evaluations)} here"
    if training.held_out and training.returns != outcome.held_out_returns:
        return f"the returns of the held-out episodes: {training.returns} on record, {outcome.held_out_returns} here"
    if training.held_out and training.metrics != outcome.held_out_metrics:
        return f"metrics of the held-out episodes: {training.metrics} on record, {outcome.held_out_metrics} here"
    return None


def _values(evaluation: EvaluationResult) -> str:
    others = (f"{name} {mean}" for name, (mean, _) in evaluation.metrics.items())
    return ", ".join([str(evaluation.mean_return), *others])


def made_with(training: OnRecord) -> tuple[bool, str]:
    """Compare the packages and the processor of a training with those of this process.

    Returns:
        Whether the training must have the same bits here, and text that says what differs. Other versions of packages
        may give other bits. Another processor may too, unless the instruction set is `compatible`.
    """
    # Optuna does not train, so its version does not matter.
    others = [f"{name} {known}" for name, known in other_packages(training.packages).items() if name != "optuna"]
    elsewhere = training.processor != processor()
    words = [*others, *([training.processor or "a processor that is not on record"] if elsewhere else [])]
    comparable = not others and (not elsewhere or training.run.training.instruction_set == "compatible")
    return comparable, f"made with {', '.join(words)}" if words else "made with the same packages"


def _of_trial(config: StudyConfig, study_dir: Path, path: Path) -> Iterator[OnRecord]:
    result = Result.load(path)
    if result.state == "failed" or not result.bit_exact:
        return
    for index, (replicate, (environment, seed)) in enumerate(config.replicates().items()):
        several = bool(result.replicates)
        if several and index >= len(result.replicates):
            return
        evaluations = result.replicates[index].evaluations if several else result.evaluations
        run = replicate_run(config, config.for_trial(result.params, environment), result.number, seed)
        name = f"trials/{result.number}/{replicate}" if several else f"trials/{result.number}"
        taken = result.replicates[index].archived if several else result.archived
        made_on = taken.processor if taken else _processor(config, study_dir, run, None)
        direction = config.study.return_direction
        yield OnRecord(name, run, None, evaluations, [], {}, result.packages, made_on, direction)


def _of_confirmation(config: StudyConfig, study_dir: Path, path: Path) -> Iterator[OnRecord]:
    result = ConfirmationResult.load(path)
    if result.run is None or result.run.state == "failed" or not result.run.bit_exact:
        return
    candidate = Candidate.load(study_dir / "confirmation" / "candidates" / f"{result.candidate}.yaml")
    run, held_out = confirmation_run(config, candidate, result.environment, result.phase, result.index)
    name = path.relative_to(study_dir).with_suffix("").as_posix()
    known = result.run
    made_on = known.archived.processor if known.archived else _processor(config, study_dir, run, held_out)
    direction = config.study.return_direction
    values = (known.evaluations, known.returns, known.metrics)
    yield OnRecord(name, run, held_out, *values, known.packages, made_on, direction)


def _processor(config: StudyConfig, study_dir: Path, run: RunConfig, held_out: HeldOut | None) -> str | None:
    known = Kept.of(config, study_dir, run, held_out).load()
    return known.processor if known else None
