"""The tiny study that tests of the workflow run: starts it, and reads the results that no disturbance may change."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil
import yaml
from forked_snakemake import run_forked

_T = TypeVar("_T")
REPOSITORY = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
N_TRIALS = 8
TINY = [
    "study=pendulum_ddpg",
    f"study.n_trials={N_TRIALS}",
    "study.workers=4",
    "study.trials_per_job=4",
    "sampler.n_startup_trials=3",
    "pruner=median",
    "pruner.n_startup_trials=2",
    "+environment.env_kwargs.max_episode_steps=50",
    "agent.learning_starts=30",
    "training.total_timesteps=150",
    "evaluation.eval_freq=50",
    "evaluation.n_eval_episodes=1",
    "confirmation.top_k=2",
    "confirmation.n_validation_seeds=1",
    "confirmation.rounds=[[2,1]]",
    "confirmation.n_test_seeds=2",
    "confirmation.n_eval_episodes=2",
]
SWEEP = "results/tiny/trials.csv"
BEST = "results/tiny/best.yaml"


def snakemake(directory: Path, *arguments: str, repository: Path = REPOSITORY) -> list[str]:
    """Return the command line of a run in `directory`."""
    snakefile = str(repository / "workflow" / "Snakefile")
    command = [*SNAKEMAKE, "--snakefile", snakefile, "--directory", str(directory)]
    return [*command, "--configfile", str(directory / "config.yaml"), "--cores", "2", *arguments]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    if command[: len(SNAKEMAKE)] == SNAKEMAKE:
        return run_forked(command[len(SNAKEMAKE) :], timeout=1200)
    return subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)


def run_to_the_end(directory: Path, *arguments: str, repository: Path = REPOSITORY) -> str:
    """Run Snakemake, which must succeed. Returns its output, followed by its log, which lists the jobs."""
    done = run(snakemake(directory, *arguments, repository=repository))
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    logs = re.findall(r"^Complete log\(s\): (.+)$", said, re.MULTILINE)
    return said + "".join(Path(log).read_text() for log in logs)


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def new_study(directory: Path, *overrides: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump({"studies": {"tiny": [*TINY, *overrides]}}))
    return directory


def results(directory: Path) -> dict[str, bytes]:
    """Read the existing files that must be the same, byte by byte."""
    study = directory / "results" / "tiny"
    paths = [path for path in study.glob("*.csv") if path.name != "timings.csv"] + [*study.glob("best.*")]
    paths += [*study.glob("trials/*/result.json"), *study.glob("confirmation/**/*.json")]
    return {str(path.relative_to(study)): path.read_bytes() for path in paths}


def sweep(directory: Path) -> dict[str, bytes]:
    """Return the part of `results` that comes from the trials."""
    names = ("trials", "evaluations.csv")
    return {name: content for name, content in results(directory).items() if name.startswith(names)}


def confirmation_runs(directory: Path) -> dict[Path, int]:
    """Return the files of the confirmation's trainings in the store, and when each was written."""
    kept = (directory / "results/.trainings").glob("*.json")
    return {path: path.stat().st_mtime_ns for path in kept if json.loads(path.read_text())["held_out_returns"]}


def results_so_far(directory: Path) -> list[Path]:
    return list(directory.glob("results/tiny/trials/*/result.json"))


def wait_for_results(directory: Path, count: int, seconds: float = 120) -> None:
    wait_until(lambda: len(results_so_far(directory)) >= count, seconds)


def wait_until(condition: Callable[[], _T], seconds: float = 120) -> _T:
    """Wait until a condition returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def processes(*words: str, of: int | None = None) -> list[psutil.Process]:
    """Return the processes that have all of the words in their command lines, among the descendants of the process `of`
    or, without it, among all of this machine."""
    found = []
    # A process may have ended, or be a zombie, when it is looked at; it is left out.
    with suppress(psutil.NoSuchProcess):
        for process in psutil.process_iter() if of is None else psutil.Process(of).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                command = " ".join(process.cmdline())
                if all(word in command for word in words):
                    found.append(process)
    return found


def trials_of(snakemake: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the processes of Snakemake's jobs that make trials."""
    return processes("trial.py", of=snakemake.pid)


def send(what: signal.Signals, to: list[psutil.Process]) -> None:
    """Send a signal to processes. Processes that have ended already are ignored."""
    for process in to:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(what)
