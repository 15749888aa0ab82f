"""Handles processes that end unexpectedly while they train: tries the training again, and gives up after three times.

A job does its work in a child process. So if the kernel kills the child, the job still runs and starts another child.
While a training is attempted, a note is beside its result. If the note is there and its process is not, the attempt has
vanished. Vanished attempts count only in their own call of Snakemake: a process that was killed together with its call
may have been fine.
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

# Environment variable with an id of the call of Snakemake, which the Snakefile sets.
CALL = "SIDEWINDER_CALL"
# Exit code of a child if one of its own processes (an environment's) has vanished.
VANISHED = 75
# A training is given up after so many vanished attempts in one call of Snakemake.
MOST = 3
# Signals that end a process on purpose. A job passes the first three on to its child, as SIGTERM.
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_STOPS = (*_PASSED_ON, signal.SIGXCPU, signal.SIGALRM)

# Memory shared by a job and its child: the mark and the path of the child's current attempt, or nothing.
_at: mmap.mmap | None = None


class VanishedError(SidewinderError):
    """A process ended unexpectedly: it was killed by a person or by the kernel, or it crashed."""


def work_in_a_child() -> None:
    """Continue in a child process. This function returns only in the child.

    The job itself waits. It starts another child if one has vanished during an attempt. A signal that ends the job ends
    its child too. The job exits with the child's exit code. If the job ends first, the child ends too.
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
    # The job tells its child when to end. Ctrl-C would also reach the child and print a traceback.
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

    # A signal that the job ignores, for example under nohup, stays ignored.
    heard = [number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heard}
    _, status = os.waitpid(child, 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    return -stopped if stopped else os.waitstatus_to_exitcode(status)


def _end(status: int) -> int | None:
    """The job's exit code after its child has ended; None if the job should start another child.

    Args:
        status: The child's exit code, or minus the signal that ended it.
    """
    assert _at is not None
    mark, _, path = _at[:].rstrip(b"\0").decode().partition(" ")
    _say_at("")
    code = 128 - status if status < 0 else status
    if not path:
        return code  # the child ended normally, or trained nothing at that moment
    if status < 0 and -status in _STOPS:
        _over(Path(path), mark)
        return code
    ended = signal.Signals(-status).name if status < 0 else f"exit code {status}"
    print(f"a process of this job ended unexpectedly ({ended}); trying again", file=sys.stderr)
    return None


def _say_at(text: str) -> None:
    if _at is not None:
        _at[:] = text.encode().ljust(len(_at), b"\0")


@contextmanager
def attempt(result: Path, name: str, ways: str) -> Iterator[Callable[[], None]]:
    """Keep a note beside a result while its training is attempted. The caller holds the result's lock.

    Gives a function to call after each checkpoint: attempts that vanished before a checkpoint do not count any more.

    Args:
        result: The file of the result.
        name: The training's name in messages.
        ways: Text for the error's end: what else helps, besides more memory.

    Raises:
        SidewinderError: `MOST` attempts have vanished in this call of Snakemake.
    """
    path, mark, call = result.with_suffix(".attempts"), uuid4().hex, os.environ.setdefault(CALL, uuid4().hex)
    vanished = _read(path)
    if vanished.get(call, 0) >= MOST:
        _write(path, vanished)
        raise SidewinderError(
            f"{result}: {name}: found {vanished[call]} processes that ended unexpectedly "
            f"(memory may have run out); accepted: more memory, or fewer jobs at a time{ways}"
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
    """Withdraw the note of an attempt that ended for a known reason, unless another attempt has begun."""
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
    """How many attempts have vanished, by call of Snakemake.

    The caller holds the lock of the result. So an attempt that is noted as running has vanished too.
    """
    try:
        note = json.loads(path.read_text())
        vanished = {str(call): int(count) for call, count in note["vanished"].items()}
        running = str(note["running"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return {**vanished, running: vanished.get(running, 0) + 1} if running else vanished
