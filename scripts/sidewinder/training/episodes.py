"""Episodes of an agent that is being trained, from the same initial states each time."""

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
    """So many episodes, and what they run in: environments of their own, or training's.

    Attributes:
        env: The environments in which they run.
    """

    def __init__(self, run: RunConfig, n_episodes: int, seed: int, training: VecEnv) -> None:
        """Make the environments.

        Args:
            run: Of which `evaluation` says how.
            n_episodes: How many.
            seed: Episode k starts from the initial state of `seed + k`.
            training: What the agent is trained in: its normalisation is used.

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
        """The undiscounted return of each episode, and what else `evaluation.metric` names, with the agent as it is
        now; nothing of its training changes.

        `acting` acts in the agent's place.
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
        """Close the environments, unless they are training's."""
        if not self._shared:
            close(self.env)


@contextmanager
def _global_generators(seed: int, env: VecEnv) -> Iterator[None]:
    """Seed the generators that an environment may use without having been told to, wherever it runs, and put back what
    they were."""
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
