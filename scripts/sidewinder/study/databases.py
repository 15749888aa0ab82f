"""Where a study's database is, and how one process at a time writes it.

`study.storage` says which: none for a SQLite file in the study's directory, `journal` for Optuna's journal there, or
the URL of a PostgreSQL, MySQL or SQLite database.
"""

import hashlib
import json
import sqlite3
import string
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import optuna
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import URL, Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, ProgrammingError

from sidewinder import SidewinderError
from sidewinder.config.study_config import StudyConfig
from sidewinder.config.study_settings import FROM_ENVIRONMENT
from sidewinder.errors import first_line
from sidewinder.locks import file_lock
from sidewinder.paths import installing

_A_YEAR = 365 * 24 * 3600
_ANY = string.printable


class Database(ABC):
    """A study's database."""

    def __init__(self, directory: Path, config: StudyConfig) -> None:
        self.directory = directory
        self.config = config

    @abstractmethod
    def lock(self) -> AbstractContextManager[Any]:
        """Held by one process at a time, and freed when it dies, however it dies.

        Raises:
            SidewinderError: The database cannot be reached.
        """

    @abstractmethod
    def open(self) -> AbstractContextManager[tuple[BaseStorage, int]]:
        """Optuna's storage and the study's id in it, made where they are lacking; to be called under the lock."""

    def own_file(self) -> Path | None:
        """The database's file, if there is one and it is the study's own: lost, it is made anew from the results."""
        return None

    def is_sound(self) -> bool:
        """Whether its file can be read."""
        return True

    def _study(self, storage: BaseStorage, name: str) -> tuple[BaseStorage, int]:
        directions = self.config.study.directions
        study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
        # Around a relational database, one of Optuna's that keeps the trials that have ended.
        return study._storage, study._study_id


class _File(Database):
    """A file in the study's directory."""

    name: str

    @property
    def path(self) -> Path:
        return self.directory.resolve() / self.name

    def lock(self) -> AbstractContextManager[Any]:
        return file_lock(self.directory / ".study.lock", self.config.study.storage)

    def own_file(self) -> Path | None:
        return self.path if self.path.exists() else None


class SqliteFile(_File):
    """study.db in the study's directory."""

    name = "study.db"

    def __init__(self, directory: Path, config: StudyConfig) -> None:
        super().__init__(directory, config)
        self._kept = _Kept(f"sqlite:///{self.path}", lambda storage: self._study(storage, config.study.name))

    def open(self) -> AbstractContextManager[tuple[BaseStorage, int]]:
        return self._kept.open(known=self._is_made_by_this_optuna())

    def is_sound(self) -> bool:
        return bool(self._first_row("PRAGMA quick_check") == ("ok",))

    def _is_made_by_this_optuna(self) -> bool:
        """Whether the file has all its tables, at this version of Optuna: the version is what is written last. Then
        Optuna's own checks, which take longer than all else that is done here, can be left out."""
        return bool(self._first_row("SELECT library_version FROM version_info") == (optuna.__version__,))

    def _first_row(self, query: str) -> Any:
        """The answer to a query that changes nothing; None if the file has none, or is none of SQLite's."""
        try:
            with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=60)) as file:
                return file.execute(query).fetchone()
        except sqlite3.DatabaseError:
            return None


class Journal(_File):
    """Optuna's journal in the study's directory, for file systems without locks."""

    name = "study.journal"

    @contextmanager
    def open(self) -> Iterator[tuple[BaseStorage, int]]:
        yield self._study(JournalStorage(JournalFileBackend(str(self.path))), self.config.study.name)

    def is_sound(self) -> bool:
        try:
            return [json.loads(line) for line in self.path.open()] != []
        except ValueError:
            return False


class SharedDatabase(Database):
    """A database by its URL, which other studies may be in too."""

    def __init__(self, directory: Path, config: StudyConfig) -> None:
        super().__init__(directory, config)
        self.url = _resolved(str(config.study.storage))
        # Its own also after the config has changed and the old results are deleted.
        self.name = f"{config.study.name}-{config.digest()}"
        url = self.url.render_as_string(hide_password=False)
        self._kept = _Kept(url, lambda storage: self._study(storage, self.name))

    def lock(self) -> AbstractContextManager[Any]:
        return self._lock(self.name)

    def open(self) -> AbstractContextManager[tuple[BaseStorage, int]]:
        with self._connected() as connection:
            known = _has_tables_of_this_optuna(connection)
        if not known:
            # Two studies that make the same tables would be in each other's way.
            with self._lock("tables"), self._kept.open(known=False):
                pass
        return self._kept.open(known=True)

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        if self.url.get_backend_name() == "sqlite":
            database = Path(self.url.database or "").resolve()
            with file_lock(database.with_name(f".{database.name}.{name}.lock"), "sqlite"):
                yield
        else:
            with self._connected() as connection, _locked(connection, name):
                yield

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
            connection = engine.connect()
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            accepted = f"one whose driver is installed ({first_line(error)}); {installing('cluster')}"
            raise SidewinderError(f"study.storage: found {self.url}, accepted: {accepted}") from None
        except OperationalError as error:
            accepted = f"a database that can be reached ({first_line(error)})"
            raise SidewinderError(f"study.storage: found {self.url}, accepted: {accepted}") from None
        with connection:
            yield connection


