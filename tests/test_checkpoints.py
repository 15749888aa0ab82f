"""Killed trainings resume bit-exactly, or start again from the beginning. They never give another result."""

import copy
import inspect
import json
import os
import random
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killed_training import HELD_OUT, outcome
from sb3_contrib import ARS
from small_agents import ENVIRONMENTS, GOALS, agent
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_study import BEST, new_study, processes, results, run_to_the_end, send, snakemake, started, wait_until

from sidewinder.config.run_config import RunConfig
from sidewinder.training.checkpoints import Checkpoint, UnusableError
from sidewinder.training.environments import make_evaluation_env

LIVES, WORN, WINDY = (f"small_environments:{name}-v0" for name in ("Lives", "Worn", "Windy"))
SMALL: dict[str, dict[str, Any]] = {
    "a2c": {"n_steps": 8},
    "ars": {"n_delta": 2},
    "maskable_ppo": {"n_steps": 32, "batch_size": 32, "n_epochs": 2},
    "ppo": {"n_steps": 32, "batch_size": 32, "n_epochs": 2},
    "recurrent_ppo": {"n_steps": 32, "batch_size": 32, "n_epochs": 1},
    "trpo": {"n_steps": 32, "batch_size": 32},
}
# The replay buffer is full before the end of training.
OFF_POLICY = {"learning_starts": 30, "buffer_size": 150, "batch_size": 16, "train_freq": 4, "gradient_steps": 1}


def run_config(
    name: str,
    evaluation: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
    callbacks: list[Any] | None = None,
    **environment: Any,
) -> RunConfig:
    environment = {"env_id": ENVIRONMENTS.get(name, "Pendulum-v1"), "n_envs": 2, **environment}
    return RunConfig.model_validate(
        {
            "agent": agent(name, **{**SMALL.get(name, OFF_POLICY), **(changes or {})}),
            "environment": environment,
            "training": {"total_timesteps": 400, "seed": 3, "callbacks": callbacks},
            "evaluation": {"eval_freq": 90, "n_eval_episodes": 2, **(evaluation or {})},
        }
    )


HER = {"policy": "MultiInputPolicy", "replay_buffer_class": "her"}
NOISE = {"action_noise": "ornstein-uhlenbeck"}
LINEAR = {"lr_schedule": "linear", "clip_range_schedule": "linear"}
FALLING_NOISE = {"_target_": "small_methods.Fading", "mean": [0.0], "sigma": [0.3]}
# A user's callback, one inside a callback of SB3, and one that ends the training.
CURRICULUM = [
    {"_target_": "small_methods.Curriculum", "step": 0.2},
    {
        "_target_": "stable_baselines3.common.callbacks.EveryNTimesteps",
        "n_steps": 70,
        "callback": {"_target_": "small_methods.Curriculum"},
    },
    {"small_methods.StopAt": {"step": 333}},
]
EPISODIC = ["stable_baselines3.common.atari_wrappers.EpisodicLifeEnv"]
SHORT = {"max_episode_steps": 40}
TURNS = {"n_envs": "training"}
CASES: dict[str, RunConfig] = {
    **{name: run_config(name) for name in (*SMALL, "ddpg", "td3", "tqc", "crossq", "qrdqn")},
    "sac, gSDE, normalised": run_config("sac", changes={"use_sde": True}, normalize=True),
    "ppo, gSDE, normalised, stacked": run_config("ppo", changes={"use_sde": True}, normalize=True, frame_stack=3),
    "ppo, schedules": run_config("ppo", changes=LINEAR, n_envs=1),
    "ppo, images": run_config("ppo", changes={"policy": "CnnPolicy"}, env_id="small_environments:Images-v0"),
    "ddpg, correlated noise": run_config("ddpg", changes=NOISE),
    "ddpg, by episode": run_config("ddpg", changes={"train_freq": [1, "episode"]}, n_envs=1, env_kwargs=SHORT),
    "dqn, several steps": run_config("dqn", changes={"n_steps": 3}),
    "dqn, subproc": run_config("dqn", vec_env="subproc"),
    "her": run_config("sac", changes=HER, env_id=GOALS),
    "ppo, turns": run_config("ppo", TURNS, env_id="CartPole-v1"),
    "ddpg, turns, normalised": run_config("ddpg", TURNS, normalize=True),
    "ars, normalised": run_config("ars", normalize=True),
    "worn": run_config("dqn", env_id=WORN),
    "worn, turns": run_config("ppo", TURNS, env_id=WORN),
    "ppo, one's own": run_config("ppo", changes={"algorithm": "small_methods.FortunatePPO"}),
    "sac, one's own": run_config("sac", changes={"algorithm": "small_methods.HalfSAC", "action_noise": FALLING_NOISE}),
    "ppo, one's own buffer": run_config("ppo", changes={"rollout_buffer_class": "small_methods.Running"}),
    "ppo, curriculum": run_config("ppo", callbacks=CURRICULUM, env_id=WINDY),
    "dqn, curriculum, subproc": run_config("dqn", callbacks=CURRICULUM, env_id=WINDY, vec_env="subproc"),
    "lives": run_config("dqn", env_id=LIVES, wrappers=EPISODIC, env_kwargs=SHORT),
}
QUICK = {"ppo", "ddpg"}
# Cases whose environments are a user's, run in processes or are used by evaluations too; with a user's callback
# (curriculum), a user's algorithm or buffer, or HER's replay buffer.
BY_REPEATING = {
    name for name in CASES if any(word in name for word in ("turns", "worn", "lives", "curriculum", "subproc"))
}
BY_REPEATING |= {"maskable_ppo", "her", "ppo, one's own", "sac, one's own", "ppo, one's own buffer"}
# Images as in Atari's usual preprocessing.
IMAGES: dict[str, Any] = {"wrappers": ["stable_baselines3.common.atari_wrappers.AtariWrapper"], "frame_stack": 4}
# By the optional module that each case needs.
OF_EXTRAS = {
    "mujoco": run_config("sac", env_id="HalfCheetah-v5", env_kwargs=SHORT),
    "Box2D": run_config("dqn", env_id="LunarLander-v3"),
    "ale_py": run_config(
        "dqn", changes={"policy": "CnnPolicy"}, env_id="ale_py:PongNoFrameskip-v4", env_kwargs=SHORT, **IMAGES
    ),
}


