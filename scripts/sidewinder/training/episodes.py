"""Runs episodes with an agent that is being trained, from the same initial states each time."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.vec_env import VecEnv, sync_envs_normalization, unwrap_vec_wrapper

from sidewinder.config.run_config import RunConfig
from sidewinder.training import agents
from sidewinder.training.environments import close, make_evaluation_env
from sidewinder.training.turns import TakesTurns, seed_episodes
from sidewinder.training.workers import WorkerVecEnv


class Episodes:
    """A fixed number of episodes, and their environments: separate ones, or training's.

    Attributes:
        env: The environments.
    """

    def __init__(self, run: RunConfig, n_episodes: int, seed: int, training: VecEnv) -> None:
        """Make the environments.

        Args:
            run: The training run. Its `evaluation` section says how episodes run.
            n_episodes: Number of episodes.
            seed: Episode k (from 0) starts from the initial state of `seed + k`.
            training: The training environments. Their normalisation statistics are used.

        Raises:
            SidewinderError: They cannot be made.
        """
        self._n_episodes, self._seed, self._training = n_episodes, seed, training
        self._deterministic, self._metrics = run.evaluation.deterministic, run.evaluation.metrics
        turns = unwrap_vec_wrapper(training, TakesTurns)
        self._shared = isinstance(turns, TakesTurns)
        self.env = make_evaluation_env(
            run, n_episodes, seed, within=turns.venv if isinstance(turns, TakesTurns) else None
        )

    def values(self, model: BaseAlgorithm, acting: PolicyPredictor | None = None) -> dict[str, list[float]]:
        """Run the episodes with the agent as it is now. The training is not affected.

        Args:
            model: The agent.
            acting: Chooses the actions in place of `model`, if given.

        Returns:
            One value per episode for each metric of `evaluation.metric`, and for `return`, which is undiscounted.
        """
        sync_envs_normalization(self._training, self.env)
        with _global_generators(self._seed, self.env):
            if self._shared or self.env.num_envs < self._n_episodes:
                seed_episodes(self.env, self._seed, self._n_episodes)
            else:
                self.env.seed(self._seed)
            return agents.evaluate(
                model,
                self.env,
                self._n_episodes,
                deterministic=self._deterministic,
                metrics=self._metrics,
                acting=acting,
            )

    def close(self) -> None:
        """Close the environments, unless training uses them too."""
        if not self._shared:
            close(self.env)


@contextmanager
def _global_generators(seed: int, env: VecEnv) -> Iterator[None]:
    """Seed Python's and numpy's global generators, in each process of the environments, and restore them on exit."""
    in_workers = isinstance(env.unwrapped, WorkerVecEnv)
    if in_workers:
        for index in range(env.num_envs):
            env.env_method("seed_generators", seed + index, indices=index)
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        if in_workers:
            env.env_method("restore_generators")
