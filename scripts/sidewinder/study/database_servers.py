"""A database that several studies may share, given by its URL: PostgreSQL, MySQL or SQLite."""

import hashlib
import string
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.storages import BaseStorage
from sqlalchemy import URL, Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, InterfaceError, NoSuchModuleError, OperationalError, ProgrammingError

from sidewinder import SidewinderError
from sidewinder.config.study_config import StudyConfig
from sidewinder.config.study_settings import FROM_ENVIRONMENT
from sidewinder.errors import first_line
from sidewinder.locks import file_lock
from sidewinder.paths import installing
from sidewinder.study.database import Database, KeptStudy

_A_YEAR = 365 * 24 * 3600


_ANY = string.printable


class SharedDatabase(Database):
    """A database that several studies may share, given by its URL in `study.storage`."""

    def __init__(self, directory: Path, config: StudyConfig) -> None:
        super().__init__(directory, config)
        self.url = _resolved(str(config.study.storage))
        # The digest keeps a study with a changed config apart from the rows of its old config.
        self.name = f"{config.study.name}-{config.digest()}"
        url = self.url.render_as_string(hide_password=False)
        self._kept = KeptStudy(url, lambda storage: self._study(storage, self.name))

    def lock(self) -> AbstractContextManager[Any]:
        return self._lock(self.name)

    def open(self) -> AbstractContextManager[tuple[BaseStorage, int]]:
        with self._connected() as connection:
            known = _has_tables_of_this_optuna(connection)
        if not known:
            # Two studies that make the tables at the same time would disturb each other.
            with self._lock("tables"), self._kept.open(known=False):
                pass
        return self._kept.open(known=True)

    def set_aside(self) -> str | None:
        with self._kept.storage() as storage:
            try:
                optuna.delete_study(study_name=self.name, storage=storage)
            except KeyError:
                return None
        return f"the old rows of {self.name} are deleted"

    def _unusable(self, error: BaseException) -> str | None:
        # The server is gone or refuses; the study's rows are not damaged.
        if isinstance(error, OperationalError | InterfaceError):
            return f"study.storage: found {self.url} ({first_line(error)}), accepted: a database that can be written"
        return None

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
            accepted = f"a database with an installed driver ({first_line(error)}); {installing('cluster')}"
            raise SidewinderError(f"study.storage: found {self.url}, accepted: {accepted}") from None
        except OperationalError as error:
            accepted = f"a database that can be reached ({first_line(error)})"
            raise SidewinderError(f"study.storage: found {self.url}, accepted: {accepted}") from None
        with connection:
            yield connection


def _resolved(storage: str) -> URL:
    """The URL, with environment variables filled in. The object's text hides the password."""

    def put_in(text: str, safe: str) -> str:
        return FROM_ENVIRONMENT.sub(lambda found: quote(str(OmegaConf.create([found[0]])[0]), safe=safe), text)

    # A password may contain any character, so its variable is quoted. Elsewhere a variable may hold parts of a URL.
    login, at, place = storage.rpartition("@")
    place, mark, options = place.partition("?")
    try:
        return make_url(put_in(login, "") + at + put_in(place, _ANY) + mark + put_in(options, ""))
    except OmegaConfBaseException as error:
        accepted = f"variables that are set ({first_line(error)})"
        raise SidewinderError(f"study.storage: found {storage!r}, accepted: {accepted}") from None
    except ArgumentError:
        raise SidewinderError("study.storage: found no URL in the environment, accepted: a URL of a database") from None


def _has_tables_of_this_optuna(connection: Connection) -> bool:
    try:
        return connection.execute(text("SELECT library_version FROM version_info")).scalar() == optuna.__version__
    except (OperationalError, ProgrammingError):
        return False


@contextmanager
def _locked(connection: Connection, name: str) -> Iterator[None]:
    """Hold a server's lock of this name. It ends with its connection, even if the process is killed."""
    key = hashlib.sha256(f"sidewinder:{name}".encode()).digest()
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(key[:8], signed=True)
        # With keepalives the server soon notices a lost machine: after 30 seconds.
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
