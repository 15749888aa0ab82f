"""What the Snakefile must know before any job runs: the composed studies, their trials, and what is stale."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sidewinder import SidewinderError
from sidewinder.config.algorithms import backend_of
from sidewinder.config.compositions import Compositions
from sidewinder.config.import_paths import is_import_path
from sidewinder.config.matrix import Entry, expanded
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.results import Phase
from sidewinder.files import relative
from sidewinder.records import DIRECTORY, known_content
from sidewinder.results import Result, checked
from sidewinder.stale import (
    MARKER,
    Files,
    config_is_stale,
    confirmation_is_stale,
    database_is_stale,
    record_is_stale,
    write_marker,
)
from sidewinder.study.schedule import awaited, window_view


@dataclass(frozen=True)
class PlannedStudy:
    """A study of config/config.yaml, composed.

    Attributes:
        overrides: The Hydra overrides that it is composed with.
        config_dirs: Directories of the user's Hydra configs.
        config: The composed config.
        finished: The numbers of the trials that have a result.
    """

    overrides: tuple[str, ...]
    config_dirs: tuple[Path, ...]
    config: StudyConfig
    finished: frozenset[int]

    @property
    def settings(self) -> str:
        """A description of the study for captions of figures."""
        config = self.config
        algorithm = config.agent["algorithm"]
        name = algorithm if is_import_path(algorithm) else algorithm.upper()
        backend = "SBX" if backend_of(config.agent) == "sbx" else "Stable-Baselines3"
        environments = ", ".join(config.environments) or config.environment["env_id"]
        sampler, pruner = (part["_target_"].rpartition(".")[2] for part in (config.sampler, config.pruner))
        return (
            f"{name} of {backend} on {environments}: {config.study.n_trials} trials of "
            f"{config.training['total_timesteps']:,} environment steps, {sampler}, {pruner}, seed {config.study.seed}"
        )

    @property
    def gpu(self) -> int:
        """The number of GPUs that a training needs: 0 or 1."""
        training = self.config.training
        return int(isinstance(training, dict) and str(training.get("device", "cpu")).startswith("cuda"))

    @cached_property
    def jobs(self) -> list[int]:
        """The target of each trial job: one trial per block (`StudyConfig.block_of`).

        It is the last unfinished trial of the block, or the last trial if all are finished.
        """
        firsts = range(0, self.config.study.n_trials, self.config.trials_of_a_job)
        return [self._unfinished_of(self.config.block_of(first)) for first in firsts]

    def awaited_by(self, number: int) -> list[int]:
        """The trials whose results the job of an unfinished trial waits for in the DAG.

        They are the targets of the jobs in its window (`schedule.awaited`); these jobs wait for the earlier ones in
        turn. A finished job waits for nothing, so earlier jobs with missing results (lost, or left by a kill) are
        added.

        With the schedule `virtual`, or with several trials per job, the running job waits for its views itself. The DAG
        then only keeps it from starting much too early.
        """
        settings = self.config.study
        window = settings.window or 2 * settings.workers
        size = self.config.trials_of_a_job
        job = number // size
        waits = {*awaited(job, window), *self._missing.intersection(window_view(job, window))}
        return [self._unfinished_of(self.config.block_of(other * size)) for other in sorted(waits)]

    def _unfinished_of(self, block: range) -> int:
        return max(set(block) - self.finished, default=block[-1])

    @cached_property
    def _missing(self) -> frozenset[int]:
        """Unfinished jobs that come before a finished one, by position in `jobs`."""
        unfinished = [job for job, number in enumerate(self.jobs) if number not in self.finished]
        last_finished = max(set(range(len(self.jobs))).difference(unfinished), default=0)
        return frozenset(job for job in unfinished if job < last_finished)


class Studies:
    """The studies of config/config.yaml, by name. Each is composed when it is first used."""

    def __init__(
        self,
        entries: Mapping[str, Entry],
        config_dirs: Sequence[str],
        archives: Sequence[str],
        results: Path,
        *,
        main: bool,
    ) -> None:
        """Expand the entries to their studies.

        Args:
            entries: The Hydra overrides of each entry, which is one study or several (`matrix.expanded`), by name. A
                name may begin with directories.
            config_dirs: Directories of the user's Hydra configs.
            archives: Archives in which to look for trainings.
            results: The results directory, with one directory per study.
            main: Whether this is Snakemake's main process, and not the process of a job.

        Raises:
            SidewinderError: An entry cannot be expanded, or `results` cannot be written.
        """
        self.entries = dict(entries)
        self._overrides = expanded(self.entries)
        self._config_dirs = tuple(map(Path, config_dirs))
        self._results = results
        self._compositions = Compositions(results, self._config_dirs, archives)
        self._main = main
        self._planned: dict[str, PlannedStudy] = {}
        self._files = Files()
        self._marked: set[Path] = set()
        _check_writable(results)

    def of(self, entry: str) -> list[str]:
        """The names of an entry's studies."""
        return list(expanded({entry: self.entries[entry]}))

    def __getitem__(self, name: str) -> PlannedStudy:
        """The study of this name, composed.

        Raises:
            KeyError: There is no such study.
            SidewinderError: It cannot be composed, or its trials were made with another config.
        """
        if name not in self._planned:
            overrides, directory = tuple(self._overrides[name]), self._results / name
            config = self._compositions.compose(directory.name, overrides, directory)
            finished = {
                int(path.parent.name): path
                for path in directory.glob("trials/*/result.json")
                if path.parent.name.isdecimal()
            }
            if self._main:
                _check_belong(directory, config, finished, self._files)
            self._planned[name] = PlannedStudy(overrides, self._config_dirs, config, frozenset(finished))
        return self._planned[name]

    def config_of(self, name: str) -> StudyConfig:
        """The config of a study; of a study in `reference/`, the config in its config.yaml."""
        if name.startswith("reference/"):
            return StudyConfig.load(self._results / name / "config.yaml")
        return self[name].config

    def config_is_stale(self, name: str) -> bool:
        """Whether a study's config.yaml exists and differs from the study's composed config."""
        return config_is_stale(self._results / name / "config.yaml", self[name].config, self._files)

    def is_stale(self, name: str, rule: str, outputs: Sequence[str], settings: Callable[[], dict[str, Any]]) -> bool:
        """Whether at least one of a rule's files exists, and the rule would make other files today.

        Args:
            name: The study or the entry.
            rule: The name of the rule's record.
            outputs: The rule's files, relative to the study's directory.
            settings: Returns today's settings, in the form in which the rule's script records them.
        """
        directory = self._results / name
        if not directory.exists():
            return False  # the study has not begun, so no file exists
        files = [directory / output for output in outputs]
        return record_is_stale(directory / DIRECTORY / f"{rule}.json", files, settings, self._files)

    def database_is_stale(self, name: str, settings: dict[str, Any]) -> bool:
        """Whether a study's database lacks trials, or was made from other settings or files."""
        return database_is_stale(self._results / name, self[name].config, settings, self._files)

    def confirmation_is_stale(self, name: str, phase: Phase, candidate: str, training: str) -> bool:
        """Whether a result of the confirmation exists and was made for another setting."""
        directory, config = self._results / name, self[name].config
        return confirmation_is_stale(directory, config, phase, candidate, training, self._files)

    def marker(self, name: str, is_stale: bool) -> list[str]:
        """The marker file of a study or an entry in which something is stale, as a further input of a job.

        Snakemake's main process writes it, once per study; other processes find it.

        Args:
            name: The study or the entry.
            is_stale: Whether the job's files are stale.

        Returns:
            Its path relative to the results directory; an empty list if nothing is stale.
        """
        directory = self._results / name
        if is_stale and self._main and directory not in self._marked:
            write_marker(directory)
            self._marked.add(directory)
        return [f"{name}/{MARKER}"] if is_stale and (directory / MARKER).exists() else []