def undisturbed(run: RunConfig, directory: Path) -> dict[str, Any]:
    """Train without checkpoints and return the outcome."""
    found = outcome(run, directory, checkpoint=None)
    assert isinstance(found, dict)
    assert found["state"] == "complete", found["reason"]
    del found["written"]
    return found


def with_checkpoints(run: RunConfig, directory: Path, **options: Any) -> tuple[dict[str, Any], int]:
    """Train with checkpoints. Return the outcome and the number of checkpoints written."""
    found = outcome(run, directory, **options)
    assert isinstance(found, dict), f"ended by signal {found}"
    return found, found.pop("written")


def but_for_the_agent(found: dict[str, Any]) -> dict[str, Any]:
    """Return an outcome without the digest of the saved agent."""
    return {key: value for key, value in found.items() if key != "agent"}


# Resumed, bit-exactly


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES]
)
def test_a_killed_training_goes_on_to_the_same_bits(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kill_and_go_on(CASES[case], case, tmp_path)
    ways = re.findall(r"resumes at step \d+; environments restored by (\w+)", capfd.readouterr().err)
    assert ways == 2 * ["repeating" if case in BY_REPEATING else "snapshots"]


@pytest.mark.slow
@pytest.mark.parametrize("module", OF_EXTRAS)
def test_environments_of_the_extras_are_brought_back(module: str, tmp_path: Path) -> None:
    pytest.importorskip(module)
    kill_and_go_on(OF_EXTRAS[module], module, tmp_path)


def kill_and_go_on(run: RunConfig, seed: str, tmp_path: Path) -> None:
    """Kill a training twice at random moments, resume it, and compare with a training that was not killed."""
    expected = undisturbed(run, tmp_path / "undisturbed")
    found, n_rests = with_checkpoints(run, tmp_path / "whole")
    assert found == expected
    assert n_rests >= 3
    generator = random.Random(seed)
    for _ in range(2):
        assert outcome(run, tmp_path / "killed", kill_after=generator.randint(2, n_rests // 2)) == signal.SIGKILL
    found, n_left = with_checkpoints(run, tmp_path / "killed")
    assert found == expected
    assert n_left < n_rests


def test_a_replay_buffer_that_the_same_steps_do_not_fill(tmp_path: Path) -> None:
    run = run_config("sac", changes={"algorithm": "small_methods.CuriousSAC"})
    expected = undisturbed(run, tmp_path / "undisturbed")
    assert outcome(run, tmp_path / "killed", kill_after=8) == signal.SIGKILL
    found, _ = with_checkpoints(run, tmp_path / "killed")
    assert found == expected


def test_a_callback_that_reaches_into_environments(tmp_path: Path) -> None:
    run = run_config("ppo", callbacks=["small_methods.Reaching"], env_id=WINDY)
    expected = undisturbed(run, tmp_path / "undisturbed")
    found, n_checkpoints = with_checkpoints(run, tmp_path / "whole")
    assert found == expected
    # Only those before the callback reached into the environments.
    assert n_checkpoints <= 2
    assert outcome(run, tmp_path / "killed", kill_after=n_checkpoints) == signal.SIGKILL
    assert with_checkpoints(run, tmp_path / "killed")[0] == expected


def test_a_checkpoint_is_no_part_of_what_a_training_is() -> None:
    run = run_config("ppo")
    other = copy.deepcopy(run)
    other.training.checkpoint_every = None
    assert run.digest() == other.digest()


def test_tensorboards_log_goes_on(tmp_path: Path) -> None:
    run = run_config("ppo")
    undisturbed(run, tmp_path / "undisturbed")
    assert outcome(run, tmp_path / "killed", kill_after=5) == signal.SIGKILL
    with_checkpoints(run, tmp_path / "killed")
    expected, found = (logged(tmp_path / name / "tensorboard") for name in ("undisturbed", "killed"))
    assert len(expected["eval/mean_return"]) == 5
    assert {"train/loss", "rollout/ep_rew_mean"} < expected.keys()
    assert found == expected


def logged(log: Path) -> dict[str, list[tuple[int, float]]]:
    """Return steps and values of a TensorBoard log by tag, without the tags that measure time."""
    (directory,) = log.iterdir()
    events = EventAccumulator(str(directory)).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith("time/fps")]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def test_who_prunes_is_told_of_all_evaluations_again(tmp_path: Path) -> None:
    """The pruner of a new process has not seen the earlier evaluations."""
    run = run_config("ppo")

    def at_third(path: Path) -> Any:
        def report(step: int, mean_return: float) -> bool:
            with path.open("a") as file:
                file.write(json.dumps([step, mean_return]) + "\n")
            return len(path.read_text().splitlines()) == 3

        return report

    expected = outcome(run, tmp_path / "whole", checkpoint=None, report=at_third(tmp_path / "all"))
    assert outcome(run, tmp_path / "killed", report=at_third(tmp_path / "first"), kill_after=4) == signal.SIGKILL
    assert len((tmp_path / "first").read_text().splitlines()) == 2
    found = outcome(run, tmp_path / "killed", report=at_third(tmp_path / "second"))
    assert isinstance(expected, dict)
    assert isinstance(found, dict)
    assert found["state"] == expected["state"] == "pruned"
    assert found["evaluations"] == expected["evaluations"]
    assert (tmp_path / "second").read_text() == (tmp_path / "all").read_text()


@pytest.mark.slow
def test_a_process_that_is_told_to_end_writes_a_checkpoint_first(tmp_path: Path) -> None:
    run = run_config("ppo")
    expected = undisturbed(run, tmp_path / "undisturbed")

    def end(step: int, _mean_return: float) -> bool:
        if step > 180:
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    assert outcome(run, tmp_path / "killed", every=1000, report=end) == signal.SIGTERM
    found, n_left = with_checkpoints(run, tmp_path / "killed")
    assert found == expected
    assert n_left <= 3


@pytest.mark.slow
def test_a_study_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """Everything is killed during a trial, then a job during the confirmation; last, Snakemake is told to end."""
    settings = ["study.n_trials=1", "confirmation.top_k=1", "confirmation.baselines=[]", "evaluation.eval_freq=400"]
    settings += ["training.total_timesteps=2000", "training.checkpoint_every=0"]
    run_to_the_end(new_study(tmp_path / "undisturbed", *settings), BEST)
    killed = new_study(tmp_path / "killed", *settings)
    study, kept, logs = killed / "results/tiny", killed / "results/.trainings", ""
    with started(snakemake(killed, BEST)):
        wait_until((study / "trials/0/checkpoint/state").exists)
    with started(snakemake(killed, BEST)) as process:
        wait_until(lambda: [*kept.glob("*.checkpoint/state")])
        logs += "".join(path.read_text() for path in study.glob("logs/trial/*.log"))
        send(signal.SIGKILL, processes("confirmation.py", of=process.pid))
        assert process.wait(timeout=60) != 0
    with started(snakemake(killed, BEST)) as process:
        before = set(kept.glob("*.checkpoint/state"))
        wait_until(lambda: set(kept.glob("*.checkpoint/state")) - before)
        process.terminate()
        assert process.wait(timeout=60) != 0
    assert not processes("confirmation.py", str(killed))
    run_to_the_end(killed, BEST)
    assert results(killed) == results(tmp_path / "undisturbed")
    assert "resumes at step" in logs
    assert not [*study.parent.rglob("*checkpoint*")]


def test_an_evaluation_begins_with_a_new_game() -> None:
    """Although the evaluation before has left the environment in the middle of a game."""
    env = make_evaluation_env(run_config("dqn", env_id=LIVES, wrappers=EPISODIC), 1, 5)
    starts = []
    for _ in range(2):
        env.seed(100)
        starts.append(float(np.asarray(env.reset())[0, 0]))
        for _ in range(3):
            env.step(np.array([1]))
        assert env.get_attr("rewards")[0]
    env.close()
    assert starts == [100.0, 100.0]


# Started again from the beginning


def truncated(state: Path) -> None:
    os.truncate(state, state.stat().st_size - 1)


def truncated_head(state: Path) -> None:
    os.truncate(state, 10)


def truncated_record(state: Path) -> None:
    os.truncate(state.with_name("record"), 100)


def changed(key: str, value: object) -> Callable[[Path], None]:
    def change(state: Path) -> None:
        line, _, rest = state.read_bytes().partition(b"\n")
        header = json.loads(line)
        header["fits"][key] = value
        state.write_bytes(json.dumps(header).encode() + b"\n" + rest)

    return change


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the checkpoint directory of a killed training."""
    directory = tmp_path_factory.mktemp("killed")
    assert outcome(run_config("ddpg"), directory, kill_after=20) == signal.SIGKILL
    return directory / "checkpoint"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncated, "it is damaged"),
        (truncated_head, "it is damaged (Expecting property name"),
        (truncated_record, "it is damaged"),
        (changed("format", 0), "it is for another format"),
        (changed("training", "x"), "it is for another training"),
        (changed("processor", "Z80"), "it is for another processor"),
        (changed("python", "3.1"), "it is for another python"),
        (changed("packages", {"torch": "1.0"}), "it was made with other packages: torch 1.0"),
        (changed("packages", {"no-such-package": "1.0"}), "it was made with other packages: no-such-package 1.0"),
    ],
)
def test_what_does_not_fit_is_not_read(
    damage: Callable[[Path], None], said: str, tmp_path: Path, checkpoint: Path
) -> None:
    copied = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    training = run_config("ddpg").digest(HELD_OUT, "maximize", {})
    saved = Checkpoint(copied, 0.0).read(training)
    assert saved
    assert saved.facts["rollouts"] == 19
    damage(copied / "state")
    with pytest.raises(UnusableError, match=f"^{re.escape(said)}"):
        Checkpoint(copied, 0.0).read(training)


def test_a_training_begins_again_where_its_checkpoint_is_damaged(
    tmp_path: Path, checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_config("ddpg")
    truncated(shutil.copytree(checkpoint, tmp_path / "checkpoint") / "state")
    found, n_rests = with_checkpoints(run, tmp_path)
    assert found == undisturbed(run, tmp_path / "undisturbed")
    assert n_rests == 50
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "checkpoint" in line]
    assert line == "a checkpoint cannot be used, so training starts from its beginning: it is damaged"


def test_a_changed_config_makes_another_training(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run, other = run_config("ddpg"), run_config("ddpg", changes={"gamma": 0.9})
    assert outcome(run, tmp_path / "killed", kill_after=20) == signal.SIGKILL
    found, _ = with_checkpoints(other, tmp_path / "killed")
    assert found == undisturbed(other, tmp_path / "undisturbed")
    assert "it is for another training" in capfd.readouterr().err


def test_environments_that_do_not_repeat_begin_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The environment draws from the same generator as the agent, so repeating the environment alone is not enough."""
    run = run_config("dqn", env_id="small_environments:Drawn-v0", n_envs=1)
    expected = undisturbed(run, tmp_path / "undisturbed")
    assert outcome(run, tmp_path / "killed", kill_after=60) == signal.SIGKILL
    found, n_rests = with_checkpoints(run, tmp_path / "killed")
    assert found == expected
    assert n_rests == 0
    said = [line for line in capfd.readouterr().err.splitlines() if "checkpoint" in line]
    assert len(said) == 1
    assert "the environments give other results for the same actions" in said[0]


def test_a_full_disk_is_no_reason_to_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = run_config("ddpg")
    expected = undisturbed(run, tmp_path / "undisturbed")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "checkpoint").touch()  # a file where the directory should be
    found, n_rests = with_checkpoints(run, tmp_path / "full")
    assert but_for_the_agent(found) == but_for_the_agent(expected)
    assert n_rests == 0
    assert found["agent"] == ""
    lines = capfd.readouterr().err.splitlines()
    assert len([line for line in lines if "a checkpoint could not be written" in line]) == 1
    assert any("the agent could not be kept" in line for line in lines)


def test_a_disk_that_was_full_for_a_while(tmp_path: Path) -> None:
    """The next checkpoint contains what was done in the meantime."""
    run = run_config("ddpg")
    expected = undisturbed(run, tmp_path / "undisturbed")
    directory = tmp_path / "killed" / "checkpoint"

    def fill(count: int) -> None:
        if count == 20:
            directory.rename(directory.with_name("aside"))
            directory.touch()  # a file where the directory should be

    def empty(step: int, _mean_return: float) -> bool:
        if step >= 180 and directory.is_file():
            directory.unlink()
            directory.with_name("aside").rename(directory)
        return False

    assert outcome(run, tmp_path / "killed", doing=fill, report=empty, kill_after=30) == signal.SIGKILL
    found, n_left = with_checkpoints(run, tmp_path / "killed")
    assert but_for_the_agent(found) == but_for_the_agent(expected)
    assert n_left < 20


def test_none_are_written_where_none_are_wanted(tmp_path: Path) -> None:
    """A checkpoint that exists is used all the same."""
    run = run_config("ddpg")
    expected = undisturbed(run, tmp_path / "undisturbed")
    found, n_rests = with_checkpoints(run, tmp_path / "none", every=None)
    assert but_for_the_agent(found) == but_for_the_agent(expected)
    assert n_rests == 0
    assert not (tmp_path / "none" / "checkpoint").exists()
    assert outcome(run, tmp_path / "killed", kill_after=20) == signal.SIGKILL
    before = (tmp_path / "killed" / "checkpoint" / "state").read_bytes()
    found, n_rests = with_checkpoints(run, tmp_path / "killed", every=None)
    assert but_for_the_agent(found) == but_for_the_agent(expected)
    assert n_rests == 0
    assert (tmp_path / "killed" / "checkpoint" / "state").read_bytes() == before


class MyReplayBuffer(ReplayBuffer):
    """The same as SB3's, but of another class."""


def test_there_are_none_of_somebody_elses_replay_buffer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_config("dqn")
    expected = undisturbed(run, tmp_path / "undisturbed")
    monkeypatch.setattr("stable_baselines3.common.off_policy_algorithm.ReplayBuffer", MyReplayBuffer)
    found, n_rests = with_checkpoints(run, tmp_path / "mine")
    assert found == expected
    assert n_rests == 0
    assert "no more checkpoints: the class of the replay buffer is none of" in capfd.readouterr().err


# Parts of SB3 that checkpoints rely on


def test_sb3_has_what_checkpoints_hook_into() -> None:
    """`agent_state.watched` overrides these private methods."""
    store, update = (OffPolicyAlgorithm._store_transition, ARS._do_one_update)  # noqa: SLF001
    given = ["replay_buffer", "buffer_action", "new_obs", "reward", "dones", "infos"]
    assert [*inspect.signature(store).parameters] == ["self", *given]
    assert "self._store_transition(replay_buffer, " in inspect.getsource(OffPolicyAlgorithm.collect_rollouts)
    assert [*inspect.signature(update).parameters] == ["self", "callback", "async_eval"]
    assert "self._do_one_update(" in inspect.getsource(ARS.learn)
