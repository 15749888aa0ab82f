"""Small environments for tests, such as `small_environments:Masked-v0`: with masks, images, goals, or with faults."""

import errno
import math
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np


class Masked(gym.Env[np.ndarray, np.int64]):
    """Twenty steps, each of which forbids one of four actions. Taking a forbidden action raises an error."""

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


class Wild(gym.Env[np.ndarray, np.int64]):
    """A point on a line, which agents move to 0 in episodes of ten steps.

    `how` names a fault, most of which occur at the 30th step of an environment's life. Faults that occur only once
    (`raises_once`, `killed_once`) leave the file `<flag>.<how>`.
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, how: str = "fine", flag: str = "", render_mode: str | None = None) -> None:
        if how == "no_start":
            raise ConnectionError("the simulator does not answer")
        self.render_mode, self.how, self.flag, self.lived = render_mode, how, Path(f"{flag}.{how}"), 0
        self.observation_space = gym.spaces.Box(-10, 10, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(3)

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=kwargs.get("seed"))
        if self.how == "no_reset" and self.lived >= 30:
            raise RuntimeError("no way back")
        self.x = float(self.np_random.uniform(-1, 1))
        return np.array([self.x], np.float32), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.lived += 1
        if self.lived == 30:
            self.happen()
        self.x += 0.1 * (int(action) - 1)
        return np.array([self.x], np.float32), -abs(self.x), False, False, {}

    def close(self) -> None:
        if self.how == "no_close":
            raise RuntimeError("cannot be closed")

    def happen(self) -> None:
        match self.how:
            case "raises":
                raise RuntimeError("the simulation has become unstable\nin its second line")
            case "exits":
                os._exit(3)
            case "system_exit":
                sys.exit(0)
            case "raises_once" if not self.flag.exists():
                self.flag.touch()
                raise ConnectionError("the simulator does not answer")
            case "full_disk":
                raise OSError(errno.ENOSPC, "No space left on device")
            case "no_memory":
                raise MemoryError
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "killed_once" if not self.flag.exists():
                self.flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)


class Windy(Wild):
    """Has a wind that a curriculum may change."""

    wind = 0.0

    def set_wind(self, wind: float) -> None:
        self.wind = wind

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.x += self.wind * float(self.np_random.normal())
        return super().step(action)


class Reaching(Wild):
    """Reports in an episode's last info how it went. A success ends it, and moving costs energy."""

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        self.energy = 0.0
        return super().reset(**kwargs)

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        observation, reward, _, _, _ = super().step(action)
        self.energy += abs(int(action) - 1)
        success = abs(self.x) < 0.3
        return (
            observation,
            reward,
            success,
            False,
            {
                "is_success": success,
                "energy": self.energy,
                "how": self.how,
                "distance": math.nan,
            },
        )


class Reseeded(Wild):
    """Makes a new random generator at each reset: a reset without a seed gives a different one each time."""

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(**kwargs)
        self.x = float(np.random.default_rng(kwargs.get("seed")).uniform(-1, 1))
        return np.array([self.x], np.float32), {}


class Human(Wild):
    """Has the render mode `human` only."""

    def __init__(self, **kwargs: Any) -> None:
        assert kwargs.get("render_mode") in (None, "human"), "render_mode"
        super().__init__(**kwargs)


class Talkative(Wild):
    """Has an info that cannot be pickled."""

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        *others, info = super().step(action)
        return (*others, info | {"later": lambda: None})  # type: ignore[return-value]


class NoMasks(Wild):
    """Raises when it is asked for masks."""

    def action_masks(self) -> np.ndarray:
        if self.lived >= 10:
            raise RuntimeError("no mask today")
        return np.ones(3, bool)


class Early(gym.Wrapper[Any, Any, Any, Any]):
    """Wrapper that ends each episode after so many steps."""

    def __init__(self, env: gym.Env[Any, Any], after: int = 1, shape: Any = (1, 1)) -> None:
        super().__init__(env)
        assert isinstance(shape, tuple)
        self.after = after

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        self.left = self.after
        return self.env.reset(**kwargs)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.left -= 1
        return observation, reward, terminated or self.left == 0, truncated, info


class Alone(Wild):
    """Can exist only once in a process."""

    alive = 0

    def __init__(self, **kwargs: Any) -> None:
        if Alone.alive:
            raise OSError("address already in use")
        super().__init__(**kwargs)
        Alone.alive += 1

    def close(self) -> None:
        Alone.alive = 0


class Drawn(Wild):
    """Draws from Python's and numpy's global generators when it is made and at each reset."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.offset = np.random.uniform(-1, 1) + random.random()

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(**kwargs)
        self.x = self.offset + 0.1 * random.random() + 0.1 * np.random.uniform()
        return np.array([self.x], np.float32), {}


class Unseeded(Wild):
    """Draws from a generator that cannot be seeded."""

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(**kwargs)
        self.x = float(np.random.default_rng().uniform(-1, 1))
        return np.array([self.x], np.float32), {}


class Worn(Wild):
    """Gives a little less reward with each step of its life, over all episodes."""

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        observation, reward, *others = super().step(action)
        return observation, float(reward) - self.lived / 100, *others  # type: ignore[return-value]


class Hashed(Wild):
    """Starts at a place that depends on the order of a set, which differs between processes of Python."""

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(**kwargs)
        self.x = float(next(iter({str(number) for number in range(1000)}))) / 100
        return np.array([self.x], np.float32), {}


for kind in (Wild, Windy, Reaching, Worn, Alone, Drawn, Unseeded, Hashed, Reseeded, Human, Talkative, NoMasks):
    gym.register(f"{kind.__name__}-v0", f"small_environments:{kind.__name__}", max_episode_steps=10)
gym.register("Long-v0", "small_environments:Reseeded", max_episode_steps=500)
gym.register("Endless-v0", "small_environments:Wild")
gym.register("OpenGoals-v0", "stable_baselines3.common.envs:BitFlippingEnv", kwargs={"n_bits": 4, "continuous": True})


class Lives(Wild):
    """Episodes of six steps, with a life lost after every second one; observes its seed at first."""

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(**kwargs)
        self.steps, self.x = 0, float(kwargs.get("seed") or 0)
        return np.array([self.x], np.float32), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += int(action)
        return np.array([-1.0], np.float32), 0.0, self.steps == 6, False, {}

    @property
    def ale(self) -> "Lives":
        return self

    def lives(self) -> int:
        return 3 - self.steps // 2


gym.register("Lives-v0", "small_environments:Lives")