def check_rerun_triggers(triggers: Iterable[object]) -> None:
    """Refuse rerun triggers that would train finished trials again, such as Snakemake's default ones.

    Args:
        triggers: Snakemake's `RerunTrigger`s.

    Raises:
        SidewinderError: There are triggers besides `mtime` and `params`.
    """
    found = sorted(str(trigger) for trigger in triggers)
    if not set(found) <= {"mtime", "params"}:
        raise SidewinderError(
            f"rerun-triggers: found {', '.join(found)}, accepted: mtime, params; others would train finished trials "
            "again, so put `rerun-triggers: [mtime, params]` into your profile"
        )


def check_storage(provider: str | None) -> None:
    """Refuse storage providers, which copy only the files that rules name; jobs also lock, rename and read others.

    Args:
        provider: Snakemake's `--default-storage-provider`; None for the file system.

    Raises:
        SidewinderError: A provider is set.
    """
    if provider is not None:
        raise SidewinderError(
            f"default-storage-provider: found {provider}, accepted: none; results need a file system, see "
            "docs/cluster.md"
        )


def _check_belong(directory: Path, config: StudyConfig, results: Mapping[int, Path], files: Files) -> None:
    """Refuse results of another config or another trial, before any job runs.

    Results that the study's tables were made from are skipped if their content is unchanged: they were checked then.
    """
    known = known_content(
        directory / DIRECTORY / "tables.json", {"study": config.digest(), "give_up": config.study.give_up}
    )
    for number, path in results.items():
        if (content := files.sha256(path)) is None or content == known.get(relative(path, directory)):
            continue
        result = Result.load(path)
        if result.config != config.digest():
            raise SidewinderError(
                f"{directory / 'config.yaml'}: {'; '.join(_differences(directory, config, result))}: this study has "
                "trials of the old config; accepted: the old config, a new study name, or discard the trials with "
                f"rm -r {directory}"
            )
        checked(path, result, number, config.digest(), config.study.give_up)


def _differences(directory: Path, config: StudyConfig, result: Result) -> list[str]:
    """The differences between the config of a result and the study's config.

    They are key by key if config.yaml still has the result's config; else only the digests differ.
    """
    try:
        old = StudyConfig.load(directory / "config.yaml")
    except SidewinderError:
        old = None
    if old is None or old.digest() != result.config:
        return [f"digest: {result.config} -> {config.digest()}"]
    return old.differences(config)


def _check_writable(results: Path) -> None:
    existing = next(path for path in (results, *results.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise SidewinderError(
            f"results: found {str(results)!r}, which cannot be written, accepted: a writable directory"
        )
