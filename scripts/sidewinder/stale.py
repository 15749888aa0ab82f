"""What of a study's files is stale: their content compared with the settings of today, before any job runs.

Snakemake learns of it by time stamps alone: a stale file's job has one input more, `.records/stale` of the study, which
is written anew whenever something is stale, and so is newer than all that was made before.
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
    """The content of files as one run of Snakemake found it: each is read once."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._content: dict[str, str | None] = {}
        self._candidates: dict[Path, Candidate | None] = {}

    def sha256(self, path: Path) -> str | None:
        """Of a file's content; None if there is no such file.

        A time stamp from the future, which Snakemake takes for a reason to run and then for an error, becomes the
        present.
        """
        key = os.path.normpath(path)
        if key not in self._content:
            content = self._content[key] = sha256(path)
            if content is not None and path.stat().st_mtime > time.time():
                os.utime(path)
        return self._content[key]

    def candidate(self, path: Path) -> Candidate | None:
        """A candidate's file; None if it is missing or malformed."""
        if path not in self._candidates:
            try:
                self._candidates[path] = Candidate.load(path)
            except SidewinderError:
                self._candidates[path] = None
        return self._candidates[path]


def config_is_stale(path: Path, config: StudyConfig, files: Files) -> bool:
    """Whether a config.yaml is there and says something else than the study's composed config."""
    # Snakemake makes what is missing and needed.
    return (found := files.sha256(path)) is not None and found != sha256_of(config.dump())


def record_is_stale(path: Path, outputs: list[Path], settings: Callable[[], dict[str, Any]], files: Files) -> bool:
    """Whether files are there, or some of them, that a rule would make otherwise today.

    Args:
        path: Their record.
        outputs: The files.
        settings: Gives today's, as the rule's script puts them on record.
        files: What was read before.
    """
    return any(output.exists() for output in [path, *outputs]) and not is_current(path, settings(), files.sha256)


def database_is_stale(study_dir: Path, config: StudyConfig, settings: dict[str, Any], files: Files) -> bool:
    """Whether a study's database, if that is a file of its own, lacks trials, or was made for other settings."""
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
    """How many trials of a SQLite file have ended; 0 if it is missing or damaged."""
    query = "SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')"
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=1)) as file:
            return int(file.execute(query).fetchone()[0])
    except sqlite3.DatabaseError:
        return 0


def confirmation_is_stale(
    study_dir: Path, config: StudyConfig, phase: Phase, candidate: str, training: str, files: Files
) -> bool:
    """Whether a result of the confirmation is there that belongs to another setting, or to none."""
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
    """Write the marker of a study anew. Its content differs each time: Snakemake compares checksums too."""
    write_atomically(study_dir / MARKER, uuid4().hex)
