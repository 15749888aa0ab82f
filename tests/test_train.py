"""scripts/train.py as a user runs it, in a directory outside the repository."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from made_once import made_once
from stable_baselines3 import DDPG
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_study import results

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "train.py"
TINY = [
    "training.total_timesteps=200",
    "evaluation.eval_freq=100",
    "evaluation.n_eval_episodes=2",
    "agent.policy_kwargs.net_arch=[8]",
    "agent.batch_size=16",
]


def run(directory: Path, *arguments: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run the script in a directory, which is also on the module path. Hydra needs options before overrides."""
    return subprocess.run(
        [sys.executable, SCRIPT, *options, *TINY, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def output_of(directory: Path, *arguments: str) -> Path:
    """Run the script, which must succeed with nothing on stderr, and return its output directory."""
    result = run(directory, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    (output,) = (path for path in directory.glob("outputs/*/*") if path.is_dir())
    return output


def evaluations(output: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((output / "evaluations.json").read_text())
    return content


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    def make(directory: Path) -> None:
        output_of(directory, "training.seed=1")

    (output,) = made_once("train", make, tmp_path_factory, worker_id).glob("outputs/*/*")
    return output


def test_evaluations(output: Path) -> None:
    content = evaluations(output)
    assert (content["state"], content["reason"]) == ("complete", None)
    assert [evaluation["step"] for evaluation in content["evaluations"]] == [100, 200]
    assert content["objective"] == max(evaluation["mean_return"] for evaluation in content["evaluations"])
    # An episode of Pendulum-v1 has 200 steps, each with a reward between -16.3 and 0.
    for evaluation in content["evaluations"]:
        assert -3260 < evaluation["mean_return"] < 0 < evaluation["std_return"]


def test_the_model_loads_and_acts(output: Path) -> None:
    model = DDPG.load(output / "model.zip")
    best = max(evaluations(output)["evaluations"], key=lambda evaluation: evaluation["mean_return"])
    assert model.num_timesteps == best["step"]
    assert DDPG.load(output / "last_model.zip").num_timesteps == 200
    assert model.seed == 1
    action, _ = model.predict(np.array([1.0, 0.0, 0.0], dtype=np.float32), deterministic=True)
    assert action.shape == (1,)
    assert -2 <= action[0] <= 2


def test_tensorboard_has_the_evaluations(output: Path) -> None:
    (events,) = output.glob("tensorboard/run_1/events.out.tfevents.*")
    accumulator = EventAccumulator(str(events))
    accumulator.Reload()
    points = accumulator.Scalars("eval/mean_return")
    expected = {entry["step"]: pytest.approx(entry["mean_return"]) for entry in evaluations(output)["evaluations"]}
    assert {point.step: point.value for point in points} == expected


def test_the_same_seed_gives_the_same_evaluations(output: Path, tmp_path: Path) -> None:
    again = output_of(tmp_path, "training.seed=1")
    assert (again / "evaluations.json").read_bytes() == (output / "evaluations.json").read_bytes()


def test_another_seed_gives_other_evaluations(output: Path, tmp_path: Path) -> None:
    # Evaluations have the same initial states: only the training differs.
    result = run(tmp_path, "training.seed=1,2", "evaluation.seed=5", options=["--multirun"])
    assert (result.returncode, result.stderr) == (0, "")
    first, other = (evaluations(path.parent) for path in sorted(tmp_path.glob("multirun/*/*/*/evaluations.json")))
    assert other["evaluations"] != first["evaluations"]
    assert first["evaluations"] != evaluations(output)["evaluations"]


def test_an_unchanged_agent_is_evaluated_the_same_each_time(tmp_path: Path) -> None:
    first, second = evaluations(output_of(tmp_path, "agent.learning_starts=1000"))["evaluations"]
    assert first["mean_return"] == second["mean_return"]
    assert first["std_return"] == second["std_return"]


def test_a_diverging_run_has_failed_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "envs.py").write_text(
        """
import gymnasium
import numpy
from gymnasium.envs.classic_control import PendulumEnv


class Diverging(PendulumEnv):
    steps = 0

    def step(self, action):
        self.steps += 1
        observation, *others = super().step(action)
        return observation * (numpy.nan if self.steps > 150 else 1), *others


gymnasium.register("Diverging-v0", Diverging, max_episode_steps=20)
"""
    )
    result = run(tmp_path, "environment.env_id=my_package.envs:Diverging-v0", "environment.reproducible=false")
    (output,) = (path for path in tmp_path.glob("outputs/*/*") if path.is_dir())
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: training failed: ValueError: found nan in observations")
    assert "Traceback" in (output / "train.log").read_text()
    content = evaluations(output)
    assert (content["state"], content["objective"]) == ("failed", None)
    assert content["reason"].startswith("ValueError: ")
    assert "nan" in content["reason"]
    assert [evaluation["step"] for evaluation in content["evaluations"]] == [100]
    assert not (output / "model.zip").exists()
    assert DDPG.load(output / "last_model.zip").num_timesteps > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["training.instruction_set=avx9"], "error: training.instruction_set: found 'avx9', accepted: 'avx2', "),
        (["training.threads=x"], "error: training.threads: found 'x', accepted: valid integer"),
        (["training.total_timesteps=-1"], "error: training.total_timesteps: found -1, accepted: greater than"),
        (["+agent.gama=0.9"], "error: agent.gama: found 0.9, accepted: a key of ddpg: policy, learning_rate"),
        (["environment=cartpole"], "error: agent: "),
    ],
)
def test_bad_values_exit_with_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = run(tmp_path, *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith(message)
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("model.zip"))


