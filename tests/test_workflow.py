"""The whole workflow as a user runs it: the same bytes whatever happens during the run, and errors in one line."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from tiny_study import (
    BEST,
    N_TRIALS,
    REPOSITORY,
    SWEEP,
    TINY,
    confirmation_runs,
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
    trials_of,
    wait_for_results,
    wait_until,
)

from sidewinder.report.figures import SWEEP_FIGURES, WINNER_FIGURES
from sidewinder.study.schedule import awaited

pytestmark = pytest.mark.slow

# Each trial has its own process.
ALONE = "study.trials_per_job=1"


def test_the_study_prunes_and_learns(undisturbed: Path) -> None:
    """The study has pruned and complete trials, so the comparisons below mean something."""
    found = results(undisturbed)
    assert len(sweep(undisturbed)) == N_TRIALS + 2
    assert b",pruned," in found["trials.csv"]
    assert b",complete," in found["trials.csv"]


def test_the_winners_trainings_share_a_process(undisturbed: Path) -> None:
    """The first job makes the next job's training too, so the next job has nothing to train."""
    logs = (undisturbed / "results/tiny/logs/confirmation/test/winner").glob("*.log")
    assert sorted("trained already" in log.read_text() for log in logs) == [False, True]


def test_eight_cores(undisturbed: Path, tmp_path: Path) -> None:
    """Each trial has its own process, all at the same time, and so have the confirmation's trainings."""
    run_to_the_end(new_study(tmp_path, ALONE), "--cores", "8", BEST)
    assert results(tmp_path) == results(undisturbed)


