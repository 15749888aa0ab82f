"""Trainings whose process may end without a word: noticed, tried again, and given up with a word after three times.

A job works in a process of its own, its child, which the kernel may kill without the job. Each attempt of a training is
noted beside its result while it lasts. A note whose process is gone counts in the call of Snakemake that it is from:
of what ended with that call, nobody knows whether it would have gone well.
"""

import json
import mmap
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from uuid import uuid4

from sidewinder.errors import SidewinderError
from sidewinder.files import write_atomically

# Which call of Snakemake a process belongs to; its Snakefile sets it.
CALL = "SIDEWINDER_CALL"
# With which a process ends where one of its own has vanished.
VANISHED = 75
MOST = 3
# Signals by which somebody ends a process on purpose. A job that gets one of the first kind ends its child too.
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_STOPS = (*_PASSED_ON, signal.SIGXCPU, signal.SIGALRM)

# What a job's child is at, as the job sees it: the mark and the path of an attempt, or nothing.
_at: mmap.mmap | None = None


class VanishedError(SidewinderError):
    """A process ended without a word: it was killed, by a person or by the kernel, or it crashed."""


def work_in_a_child() -> None:
    """Go on in a child process: this function returns there, and there only.

    The job itself waits. It starts another child where one has crashed, passes on the signal that is to end it, and
    ends as its child does; the child ends with it.
    """
    global _at
    os.environ.setdefault(CALL, uuid4().hex)
    _at = mmap.mmap(-1, 1 << 16)
    while True:
        ours, theirs = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            os.close(theirs)
            _be_the_child(ours)
            return
        os.close(ours)
        code = _end(_wait(child))
        os.close(theirs)
        if code is not None:
            sys.exit(code)


def _be_the_child(job: int) -> None:
    # The job says when to end; a traceback at Ctrl-C would look like a fault.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def end_with_the_job() -> None:
        os.read(job, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_the_job, daemon=True).start()


def _wait(child: int) -> int:
    stopped = 0

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = number
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)

    # What a job is to ignore, as under nohup, it ignores.
    heard = [number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heard}
    _, status = os.waitpid(child, 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    return -stopped if stopped else os.waitstatus_to_exitcode(status)


def _end(status: int) -> int | None:
    """The exit code of the job whose child has ended so; None if it is to have another child."""
    assert _at is not None
    mark, _, path = _at[:].rstrip(b"\0").decode().partition(" ")
    _say_at("")
    code = 128 - status if status < 0 else status
    if not path:
        return code  # the child has ended by itself, or nothing was being trained
    if status < 0 and -status in _STOPS:
        _over(Path(path), mark)
        return code
    ended = signal.Signals(-status).name if status < 0 else f"exit code {status}"
    print(f"a process of this job ended without a word ({ended}); it is tried again", file=sys.stderr)
    return None


def _say_at(text: str) -> None:
    if _at is not None:
        _at[:] = text.encode().ljust(len(_at), b"\0")


@contextmanager
def attempt(result: Path, name: str, ways: str) -> Iterator[Callable[[], None]]:
    """Note that a training is under way, which must hold the lock of its result.

    What it gives is to be called after each checkpoint: those that vanished before it do not count any more.

    Args:
        result: The file that it will make.
        name: What it is, for people.
        ways: What else than more memory helps.

    Raises:
        SidewinderError: It has vanished as often as is tried.
    """
    path, mark, call = result.with_suffix(".attempts"), uuid4().hex, os.environ.setdefault(CALL, uuid4().hex)
    vanished = _read(path)
    if vanished.get(call, 0) >= MOST:
        _write(path, vanished)
        raise SidewinderError(
            f"{result}: {name}: found {vanished[call]} processes that ended without a word, which is how the kernel "
            f"ends one that needs more memory than there is; accepted: more memory, or fewer jobs at a time{ways}"
        )
    _write(path, vanished, call, mark)
    _say_at(f"{mark} {path}")

    def progressed() -> None:
        if vanished:
            vanished.clear()
            _write(path, vanished, call, mark)

    try:
        yield progressed
    except VanishedError as error:
        print(error, file=sys.stderr)
        sys.exit(VANISHED)
    except BaseException:
        _over(path, mark)
        _say_at("")
        raise
    path.unlink(missing_ok=True)
    _say_at("")


def _over(path: Path, mark: str) -> None:
    """Take back the note of an attempt that ended for a reason, unless another has begun."""
    try:
        note = json.loads(path.read_text())
    except (OSError, ValueError):
        return
    if note["mark"] == mark:
        with suppress(SidewinderError):
            _write(path, note["vanished"])


def _write(path: Path, vanished: dict[str, int], running: str = "", mark: str = "") -> None:
    write_atomically(path, json.dumps({"vanished": vanished, "running": running, "mark": mark}))


def _read(path: Path) -> dict[str, int]:
    """How many attempts have vanished, by the call that they were of. Whoever reads it holds the lock, so that what is
    noted as running has vanished too."""
    try:
        note = json.loads(path.read_text())
        vanished = {str(call): int(count) for call, count in note["vanished"].items()}
        running = str(note["running"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return {**vanished, running: vanished.get(running, 0) + 1} if running else vanished
