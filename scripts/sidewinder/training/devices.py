"""Assigns devices of this machine, such as GPUs, to trainings."""

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
    """Wait for a free device and reserve it for one training, on this machine and among this user's trainings.

    The reservation is a file lock, which the kernel releases when the process ends, also if it is killed. The CPU, and
    a device with a number such as `cuda:1`, are used without reservation.

    Args:
        name: Name of a torch device, such as `cuda`.
        per_device: Number of trainings that may share a device.
        identities: A unique text for each device, in torch's order; None asks torch.
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
    """Wait for a device with a free place. Returns its number and the place's lock, acquired. Devices fill evenly."""
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
            logger.info("waiting for one of %d devices (%s) to be free", len(identities), kind)
        waiting = True
        time.sleep(_INTERVAL)


def _identities(kind: str) -> list[str]:
    """Return a unique text for each device. For CUDA it does not depend on which devices the process can see."""
    if kind == "cuda":
        return [str(torch.cuda.get_device_properties(index).uuid) for index in range(torch.cuda.device_count())]
    return [str(index) for index in range(torch.accelerator.device_count())]
