"""The same bytes on a Slurm of two virtual nodes on this machine, whatever happens to it: `make test-cluster`."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tiny_study import (
    BEST,
    REPOSITORY,
    SWEEP,
    new_study,
    processes,
    results,
    results_so_far,
    run,
    run_to_the_end,
    send,
    snakemake,
    started,
    sweep,
    wait_for_results,
    wait_until,
)

pytestmark = pytest.mark.cluster
PROFILES = REPOSITORY / "workflow" / "profiles"
SLURM = REPOSITORY / "tests" / "cluster" / "slurm.sh"


# Of a size for which Slurm, which is asked every ten seconds what has ended, takes less than a minute.
SMALL = ["study.n_trials=6", "study.workers=2", "study.trials_per_job=2", "confirmation.top_k=1"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study on one machine."""
    directory = new_study(tmp_path_factory.mktemp("local"), *SMALL)
    run_to_the_end(directory, BEST)
    assert b",pruned," in results(directory)["trials.csv"]
    return directory


@pytest.fixture(scope="module", autouse=True)
def slurm() -> Iterator[None]:
    subprocess.run([SLURM, "up"], check=True)
    yield
    subprocess.run([SLURM, "down"], check=True)


def on_slurm(directory: Path, *arguments: str) -> list[str]:
    """The profile's command, which looks more often whether jobs have ended."""
    patience = ["--slurm-init-seconds-before-status-checks", "1"]
    return snakemake(directory, "--profile", str(PROFILES / "slurm"), *patience, *arguments)


def running() -> dict[str, str]:
    """The nodes of the jobs that run, by job."""
    listed = run(["squeue", "--noheader", "--states=running", "--format=%i %N"]).stdout.split()
    return dict(zip(listed[::2], listed[1::2], strict=True))


def processes_of(job: str) -> list[psutil.Process]:
    """A job's own daemons, and all that they have started."""
    daemons = processes("slurmstepd", f"[{job}.")
    return [process for daemon in daemons for process in (daemon, *processes(of=daemon.pid))]


def a_job() -> tuple[str, str]:
    """One that runs, as soon as one does, and its node."""
    return wait_until(lambda: [(job, node) for job, node in running().items() if processes_of(job)])[0]


def submitted(directory: Path) -> int:
    """How many jobs of Slurm there were, by Snakemake's log of its latest run."""
    log = max((directory / ".snakemake/log").glob("*.log"))
    return log.read_text().count("has been submitted with SLURM jobid")


def test_a_whole_study(undisturbed: Path, tmp_path: Path) -> None:
    """Two jobs of two trials each share a job of Slurm, and two trainings of the confirmation do."""
    groups = ["--groups", "trial=trials", "confirmation={candidate}", "--group-components", "trials=2", "{candidate}=2"]
    done = run(on_slurm(new_study(tmp_path, *SMALL), *groups, "--", BEST))
    assert done.returncode == 0, done.stderr
    # Those of the trials; a training of each of three settings in the first round, two in the second; and the tests of
    # three settings, of which a baseline's may share a job with its training in the first round.
    assert submitted(tmp_path) <= 2 + 3 + 2 + 3
    assert results(tmp_path) == results(undisturbed)


def test_the_generic_profile(undisturbed: Path, tmp_path: Path) -> None:
    """With Optuna's journal, and so with leases in place of the kernel's locks; and a job is cancelled."""
    profile = ["--profile", str(PROFILES / "cluster-generic"), "--seconds-between-status-checks", "1"]
    with started(snakemake(new_study(tmp_path, *SMALL, "study.storage=journal"), *profile, SWEEP)) as process:
        wait_for_results(tmp_path, 1)
        cancel_a_job()
        assert process.wait() == 0
    assert sweep(tmp_path) == sweep(undisturbed)
    assert (tmp_path / "results/tiny/study.journal").exists()


def cancel_a_job() -> None:
    job, _ = a_job()
    subprocess.run(["scancel", job], check=True)


def lose_a_node() -> None:
    """Its daemon, and the job on it with all of its processes, at once."""
    job, node = a_job()
    send(signal.SIGKILL, [*processes(f"slurmd -N {node}"), *processes_of(job)])
    wait_until(lambda: node in run(["sinfo", "--noheader", "--Node", "--states=down", "--format=%N"]).stdout)
    subprocess.run([SLURM, "node", node], check=True)


@pytest.mark.parametrize("disturb", [cancel_a_job, lose_a_node])
def test_a_lost_job(disturb: Callable[[], None], undisturbed: Path, tmp_path: Path) -> None:
    """Snakemake or Slurm submits it again."""
    with started(on_slurm(new_study(tmp_path, *SMALL, "study.trials_per_job=1"), SWEEP)) as process:
        wait_for_results(tmp_path, 2)
        disturb()
        assert process.wait() == 0
    assert sweep(tmp_path) == sweep(undisturbed)


def test_snakemake_is_killed_and_started_again(undisturbed: Path, tmp_path: Path) -> None:
    """Its jobs go on, beside those of the new run."""
    command = on_slurm(new_study(tmp_path, *SMALL), SWEEP)
    with started(command) as process:
        wait_for_results(tmp_path, 1)
        os.killpg(process.pid, signal.SIGKILL)
    assert running()
    before = len(results_so_far(tmp_path))
    done = run(command)
    assert done.returncode == 0, done.stderr
    assert before < len(results_so_far(tmp_path))
    assert sweep(tmp_path) == sweep(undisturbed)


def test_a_time_limit_shorter_than_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm ends the job; the next one goes on where it was."""
    settings = ["training.total_timesteps=960", "evaluation.eval_freq=480", "training.callbacks=[small_methods.Slow]"]
    settings += ["study.n_trials=1", "confirmation.baselines=[]"]
    result = "results/tiny/trials/0/result.json"
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    run_to_the_end(new_study(tmp_path / "local", *settings), result)
    # 96 s for the steps alone, on any machine. Slurm ends a job up to half a minute after its limit, so one job is not
    # enough, and two are.
    monkeypatch.setenv("SLOW", "yes")
    limit = ["--set-resources", "trial:runtime=1"]
    done = run(on_slurm(new_study(tmp_path / "slurm", *settings), *limit, "--", result))
    assert done.returncode == 0, done.stderr
    assert submitted(tmp_path / "slurm") >= 2
    assert "goes on at step" in (tmp_path / "slurm/results/tiny/logs/trial/0.log").read_text()
    assert (tmp_path / "slurm" / result).read_bytes() == (tmp_path / "local" / result).read_bytes()
