"""What the Snakefile must know before any job runs: its studies, composed, and which trials they have."""

import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from sidewinder import SidewinderError
from sidewinder.composition import compose_study
from sidewinder.config import StudyConfig
from sidewinder.results import Result
from sidewinder.schedule import awaited, window_view


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
        nothing, so what is missing behind them, lost or left by a kill, it waits for itself too. On the virtual clock,
        the job itself waits for what it may see; these keep it from starting long before.
        """
        settings = self.config.study
        window = settings.window or 2 * settings.workers
        missing = set(range(max(self.finished, default=0))) - self.finished
        return sorted({*awaited(number, window), *missing.intersection(window_view(number, window))})


def plan_studies(
    studies: Sequence[str] | Mapping[str, Sequence[str]], config_dirs: Sequence[str], results: Path
) -> dict[str, PlannedStudy]:
    """Compose the studies, by name.

    Args:
        studies: Names, or Hydra overrides by name; one name with several values of an override is several studies, as
            `expanded` says.
        config_dirs: Directories of the user's Hydra configs.
        results: Directory of the studies' directories.

    Raises:
        SidewinderError: A study cannot be composed, or its config is not the one that its trials were made with.
    """
    overrides = expanded(studies if isinstance(studies, Mapping) else dict.fromkeys(studies, ()))
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


def check_rerun_triggers(triggers: Iterable[object]) -> None:
    """Snakemake's own choice of what makes a job run again would train finished trials anew.

    Args:
        triggers: Snakemake's `RerunTrigger`s.

    Raises:
        SidewinderError: There are others than `mtime` and `params`.
    """
    found = sorted(str(trigger) for trigger in triggers)
    if not set(found) <= {"mtime", "params"}:
        raise SidewinderError(
            f"rerun-triggers: found {', '.join(found)}, accepted: mtime, params; others would train finished trials "
            "again, so put `rerun-triggers: [mtime, params]` into your profile"
        )


def expanded(studies: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """A study for each combination of values, where overrides have several, as in Hydra's multirun: `agent=ddpg,sac` or
    `study.seed=range(5)`. The values become part of the name: `compare-ddpg-0`.

    Raises:
        SidewinderError: An override has endless values, or two studies would have one name.
    """
    found: dict[str, list[str]] = {}
    for name, overrides in studies.items():
        choices = [_values(name, override) for override in overrides]
        if not any(override.startswith("study=") for override in overrides):
            choices.insert(0, [(f"study={name}", "")])
        for combination in itertools.product(*choices):
            values = [re.sub(r"[^A-Za-z0-9_.]+", "_", value).strip("_") for _, value in combination if value]
            study = "-".join([name, *values])
            if study in found:
                raise SidewinderError(f"studies: found two studies named {study!r}, accepted: one of each name")
            found[study] = [override for override, _ in combination]
    return found


def _values(name: str, override: str) -> list[tuple[str, str]]:
    """The single overrides that an override stands for, and what each adds to the study's name."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except OverrideParseException:
        return [(override, "")]  # composition says what is wrong
    if not parsed.is_sweep_override():
        return [(override, "")]
    if not parsed.is_discrete_sweep():
        accepted = "values or range(start, stop); what Optuna should search belongs to search_space"
        raise SidewinderError(f"studies: {name}: found {override!r}, accepted: {accepted}")
    key = parsed.get_key_element()
    return [(f"{key}={value}", value) for value in parsed.sweep_string_iterator()]


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
