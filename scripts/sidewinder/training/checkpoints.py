"""The checkpoint of a training as files: written whole or not at all, and read only where it fits.

There are two. `record` grows: by what was done in the environments (`repeating.py`), or by the rows of the replay
buffer (`snapshots.py`). `state` is written anew each time: a line of JSON, which has the digests of everything else,
then the environments (`snapshots.py`) and the agent (`agent_state.frozen`).
"""

import hashlib
import json
import os
import platform
import shutil
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sidewinder.determinism import processor
from sidewinder.errors import first_line
from sidewinder.files import write_atomically
from sidewinder.results import installed_packages, other_packages

_FORMAT = 3


class UnusableError(Exception):
    """A checkpoint from which a training cannot go on, so that it starts from its beginning.

    Attributes:
        for_good: Whether the next one would not do either.
    """

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds.

    Attributes:
        facts: As they were given to `Checkpoint.write`.
        agent: As it was frozen.
        environments: Their state; empty where the record is repeated.
        record: All that was added to it, from the training's beginning.
    """

    facts: dict[str, Any]
    agent: bytes
    environments: bytes
    record: bytes


@dataclass
class Checkpoint:
    """The checkpoint of one training. Who uses it holds the lock of the training's result.

    Attributes:
        directory: For it alone.
        every: Seconds from one to the next, at least; None writes none, and goes on from one that is there.
    """

    directory: Path
    every: float | None
    _made_with: dict[str, Any] | None = None
    _digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    _length: int = 0

    @property
    def wanted(self) -> bool:
        """Whether it is of use to write one."""
        return self.every is not None and not self._no_use.exists()

    def give_up(self, reason: str) -> None:
        """Write none any more, in this process or another, until the training's result is there."""
        self.remove()
        write_atomically(self._no_use, f"{reason}\n")

    def remove(self) -> None:
        """Remove it, if there is one."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def read(self, training: str) -> Saved | None:
        """What it holds; None if there is none. What is written next continues its record.

        Args:
            training: A digest of all that the training depends on, beside packages and processor.

        Raises:
            UnusableError: It is damaged, or of another training, other packages or another processor.
        """
        if not self._state.exists():
            return None
        try:
            line, _, states = self._state.read_bytes().partition(b"\n")
            header = json.loads(line)
            differs = _differences(header["fits"], training)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise UnusableError(f"it is damaged ({first_line(error)})") from None
        if differs:
            raise UnusableError(differs)
        try:
            with self._record.open("rb") as file:
                record = file.read(header["length"])
        except OSError as error:
            raise UnusableError(f"its record cannot be read ({error.strerror})") from None
        self._digest.update(record)
        self._length = len(record)
        if hashlib.blake2b(states).hexdigest() != header["states"] or self._digest.hexdigest() != header["record"]:
            raise UnusableError("it is damaged")
        length = header["environments"]
        return Saved(header["facts"], states[length:], states[:length], record)

    def write(self, training: str, facts: dict[str, Any], agent: bytes, environments: bytes, growth: bytes) -> None:
        """Write it.

        Args:
            training: As for `read`.
            facts: What JSON can hold.
            agent: As it is frozen.
            environments: Their state; empty where the record is repeated.
            growth: What the record does not have yet.

        Raises:
            SidewinderError, OSError: It cannot be written; the one before is still there.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._record.open("ab") as file:
            file.truncate(self._length)  # somebody may have been killed before the state was written
            file.write(growth)
            file.flush()
            os.fsync(file.fileno())
        digest = self._digest.copy()
        digest.update(growth)
        # Once: reading the packages' versions takes longer than all else.
        self._made_with = self._made_with or _fits(training)
        header = {
            "fits": self._made_with,
            "facts": facts,
            "length": self._length + len(growth),
            "record": digest.hexdigest(),
            "environments": len(environments),
            "states": hashlib.blake2b(environments + agent).hexdigest(),
        }
        write_atomically(self._state, json.dumps(header).encode() + b"\n" + environments + agent)
        self._digest, self._length = digest, header["length"]

    @property
    def _state(self) -> Path:
        return self.directory / "state"

    @property
    def _record(self) -> Path:
        return self.directory / "record"

    @property
    def _no_use(self) -> Path:
        return self.directory / "no_use"


def _fits(training: str) -> dict[str, Any]:
    return {**_place(training), "packages": {**installed_packages(), "cloudpickle": version("cloudpickle")}}


def _place(training: str) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "training": training,
        "processor": processor(),
        "python": platform.python_version(),
    }


def _differences(fits: dict[str, Any], training: str) -> str:
    if others := other_packages(fits["packages"]):
        return f"it is of other packages: {', '.join(f'{name} {known}' for name, known in others.items())}"
    return next((f"it is of another {name}" for name, here in _place(training).items() if fits[name] != here), "")