# Several trainings, and a user's own files


def test_the_jobs_of_a_multirun_are_the_trainings_that_single_runs_are(output: Path, tmp_path: Path) -> None:
    result = run(tmp_path, "training.seed=0,1", options=["--multirun"])
    assert (result.returncode, result.stderr) == (0, "")
    jobs = sorted(path.parent for path in tmp_path.glob("multirun/*/*/*/model.zip"))
    assert [job.name for job in jobs] == ["0", "1"]
    assert evaluations(jobs[1]) == evaluations(output) != evaluations(jobs[0])


@pytest.mark.parametrize(
    ("key", "values", "found"),
    [("threads", "1,2", "avx2, 2"), ("instruction_set", "avx2,compatible", "compatible, 1")],
)
def test_jobs_of_a_multirun_with_other_pins(key: str, values: str, found: str, tmp_path: Path) -> None:
    result = run(tmp_path, f"training.{key}={values}", options=["--multirun"])
    assert result.returncode == 1
    assert result.stderr == (
        f"error: training.instruction_set, training.threads: found {found} after avx2, 1 in one process, accepted: the "
        "same in all jobs of a multirun; or a run for each\n"
    )


def composed(directory: Path, *arguments: str, options: Sequence[str] = ()) -> dict[str, Any]:
    result = run(directory, *arguments, options=["--cfg=job", *options])
    assert (result.returncode, result.stderr) == (0, "")
    config: dict[str, Any] = yaml.safe_load(result.stdout)
    return config


@pytest.mark.parametrize("option", [["--config-dir", "mine"], ["--config-dir=mine"], ["-cd", "mine"]])
def test_own_files_come_before_the_shipped_ones(option: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine" / "agent").mkdir(parents=True)
    (tmp_path / "mine/agent/ddpg.yaml").write_text("algorithm: ddpg\npolicy: MlpPolicy\nbatch_size: 1\ngamma: 0.5\n")
    (tmp_path / "mine/agent/mine.yaml").write_text("defaults: [td3]\ngamma: 0.7\n")
    assert composed(tmp_path, options=option)["agent"]["gamma"] == 0.5
    assert composed(tmp_path, "agent=mine", options=option)["agent"].items() >= {"gamma": 0.7, "tau": 0.005}.items()


def test_a_winners_file_is_read_by_its_config_path(tmp_path: Path) -> None:
    config = composed(tmp_path, "environment=mountain_car_continuous")
    (tmp_path / "best.yaml").write_text(yaml.safe_dump(config))
    path = ["--config-path", str(tmp_path), "--config-name", "best"]
    assert composed(tmp_path, options=path) == config


def test_a_config_directory_that_there_is_not(tmp_path: Path) -> None:
    result = run(tmp_path, options=["--config-dir", "nope"])
    assert (result.returncode, result.stderr) == (1, "error: --config-dir: found 'nope', accepted: a directory\n")


def test_keys_of_open_mappings_need_no_plus(tmp_path: Path) -> None:
    config = composed(tmp_path, "environment.env_kwargs={g: 9.8}", "agent.policy_kwargs.share_features_extractor=true")
    assert config["environment"]["env_kwargs"] == {"g": 9.8}
    assert config["agent"]["policy_kwargs"]["share_features_extractor"] is True


def test_help(tmp_path: Path) -> None:
    result = run(tmp_path, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "total_timesteps: 200" in result.stdout
    assert "agent: a2c, ars, crossq, ddpg, " in result.stdout


def test_a_training_of_a_study_in_the_hand(undisturbed: Path, tmp_path: Path) -> None:
    """`--trial` repeats a trial or a training of the confirmation with the same evaluations, or changes settings."""
    study = undisturbed / "results/tiny"
    before = results(undisturbed)

    def again(name: str, *overrides: str) -> tuple[list[Any], subprocess.CompletedProcess[str]]:
        command = [sys.executable, str(SCRIPT), "--trial", str(study), name, *overrides, f"hydra.run.dir={name}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        return evaluations(tmp_path / name)["evaluations"] if done.returncode == 0 else [], done

    trial = json.loads((study / "trials/3/result.json").read_text())
    assert again("3", "+video=true")[0] == trial["evaluations"]
    assert (tmp_path / "3/video.gif").read_bytes().startswith(b"GIF")
    confirmed = json.loads((study / "confirmation/test/winner/1.json").read_text())
    assert again("test/winner/1")[0] == confirmed["run"]["evaluations"]
    longer, _ = again("defaults", "training.total_timesteps=200", "training.seed=5")
    assert [evaluation["step"] for evaluation in longer] == [50, 100, 150, 200]
    wrong = {"nobody": "a trial", "test": "a trial", "3/9": "accepted after the /: 0", "99": "no such file"}
    for name, accepted in wrong.items():
        done = again(name)[1]
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert accepted in done.stderr
    assert results(undisturbed) == before
