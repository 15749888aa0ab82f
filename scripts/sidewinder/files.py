"""Files written whole or not at all."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from sidewinder import SidewinderError


def to_json(value: Any) -> str:
    """Readable JSON with a final newline; refuses NaN, which JSON has not."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a kill at any moment, finds the old file or the whole new one.

    Raises:
        SidewinderError: The directory cannot be written.
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
