"""Makes a directory that several tests read once, for all processes of pytest-xdist."""

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(
    name: str, make: Callable[[Path], object], tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Path:
    """Return a directory of this test session. The first call of any process fills it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    directory = (base if worker_id == "master" else base.parent) / name
    with FileLock(f"{directory}.lock"):
        if not (made := directory.with_suffix(".made")).exists():
            directory.mkdir(exist_ok=True)
            make(directory)
            made.touch()
    return directory
