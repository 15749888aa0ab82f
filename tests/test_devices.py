"""Each training has a device to itself. Names stand for GPUs, which this machine may lack."""

import multiprocessing
import os
import signal
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tiny_study import new_study, run, snakemake

from sidewinder.config.composition import compose_study
from sidewinder.training.devices import device_for

NAMES = ["GPU-first", "GPU-second"]


class Holder:
    """A process that reserves a device and holds it until it is told to end or is killed."""

    def __init__(self, per_device: int = 1) -> None:
        context = multiprocessing.get_context("fork")
        self._here, there = context.Pipe()
        self._process = context.Process(target=self._hold, args=(there, per_device))
        self._process.start()

    @staticmethod
    def _hold(there: Connection, per_device: int) -> None:
        with device_for("cuda", per_device, NAMES) as device:
            there.send(str(device))
            there.recv()

    def device(self, seconds: float = 20) -> str | None:
        """Return the device that it holds; None if it still waits after so many seconds."""
        return str(self._here.recv()) if self._here.poll(seconds) else None

    def end(self) -> None:
        self._here.send("end")
        self._process.join()

    def kill(self) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_each_training_has_one_of_its_own() -> None:
    first, second = Holder(), Holder()
    assert {first.device(), second.device()} == {"cuda:0", "cuda:1"}
    first.end()
    second.end()


@pytest.mark.parametrize("how", ["end", "kill"])
def test_a_device_is_free_again(how: str) -> None:
    first, second = Holder(), Holder()
    freed = first.device()
    assert second.device() is not None
    third = Holder()
    assert third.device(seconds=1) is None
    getattr(first, how)()
    assert third.device() == freed
    second.end()
    third.end()


def test_several_may_share_one() -> None:
    holders = [Holder(per_device=2) for _ in range(4)]
    assert sorted(str(holder.device()) for holder in holders) == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"]
    fifth = Holder(per_device=2)
    assert fifth.device(seconds=1) is None
    holders[0].end()
    assert fifth.device() is not None
    for holder in (*holders[1:], fifth):
        holder.end()


def test_a_device_with_a_number_is_taken_as_it_is(tmp_path: Path) -> None:
    for name in ("cpu", "cuda:1"):
        with device_for(name, 1, NAMES) as first, device_for(name, 1, NAMES) as second:
            assert str(first) == str(second) == name
    assert not list(tmp_path.iterdir())


def test_how_many_share_one_changes_no_study() -> None:
    here = ["study=pendulum_ddpg", "training.device=cuda"]
    assert compose_study("x", [*here, "training.per_device=3"]).digest() == compose_study("x", here).digest()


@pytest.mark.slow
@pytest.mark.parametrize(("device", "needed"), [("cuda", True), ("cpu", False)])
def test_jobs_say_that_they_need_one(device: str, needed: bool, tmp_path: Path) -> None:
    directory = new_study(tmp_path, f"training.device={device}")
    done = run(snakemake(directory, "-n", "results/tiny/agent/README.md", "results/tiny/video.gif"))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "mem_mb=2000" in line]
    assert lines
    assert all(("gpu=1" in line) == needed for line in lines)
