"""The clusters of tests/test_cluster.py: how one is started, how Snakemake uses it, and how a job on it is lost."""

import re
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import psutil
import pytest
from tiny_study import REPOSITORY, processes, run, send, snakemake, wait_until

PROFILES = REPOSITORY / "workflow" / "profiles"


class Scheduler(ABC):
    """A scheduler that runs on this machine alone.

    Attributes:
        script: Script in tests/cluster. `up` starts the scheduler and prints the environment that its commands need;
            `down` stops it.
        profile: Directory in workflow/profiles.
        patience: Options by which Snakemake checks more often whether jobs have ended.
        said: Text in Snakemake's log for each job that it submits.
        seconds_a_step: Duration of a step in the test of time limits. The 960 steps of its training must take longer
            than the shortest limit, a minute.
        checkpoint_every: `training.checkpoint_every` of that training. If it is long, the only checkpoint is the one
            that the scheduler's warning signal causes.
    """

    script: ClassVar[Path]
    profile: ClassVar[str]
    patience: ClassVar[list[str]]
    said: ClassVar[str]
    seconds_a_step: ClassVar[float]
    checkpoint_every: ClassVar[int]

    def up(self) -> dict[str, str]:
        """Start it. Returns the environment variables that its commands need."""
        said = subprocess.run([self.script, "up"], check=True, stdout=subprocess.PIPE, text=True).stdout
        return dict(re.findall(r"^(\w+)=(.*)$", said, re.MULTILINE))

    def down(self) -> None:
        subprocess.run([self.script, "down"], check=True)

    def snakemake(self, directory: Path, *arguments: str) -> list[str]:
        return snakemake(directory, "--profile", str(PROFILES / self.profile), *self.patience, *arguments)

    def submitted(self, directory: Path) -> int:
        """Count the jobs that Snakemake's latest run submitted, by its log."""
        log = max((directory / ".snakemake/log").glob("*.log"))
        return log.read_text().count(self.said)

    def a_job(self) -> str:
        """Wait for a running job and return it."""
        return wait_until(lambda: [job for job in self.running() if self.processes_of(job)])[0]

    def processes_of(self, job: str) -> list[psutil.Process]:
        """Return the daemons of a job, and all processes that they have started."""
        daemons = self.daemons_of(job)
        return [process for daemon in daemons for process in (daemon, *processes(of=daemon.pid))]

    @abstractmethod
    def running(self) -> list[str]: ...

    @abstractmethod
    def daemons_of(self, job: str) -> list[psutil.Process]: ...

    @abstractmethod
    def cancel_a_job(self) -> None: ...

    @abstractmethod
    def lose_a_node(self) -> None:
        """Kill a node's daemon and the job on it, with all processes, at once; then start the node again."""


class Slurm(Scheduler):
    """Slurm with two nodes."""

    script = REPOSITORY / "tests" / "cluster" / "slurm.sh"
    profile = "slurm"
    patience: ClassVar = ["--slurm-init-seconds-before-status-checks", "1"]
    said = "has been submitted with SLURM jobid"
    # The steps take 96 s on any machine. Slurm ends a job up to half a minute after its limit of a minute, so two jobs
    # are enough and one is not.
    seconds_a_step = 0.1
    checkpoint_every = 1000

    def running(self) -> list[str]:
        return run(["squeue", "--noheader", "--states=running", "--format=%i"]).stdout.split()

    def daemons_of(self, job: str) -> list[psutil.Process]:
        return processes("slurmstepd", f"[{job}.")

    def cancel_a_job(self) -> None:
        subprocess.run(["scancel", self.a_job()], check=True)

    def lose_a_node(self) -> None:
        job = self.a_job()
        node = run(["squeue", "--noheader", "--format=%N", "--jobs", job]).stdout.strip()
        send(signal.SIGKILL, [*processes(f"slurmd -N {node}"), *self.processes_of(job)])
        wait_until(lambda: node in run(["sinfo", "--noheader", "--Node", "--states=down", "--format=%N"]).stdout)
        subprocess.run([self.script, "node", node], check=True)


class GridEngine(Scheduler):
    """Grid Engine with one node of two slots."""

    script = REPOSITORY / "tests" / "cluster" / "gridengine.sh"
    profile = "gridengine"
    patience: ClassVar = ["--seconds-between-status-checks", "1"]
    said = "with external jobid"
    # The steps take 72 s. Grid Engine ends a job a second after its limit.
    seconds_a_step = 0.075
    checkpoint_every = 1000

    def up(self) -> dict[str, str]:
        if not all(map(shutil.which, ["sge_qmaster", "sge_execd", "qsub"])):
            pytest.skip("Grid Engine is not installed")
        return super().up()

    def running(self) -> list[str]:
        return re.findall(r"^ *(\d+) ", run(["qstat", "-s", "r"]).stdout, re.MULTILINE)

    def daemons_of(self, job: str) -> list[psutil.Process]:
        return processes(f"sge_shepherd-{job} ")

    def cancel_a_job(self) -> None:
        subprocess.run(["qdel", self.a_job()], check=True, stdout=subprocess.DEVNULL)

    def lose_a_node(self) -> None:
        job = self.a_job()
        send(signal.SIGKILL, [*processes("/sge_execd"), *self.processes_of(job)])
        subprocess.run([self.script, "execd"], check=True)
