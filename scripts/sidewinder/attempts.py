"""Trainings whose process may end without a word: noticed, tried again, and given up with a word after three times.

A job works in a process of its own, its child, which the kernel may kill without the job. Each attempt of a training is
noted beside its result while it lasts. A note whose process is gone counts as long as the call of Snakemake that it is
from goes on; for what ended with that call, nobody knows whether it would have gone well.
"""

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

from sidewinder.errors import SidewinderError
from sidewinder.files import write_atomically

# Which call of Snakemake a process belongs to; its Snakefile sets it.
CALL = "SIDEWINDER_CALL"
# With which a process ends where one of its own has vanished.
VANISHED = 75
MOST = 3
# Of a process that nobody meant to end.
_CRASHES = {signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE}
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_job: socket.socket | None = None


class VanishedError(SidewinderError):
    """A process ended without a word: it was killed, by a person or by the kernel, or it crashed."""


def work_in_a_child() -> None:
    """Go on in a child process: this function returns there, and there only.

    The job itself waits. It starts another child where one has crashed, passes on the signal that is to end it, and
    ends as its child does; the child ends with it.
    """
    os.environ.setdefault(CALL, uuid4().hex)
    while True:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            ours.close()
            _be_the_child(theirs)
            return
        theirs.close()
        status = _wait(child)
        with ours:
            code = _end(status, ours.recv(1 << 16).decode().splitlines())
        if code is not None:
            sys.exit(code)


def _be_the_child(job: socket.socket) -> None:
    global _job
    _job = job
    # The job says when to end; a traceback at Ctrl-C would look like a fault.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def end_with_the_job() -> None:
        with suppress(OSError):
            job.recv(1)
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
    heard = [number for number in _STOPS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heard}
    _, status = os.waitpid(child, 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    return -stopped if stopped else os.waitstatus_to_exitcode(status)


def _end(status: int, attempts: list[str]) -> int | None:
    """The exit code of the job whose child has ended so, and had begun these; None if it is to have another child."""
    code = 128 - status if status < 0 else status
    if status != VANISHED and -status not in _CRASHES:
        for mark, _, path in (line.partition(" ") for line in attempts):
            _over(Path(path), mark)
        return code
    if not attempts:
        return code  # nothing was being trained
    print(f"a process of this job ended without a word ({_named(status)}); it is tried again", file=sys.stderr)
    return None


def _named(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else "of an environment"


@contextmanager
def attempt(result: Path, name: str, ways: str) -> Iterator[None]:
    """Note that a training is under way, which must hold the lock of its result.

    Args:
        result: The file that it will make.
        name: What it is, for people.
        ways: What else than more memory helps.

    Raises:
        SidewinderError: It has vanished as often as is tried.
    """
    path, mark, call = result.with_suffix(".attempts"), uuid4().hex, os.environ.setdefault(CALL, uuid4().hex)
    before = _read(path)
    vanished = before["vanished"] + bool(before["running"]) if before.get("call") == call else 0
    if vanished >= MOST:
        write_atomically(path, json.dumps({"call": call, "vanished": vanished, "running": ""}))
        raise SidewinderError(
            f"{result}: {name}: found {vanished} processes that ended without a word, which is how the kernel ends one "
            f"that needs more memory than there is; accepted: more memory, or fewer jobs at a time{ways}"
        )
    write_atomically(path, json.dumps({"call": call, "vanished": vanished, "running": mark}))
    if _job is not None:
        _job.sendall(f"{mark} {path}\n".encode())
    try:
        yield
    except VanishedError as error:
        print(error, file=sys.stderr)
        sys.exit(VANISHED)
    except Exception:
        _over(path, mark)
        raise
    path.unlink(missing_ok=True)


def _over(path: Path, mark: str) -> None:
    """Take back the note of an attempt that ended for a reason, unless another has begun."""
    note = _read(path)
    if note.get("running") == mark:
        with suppress(SidewinderError):
            write_atomically(path, json.dumps({**note, "running": ""}))


def _read(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text())
        return {"call": str(note["call"]), "vanished": int(note["vanished"]), "running": str(note["running"])}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
