"""Locks of files, for any number of processes on one machine or several, freed when their holder dies, however it dies.

The kernel's, where the study's database is SQLite's and so needs them too. Else leases, for which a file system must do
no more than create a file for one process only: a holder that has shown no sign of life for half a minute has lost its
lease. At worst two processes then make the same result, with the same bytes.
"""

from functools import cache
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLease


def file_lock(path: Path, storage: str | None) -> BaseFileLock:
    """The lock at this path, not held yet; `storage` as `study.storage` says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path) if storage is None or storage.startswith("sqlite") else _lease(path.resolve())


@cache
def _lease(path: Path) -> SoftFileLease:
    # One for all attempts of a process, because it is by the same one that a holder must be seen silent for so long.
    return SoftFileLease(path, lease_duration=30)
