"""A user's own code, with import paths such as `small_methods.HalfSAC`: algorithms, policies, networks, buffers, noise,
schedules, callbacks."""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.buffers import ReplayBuffer, RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.sac.policies import SACPolicy
from torch import nn


class HalfSAC(SAC):
    """SAC with one parameter more, which scales rewards in the updates. All other arguments are passed on."""

    def __init__(self, *args: Any, reward_share: float = 0.5, **kwargs: Any) -> None:
        self.reward_share = reward_share
        super().__init__(*args, **kwargs)

    def _store_transition(self, replay_buffer: Any, buffer_action: Any, new_obs: Any, reward: Any, *rest: Any) -> None:
        super()._store_transition(replay_buffer, buffer_action, new_obs, self.reward_share * reward, *rest)


class FortunatePPO(PPO):
    """PPO with an additional random generator, which a checkpoint must keep. It notes what it has drawn."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own_generator = np.random.default_rng(self.seed)
        self.drawn: list[float] = []

    def train(self) -> None:
        self.drawn.append(self.own_generator.random())
        self.clip_range = lambda _remaining: 0.1 + 0.2 * self.drawn[-1]
        super().train()


class FailingPPO(PPO):
    """PPO with a constructor that raises."""

    def _setup_model(self) -> None:
        raise ZeroDivisionError("no model without luck")


class Sine(nn.Module):
    """An activation."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.sin(values)


class Scaled(BaseFeaturesExtractor):
    """Observations times a factor, through one layer."""

    def __init__(
        self, observation_space: gym.spaces.Box, features_dim: int = 8, factor: float = 1.0, activation: Any = nn.ReLU
    ) -> None:
        super().__init__(observation_space, features_dim)
        self.factor = factor
        self.layers = nn.Sequential(nn.Linear(observation_space.shape[0], features_dim), activation())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(self.factor * observations)
        return found


class Narrow(SACPolicy):
    """A policy with one parameter more, which has no variants for images or goals."""

    def __init__(self, *args: Any, width: int = 8, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "net_arch": [width]})


class Doubling(ReplayBuffer):
    """A buffer that gives back each reward times a factor."""

    def __init__(self, *args: Any, factor: float = 2.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.factor = factor

    def add(self, obs: Any, next_obs: Any, action: Any, reward: Any, *rest: Any) -> None:
        super().add(obs, next_obs, action, self.factor * reward, *rest)


class Small(NormalActionNoise):
    """Noise with a tenth of the given standard deviation."""

    def __init__(self, mean: np.ndarray, sigma: np.ndarray) -> None:
        super().__init__(mean, sigma / 10)


class Fading(NormalActionNoise):
    """Noise that decreases with each draw."""

    def __call__(self) -> np.ndarray:
        self._sigma = 0.99 * self._sigma
        return super().__call__()


class Unseeded(NormalActionNoise):
    """Noise from a generator that is not seeded."""

    def __init__(self, mean: np.ndarray, sigma: np.ndarray, rng: np.random.Generator | None = None) -> None:
        super().__init__(mean, sigma)
        self.generator = rng or np.random.default_rng()

    def __call__(self) -> np.ndarray:
        return self.generator.normal(self._mu, self._sigma)


class Falling:
    """A schedule with an argument."""

    def __init__(self, start: float) -> None:
        self.start = start

    def __call__(self, progress_remaining: float) -> float:
        return self.start * progress_remaining**2


def falling(progress_remaining: float) -> float:
    """A schedule."""
    return 0.001 * progress_remaining


def wordy(progress_remaining: float) -> str:
    """Returns a text, so it is no schedule."""
    return f"{progress_remaining} to go"


class Curriculum(BaseCallback):
    """Makes the wind stronger by a random amount after each rollout, and sets it during rollouts too."""

    def __init__(self, step: float = 0.1) -> None:
        super().__init__()
        self.step, self.wind = step, 0.0
        self.seen: list[int] = []

    def _on_training_start(self) -> None:
        self.training_env.env_method("set_wind", 0.05)

    def _on_rollout_end(self) -> None:
        self.wind += self.step * float(np.random.random())
        self.training_env.set_attr("wind", self.wind)

    def _on_step(self) -> bool:
        self.seen.append(self.num_timesteps)
        if len(self.seen) % 20 == 0:
            self.training_env.env_method("set_wind", self.wind / 2, indices=[0])
        return True


class StopAt(BaseCallback):
    """Ends a training at a step, and notes that it has."""

    said: list[str] = []  # noqa: RUF012

    def __init__(self, step: int) -> None:
        super().__init__()
        self.at = step

    def _on_step(self) -> bool:
        return self.num_timesteps < self.at

    def _on_training_end(self) -> None:
        self.said.append(f"ended at {self.num_timesteps}")


class Slow(BaseCallback):
    """Takes as many seconds for each step as the environment variable SLOW says."""

    def _on_step(self) -> bool:
        time.sleep(float(os.environ.get("SLOW", 0)) * self.training_env.num_envs)
        return True


class Table(KVWriter):
    """Writes SB3's log as lines of JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        del key_excluded
        self.add({"step": step} | {key: float(value) for key, value in key_values.items()})

    def add(self, row: dict[str, float]) -> None:
        with self.path.open("a") as file:
            file.write(f"{json.dumps(row)}\n")


class Tracker(BaseCallback):
    """Watches a training, and draws from all generators that it shares with the training."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.table = Table(Path(path))

    def _on_training_start(self) -> None:
        self.logger.output_formats.append(self.table)

    def _on_step(self) -> bool:
        random.random(), np.random.random(), torch.rand(1)
        return False

    def _on_training_end(self) -> None:
        self.table.add({"ended": self.num_timesteps})


class Reseeding(Tracker):
    """Seeds numpy's global generator in its constructor."""

    def __init__(self) -> None:
        np.random.seed(0)
        super().__init__("/dev/null")


class Sampling(BaseCallback):
    """Draws from the action space, as the agent does for its first actions."""

    def _on_step(self) -> bool:
        self.model.action_space.sample()
        return True


class Reaching(BaseCallback):
    """Changes an attribute of the environments directly, not through SB3's methods."""

    def _on_step(self) -> bool:
        if self.num_timesteps > 100:
            for env in self.training_env.envs:  # type: ignore[attr-defined]
                env.unwrapped.wind = 0.3
        return True


class CuriousSAC(SAC):
    """Stores rewards that depend on the agent's networks."""

    def _store_transition(self, replay_buffer: Any, buffer_action: Any, new_obs: Any, reward: Any, *rest: Any) -> None:
        bonus = float(next(self.policy.parameters()).detach().abs().mean())
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward + bonus, *rest)


class Running(RolloutBuffer):
    """Keeps a state beyond its rollout: the number of returns so far, by which it scales advantages."""

    seen = 0

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        super().compute_returns_and_advantage(last_values, dones)
        self.seen += 1
        self.advantages *= 1 + 1 / self.seen


class Unannotated(SAC):
    """SAC with a constructor without type annotations."""

    def __init__(self, policy, env, learning_rate=None, rate=3e-4, extra=None, **kwargs):  # type: ignore[no-untyped-def]
        self.rate, self.extra = rate, extra
        super().__init__(policy, env, learning_rate=3e-4 if learning_rate is None else learning_rate, **kwargs)
