"""What a results directory keeps beside its results, and nobody needs."""

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
    """Checkpoints of trainings that have their result: a kill between the two left them."""
    trials = [path for path in results.glob("*/trials/**/checkpoint") if (path.parent / "result.json").exists()]
    kept = [*results.glob(f"{DIRECTORY}/*.checkpoint"), *results.glob(f"*/{DIRECTORY}/*.checkpoint")]
    return sorted([*trials, *(path for path in kept if path.with_suffix(".json").exists() and _is_free(path))])


def _is_free(checkpoint: Path) -> bool:
    """Whether nobody trains it: with its result there, it may be trained again for its agent."""
    lock = checkpoint.with_suffix(".lock")
    if not lock.exists():
        return True
    with suppress(Timeout), FileLock(lock).acquire(timeout=0):
        return True
    return False


def compositions(results: Path) -> list[Path]:
    """Composed studies, of which some are of configs that have changed; what is needed is composed again."""
    return sorted((results / COMPOSED).glob("*"))


def unused_trainings(results: Path) -> list[Path]:
    """The trainings, and agents of trainings, that no result of a study here is of: of studies that were deleted, of
    settings that changed. Those of environments of one's own stay: whether they are used can only be told with their
    code at hand.

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
    """All trainings that are kept for all studies, the oldest first."""
    return sorted((results / DIRECTORY).glob("*.json"), key=lambda path: (path.stat().st_mtime, path.name))


def beyond(paths: Iterable[Path], n_bytes: float) -> list[Path]:
    """Of these files, the first ones without which the others have no more than so many bytes."""
    sizes = {path: path.stat().st_size for path in paths}
    left, found = sum(sizes.values()), []
    for path, size in sizes.items():
        if left <= n_bytes:
            break
        found.append(path)
        left -= size
    return found
