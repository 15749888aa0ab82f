"""Finds files in a results directory that are not results and that no study needs any more."""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sidewinder.config.compositions import DIRECTORY as COMPOSED
from sidewinder.config.study_config import StudyConfig
from sidewinder.training.archives import DIRECTORY
from sidewinder.training.store import Kept
from sidewinder.verification import on_record


def ended_checkpoints(results: Path) -> list[Path]:
    """Find checkpoints of trainings that have their result. A kill after the result was written leaves them."""
    trials = [path for path in results.glob("*/trials/**/checkpoint") if (path.parent / "result.json").exists()]
    kept = [*results.glob(f"{DIRECTORY}/*.checkpoint"), *results.glob(f"*/{DIRECTORY}/*.checkpoint")]
    return sorted([*trials, *(path for path in kept if path.with_suffix(".json").exists() and _is_free(path))])


def _is_free(checkpoint: Path) -> bool:
    """Whether no process uses the checkpoint. A training with a result may be trained again for its agent."""
    lock = checkpoint.with_suffix(".lock")
    if not lock.exists():
        return True
    with suppress(Timeout), FileLock(lock).acquire(timeout=0):
        return True
    return False


def compositions(results: Path) -> list[Path]:
    """Find all composed studies. Some are of configs that have changed; the needed ones are composed again."""
    return sorted((results / COMPOSED).glob("*"))


def unused_trainings(results: Path) -> list[Path]:
    """Find trainings in the training store, and their agents, that no study's results come from.

    They belong to studies that were deleted or to settings that have changed. Trainings that use the user's own modules
    are never listed: their digest depends on that code, which may not be at hand.

    Raises:
        SidewinderError: A file of a study is malformed.
    """
    used = {
        Kept.of(config, path.parent, training.run, training.held_out).path.name
        for path in results.glob("*/config.yaml")
        for config in [StudyConfig.load(path)]
        for training in on_record(path.parent, ["trials", "confirmation"], 0)
    }
    kept = [*trainings(results), *sorted((results / DIRECTORY).glob("*.agent"))]
    return [path for path in kept if path.with_suffix(".json").name not in used and not _has_sources(path)]


def _has_sources(path: Path) -> bool:
    try:
        return bool(json.loads(path.with_suffix(".json").read_bytes())["sources"])
    except (OSError, ValueError, LookupError, TypeError):
        return False


def trainings(results: Path) -> list[Path]:
    """List the files of all trainings in the training store, oldest first."""
    return sorted((results / DIRECTORY).glob("*.json"), key=lambda path: (path.stat().st_mtime, path.name))


def beyond(paths: Iterable[Path], n_bytes: float) -> list[Path]:
    """Choose files to delete, from the first one on, until the others have at most `n_bytes` bytes.

    Args:
        paths: The files, in the order in which to delete them.
        n_bytes: The limit.
    """
    sizes = {path: path.stat().st_size for path in paths}
    left, found = sum(sizes.values()), []
    for path, size in sizes.items():
        if left <= n_bytes:
            break
        found.append(path)
        left -= size
    return found
