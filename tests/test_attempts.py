"""Trainings whose process is killed, and trainings that fail by chance: which of them are tried again."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml
from tiny_study import run, snakemake, sweep, wait_until

import sidewinder
from sidewinder.attempts import CALL, MOST, attempt
from sidewinder.errors import SidewinderError

STUDY = [
    "study=plain",
    "agent=ppo",
    "~search_space",
    "environment=cartpole",
    "environment.env_id=small_environments:Wild-v0",
    "agent.n_steps=32",
    "agent.n_epochs=1",
    "agent.policy_kwargs.net_arch=[8]",
    "training.total_timesteps=64",
    "evaluation.eval_freq=32",
    "evaluation.n_eval_episodes=1",
    "sampler=grid",
    "study.workers=2",
    "study.max_failure_rate=1.0",
]
GAMMA = "search_space.agent.gamma='choice(0.9, 0.99)'"


def new_study(directory: Path, *overrides: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump({"studies": {"tiny": [*STUDY, *overrides]}}))


def make(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the sweep."""
    return run(snakemake(directory, "results/tiny/trials.csv"))


@pytest.fixture(autouse=True)
def _module_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.mark.slow
def test_a_trial_that_is_killed_each_time_ends_the_run_until_it_is_given_up(tmp_path: Path) -> None:
    how = [GAMMA, "search_space.environment.env_kwargs.how='choice(fine, killed)'"]
    new_study(tmp_path, *how)
    done = make(tmp_path)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    killed = {int(line.partition(": trial ")[2].partition(":")[0]) for line in lines}
    assert lines, done.stderr
    for line in lines:
        assert f"found {MOST} processes that ended unexpectedly" in line
        assert "more memory" in line
        assert "study.give_up: [" in line
    fine = sweep(tmp_path)
    assert not killed & {int(name.split("/")[1]) for name in fine}

    # Trials that are killed after the first error are reported in the next call, beside the trials given up so far.
    for _ in range(2):
        new_study(tmp_path, *how, f"study.give_up={sorted(killed)}")
        done = make(tmp_path)
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        killed |= {int(line.partition(": trial ")[2].partition(":")[0]) for line in lines}
        if not lines:
            break
    assert done.returncode == 0, done.stderr
    results = sweep(tmp_path)
    assert results.items() >= fine.items()
    states = {number: json.loads(results[f"trials/{number}/result.json"]) for number in range(4)}
    assert {number for number, result in states.items() if result["state"] == "failed"} == killed
    assert {states[number]["reason"] for number in killed} == {"given up by study.give_up"}
    assert not list(tmp_path.rglob("*.attempts"))

    new_study(tmp_path, *how)
    done = make(tmp_path)
    assert done.returncode != 0
    assert "was given up, accepted with study.give_up=[]: one that is trained" in done.stderr
    assert sweep(tmp_path) == results


