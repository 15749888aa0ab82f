"""Reads files with helpful errors, and writes files whole or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from sidewinder.errors import SidewinderError, one_line


@contextmanager
def reading(path: Path, made_by: str, again: str = "to make it again") -> Iterator[None]:
    """Turn the errors of a `with` block that reads and parses a file into one line each.

    Args:
        path: The file.
        made_by: What makes the file, for the error if it is missing.
        again: Why to delete the file, for the error if it is malformed.

    Raises:
        SidewinderError: The file is missing, cannot be read, or is malformed.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise SidewinderError(f"{path}: no such file; {made_by}") from None
    except OSError as error:
        raise SidewinderError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, LookupError, TypeError, yaml.YAMLError) as error:
        # pydantic's, JSON's and pandas' errors are ValueErrors.
        raise SidewinderError(f"{path}: {one_line(error)}; delete the file {again}") from None


def relative(path: Path, base: Path) -> str:
    """The path relative to a directory. It stays the same if both are moved together."""
    return os.path.relpath(path, base)


def to_json(value: Any) -> str:
    """Readable JSON with a final newline.

    Raises:
        ValueError: The value has NaN or infinity in it, which JSON does not have.
    """
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file atomically: readers find the old file or the whole new one, even if the process is killed.

    Raises:
        SidewinderError: The file cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                temporary.chmod(0o644)
                temporary.replace(path)
            except BaseException:
                temporary.unlink()
                raise
    except OSError as error:
        raise SidewinderError(f"{path}: cannot be written ({error.strerror}); accepted: a writable directory") from None
