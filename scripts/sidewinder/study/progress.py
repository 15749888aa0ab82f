"""The progress of running trials, which they write to files for the virtual clock."""

import json
from pathlib import Path

from sidewinder.config.study_config import StudyConfig
from sidewinder.files import write_atomically
from sidewinder.results import Result, replicate_path, result_path
from sidewinder.study.clock import end_of


def note_progress(result: Path, reports: int) -> None:
    """Note how many reports to the pruner a training has survived. Training it again gives the same number.

    Args:
        result: The file that its result will be written to.
        reports: How many times it has reported and was not pruned.
    """
    write_atomically(result.with_name("progress.json"), json.dumps({"reports": reports}))


def forget_progress(result: Path) -> None:
    """Delete the note of a training's progress once its result is written."""
    result.with_name("progress.json").unlink(missing_ok=True)


def work_so_far(study_dir: Path, config: StudyConfig, number: int, ends: list[list[int]]) -> int:
    """The work of a running trial up to the next possible end of each of its parts: its work can be no less.

    Args:
        study_dir: The study's directory.
        config: The study's config.
        number: The trial's number.
        ends: What `clock.possible_ends` returned for its parameters.
    """
    return sum(
        _part_so_far(config, path, own) for path, own in zip(part_paths(study_dir, config, number), ends, strict=False)
    )


def part_paths(study_dir: Path, config: StudyConfig, number: int) -> list[Path]:
    """The result files of a trial's parts: of its replicates if they are jobs, else of the trial itself."""
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
        reports = 0  # no readable note: the trial may end at its first report
    return ends[min(reports, len(ends) - 1)]
