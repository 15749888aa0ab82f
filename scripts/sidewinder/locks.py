"""File locks for processes on one or several machines. A lock is freed when its holder dies, however it dies.

With SQLite, the locks are the kernel's, because SQLite needs the kernel's locks too. With other databases they are
leases, which need only a file system that can create a file for one process exclusively. A holder without a sign of
life for 30 seconds loses its lease. In the worst case, two processes then make the same result, with the same bytes.
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
    """The lock at this path, not held yet. Its kind depends on `storage`, the value of `study.storage`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path) if storage is None or storage.startswith("sqlite") else _lease(path.resolve())


@cache
def _lease(path: Path) -> SoftFileLease:
    # One object for all attempts of a process, because the object measures how long a holder has been silent.
    return _Lease(path, lease_duration=_LEASE)


class _Lease(SoftFileLease):
    """filelock's lease, which here also ends if the lock file stays empty.

    The file is empty if its holder was killed after creating it and before writing its identity into it. filelock
    waits forever for such a holder. Here, a file that stays empty for the duration of a lease is removed.
    """

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
    """Remove a lock file if it is empty, and put it back otherwise.

    Other processes may do the same at the same time, and one of them may already hold the lock.
    """
    aside = path.with_name(f"{path.name}.{uuid4().hex}")
    with suppress(FileNotFoundError, FileExistsError):
        path.rename(aside)
        if aside.stat().st_size > 0:
            path.hardlink_to(aside)
    aside.unlink(missing_ok=True)
