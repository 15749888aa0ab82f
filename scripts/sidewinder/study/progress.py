"""How far trials are that still run, from files that they leave for the virtual clock."""

import json
from pathlib import Path

from sidewinder.config.study_config import StudyConfig
from sidewinder.files import write_atomically
from sidewinder.results import Result, replicate_path, result_path
from sidewinder.study.clock import end_of


def note_progress(result: Path, reports: int) -> None:
    """Note that the training that will have this result goes on after so many reports to the pruner: true whoever
    trains it, and however often."""
    write_atomically(result.with_name("progress.json"), json.dumps({"reports": reports}))


def forget_progress(result: Path) -> None:
    """The result says it all."""
    result.with_name("progress.json").unlink(missing_ok=True)


def work_so_far(study_dir: Path, config: StudyConfig, number: int, ends: list[list[int]]) -> int:
    """The work of trial `number`, which still runs, up to the next possible end of each of its parts.

    Args:
        study_dir: The study's directory.
        config: The study's.
        number: Which trial.
        ends: As `possible_ends` gives them.
    """
    return sum(
        _part_so_far(config, path, own) for path, own in zip(part_paths(study_dir, config, number), ends, strict=False)
    )


def part_paths(study_dir: Path, config: StudyConfig, number: int) -> list[Path]:
    """Where the results are or will be of what trains for a trial: its replicates that are jobs, or itself."""
    jobs = config.replicate_jobs()
    return [replicate_path(study_dir, number, name) for name in jobs] or [result_path(study_dir, number)]


def _part_so_far(config: StudyConfig, path: Path, ends: list[int]) -> int:
    if len(ends) == 1:
        return ends[0]
    if path.exists():
        return end_of(config, Result.load(path), ends)
    try:
        reports = int(json.loads(path.with_name("progress.json").read_text())["reports"])
    except (OSError, ValueError, LookupError, TypeError):
        reports = 0  # nothing that can be read: the trial may end at once
    return ends[min(reports, len(ends) - 1)]
