"""Environments with one seed for each episode, and environments that training and evaluation use in turns."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from sidewinder.determinism import derive_seed


class SeededEpisodes(gym.Wrapper[Any, Any, Any, Any]):
    """Seeds each of several episodes in a row; SB3 seeds only the first one.

    It is the outermost wrapper. SB3's `EpisodicLifeEnv` resets an Atari game at each lost life, while the episode goes
    on. So the end of an episode is taken from SB3's Monitor. A reset with a seed always begins a new game: otherwise
    the first episode of an evaluation would include rewards from the evaluation before.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._seeds: list[int] = []
        self._ended = True

    def seed_episodes(self, seeds: list[int]) -> None:
        """Use these seeds from the next reset on, one for each episode."""
        self._seeds = list(seeds)
        self._ended = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        if self._seeds and self._ended:
            seed = self._seeds.pop(0)
        self._ended = False
        if seed is not None and self.env.has_wrapper_attr("was_real_done"):
            self.env.set_wrapper_attr("was_real_done", True)
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._ended = "episode" in info
        return observation, reward, terminated, truncated, info


def seed_episodes(env: VecEnv, seed: int, n_episodes: int) -> None:
    """Give episode k (from 0) the seed `seed + k`. The episodes are spread over the environments of `env`.

    SB3's `evaluate_policy` runs the most episodes in its last environments, so these have the first seeds.
    """
    for index in range(env.num_envs):
        own = range(seed + env.num_envs - 1 - index, seed + n_episodes, env.num_envs)
        env.env_method("seed_episodes", list(own), indices=index)


class TakesTurns(VecEnvWrapper):
    """Training's environments with `evaluation.n_envs: training`: evaluations run in them too.

    When an evaluation is due, the episodes of training are truncated. New ones begin after the evaluation. To the agent
    this is a time limit like any other.

    Attributes:
        turn: Called after each step. Returns whether it has used the environments.
    """

    def __init__(self, venv: VecEnv, seed: int) -> None:
        super().__init__(venv)
        self.turn: Callable[[], bool] = lambda: False
        self._seed = seed
        self._turns = 0

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        if not self.turn():
            return observations, rewards, dones, infos
        for index, info in enumerate(infos):
            if not dones[index]:
                info["TimeLimit.truncated"] = True
                info["terminal_observation"] = _of(observations, index)
        dones[:] = True
        self._turns += 1
        seed_episodes(self.venv, 0, 0)
        self.venv.seed(derive_seed(self._seed, "turn", self._turns))
        return self.venv.reset(), rewards, dones, infos


def _of(observations: VecEnvObs, index: int) -> Any:
    if isinstance(observations, dict):
        return {key: value[index] for key, value in observations.items()}
    return observations[index]
