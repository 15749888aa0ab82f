"""Environments that a config describes, for training and for evaluation."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import yaml
from gymnasium.envs.classic_control import PendulumEnv
from stable_baselines3 import DDPG
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecNormalize

from sidewinder import SidewinderError
from sidewinder.config.composition import compose_study
from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.determinism import derive_seed
from sidewinder.paths import CONFIG_DIR
from sidewinder.training import run as training
from sidewinder.training.checked import check_run
from sidewinder.training.environments import make_evaluation_env, make_training_env

# The module that each shipped environment needs, beyond what requirements.lock installs.
EXTRAS = {
    "ant": "mujoco",
    "bipedal_walker": "Box2D",
    "half_cheetah": "mujoco",
    "hopper": "mujoco",
    "humanoid": "mujoco",
    "lunar_lander": "Box2D",
    "lunar_lander_continuous": "Box2D",
    "pong": "ale_py",
    "walker2d": "mujoco",
}
SHIPPED = sorted(path.stem for path in (CONFIG_DIR / "environment").glob("*.yaml"))


class Counting(PendulumEnv):
    """Observes `start` plus the episode's step, and NaN from step `nan_at` on. The reward is 1."""

    def __init__(self, nan_at: int = 1000, start: int = 0) -> None:
        super().__init__()
        self.nan_at, self.start = nan_at, start
        self.observation_space = gym.spaces.Box(-1e6, 1e6, (1,))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.steps = 0
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        super().step(action)  # type: ignore[no-untyped-call]
        self.steps += 1
        return self._observation(), 1.0, False, False, {}

    def _observation(self) -> np.ndarray:
        return np.array([np.nan if self.steps >= self.nan_at else self.start + self.steps], dtype=np.float32)


gym.register("Counting-v0", f"{__name__}:Counting", max_episode_steps=20)


def add(env: gym.Env[Any, Any], amount: float) -> gym.Env[Any, Any]:
    return gym.wrappers.TransformObservation(
        env, lambda observation: observation + np.float32(amount), env.observation_space
    )


