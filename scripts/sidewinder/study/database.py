"""The interface of all study databases, and the connection to a relational one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import optuna
from optuna.storages import BaseStorage, RDBStorage

from sidewinder.config.study_config import StudyConfig
from sidewinder.study.fast_reading import FastStorage
from sidewinder.study.optuna_private import storage_of


class Database(ABC):
    """A study's database: SQLite, Optuna's journal, or a server."""

    def __init__(self, directory: Path, config: StudyConfig) -> None:
        self.directory = directory
        self.config = config

    @abstractmethod
    def lock(self) -> AbstractContextManager[Any]:
        """The database's lock, which one process holds at a time. It is freed when that process ends, even by SIGKILL.

        Raises:
            SidewinderError: The database cannot be reached.
        """

    @abstractmethod
    def open(self) -> AbstractContextManager[tuple[BaseStorage, int]]:
        """Open Optuna's storage and give it with the study's id. Makes both if they are missing; needs the lock."""

    @abstractmethod
    def set_aside(self) -> str | None:
        """Move or delete the study's rows, to make them again from the results; needs the lock.

        Returns:
            A clause for the log that says where the old rows are now; None if there were none.
        """

    def unusable(self, error: BaseException) -> str | None:
        """A line for the user if the database is locked or cannot be written; None if it may be damaged."""
        return next((line for line in map(self._unusable, _causes(error)) if line), None)

    @abstractmethod
    def _unusable(self, error: BaseException) -> str | None:
        """Like `unusable`, for one error without its causes."""

    def _study(self, storage: BaseStorage, name: str) -> tuple[BaseStorage, int]:
        directions = self.config.study.directions
        study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
        return storage_of(study), storage.get_study_id_from_name(name)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, then the chain of errors that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class _Opened(NamedTuple):
    rdb: RDBStorage
    storage: BaseStorage
    study_id: int
    mark: str


class KeptStudy:
    """A study in a relational database, connected only while it is open.

    Trials that have ended are read once and cached. Another process may lose the database and make it again meanwhile.
    A random mark, written when the study is made, tells whether the database is still the same.
    """

    _MARK = "sidewinder:made"

    def __init__(self, url: str, study: Callable[[BaseStorage], tuple[BaseStorage, int]]) -> None:
        """Take the database's URL; `study` finds the study in a storage, or makes it there."""
        self._url = url
        self._study = study
        self._opened: _Opened | None = None

    @contextmanager
    def open(self, *, known: bool) -> Iterator[tuple[BaseStorage, int]]:
        """Open the storage and give it with the study's id.

        Args:
            known: Whether the database already has the tables of the installed version of Optuna.
        """
        opened = self._opened if known else None
        rdb = opened.rdb if opened else _rdb(self._url, known=known)
        try:
            if not opened or self._mark_of(rdb, opened.study_id) != opened.mark:
                storage, study_id = self._study(rdb)
                mark = self._mark_of(rdb, study_id)
                if not mark:
                    rdb.set_study_user_attr(study_id, self._MARK, mark := uuid4().hex)
                opened = self._opened = _Opened(rdb, storage, study_id, mark)
            yield opened.storage, opened.study_id
        finally:
            rdb.engine.dispose()

    @contextmanager
    def storage(self) -> Iterator[BaseStorage]:
        """Open the storage alone, without the study."""
        self._opened = None
        rdb = _rdb(self._url, known=True)
        try:
            yield rdb
        finally:
            rdb.engine.dispose()

    def _mark_of(self, rdb: RDBStorage, study_id: int) -> str | None:
        try:
            return rdb.get_study_user_attrs(study_id).get(self._MARK)
        except KeyError:
            return None


def _rdb(url: str, *, known: bool) -> RDBStorage:
    # Seconds to wait while a reader such as a dashboard holds a SQLite file.
    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    return FastStorage(url, engine_kwargs=options, skip_compatibility_check=known, skip_table_creation=known)
