"""Which of a machine's devices, such as GPUs, a training has to itself."""

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

_INTERVAL = 0.5


@contextmanager
def device_for(name: str, per_device: int, identities: Sequence[str] | None = None) -> Iterator[torch.device]:
    """A device for one training, kept from other trainings of this user on this machine until it ends.

    It waits until one is free. The kernel frees the device of a process that dies, however it dies. A device with a
    number, such as `cuda:1`, is taken as it is, and so is the CPU.

    Args:
        name: As torch spells it.
        per_device: How many trainings may share one.
        identities: Of the devices, in torch's order; None asks torch.
    """
    device = torch.device(name)
    if device.type == "cpu" or device.index is not None:
        yield device
        return
    identities = _identities(device.type) if identities is None else identities
    index, lock = _free_one(device.type, per_device, identities)
    try:
        yield torch.device(device.type, index)
    finally:
        lock.release()


def _free_one(kind: str, per_device: int, identities: Sequence[str]) -> tuple[int, FileLock]:
    """The number of a device with a free place, and the place's lock, held. Devices fill evenly."""
    directory = Path(tempfile.gettempdir(), f"sidewinder-devices-{os.getuid()}")
    directory.mkdir(mode=0o700, exist_ok=True)
    waiting = False
    while True:
        for place in range(per_device):
            for index, identity in enumerate(identities):
                lock = FileLock(directory / f"{kind}-{identity}-{place}.lock")
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                return index, lock
        if not waiting:
            logger.info("waits for one of %d devices (%s) to be free", len(identities), kind)
        waiting = True
        time.sleep(_INTERVAL)


def _identities(kind: str) -> list[str]:
    """What tells this machine's devices apart, whichever of them a process may see."""
    if kind == "cuda":
        return [str(torch.cuda.get_device_properties(index).uuid) for index in range(torch.cuda.device_count())]
    return [str(index) for index in range(torch.accelerator.device_count())]