def test_a_kill_and_a_database_lost_half_way(undisturbed: Path, tmp_path: Path) -> None:
    """Two processes with four trials each are killed. One or two other processes make the rest."""
    command = snakemake(new_study(tmp_path), SWEEP)
    with started(command) as process:
        wait_for_results(tmp_path, N_TRIALS // 2 - 1)
        os.killpg(process.pid, signal.SIGKILL)
    for path in (tmp_path / "results/tiny").glob("study.db*"):
        path.unlink()
    finished = {int(path.parent.name) for path in results_so_far(tmp_path)}
    run_to_the_end(tmp_path, SWEEP)
    assert sweep(tmp_path) == sweep(undisturbed)
    made = set(range(N_TRIALS)) - finished
    timings = [json.loads((tmp_path / f"results/tiny/trials/{number}/timing.json").read_text()) for number in made]
    assert len({timing[0]["process"] for timing in timings}) <= N_TRIALS / 4


def test_a_job_makes_as_many_trials_as_it_has(undisturbed: Path, tmp_path: Path) -> None:
    """Three of the job's four trials exist already: it makes three trials of another block."""
    (tmp_path / "results/tiny").mkdir(parents=True)
    shutil.copy(undisturbed / "results/tiny/config.yaml", tmp_path / "results/tiny")
    for number in range(3):
        shutil.copytree(undisturbed / f"results/tiny/trials/{number}", tmp_path / f"results/tiny/trials/{number}")
    result = tmp_path / "results/tiny/trials/3/result.json"
    assert run([sys.executable, str(REPOSITORY / "scripts" / "trial.py"), str(result)]).returncode == 0
    assert {path.parent.name for path in results_so_far(tmp_path)} == set("0123456")


def test_the_window_with_any_order_of_jobs(tmp_path: Path) -> None:
    """Scripts make the trials in a random order that the window allows. Snakemake makes the rest."""
    window, n_trials = 2, 4
    settings = ["study.schedule=window", f"study.window={window}", f"study.n_trials={n_trials}"]
    settings.append("sampler.n_startup_trials=1")
    run_to_the_end(new_study(tmp_path / "one", *settings), "--cores", "1", SWEEP)
    other = new_study(tmp_path / "other", ALONE, *settings)
    run_to_the_end(other, "results/tiny/config.yaml")
    order, done = random.Random(3), set[int]()
    started = []
    while len(done) < n_trials:
        ready = [n for n in set(range(n_trials)) - done if done.issuperset(awaited(n, window))]
        number = order.choice(sorted(ready))
        path = other / f"results/tiny/trials/{number}/result.json"
        assert run([sys.executable, str(REPOSITORY / "scripts" / "trial.py"), str(path)]).returncode == 0
        done.add(number)
        started.append(number)
    assert started != sorted(started)
    run_to_the_end(other, SWEEP)
    assert sweep(other) == sweep(tmp_path / "one")


def test_any_kill(undisturbed: Path, tmp_path: Path) -> None:
    """SIGKILL ends all processes, then Snakemake alone (its trials live on), then one trial. The same command run to
    its end on two cores then gives the same bytes as one core."""
    command = snakemake(new_study(tmp_path, ALONE), "--cores", "2", BEST)
    with started(command) as process:
        wait_for_results(tmp_path, 1)
        os.killpg(process.pid, signal.SIGKILL)
    with started(command) as process:
        wait_for_results(tmp_path, 3)
        process.kill()
        process.wait()
        # Its orphaned jobs still train while the next run starts.
        with started(command) as again:
            wait_for_results(tmp_path, 5)
            send(signal.SIGKILL, wait_until(lambda: trials_of(again))[:1])
            again.wait()
            assert again.returncode != 0
    with started(command) as process:
        wait_until(lambda: confirmation_runs(tmp_path))
        os.killpg(process.pid, signal.SIGKILL)
    assert not (tmp_path / BEST).exists()
    run_to_the_end(tmp_path, "--cores", "2", BEST)
    assert results(tmp_path) == results(undisturbed)


def test_a_killed_job_leaves_what_another_process_made(undisturbed: Path, tmp_path: Path) -> None:
    """The job waits for an orphan of an earlier run, and is killed when the orphan's result is there."""
    target = "results/tiny/trials/0/result.json"
    path, made = tmp_path / target, (undisturbed / target).read_bytes()
    path.parent.mkdir(parents=True)
    with (
        FileLock(path.parent / ".lock"),
        started(snakemake(new_study(tmp_path, ALONE), target)) as process,
    ):
        waiting = wait_until(lambda: trials_of(process))
        # Stopped first: otherwise they might see the result before they are killed, and succeed.
        send(signal.SIGSTOP, waiting)
        path.write_bytes(made)
        send(signal.SIGKILL, waiting)
        assert process.wait() != 0
    assert path.read_bytes() == made


def test_a_killed_trial_that_others_wait_for(tmp_path: Path) -> None:
    """There are more cores than virtual workers, so jobs wait for the killed trial."""
    # Trials are long enough to be killed while they train.
    virtual = [ALONE, "study.workers=2", "study.n_trials=4", "training.total_timesteps=300", "evaluation.eval_freq=100"]
    run_to_the_end(new_study(tmp_path / "one", *virtual), "--cores", "1", SWEEP)
    assert b",pruned," in sweep(tmp_path / "one")["trials.csv"]
    # Jobs start in the order of trials, so no job on one core has to make another job's trial.
    assert "so this job does" not in logs_of_trials(tmp_path / "one")
    four = new_study(tmp_path / "four", *virtual)
    first = four / "results/tiny/trials/0"
    with started(snakemake(four, "--cores", "4", SWEEP)) as process:
        wait_until(lambda: (first / "tensorboard").exists())
        send(signal.SIGKILL, processes("trials/0/", of=process.pid))
        # Its own job has failed, but a job that waits for it makes it.
        wait_until((first / "result.json").exists)
        assert process.wait(timeout=120) != 0
    assert "nobody makes trial 0, so this job does" in logs_of_trials(four)
    run_to_the_end(four, "--cores", "4", SWEEP)
    assert sweep(four) == sweep(tmp_path / "one")


def test_finished_trials_stay_and_a_raised_budget_continues(undisturbed: Path, tmp_path: Path) -> None:
    """Changed scripts, rules and time stamps, and lost logs and databases, do not make a finished trial run again."""
    repository = tmp_path / "repository"
    for name in ("workflow", "scripts", "configs"):
        shutil.copytree(REPOSITORY / name, repository / name)
    shutil.copy(REPOSITORY / "environment.yml", repository)
    directory = tmp_path / "run"
    shutil.copytree(undisturbed, directory)
    for path in (repository / "workflow/rules/trials.smk", repository / "scripts/trial.py"):
        path.write_text(path.read_text() + "\n# changed\n")
    rules = repository / "workflow/rules/trials.smk"
    rules.write_text(rules.read_text().replace("2000 * attempt", "3000 * attempt").replace("2> {log:q}", "2>> {log:q}"))
    study = directory / "results" / "tiny"
    shutil.rmtree(study / "logs")
    (study / "study.db").unlink()
    for path in (study / "config.yaml", study / "trials/0/result.json"):
        path.touch()
    output = run_to_the_end(directory, BEST, repository=repository)
    assert "rule trial:" not in output
    assert results(directory) == results(undisturbed)
    # If a result is lost, only that trial is made again. A raised budget adds one trial.
    runs = confirmation_runs(directory)
    (study / "trials/1/result.json").unlink()
    for path in (study / "trials.csv", study / "best.yaml"):
        path.unlink()
    assert run_to_the_end(directory, SWEEP, BEST, repository=repository).count("rule trial:") == 1
    assert results(directory) == results(undisturbed)
    assert confirmation_runs(directory) == runs
    new_study(directory, f"study.n_trials={N_TRIALS + 1}")
    assert run_to_the_end(directory, BEST, repository=repository).count("rule trial:") == 1
    before, after = results(undisturbed), results(directory)
    ranking = [json.loads(after[f"confirmation/validation/top-{rank}/0.json"])["trial"] for rank in (1, 2)]
    # Trainings of the earlier confirmation are not made again.
    assert confirmation_runs(directory).items() >= runs.items()
    assert (N_TRIALS in ranking) == (len(confirmation_runs(directory)) > len(runs))
    assert [name for name in before if before[name] != after[name] and name.startswith("trials/")] == []
    assert after["trials.csv"].startswith(before["trials.csv"])
    assert f"n_trials: {N_TRIALS + 1}" in (study / "config.yaml").read_text()


def test_a_changed_config_is_refused(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    new_study(tmp_path, "agent.tau=0.5")
    refused = run(snakemake(tmp_path, BEST))
    line = only_error_line(refused)
    assert "results/tiny/config.yaml: agent.tau: 0.005 -> 0.5" in line
    assert "a new study name" in line
    assert "rm -r results/tiny" in line
    assert results(tmp_path) == results(undisturbed)


def test_one_study_does_not_touch_another(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    other = [*TINY, "study.n_trials=1", "training.total_timesteps=100"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"studies": {"tiny": TINY, "other": other}}))
    output = run_to_the_end(tmp_path, BEST, "results/other/trials.csv")
    assert output.count("rule trial:") == 1
    assert results(tmp_path) == results(undisturbed)


def test_figures_and_the_winner_again(undisturbed: Path, tmp_path: Path) -> None:
    """The default target makes the figures; train.py reruns best.yaml to the same objective."""
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    run_to_the_end(tmp_path)
    figures = tmp_path / "results/tiny/figures"
    made = {f"{name}.{suffix}" for name in (*SWEEP_FIGURES, *WINNER_FIGURES) for suffix in ("pdf", "png", "svg")}
    assert {path.name for path in figures.iterdir()} == made
    study = tmp_path / "results" / "tiny"
    winner = yaml.safe_load((study / "best.yaml").read_text())["winner"]
    train = str(REPOSITORY / "scripts" / "train.py")
    again = [
        sys.executable,
        train,
        "--config-path",
        str(study),
        "--config-name",
        "best",
        f"hydra.run.dir={tmp_path}/again",
    ]
    done = run(again)
    assert done.returncode == 0, done.stderr
    evaluations = yaml.safe_load((tmp_path / "again/evaluations.json").read_text())
    assert evaluations["objective"] == winner["objective"]


def test_mixed_package_versions_are_said(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    study = tmp_path / "results" / "tiny"
    result = study / "trials/3/result.json"
    result.write_text(result.read_text().replace('"optuna": "', '"optuna": "4.'))
    (study / "trials.csv").unlink()
    output = run_to_the_end(tmp_path, "results/tiny/trials.csv")
    assert "trials were made with different package versions: optuna 5" in output


def test_divergence_is_a_result(tmp_path: Path) -> None:
    """A user's environment gives NaN at one of a grid's two points. The failure is recorded, and the sweep goes on or
    stops, as `study.max_failure_rate` says."""
    (tmp_path / "diverging.py").write_text(DIVERGING)
    overrides = ["study=diverging", *(o for o in TINY if not o.startswith(("study=", "sampler.")))]
    overrides += ["agent.policy_kwargs.net_arch=[8]", "confirmation.top_k=1"]
    (tmp_path / "study").mkdir()
    (tmp_path / "study/diverging.yaml").write_text(DIVERGING_STUDY)
    studies = {name: [*overrides, f"study.max_failure_rate={rate}"] for name, rate in (("goes_on", 0.5), ("stops", 0))}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"studies": studies, "config_dirs": [str(tmp_path)]}))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = snakemake(tmp_path, *(f"results/{name}/best.yaml" for name in studies))
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    for name in studies:
        assert (done.stdout + done.stderr).count(f"study {name}: the grid ends the study after 2 trials\n") == 1
    states = {}
    for number in (0, 1):
        result = json.loads((tmp_path / f"results/goes_on/trials/{number}/result.json").read_text())
        states[result["params"]["+environment.env_kwargs.diverge"]] = (
            result["state"],
            result["reason"],
            result["objective"],
        )
    assert states[True] == ("failed", "ValueError: found nan in observations", None)
    assert states[False][0] == "complete"
    assert "winner" in (tmp_path / "results/goes_on/best.yaml").read_text()
    assert "study.max_failure_rate: found 1 failed trials of 2, accepted: at most 0%" in only_error_line(done)
    assert not (tmp_path / "results/stops/best.yaml").exists()


