"""Finds a study's stale files before any job runs, by their content and the settings of today.

Snakemake itself compares only time stamps. So the job of a stale file gets one more input, the marker `.records/stale`
of the study. It is written whenever something is stale, so it is newer than all files that were made before.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

from sidewinder import SidewinderError
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate, made_from
from sidewinder.confirmation.results import ConfirmationResult, Phase
from sidewinder.files import write_atomically
from sidewinder.records import DIRECTORY, is_current, sha256, sha256_of

MARKER = f"{DIRECTORY}/stale"


class Files:
    """The content of files, each of which is read only once in a run of Snakemake."""

    def __init__(self) -> None:
        """Start without any file read."""
        self._content: dict[str, str | None] = {}
        self._candidates: dict[Path, Candidate | None] = {}

    def sha256(self, path: Path) -> str | None:
        """SHA-256 of a file's content; None if there is no such file.

        A modification time in the future is set to now: Snakemake would run the job again and then report an error.
        """
        key = os.path.normpath(path)
        if key not in self._content:
            content = self._content[key] = sha256(path)
            if content is not None and path.stat().st_mtime > time.time():
                os.utime(path)
        return self._content[key]

    def candidate(self, path: Path) -> Candidate | None:
        """Load a candidate's file; None if it is missing or malformed."""
        if path not in self._candidates:
            try:
                self._candidates[path] = Candidate.load(path)
            except SidewinderError:
                self._candidates[path] = None
        return self._candidates[path]


def config_is_stale(path: Path, config: StudyConfig, files: Files) -> bool:
    """Whether a config.yaml exists and differs from the study's composed config."""
    # Snakemake makes what is missing and needed.
    return (found := files.sha256(path)) is not None and found != sha256_of(config.dump())


def record_is_stale(path: Path, outputs: list[Path], settings: Callable[[], dict[str, Any]], files: Files) -> bool:
    """Whether a record or one of its files exists, and the rule would make other files today.

    Args:
        path: The record.
        outputs: The files.
        settings: Returns today's settings, in the form in which the rule's script records them.
        files: The files that were read before.
    """
    return any(output.exists() for output in [path, *outputs]) and not is_current(path, settings(), files.sha256)


def database_is_stale(study_dir: Path, config: StudyConfig, settings: dict[str, Any], files: Files) -> bool:
    """Whether a study's database was made from other settings or files, or lacks trials.

    Trials are counted in SQLite's study.db. Of a journal only the file must exist. Servers are not asked.
    """
    record = study_dir / DIRECTORY / "database.json"
    if not record.exists():
        return False  # Snakemake makes what is missing and needed
    if not is_current(record, settings, files.sha256):
        return True
    match config.study.storage:
        case None:
            return _finished_rows(study_dir / "study.db") < config.study.n_trials
        case "journal":
            return not (study_dir / "study.journal").exists()
    return False


def _finished_rows(database: Path) -> int:
    """How many trials in a SQLite file have ended; 0 if the file is missing or damaged."""
    query = "SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')"
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=1)) as file:
            return int(file.execute(query).fetchone()[0])
    except sqlite3.DatabaseError:
        return 0


def confirmation_is_stale(
    study_dir: Path, config: StudyConfig, phase: Phase, candidate: str, training: str, files: Files
) -> bool:
    """Whether a result of the confirmation exists and was made for another setting or is no longer planned."""
    path = study_dir / "confirmation" / phase / candidate / f"{training}.json"
    if files.sha256(path) is None:
        return False
    setting = files.candidate(study_dir / "confirmation" / "candidates" / f"{candidate}.yaml")
    trainings = config.confirmations().get(phase, {}).get(candidate, {})
    if setting is None or training not in trainings:
        return True
    try:
        result = ConfirmationResult.load(path)
    except SidewinderError:
        return True
    environment, index = trainings[training]
    found = (result.phase, result.candidate, result.made_from)
    return found != (phase, setting.name, made_from(config, setting, environment, phase, index))


def write_marker(study_dir: Path) -> None:
    """Write a study's marker again. Its content is random, because Snakemake compares checksums too."""
    write_atomically(study_dir / MARKER, uuid4().hex)
