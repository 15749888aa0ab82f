"""The virtual clock: what a trial's work amounts to, from its parameters and its files. It measures no time.

Work is counted in environment steps. A trial may end where its pruner is asked, and ends with its budget; one that
fails counts as if it had gone on to the end, so that this is known beforehand.
"""

import json
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from optuna.pruners import NopPruner

from sidewinder.config import StudyConfig
from sidewinder.results import Result, replicate_path, result_path, write_atomically


def possible_ends(config: StudyConfig, params: Mapping[str, Any]) -> list[list[int]]:
    """The amounts of work after which a trial with these parameters may end, in order.

    Returns:
        A list for each part that ends by itself: for each replicate that is a job of its own, else one for the trial.
    """
    runs = [config.for_trial(params, environment) for environment, _ in config.replicates().values()]
    budgets = [run.training.total_timesteps for run in runs]
    if isinstance(instantiate(config.pruner), NopPruner):
        return [[sum(budgets)]]
    if len(runs) > 1 and not config.replicate_jobs():
        # In sequence: after the first, the first two, ...
        return [list(accumulate(budgets))]
    return [
        [*range(run.evaluation.eval_freq, budget, run.evaluation.eval_freq), budget]
        for run, budget in zip(runs, budgets, strict=True)
    ]


def note_progress(result: Path, reports: int) -> None:
    """Note that the training that will have this result goes on after so many reports to the pruner: true whoever
    trains it, and however often."""
    write_atomically(result.with_name("progress.json"), json.dumps({"reports": reports}))


def forget_progress(result: Path) -> None:
    """The result says it all."""
    result.with_name("progress.json").unlink(missing_ok=True)


def work(study_dir: Path, config: StudyConfig, number: int, ends: list[list[int]]) -> int:
    """The work of trial `number` as its files tell it: up to its end, or if it still runs up to the next possible end.

    Args:
        study_dir: The study's directory.
        config: The study's.
        number: Which trial.
        ends: As `possible_ends` gives them.
    """
    return sum(_part(path, own) for path, own in zip(part_paths(study_dir, config, number), ends, strict=False))


def part_paths(study_dir: Path, config: StudyConfig, number: int) -> list[Path]:
    """Where the results are or will be of what trains for a trial: its replicates that are jobs, or itself."""
    jobs = config.replicate_jobs()
    return [replicate_path(study_dir, number, name) for name in jobs] or [result_path(study_dir, number)]


def _part(path: Path, ends: list[int]) -> int:
    if len(ends) == 1:
        return ends[0]
    if path.exists():
        result = Result.load(path)
        reports = len(result.replicates) or len(result.evaluations)
        return ends[reports - 1] if result.state == "pruned" else ends[-1]
    try:
        reports = json.loads(path.with_name("progress.json").read_text())["reports"]
    except FileNotFoundError:
        reports = 0
    return ends[min(reports, len(ends) - 1)]
