"""Environments that Gymnasium does not have: with masks, with images, with goals. By `small_environments:Masked-v0`."""

from typing import Any

import gymnasium as gym
import numpy as np


class Masked(gym.Env[np.ndarray, np.int64]):
    """Twenty steps, each of which forbids one of four actions; who takes it anyway ends the training with an error."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(4)
        self.n_steps = 0

    def action_masks(self) -> np.ndarray:
        return np.array([action != self.n_steps % 4 for action in range(4)])

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=kwargs.get("seed"))
        self.n_steps = 0
        return self._observation(), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if not self.action_masks()[action]:
            raise RuntimeError(f"action {action} is forbidden")
        self.n_steps += 1
        return self._observation(), float(action), self.n_steps == 20, False, {}

    def _observation(self) -> np.ndarray:
        return np.array([self.n_steps / 20], np.float32)


gym.register("Masked-v0", "small_environments:Masked")
gym.register("Images-v0", "stable_baselines3.common.envs:FakeImageEnv", max_episode_steps=4)
for name, continuous in (("Goals-v0", True), ("DiscreteGoals-v0", False)):
    gym.register(
        name,
        "stable_baselines3.common.envs:BitFlippingEnv",
        max_episode_steps=4,
        disable_env_checker=True,
        kwargs={"n_bits": 4, "continuous": continuous},
    )
