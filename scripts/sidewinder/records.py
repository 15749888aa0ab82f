"""What derived files were made from: the settings that were used, and the content of all that was read and written.

A script puts it on record beside what it makes. Planning compares the record with the settings of today and the files
on disk, so content decides what is stale: neither time stamps, nor what Snakemake remembers.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sidewinder.files import relative, to_json, write_atomically

# To be raised where scripts make other files from the same settings and inputs: then all are made anew.
FORMAT = 5
DIRECTORY = ".records"


class Record(BaseModel):
    """The content of a record.

    Attributes:
        format: `FORMAT` of the version that made it.
        settings: By name, as JSON has them.
        read: SHA-256 by path, relative to the directory above `.records`; None for a file that was not there.
        wrote: SHA-256 by path.
    """

    model_config = ConfigDict(extra="forbid")

    format: int
    settings: dict[str, Any]
    read: dict[str, str | None]
    wrote: dict[str, str]


@contextmanager
def recorded(
    path: Path | None, settings: Mapping[str, Any], read: Iterable[Path]
) -> Iterator[Callable[[Path, str | bytes], None]]:
    """Give a function that writes files, atomically; at the end put on record what they were made from.

    A script that is killed on the way leaves no record, or one that does not fit the files, so they are made again.

    Args:
        path: The record to write, `<directory>/.records/<rule>.json`; None for none.
        settings: The settings that the files depend on.
        read: The files that they depend on.
    """
    if path is None:
        yield write_atomically
        return
    base = path.parent.parent
    # Before they are read: where one changes meanwhile, what is made is stale.
    read_files = {relative(file, base): sha256(file) for file in read}
    wrote: dict[str, str] = {}

    def write(file: Path, content: str | bytes) -> None:
        write_atomically(file, content)
        wrote[relative(file, base)] = sha256_of(content)

    yield write
    record = Record(format=FORMAT, settings=_plain(settings), read=read_files, wrote=wrote)
    write_atomically(path, to_json(record.model_dump()))


def add_record(parser: argparse.ArgumentParser) -> None:
    """The argument `--record`."""
    parser.add_argument("--record", type=Path, help="file for what was read and written (default: none is made)")


def is_current(path: Path, settings: Mapping[str, Any], content: Callable[[Path], str | None]) -> bool:
    """Whether the files of a record are what would be made today.

    Args:
        path: The record.
        settings: Today's, as for `recorded`.
        content: `sha256`, or a function that remembers what it gave.
    """
    if (record := _load(path)) is None:
        return False
    base = path.parent.parent
    return (record.format, record.settings) == (FORMAT, _plain(settings)) and all(
        content(base / name) == found for name, found in {**record.read, **record.wrote}.items()
    )


def known_content(path: Path, settings: Mapping[str, Any]) -> dict[str, str | None]:
    """SHA-256 of the files that a record says were read, by their relative path; nothing if there is no record with
    these settings."""
    record = _load(path)
    return record.read if record and record.settings.items() >= settings.items() else {}


def sha256(path: Path) -> str | None:
    """SHA-256 of a file's content; None if there is no such file."""
    try:
        return sha256_of(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def sha256_of(content: str | bytes) -> str:
    """SHA-256 of a text or of bytes."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def _load(path: Path) -> Record | None:
    """A record; None if it is missing or malformed."""
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _plain(settings: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(settings))
