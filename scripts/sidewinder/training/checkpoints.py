"""Writes and reads the files of a training's checkpoint. A checkpoint is written whole or not at all, and read only if
it fits the training.

There are two files. Each checkpoint appends to `record`: what was done in the environments (`repeating.py`), or the new
rows of the replay buffer (`snapshots.py`). Each checkpoint replaces `state`: a line of JSON with the digests of all
other content, then the environments (`snapshots.py`), then the agent (`agent_state.frozen`).
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
    """A training cannot resume from its checkpoint, and has to start from its beginning.

    Attributes:
        for_good: Whether later checkpoints of this training would be unusable too.
    """

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good


@dataclass(frozen=True)
class Saved:
    """Content of a checkpoint.

    Attributes:
        facts: The facts that `Checkpoint.write` was given.
        agent: The result of `agent_state.frozen`.
        environments: State of the environments; empty if they are restored by repeating the record.
        record: The whole record, from the training's beginning.
    """

    facts: dict[str, Any]
    agent: bytes
    environments: bytes
    record: bytes


@dataclass
class Checkpoint:
    """The checkpoint of one training. Only the process that holds the lock of the training's result may use it.

    Attributes:
        directory: Directory of this checkpoint alone.
        every: Minimum number of seconds between two checkpoints. None: no checkpoint is written, but an existing one
            can still be read.
    """

    directory: Path
    every: float | None
    _made_with: dict[str, Any] | None = None
    _digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    _length: int = 0

    @property
    def wanted(self) -> bool:
        """Whether checkpoints are to be written."""
        return self.every is not None and not self._no_use.exists()

    def give_up(self, reason: str) -> None:
        """Remove the checkpoint, and leave a note: no process writes one again until the directory is removed.

        Args:
            reason: Why, for a reader of the note.
        """
        self.remove()
        write_atomically(self._no_use, f"{reason}\n")

    def remove(self) -> None:
        """Remove the directory, if it exists."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def read(self, training: str) -> Saved | None:
        """Read the checkpoint; None if there is none. The next `write` continues its record.

        Args:
            training: A digest of all that the training depends on, except packages, Python and processor.

        Raises:
            UnusableError: It is damaged, or was made by another training or with other packages, another Python,
                processor or format.
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
        """Write a checkpoint.

        Args:
            training: As for `read`.
            facts: Values that JSON can hold.
            agent: The result of `agent_state.frozen`.
            environments: State of the environments; empty if they are restored by repeating the record.
            growth: Bytes to append to the record.

        Raises:
            SidewinderError, OSError: It cannot be written. The checkpoint before it can still be read.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._record.open("ab") as file:
            file.truncate(self._length)  # a process may have been killed between record and state
            file.write(growth)
            file.flush()
            os.fsync(file.fileno())
        digest = self._digest.copy()
        digest.update(growth)
        # Only once: reading the versions of packages takes longer than all the rest.
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
        return f"it was made with other packages: {', '.join(f'{name} {known}' for name, known in others.items())}"
    return next((f"it is for another {name}" for name, here in _place(training).items() if fits[name] != here), "")