DIVERGING_STUDY = """
# @package _global_
defaults:
  - override /agent: ddpg
  - override /agent/search_spaces@search_space: null
  - override /sampler: grid
environment:
  env_id: diverging:Diverging-v0
search_space:
  +environment.env_kwargs.diverge: choice(true, false)
"""
DIVERGING = """
import gymnasium
import numpy
from gymnasium.envs.classic_control import PendulumEnv


class Diverging(PendulumEnv):
    def __init__(self, diverge=False):
        super().__init__()
        self.diverge, self.steps = diverge, 0

    def step(self, action):
        self.steps += 1
        observation, *others = super().step(action)
        return observation * (numpy.nan if self.diverge and self.steps > 100 else 1), *others


gymnasium.register("Diverging-v0", Diverging, max_episode_steps=200)
"""


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["agent=ddqn"], ["override agent=ddqn: agent: found 'ddqn', accepted: ", "ddpg, "]),
        (["agent.algorithm=ddqn"], ["agent.algorithm: found 'ddqn', accepted: a2c, ars, crossq, ddpg"]),
        (["+agent.learning_rte=1"], ["agent.learning_rte: found 1, accepted: a key of ddpg: ", "learning_rate"]),
        (["search_space={agent.gamma: 'interval(1'}"], ["agent.gamma: found 'interval(1'", "accepted: choice(a,b"]),
        (["environment.env_id=Pendulm-v1"], ["environment.env_id: found 'Pendulm-v1'", "accepted: an id registered"]),
        (["study.n_trials=-3"], ["override study.n_trials=-3: study.n_trials: found -3, accepted: greater than"]),
        (["sampler._target_=optuna.samplers.NoSampler"], ["sampler: found", "accepted: "]),
    ],
)
def test_bad_input(overrides: list[str], expected: list[str], tmp_path: Path) -> None:
    failed = run(snakemake(new_study(tmp_path, *overrides)))
    line = only_error_line(failed)
    for part in expected:
        assert part in line
    written = [path for path in tmp_path.glob("results/**/*") if path.is_file() and "logs" not in path.parts]
    assert written == []


def test_unwritable_results(tmp_path: Path) -> None:
    (tmp_path / "a_file").touch()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"studies": {"tiny": TINY}, "results": "a_file/results"}))
    line = only_error_line(run(snakemake(tmp_path)))
    assert "results: found 'a_file/results', which cannot be written, accepted: a writable directory" in line


def test_results_on_an_object_storage(tmp_path: Path) -> None:
    """It is refused: the storage would get only those files of a job that its rule names."""
    options = ["--default-storage-provider", "fs", "--default-storage-prefix", str(tmp_path / "store")]
    line = only_error_line(run(snakemake(new_study(tmp_path), *options)))
    assert line.startswith("error: default-storage-provider: found fs, accepted: none; results need a file system")


def only_error_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode != 0
    output = (done.stdout + done.stderr).splitlines()
    lines = [line for line in output if line.startswith("error:")]
    assert len(lines) == 1, "\n".join(output)
    assert not [line for line in output if line.startswith("Traceback")]
    return lines[0]


def logs_of_trials(directory: Path) -> str:
    return "".join(path.read_text() for path in directory.glob("results/tiny/logs/trial/*.log"))