@pytest.mark.slow
def test_what_happens_once_changes_no_byte(tmp_path: Path) -> None:
    """In each trial, once, its process or a process of its environments is killed, or its environment raises."""
    flags = [
        tmp_path / f"{vec_env}.{how}" for vec_env in ("dummy", "subproc") for how in ("killed_once", "raises_once")
    ]
    new_study(
        tmp_path,
        f"environment.env_kwargs.flag='{tmp_path}/${{environment.vec_env}}'",
        "search_space.environment.env_kwargs.how='choice(killed_once, raises_once)'",
        "search_space.environment.vec_env='choice(dummy, subproc)'",
        "study.retries=1",
    )
    for flag in flags:
        flag.touch()
    done = make(tmp_path)
    assert done.returncode == 0, done.stderr
    undisturbed = sweep(tmp_path)
    assert len([name for name in undisturbed if name.startswith("trials/")]) == len(flags)
    (tmp_path / "results").rename(tmp_path / "undisturbed")
    # The config is kept: composing it again would step the environment.
    (tmp_path / "results/tiny").mkdir(parents=True)
    shutil.copy(tmp_path / "undisturbed/tiny/config.yaml", tmp_path / "results/tiny")
    for flag in flags:
        flag.unlink()
    done = make(tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(flag.exists() for flag in flags)
    assert sweep(tmp_path) == undisturbed
    logs = [path.read_text() for path in tmp_path.glob("results/tiny/logs/trial/*.log")]
    assert ["trying again" in log for log in logs] == [True] * len(flags)


@pytest.mark.slow
def test_the_order_of_sets_is_the_same_in_each_process(tmp_path: Path) -> None:
    """Also in the processes of another call of Snakemake."""
    new_study(tmp_path, GAMMA, "environment.env_id=small_environments:Hashed-v0", "study.n_trials=1")
    study, made = tmp_path / "results/tiny", []
    for _ in range(2):
        assert make(tmp_path).returncode == 0
        made.append(sweep(tmp_path))
        for directory in (study / "trials", tmp_path / "results/.trainings"):
            shutil.rmtree(directory)
        for path in (study / "study.db", study / "trials.csv", study / "evaluations.csv"):
            path.unlink()
    assert made[0] == made[1]
    assert "trials/0/result.json" in made[0]


# A job alone

JOB = f"""
import os, signal, sys, time
sys.path.insert(0, {str(Path(sidewinder.__file__).parents[1])!r})
from pathlib import Path
from sidewinder import errors_in_one_line
from sidewinder.attempts import VanishedError, attempt, work_in_a_child
work_in_a_child()
with errors_in_one_line(), attempt(Path(sys.argv[1]), "trial 7", "; or another way"):
    print("at it", flush=True)
    exec(sys.argv[2])
"""


def _hear() -> None:
    """Handle SIGINT and SIGHUP, which the job would ignore if the tests run in the background and ignore them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def job(result: Path, what: str, call: str = "one") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", JOB, str(result), what]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": _hear}
    return subprocess.Popen(command, env={**os.environ, CALL: call}, text=True, **pipes)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    "what",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "os._exit(1)",  # as a library may end the process
        "raise VanishedError('a process of the environments')",
    ],
)
def test_a_process_that_ends_without_a_word_is_tried_again_three_times(what: str, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    out, err = job(result, what).communicate(timeout=60)
    assert out.splitlines() == ["at it"] * MOST
    assert err.count("of this job ended unexpectedly (") == MOST
    last = err.splitlines()[-1]
    assert last.startswith(f"error: {result}: trial 7: found 3 processes that ended unexpectedly")
    assert last.endswith("; or another way")
    # Another job of the same call does not try again; a job of a new call does.
    assert job(result, what).communicate(timeout=60)[0] == ""
    assert job(result, "pass", call="another").communicate(timeout=60) == ("at it\n", "")
    assert not result.with_suffix(".attempts").exists()


@pytest.mark.parametrize(("what", "code"), [("sys.exit(3)", 3), ("raise OSError(28, 'full', 'disk')", 1), ("1 / 0", 1)])
def test_a_process_that_ends_with_a_word_does_not_count(what: str, code: int, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    for _ in range(MOST + 1):
        process = job(result, what)
        assert process.communicate(timeout=60)[0] == "at it\n"
        assert process.returncode == code


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_job_that_is_told_to_end_does_not_count(stop: signal.Signals, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    for _ in range(MOST + 1):
        process = job(result, "time.sleep(60)")
        assert process.stdout
        assert process.stdout.readline() == "at it\n"
        (child,) = psutil.Process(process.pid).children()
        process.send_signal(stop)
        assert process.wait(60) == 128 + stop
        assert not child.is_running()
        assert process.stderr
        assert process.stderr.read() == ""


def test_calls_count_for_themselves(tmp_path: Path) -> None:
    """Two calls of Snakemake try the same training by turns."""
    result, killed = tmp_path / "result.json", "os.kill(os.getppid(), 9); os.kill(os.getpid(), 9)"
    for _ in range(MOST):
        for call in ("one", "another"):
            assert job(result, killed, call).communicate(timeout=60)[0] == "at it\n"
    for call in ("one", "another"):
        out, err = job(result, killed, call).communicate(timeout=60)
        assert out == ""
        assert "found 3 processes" in err


def test_a_job_may_make_any_number_of_attempts(tmp_path: Path) -> None:
    with_attempt = "with attempt(Path(sys.argv[1]).with_name(f'{number}.json'), 'x', ''):"
    many = f"for number in range(1000):\n    {with_attempt}\n        pass"
    assert job(tmp_path / "result.json", many).communicate(timeout=100) == ("at it\n", "")


def test_the_work_ends_with_its_job(tmp_path: Path) -> None:
    process = job(tmp_path / "result.json", "time.sleep(60)")
    assert process.stdout
    assert process.stdout.readline() == "at it\n"
    (child,) = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 30)


def test_a_note_that_cannot_be_read_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CALL, "one")
    result = tmp_path / "result.json"
    for content in ("{", "[]", '{"vanished": 3}'):
        result.with_suffix(".attempts").write_text(content)
        with attempt(result, "trial 7", ""):
            pass
    result.with_suffix(".attempts").write_text('{"vanished": {"one": 2}, "running": "one", "mark": "x"}')
    with pytest.raises(SidewinderError, match="found 3 processes"), attempt(result, "trial 7", ""):
        pass
