"""What the Snakefile must know before any job runs: its studies, composed, and which trials they have."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidewinder import SidewinderError
from sidewinder.composition import compose_study
from sidewinder.config import StudyConfig
from sidewinder.results import Result
from sidewinder.schedule import awaited, view


@dataclass(frozen=True)
class PlannedStudy:
    """A study as configs/config.yaml asks for it: how it is composed, and what comes of it."""

    overrides: tuple[str, ...]
    config_dirs: tuple[Path, ...]
    config: StudyConfig
    finished: frozenset[int]

    def awaited_by(self, number: int) -> list[int]:
        """The trials whose results an unfinished trial waits for itself.

        Those of its window (`schedule.awaited`), which wait for the rest in turn; but finished trials wait for
        nothing, so what is missing behind them, lost or left by a kill, it waits for itself too.
        """
        window = self.config.study.window
        missing = set(range(max(self.finished, default=0))) - self.finished
        return sorted({*awaited(number, window), *missing.intersection(view(number, window))})


def plan_studies(
    studies: Sequence[str] | Mapping[str, Sequence[str]], config_dirs: Sequence[str], results: Path
) -> dict[str, PlannedStudy]:
    """Compose the studies, by name.

    Args:
        studies: Names, or Hydra overrides by name.
        config_dirs: Directories of the user's Hydra configs.
        results: Directory of the studies' directories.

    Raises:
        SidewinderError: A study cannot be composed, or its config is not the one that its trials were made with.
    """
    overrides = studies if isinstance(studies, Mapping) else dict.fromkeys(studies, ())
    directories = tuple(map(Path, config_dirs))
    _check_writable(results)
    planned = {}
    for name, own in overrides.items():
        config = compose_study(name, own, directories)
        finished = {int(path.parent.name): path for path in (results / name).glob("trials/*/result.json")}
        if finished:
            _check_unchanged(results / name / "config.yaml", config, finished[min(finished)])
        planned[name] = PlannedStudy(tuple(own), directories, config, frozenset(finished))
    return planned


def _check_unchanged(path: Path, config: StudyConfig, result: Path) -> None:
    """Compare with the config.yaml of the study's trials; if that is lost, with what a result on file says of it."""
    if path.exists():
        differences = StudyConfig.load(path).differences(config)
    else:
        made_with = Result.load(result).config
        differences = [] if made_with == config.digest() else [f"digest: {made_with} -> {config.digest()}"]
    if differences:
        raise SidewinderError(
            f"{path}: {'; '.join(differences)}: this study has trials of the old config; "
            f"accepted: the old config, a new study name, or discard the trials with rm -r {path.parent}"
        )


def _check_writable(results: Path) -> None:
    existing = next(path for path in (results, *results.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise SidewinderError(
            f"results: found {str(results)!r}, which cannot be written, accepted: a writable directory"
        )
