"""Slurm and Grid Engine on this machine give the same bytes, also if jobs or nodes are lost: `make test-cluster`."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from schedulers import PROFILES, GridEngine, Scheduler, Slurm
from tiny_study import (
    BEST,
    REPOSITORY,
    SWEEP,
    new_study,
    results,
    results_so_far,
    run,
    run_to_the_end,
    snakemake,
    started,
    sweep,
    wait_for_results,
)

pytestmark = pytest.mark.cluster

# So small that it takes less than a minute on Slurm, although Snakemake asks only every ten seconds what has ended.
SMALL = ["study.n_trials=6", "study.workers=2", "study.trials_per_job=2", "confirmation.top_k=1"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, run on this machine without a scheduler."""
    directory = new_study(tmp_path_factory.mktemp("local"), *SMALL)
    run_to_the_end(directory, BEST)
    assert b",pruned," in results(directory)["trials.csv"]
    return directory


@pytest.fixture(scope="module", params=[Slurm, GridEngine], autouse=True)
def cluster(request: pytest.FixtureRequest) -> Iterator[Scheduler]:
    scheduler: Scheduler = request.param()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in scheduler.up().items():
            patch.setenv(name, value)
        yield scheduler
    scheduler.down()


def test_a_whole_study(cluster: Scheduler, undisturbed: Path, tmp_path: Path) -> None:
    """Two Snakemake jobs of two trials each share a job of the cluster, and so do two trainings of the confirmation."""
    groups = ["--groups", "trial=trials", "confirmation={candidate}", "--group-components", "trials=2", "{candidate}=2"]
    done = run(cluster.snakemake(new_study(tmp_path, *SMALL), *groups, "--", BEST))
    assert done.returncode == 0, done.stderr
    # Two jobs for the trials, three for the first round of the race (three settings), two for the second, and three for
    # the tests. A baseline's test may share a job with its training in the first round.
    assert 0 < cluster.submitted(tmp_path) <= 2 + 3 + 2 + 3
    assert results(tmp_path) == results(undisturbed)


MODULE = """
module sidewinder:
    snakefile: "{snakefile}"
    config: config
    prefix: "tuning"

use rule * from sidewinder as sidewinder_*
"""


@pytest.mark.parametrize("cluster", [Slurm], indirect=True)
def test_a_module(cluster: Scheduler, undisturbed: Path, tmp_path: Path) -> None:
    own = new_study(tmp_path, *SMALL) / "Snakefile"
    own.write_text(MODULE.format(snakefile=REPOSITORY / "workflow" / "Snakefile"))
    options = ["--snakefile", str(own), "--rerun-triggers", "mtime", "params"]
    done = run(cluster.snakemake(tmp_path, *options, "--", f"tuning/{SWEEP}"))
    assert done.returncode == 0, done.stderr
    assert cluster.submitted(tmp_path) > 0
    assert (tmp_path / "tuning" / SWEEP).read_bytes() == (undisturbed / SWEEP).read_bytes()


@pytest.mark.parametrize("cluster", [Slurm], indirect=True)
def test_the_generic_profile(cluster: Scheduler, undisturbed: Path, tmp_path: Path) -> None:
    """Optuna's journal uses leases in place of the kernel's locks. One job is cancelled."""
    profile = ["--profile", str(PROFILES / "cluster-generic"), "--seconds-between-status-checks", "1"]
    with started(snakemake(new_study(tmp_path, *SMALL, "study.storage=journal"), *profile, SWEEP)) as process:
        wait_for_results(tmp_path, 1)
        cluster.cancel_a_job()
        assert process.wait() == 0
    assert sweep(tmp_path) == sweep(undisturbed)
    assert (tmp_path / "results/tiny/study.journal").exists()


@pytest.mark.parametrize("disturb", ["cancel_a_job", "lose_a_node"])
def test_a_lost_job(disturb: str, cluster: Scheduler, undisturbed: Path, tmp_path: Path) -> None:
    """Snakemake or the scheduler submits it again."""
    with started(cluster.snakemake(new_study(tmp_path, *SMALL, "study.trials_per_job=1"), SWEEP)) as process:
        wait_for_results(tmp_path, 2)
        getattr(cluster, disturb)()
        assert process.wait() == 0
    assert sweep(tmp_path) == sweep(undisturbed)


def test_snakemake_is_killed_and_started_again(cluster: Scheduler, undisturbed: Path, tmp_path: Path) -> None:
    """The jobs of the killed run continue beside the jobs of the new run."""
    command = cluster.snakemake(new_study(tmp_path, *SMALL), SWEEP)
    with started(command) as process:
        wait_for_results(tmp_path, 1)
        os.killpg(process.pid, signal.SIGKILL)
    assert cluster.running()
    before = len(results_so_far(tmp_path))
    done = run(command)
    assert done.returncode == 0, done.stderr
    assert before < len(results_so_far(tmp_path))
    assert sweep(tmp_path) == sweep(undisturbed)


def test_a_time_limit_shorter_than_a_trial(cluster: Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler ends the job, and the next job resumes the trial from its checkpoint."""
    settings = ["training.total_timesteps=960", "evaluation.eval_freq=480", "training.callbacks=[small_methods.Slow]"]
    settings += ["study.n_trials=1", "confirmation.baselines=[]"]
    settings += [f"training.checkpoint_every={cluster.checkpoint_every}"]
    result = "results/tiny/trials/0/result.json"
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    run_to_the_end(new_study(tmp_path / "local", *settings), result)
    monkeypatch.setenv("SLOW", str(cluster.seconds_a_step))
    limit = ["--set-resources", "trial:runtime=1"]
    done = run(cluster.snakemake(new_study(tmp_path / "cluster", *settings), *limit, "--", result))
    assert done.returncode == 0, done.stderr
    assert cluster.submitted(tmp_path / "cluster") >= 2
    assert "resumes at step" in (tmp_path / "cluster/results/tiny/logs/trial/0.log").read_text()
    assert (tmp_path / "cluster" / result).read_bytes() == (tmp_path / "local" / result).read_bytes()
