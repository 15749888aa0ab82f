"""Chooses a study's kind of database by `study.storage`."""

from pathlib import Path

from sidewinder.config.study_config import StudyConfig
from sidewinder.study.database import Database
from sidewinder.study.database_files import Journal, SqliteFile
from sidewinder.study.database_servers import SharedDatabase


def database_of(directory: Path, config: StudyConfig) -> Database:
    """The database of the study in `directory`.

    Raises:
        SidewinderError: `study.storage` is no URL, or an environment variable that it names is not set.
    """
    kinds: dict[str | None, type[Database]] = {None: SqliteFile, "journal": Journal}
    return kinds.get(config.study.storage, SharedDatabase)(directory, config)
