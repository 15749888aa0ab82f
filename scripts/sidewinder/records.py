"""Records of what derived files were made from: the settings, and hashes of all files that were read and written.

A script writes a record beside the files that it makes. Planning compares the record with today's settings and the
files on disk. So content decides what is stale, and not time stamps or Snakemake's metadata.
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

# Raise it if scripts make other files from the same settings and inputs: then all files are made again.
FORMAT = 5
DIRECTORY = ".records"


class Record(BaseModel):
    """The content of a record.

    Attributes:
        format: `FORMAT` of the version that wrote the record.
        settings: The settings by name, as JSON values.
        read: SHA-256 of each file that was read, by path relative to the directory above `.records`; None for a
            missing file.
        wrote: SHA-256 of each file that was written, by the same kind of path.
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
    """Provide a function that writes files atomically. At the end of the `with` block, write the record of the files.

    A script that is killed in between leaves no record, or a record that does not match the files. Then they are made
    again.

    Args:
        path: The record to write, `<directory>/.records/<rule>.json`; None to write none.
        settings: The settings that the written files depend on.
        read: The files that the written files depend on.
    """
    if path is None:
        yield write_atomically
        return
    base = path.parent.parent
    # Hashed before the script reads them: if a file changes meanwhile, the written files are stale.
    read_files = {relative(file, base): sha256(file) for file in read}
    wrote: dict[str, str] = {}

    def write(file: Path, content: str | bytes) -> None:
        write_atomically(file, content)
        wrote[relative(file, base)] = sha256_of(content)

    yield write
    record = Record(format=FORMAT, settings=_plain(settings), read=read_files, wrote=wrote)
    write_atomically(path, to_json(record.model_dump()))


def add_record(parser: argparse.ArgumentParser) -> None:
    """Add the argument `--record` to a script's parser."""
    parser.add_argument("--record", type=Path, help="record of the files read and written (default: no record)")


def is_current(path: Path, settings: Mapping[str, Any], content: Callable[[Path], str | None]) -> bool:
    """Whether the files of a record are up to date: their settings, inputs and contents are unchanged.

    Args:
        path: The record.
        settings: Today's settings, as for `recorded`.
        content: `sha256`, or a cached version of it.
    """
    if (record := _load(path)) is None:
        return False
    base = path.parent.parent
    return (record.format, record.settings) == (FORMAT, _plain(settings)) and all(
        content(base / name) == found for name, found in {**record.read, **record.wrote}.items()
    )


def known_content(path: Path, settings: Mapping[str, Any]) -> dict[str, str | None]:
    """SHA-256 of the files that a record lists as read, by relative path; empty if no record has these settings."""
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