def double(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return gym.wrappers.TransformObservation(env, lambda observation: observation * 2, env.observation_space)


def thousandfold(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return gym.wrappers.TransformReward(env, lambda reward: 1000.0 * float(reward))


def run_config(evaluation_environment: dict[str, Any] | None = None, **environment: Any) -> RunConfig:
    """Make the run of a DDPG that does not learn within the first thousand steps."""
    return RunConfig.model_validate(
        {
            "agent": {
                "algorithm": "ddpg",
                "policy": "MlpPolicy",
                "gamma": 0.9,
                "learning_starts": 1000,
                "buffer_size": 1000,
                "policy_kwargs": {"net_arch": [8]},
            },
            "environment": {"env_id": "Counting-v0", **environment},
            "training": {"total_timesteps": 200, "seed": 3},
            "evaluation": {
                "eval_freq": 100,
                "n_eval_episodes": 2,
                "environment": evaluation_environment or {},
                "objective": "last",
            },
        }
    )


@pytest.fixture
def made() -> Iterator[list[VecEnv]]:
    """Environments to close."""
    environments: list[VecEnv] = []
    yield environments
    for env in environments:
        env.close()


def steps(env: VecEnv, n: int) -> list[Any]:
    """Return the observations of a reset and of n steps."""
    actions = np.zeros((env.num_envs, 1), dtype=np.float32)
    return [env.reset(), *(env.step(actions)[0] for _ in range(n))]


# One key at a time


def test_wrappers_are_put_on_in_order_with_their_arguments(made: list[VecEnv]) -> None:
    wrappers = [{"test_environments.add": {"amount": 5}}, "test_environments.double"]
    env = make_training_env(run_config(wrappers=wrappers))
    made.append(env)
    assert [float(observation[0, 0]) for observation in steps(env, 2)] == [10, 12, 14]
    env = make_training_env(run_config(wrappers=wrappers[::-1]))
    made.append(env)
    assert [float(observation[0, 0]) for observation in steps(env, 2)] == [5, 7, 9]


def test_returns_are_the_environments_own() -> None:
    outcome = training.train(run_config(wrappers=["test_environments.thousandfold"], normalize=True))
    assert [evaluation.mean_return for evaluation in outcome.evaluations] == [20, 20]


def test_frame_stack(made: list[VecEnv]) -> None:
    env = make_training_env(run_config(frame_stack=3, env_kwargs={"start": 1}))
    made.append(env)
    assert [observation[0].tolist() for observation in steps(env, 3)] == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]


def test_parallel_environments(made: list[VecEnv]) -> None:
    for vec_env, kind in (("dummy", DummyVecEnv), ("subproc", SubprocVecEnv)):
        run = run_config({"vec_env": "dummy"}, env_id="Pendulum-v1", n_envs=2, vec_env=vec_env)
        env = make_training_env(run)
        made.append(env)
        assert isinstance(env.unwrapped, kind)
        assert env.num_envs == 2
        first, second = (gym.make("Pendulum-v1").reset(seed=seed)[0] for seed in (3, 4))
        assert np.array_equal(steps(env, 0)[0], [first, second])
        evaluation_env = make_evaluation_env(run, 3, seed=3)
        made.append(evaluation_env)
        assert isinstance(evaluation_env.unwrapped, DummyVecEnv)
        assert evaluation_env.num_envs == 3


def test_normalize_has_the_options_and_the_agents_gamma(made: list[VecEnv]) -> None:
    run = run_config(normalize={"clip_obs": 0.5, "norm_reward": False}, env_kwargs={"start": 7})
    env, other = make_training_env(run), make_training_env(run_config(normalize={"gamma": 0.5}))
    made += [env, other]
    assert isinstance(env, VecNormalize)
    assert isinstance(other, VecNormalize)
    assert (env.gamma, other.gamma, env.norm_reward) == (0.9, 0.5, False)
    assert max(abs(float(observation[0, 0])) for observation in steps(env, 3)) == 0.5


def test_evaluation_may_differ(made: list[VecEnv]) -> None:
    run = run_config(
        {"wrappers": [], "env_kwargs": {"start": 100}},
        wrappers=[{"test_environments.add": {"amount": 5}}],
        env_kwargs={"start": 10, "nan_at": 3},
    )
    env, evaluation_env = make_training_env(run), make_evaluation_env(run, 1, seed=0)
    made += [env, evaluation_env]
    assert [float(observation[0, 0]) for observation in steps(env, 2)] == [15, 16, 17]
    assert [float(observation[0, 0]) for observation in steps(evaluation_env, 2)] == [100, 101, 102]
    assert evaluation_env.get_attr("nan_at") == [3]


@pytest.mark.parametrize("normalize", [False, True])
def test_diverging_environments_fail_with_a_reason(normalize: bool) -> None:
    outcome = training.train(
        run_config({"env_kwargs": {"nan_at": 1000}}, normalize=normalize, env_kwargs={"nan_at": 9})
    )
    assert (outcome.state, outcome.reason) == ("failed", "ValueError: found nan in observations")


# Evaluation with the statistics of training


def returns_by_hand(model: DDPG, statistics: VecNormalize | None, seed: int, n_episodes: int) -> list[float]:
    """Compute Pendulum's undiscounted returns without SB3's vectorised environments."""
    returns = []
    for index in range(n_episodes):
        env = gym.make("Pendulum-v1")
        observation, _ = env.reset(seed=seed + index)
        total, done = 0.0, False
        while not done:
            seen = statistics.normalize_obs(observation) if statistics else observation
            action, _ = model.predict(seen, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            done = terminated or truncated
        returns.append(total)
    return returns


@pytest.mark.parametrize("normalize", [False, True])
def test_evaluations_and_held_out_episodes_are_those_of_the_agent_as_trained(normalize: bool) -> None:
    run = run_config(env_id="Pendulum-v1", normalize=normalize)
    outcome = training.train(run, held_out=HeldOut(n_episodes=3, seed=11))
    model = outcome.model
    assert isinstance(model, DDPG)
    statistics = model.get_vec_normalize_env()
    assert (statistics is not None) == normalize
    expected = returns_by_hand(model, statistics, derive_seed(3, "evaluation"), 2)
    assert outcome.evaluations[-1].mean_return == pytest.approx(np.mean(expected), rel=1e-4)
    assert outcome.held_out_returns == pytest.approx(returns_by_hand(model, statistics, 11, 3), rel=1e-4)
    # The agent does not learn in this run; only the statistics change.
    first, last = (evaluation.mean_return for evaluation in outcome.evaluations)
    assert (first != last) == normalize


@pytest.mark.slow
def test_train_script_saves_the_statistics(tmp_path: Path) -> None:
    arguments = ["environment.normalize=true", "training.seed=3", "training.total_timesteps=200"]
    arguments += ["evaluation.eval_freq=100", "evaluation.n_eval_episodes=2", "agent.policy_kwargs.net_arch=[8]"]
    arguments += ["agent.learning_starts=1000", "hydra.run.dir=."]
    script = CONFIG_DIR.parent / "scripts" / "train.py"
    subprocess.run([sys.executable, script, *arguments], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    model = DDPG.load(tmp_path / "model.zip")
    env = DummyVecEnv([lambda: gym.make("Pendulum-v1")])
    statistics = VecNormalize.load(str(tmp_path / "vecnormalize.pkl"), env)
    expected = returns_by_hand(model, statistics, derive_seed(3, "evaluation"), 2)
    last = json.loads((tmp_path / "evaluations.json").read_text())["evaluations"][-1]
    assert last["mean_return"] == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
def test_the_same_run_gives_the_same_numbers(vec_env: str) -> None:
    run = run_config(env_id="Pendulum-v1", n_envs=2, vec_env=vec_env, normalize=True, frame_stack=2)
    run.agent["learning_starts"] = 50
    first, second = (training.train(run, held_out=HeldOut(n_episodes=2, seed=1)) for _ in range(2))
    assert first.evaluations == second.evaluations
    assert len(first.evaluations) == 2
    assert first.held_out_returns == second.held_out_returns
    assert len(first.held_out_returns) == 2


# Mistakes


@pytest.mark.parametrize(
    ("evaluation", "environment", "message"),
    [
        ({}, {"wrappers": ["a.b"]}, r"environment\.wrappers: found 'a\.b' \(No module named 'a'\), accepted: "),
        ({}, {"wrappers": ["gymnasium.nope"]}, r"environment\.wrappers: found 'gymnasium\.nope' \(.*'nope'"),
        (
            {},
            {"wrappers": [{"test_environments.add": {"amont": 3}}]},
            r"environment\.wrappers: found {'test_environments\.add': {'amont': 3}} \(.*'amont'",
        ),
        (
            {},
            {"wrappers": [{"gymnasium.wrappers.TimeLimit": {"max_episode_steps": 5}}]},
            r"wrappers: found gymnasium.wrappers.TimeLimit, accepted: environment\.env_kwargs\.max_episode_steps",
        ),
        ({}, {"env_id": "FrozenLake-v1", "normalize": True}, r"environment\.normalize: found .* \(.*Discrete"),
        ({}, {"env_id": "FrozenLake-v1", "frame_stack": 2}, r"environment\.frame_stack: found 2 \(.*Box"),
        ({}, {"normalize": {"norm_obs_keys": ["a"]}}, r"environment\.normalize: found .*'norm_obs_keys': \['a'\]"),
        ({"env_id": "Pendulum-v1"}, {}, r"evaluation\.environment: found the observation space Box.*\(3,\).*\(1,\)"),
        ({"env_id": "Pendulm-v1"}, {}, r"env_id: found 'Pendulm-v1'"),
    ],
)
def test_check_finds(evaluation: dict[str, Any], environment: dict[str, Any], message: str) -> None:
    with pytest.raises(SidewinderError, match=message) as caught:
        check_run(run_config(evaluation, **environment))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("environment.normalize=3", "normalize: found 3, accepted: true, false or a mapping of VecNormalize's options"),
        ("environment.normalize={clip_ob: 3}", "environment.normalize.clip_ob: found 3, accepted: no such key"),
        ("environment.normalize={clip_obs: 0}", "environment.normalize.clip_obs: found 0, accepted: greater than 0"),
        ("environment.wrappers=a.b", "environment.wrappers: found 'a.b', accepted: list of import paths"),
        ("environment.wrappers=[[a.b]]", "environment.wrappers: found [['a.b']], accepted: list of import paths"),
        ("environment.wrappers=[{a.b: 3}]", "environment.wrappers: found [{'a.b': 3}], accepted: list of import paths"),
        ("environment.frame_stack=1", "environment.frame_stack: found 1, accepted: greater than or equal to 2"),
        ("environment.vec_env=dumy", "environment.vec_env: found 'dumy', accepted: 'dummy' or 'subproc'"),
        ("+evaluation.environment.n_envs=2", "evaluation.environment.n_envs: found 2, accepted: no such key"),
        ("+search_space={environment.normalise: 'choice(true, false)'}", "found an unknown key, accepted: n_envs"),
    ],
)
def test_composition_finds(override: str, message: str) -> None:
    with pytest.raises(SidewinderError) as caught:
        compose_study("x", ["study=pendulum_ddpg", override])
    assert message in str(caught.value)


# Through the configs


def test_environments_can_be_searched() -> None:
    config = compose_study(
        "x", ["study=pendulum_ddpg", "+search_space={environment.normalize: 'choice(true,false,{norm_reward: false})'}"]
    )
    choices = config.space().distributions["environment.normalize"].choices  # type: ignore[attr-defined]
    found = [config.for_trial({"environment.normalize": choice}).environment.normalize for choice in choices]
    assert [normalize and normalize.norm_reward for normalize in found] == [True, None, False]


def test_a_baseline_has_its_own_normalisation() -> None:
    overrides = ["study=pendulum_ddpg", "environment.normalize={clip_obs: 5}", "environment.n_envs=1"]
    config = compose_study("x", overrides)
    assert config.environment["normalize"]["clip_obs"] == 5
    for given, expected in ((True, 10), (False, None), ({"norm_reward": False}, 5)):
        config.baselines["other"] = {"agent": config.agent, "environment": {"normalize": given}}
        normalize = config.for_baseline("other").environment.normalize
        assert (normalize.clip_obs if normalize else None) == expected


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_environment(name: str, made: list[VecEnv]) -> None:
    agent = ["agent=ppo", *(["agent.policy=CnnPolicy"] if name == "pong" else [])]
    config = compose_study("x", ["study=plain", *agent, f"environment={name}", "environment.n_envs=2"])
    run = config.for_trial({})
    if name in EXTRAS and find_spec(EXTRAS[name]) is None:
        with pytest.raises(SidewinderError, match=r"environment\.env_id: found '.*', accepted after `.*`") as caught:
            check_run(run)
        lock = Path(str(caught.value).rpartition(" -r ")[2].rstrip("`"))
        assert yaml.safe_load((CONFIG_DIR / "environment" / f"{name}.yaml").read_text())["env_id"] in str(caught.value)
        assert f"\n{EXTRAS[name].replace('_', '-')}==" in lock.read_text()
        pytest.skip(f"needs {lock.name}")
    check_run(run)
    env = make_training_env(run)
    made.append(env)
    env.reset()
    for _ in range(5):
        observations, rewards, _, _ = env.step(np.stack([env.action_space.sample() for _ in range(2)]))
    assert env.observation_space.contains(observations[0])  # type: ignore[index]
    assert np.isfinite(rewards).all()
