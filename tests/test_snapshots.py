"""Environments come back the same from a checkpoint that pickles them. Environments for which pickling is not exact
are recognised."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.utils import EzPickle
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack, VecNormalize

from sidewinder.training.checkpoints import Saved
from sidewinder.training.snapshots import Snapshots, exact, rows_are_final
from sidewinder.training.workers import WorkerVecEnv

# Without Blackjack: its observations are tuples, which Stable-Baselines3 does not support.
OF_GYMNASIUM = sorted(
    name
    for name, spec in gym.registry.items()
    if str(spec.entry_point).startswith(("gymnasium.envs.classic_control", "gymnasium.envs.toy_text"))
    and not name.startswith("Blackjack")
)
WRAPPERS: dict[str, Any] = {
    "FrameStackObservation": lambda env: wrappers.FrameStackObservation(env, 3),
    "NormalizeObservation": wrappers.NormalizeObservation,
    "NormalizeReward": wrappers.NormalizeReward,
    "StickyAction": lambda env: wrappers.StickyAction(env, 0.5),
    "DelayObservation": lambda env: wrappers.DelayObservation(env, 3),
}


class WithPickling(gym.Wrapper[Any, Any, Any, Any], EzPickle):
    """A wrapper that is pickled by its arguments, without its state."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        EzPickle.__init__(self, env)
        super().__init__(env)


def vectorised(env_id: str, wrap: Any = lambda env: env) -> DummyVecEnv:
    env = DummyVecEnv([lambda: wrap(Monitor(gym.make(env_id, render_mode="rgb_array")))] * 2)
    env.seed(5)
    return env


def agent(env: VecEnv) -> BaseAlgorithm:
    return PPO("MlpPolicy", env, n_steps=4, batch_size=8, device="cpu", seed=1)


def steps(model: BaseAlgorithm, n_steps: int) -> list[np.ndarray]:
    """Step the environments with random actions from the agent's action space. Return the results of all steps."""
    env = model.get_env()
    assert env is not None
    found: list[np.ndarray] = []
    for _ in range(n_steps):
        observations, rewards, dones, _ = env.step(np.array([model.action_space.sample() for _ in range(env.num_envs)]))
        assert isinstance(observations, np.ndarray)
        found += [observations, rewards, dones]
    return found


def of_new_process(model: BaseAlgorithm, other: BaseAlgorithm) -> None:
    """Give the environments of `other` the state that those of `model` have, as a resuming process does."""
    facts, environments = Snapshots([]).state(model)
    drawn = model.action_space.np_random.bit_generator.state
    Snapshots([]).bring_back(other, Saved(facts, b"", environments, b""))
    other.action_space.np_random.bit_generator.state = drawn


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return all(one.tobytes() == other.tobytes() for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("env_id", OF_GYMNASIUM)
def test_environments_of_gymnasium(env_id: str) -> None:
    check(lambda: vectorised(env_id))


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_of_gymnasium(name: str) -> None:
    check(lambda: vectorised("Pendulum-v1", WRAPPERS[name]))


def test_layers_of_stable_baselines3() -> None:
    check(lambda: VecFrameStack(VecNormalize(vectorised("Acrobot-v1")), 3))


def check(make: Any) -> None:
    model, other = agent(make()), agent(make())
    for one in (model, other):
        env = one.get_env()
        assert env is not None
        assert exact([env])
        env.reset()
    steps(model, 250)
    of_new_process(model, other)
    # Enough steps that new episodes begin, whose initial states come from the environments' generators.
    assert same(steps(other, 450), steps(model, 450))


def test_the_agents_action_space_stays_that_of_the_environments() -> None:
    """An environment that samples it draws from the generator that the agent draws from."""
    model, other = agent(vectorised("CartPole-v1")), agent(vectorised("CartPole-v1"))
    of_new_process(model, other)
    assert other.get_env().envs[0].action_space is other.action_space  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "env",
    [
        lambda: vectorised("Pendulum-v1", wrappers.TimeAwareObservation),
        lambda: vectorised("Pendulum-v1", WithPickling),
        lambda: vectorised("small_environments:Windy-v0"),
        lambda: WorkerVecEnv([lambda: Monitor(gym.make("Pendulum-v1"))]),
    ],
    ids=["a function", "own pickling", "a user's environment", "processes"],
)
def test_other_environments_are_not_pickled(env: Any) -> None:
    made = env()
    assert not exact([vectorised("Pendulum-v1"), made])
    made.close()


def test_environments_that_write_files_are_not_pickled(tmp_path: Path) -> None:
    env = DummyVecEnv([lambda: Monitor(gym.make("Pendulum-v1"), str(tmp_path / "monitor.csv"))])
    assert not exact([env])
    env.close()


def test_rows_of_a_replay_buffer_that_wraps_around() -> None:
    def made() -> DQN:
        return DQN("MlpPolicy", vectorised("CartPole-v1"), buffer_size=40, learning_starts=10**6, device="cpu", seed=1)

    model, snapshots, record = made(), Snapshots([]), b""
    model._setup_learn(1000, None)  # noqa: SLF001
    buffer, env = model.replay_buffer, model.get_env()
    assert buffer is not None
    assert env is not None
    for step in range(57):
        actions = np.array([model.action_space.sample() for _ in range(2)])
        answer = env.step(actions)
        snapshots.stored(actions)
        model._store_transition(buffer, actions, *answer)  # type: ignore[arg-type]  # noqa: SLF001
        if step in (3, 30, 56):  # between the last two, more steps than the buffer holds
            record += snapshots.growth(model)
            snapshots.recorded()
    facts, environments = snapshots.state(model)
    other = made()
    Snapshots([], facts["rows"]).bring_back(other, Saved(facts, b"", environments, record))
    filled = other.replay_buffer
    assert filled is not None
    assert (filled.pos, filled.full) == (buffer.pos, buffer.full) == (17, True)
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        assert getattr(filled, name).tobytes() == getattr(buffer, name).tobytes(), name


def test_replay_buffers_whose_rows_change_later() -> None:
    assert rows_are_final({"gamma": 0.9, "replay_buffer_class": None})
    assert not rows_are_final({"replay_buffer_class": "her"})
    assert not rows_are_final({"optimize_memory_usage": True})
