"""Locks of files, for any number of processes on one machine or several, freed when their holder dies, however it dies.

The kernel's, where the study's database is SQLite's and so needs them too. Else leases, for which a file system must do
no more than create a file for one process only: a holder that has shown no sign of life for half a minute has lost its
lease. At worst two processes then make the same result, with the same bytes.
"""

import math
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import AcquireReturnProxy, BaseFileLock, FileLock, SoftFileLease, Timeout

_LEASE = 30.0


def file_lock(path: Path, storage: str | None) -> BaseFileLock:
    """The lock at this path, not held yet; `storage` as `study.storage` says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path) if storage is None or storage.startswith("sqlite") else _lease(path.resolve())


@cache
def _lease(path: Path) -> SoftFileLease:
    # One for all attempts of a process, because it is by the same one that a holder must be seen silent for so long.
    return _Lease(path, lease_duration=_LEASE)


class _Lease(SoftFileLease):
    """filelock's, which waits forever for a holder that was killed after it made its file and before it wrote who it
    is: such a file, too, is void when nothing has become of it for so long."""

    _seen_empty: tuple[tuple[int, int], float] | None = None

    def acquire(
        self, timeout: float | None = None, poll_interval: float | None = None, **options: Any
    ) -> AcquireReturnProxy[Any]:
        end = math.inf if timeout is None or timeout < 0 else time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            try:
                return super().acquire(max(0.0, min(left, 1.0)), poll_interval, **options)
            except Timeout:
                self._remove_if_void()
                if left <= 1.0:
                    raise

    def _remove_if_void(self) -> None:
        path = Path(self.lock_file)
        try:
            found = path.stat()
        except FileNotFoundError:
            return
        which = (found.st_ino, found.st_ctime_ns)
        if found.st_size > 0:
            self._seen_empty = None
        elif self._seen_empty is None or self._seen_empty[0] != which:
            self._seen_empty = (which, time.monotonic())
        elif time.monotonic() - self._seen_empty[1] > self.lease_duration:
            _remove_if_empty(path)


def _remove_if_empty(path: Path) -> None:
    """Others may do so at the same time, and one of them may hold the lock by now."""
    aside = path.with_name(f"{path.name}.{uuid4().hex}")
    with suppress(FileNotFoundError, FileExistsError):
        path.rename(aside)
        if aside.stat().st_size > 0:
            path.hardlink_to(aside)
    aside.unlink(missing_ok=True)
