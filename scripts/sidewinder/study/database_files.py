"""Databases in a file of the study's directory: SQLite's study.db, and Optuna's journal."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from sidewinder import SidewinderError
from sidewinder.config.study_config import StudyConfig
from sidewinder.locks import file_lock
from sidewinder.study.database import Database, KeptStudy

# Seconds to wait for another program that holds a SQLite file.
_A_LONG_WAIT = 600
# SQLite's names of errors, or how they begin, for a file that cannot be written.
_NOT_WRITABLE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_AUTH")
logger = logging.getLogger(__name__)


class _File(Database):
    """A database in one file of the study's directory."""

    name: str

    @property
    def path(self) -> Path:
        return self.directory.resolve() / self.name

    def lock(self) -> AbstractContextManager[Any]:
        return file_lock(self.directory / ".study.lock", self.config.study.storage)

    def set_aside(self) -> str | None:
        if not self.path.exists():
            return None
        aside = self.path.with_name(f"{self.path.name}.set-aside")
        self.path.replace(aside)
        # SQLite's rollback journal, which an unfinished write leaves. It must not be applied to the new file.
        self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)
        return f"the old one is {aside}"

    def _unusable(self, error: BaseException) -> str | None:
        if isinstance(error, OSError):
            return f"{self.path}: cannot be written ({error.strerror}); accepted: a writable directory"
        return None


class SqliteFile(_File):
    """SQLite's study.db in the study's directory."""

    name = "study.db"

    def __init__(self, directory: Path, config: StudyConfig) -> None:
        super().__init__(directory, config)
        self._kept = KeptStudy(f"sqlite:///{self.path}", lambda storage: self._study(storage, config.study.name))

    def open(self) -> AbstractContextManager[tuple[BaseStorage, int]]:
        self._wait_while_locked()
        return self._kept.open(known=self._is_made_by_this_optuna())

    def _wait_while_locked(self) -> None:
        """Wait while another program, such as a dashboard or SQLite's shell, holds the file.

        Raises:
            SidewinderError: The file is still locked after `_A_LONG_WAIT` seconds.
        """
        for seconds in (1, _A_LONG_WAIT):
            try:
                with closing(sqlite3.connect(f"file:{self.path}?mode=rw", uri=True, timeout=seconds)) as file:
                    file.execute("BEGIN IMMEDIATE").execute("ROLLBACK")
                    return
            except sqlite3.DatabaseError as error:
                if not _name_of(error).startswith("SQLITE_BUSY"):
                    return  # opening the study reports what is wrong
                if seconds == 1:
                    logger.warning("%s is locked by another program; waiting up to %d s", self.path, _A_LONG_WAIT)
        raise SidewinderError(f"{self.path}: locked by another program for {_A_LONG_WAIT} s; close that program")

    def _unusable(self, error: BaseException) -> str | None:
        name = _name_of(error)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return f"{self.path}: locked by another program; close that program and run `snakemake` again"
        # A file that was moved away counts as lost: it is made again.
        if name.startswith(_NOT_WRITABLE) and name != "SQLITE_READONLY_DBMOVED":
            return f"{self.path}: cannot be written ({error}); accepted: a writable file and directory, and free space"
        return super()._unusable(error)

    def _is_made_by_this_optuna(self) -> bool:
        """Whether the file has all tables of this version of Optuna, which writes its version last.

        Optuna's own checks can then be skipped: they take longer than everything else here.
        """
        return bool(self._first_row("SELECT library_version FROM version_info") == (optuna.__version__,))

    def _first_row(self, query: str) -> Any:
        """The first row that a read-only query gives; None if there is none, or the file is not SQLite's."""
        try:
            with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=60)) as file:
                return file.execute(query).fetchone()
        except sqlite3.DatabaseError:
            return None


class Journal(_File):
    """Optuna's journal file in the study's directory, for file systems without locks."""

    name = "study.journal"

    @contextmanager
    def open(self) -> Iterator[tuple[BaseStorage, int]]:
        yield self._study(JournalStorage(JournalFileBackend(str(self.path))), self.config.study.name)


def _name_of(error: BaseException) -> str:
    """SQLite's name of an error, such as `SQLITE_BUSY`; empty for errors of other libraries."""
    return str(getattr(error, "sqlite_errorname", ""))