def database_of(directory: Path, config: StudyConfig) -> Database:
    """The database of the study in `directory`.

    Raises:
        SidewinderError: `study.storage` is no URL, or an environment variable that it names is not set.
    """
    kinds: dict[str | None, type[Database]] = {None: SqliteFile, "journal": Journal}
    return kinds.get(config.study.storage, SharedDatabase)(directory, config)


def _resolved(storage: str) -> URL:
    """The URL with what it takes from the environment put in. As an object, it is never shown with its password."""

    def put_in(text: str, safe: str) -> str:
        return FROM_ENVIRONMENT.sub(lambda found: quote(str(OmegaConf.create([found[0]])[0]), safe=safe), text)

    # A password may have any characters.
    login, at, place = storage.rpartition("@")
    place, mark, options = place.partition("?")
    try:
        return make_url(put_in(login, "") + at + put_in(place, _ANY) + mark + put_in(options, ""))
    except OmegaConfBaseException as error:
        accepted = f"variables that are set ({first_line(error)})"
        raise SidewinderError(f"study.storage: found {storage!r}, accepted: {accepted}") from None
    except ArgumentError:
        raise SidewinderError("study.storage: found no URL in the environment, accepted: one of a database") from None


class _Opened(NamedTuple):
    rdb: RDBStorage
    storage: BaseStorage
    study_id: int
    mark: str


class _Kept:
    """A study in a relational database, connected only while it is open.

    A trial that has ended is read once, and kept as long as the database is the same: that may be lost meanwhile, and
    made again by another process. By its mark, made with the study, it is known.
    """

    _MARK = "sidewinder:made"

    def __init__(self, url: str, study: Callable[[BaseStorage], tuple[BaseStorage, int]]) -> None:
        """By its URL; `study` finds the study in a storage, or makes it there."""
        self._url = url
        self._study = study
        self._opened: _Opened | None = None

    @contextmanager
    def open(self, *, known: bool) -> Iterator[tuple[BaseStorage, int]]:
        """The storage and the study's id; `known` is a database that has the tables of this version of Optuna."""
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

    def _mark_of(self, rdb: RDBStorage, study_id: int) -> str | None:
        try:
            return rdb.get_study_user_attrs(study_id).get(self._MARK)
        except KeyError:
            return None


def _rdb(url: str, *, known: bool) -> RDBStorage:
    # A reader such as a dashboard may hold a SQLite file.
    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    return RDBStorage(url, engine_kwargs=options, skip_compatibility_check=known, skip_table_creation=known)


def _has_tables_of_this_optuna(connection: Connection) -> bool:
    try:
        return connection.execute(text("SELECT library_version FROM version_info")).scalar() == optuna.__version__
    except (OperationalError, ProgrammingError):
        return False


@contextmanager
def _locked(connection: Connection, name: str) -> Iterator[None]:
    """A server's lock by this name; it ends with its connection, however that ends."""
    key = hashlib.sha256(f"sidewinder:{name}".encode()).digest()
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(key[:8], signed=True)
        # So that the server soon notices that a machine is lost.
        for setting, value in (("idle", 10), ("interval", 5), ("count", 4)):
            connection.execute(text(f"SET tcp_keepalives_{setting} = {value}"))
        acquire, release = f"SELECT pg_advisory_lock({number})", f"SELECT pg_advisory_unlock({number})"
    else:
        connection.execute(text("SET SESSION wait_timeout = 3600"))
        acquire, release = f"SELECT GET_LOCK('{key.hex()[:40]}', {_A_YEAR})", f"SELECT RELEASE_LOCK('{key.hex()[:40]}')"
    connection.execute(text(acquire))
    try:
        yield
    finally:
        connection.execute(text(release))
