"""Trained agents as one sees them: an episode of each, side by side in a GIF."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from gymnasium.error import DependencyNotInstalled
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.image import AxesImage
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, sync_envs_normalization

from sidewinder import SidewinderError
from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.report.figures.style import styled
from sidewinder.training import agents
from sidewinder.training.environments import make_evaluation_env
from sidewinder.training.run import train

FRAMES_PER_SECOND = 30
# Of a GIF, in which every second frame or fewer of a longer episode are.
_MOST_FRAMES = 250


@dataclass
class Film:
    """An episode.

    Attributes:
        frames: Before each step; arrays of height x width x 3, 0 to 255.
        episode_return: Undiscounted.
        mean_return: Of the agent's held-out episodes, of which this is the first.
    """

    frames: list[np.ndarray] = field(default_factory=list)
    episode_return: float = 0.0
    mean_return: float = 0.0


class Camera:
    """Films one episode of an agent that is being trained, as the agent is at the evaluation that counts."""

    def __init__(self, run: RunConfig, seed: int) -> None:
        """Make the environment.

        Args:
            run: The training.
            seed: Of the episode's initial state.

        Raises:
            SidewinderError: The environment cannot be rendered.
        """
        settings = run.evaluation.environment
        rendered = settings.model_copy(update={"env_kwargs": {**settings.env_kwargs, "render_mode": "rgb_array"}})
        evaluation = run.evaluation.model_copy(update={"environment": rendered, "n_eval_episodes": 1})
        self._env = make_evaluation_env(run.model_copy(update={"evaluation": evaluation}), 1, seed)
        self._seed, self._deterministic = seed, run.evaluation.deterministic
        self._actions: list[np.ndarray] = []
        self._return = 0.0
        try:
            self._env.reset()
            if not isinstance(self._env.render(), np.ndarray):
                raise SidewinderError(f"environment.env_id: found {run.environment.env_id!r}, which renders no images")
        except DependencyNotInstalled as error:
            self.close()
            raise SidewinderError(f"{error}; accepted after `pip install -r requirements-video.lock`") from None
        except SidewinderError:
            self.close()
            raise

    def shoot(self, model: BaseAlgorithm) -> None:
        """Let the agent act for an episode, in place of the one before."""
        if (trained_in := model.get_env()) is not None:
            sync_envs_normalization(trained_in, self._env)
        self._actions.clear()
        self._env.seed(self._seed)
        (self._return,) = agents.evaluate(
            model, self._env, 1, deterministic=self._deterministic, after_step=self._actions.append
        )["return"]

    def film(self, mean_return: float) -> Film:
        """The last episode; `mean_return` is of the episodes that it is one of."""
        return Film(_frames(self._env, self._seed, self._actions), self._return, mean_return)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def film(run: RunConfig, held_out: HeldOut, direction: str) -> Film:
    """Train as the confirmation does, and film the first held-out episode of the agent that counts.

    Raises:
        SidewinderError: The environment cannot be rendered, or training fails.
    """
    camera = Camera(run, held_out.seed)
    try:
        outcome = train(run, held_out=held_out, counted=camera.shoot, direction=direction)
        if outcome.state != "complete":
            raise SidewinderError(f"agent: found one that cannot be filmed, for training it {outcome.state}")
        return camera.film(float(np.mean(outcome.held_out_returns)))
    finally:
        camera.close()


def _frames(env: VecEnv, seed: int, actions: list[np.ndarray]) -> list[np.ndarray]:
    """What is seen when an episode is played again; rendering takes longer than playing."""
    env.seed(seed)
    env.reset()
    frames = []
    for action in actions:
        frames.append(np.asarray(env.render()))
        env.step(action)
    return frames


def side_by_side(films: dict[str, Film]) -> bytes:
    """A GIF of all films, each under its name; one that ends earlier stays at its last frame."""
    n_frames = max(len(own.frames) for own in films.values())
    with styled(), TemporaryDirectory() as directory:
        figure, axes = plt.subplots(1, len(films), figsize=(3 * len(films), 3.4), dpi=100, squeeze=False)
        images: list[AxesImage] = []
        for own_axes, (name, own) in zip(axes[0], films.items(), strict=True):
            images.append(own_axes.imshow(own.frames[0]))
            own_axes.set_title(f"{name}\nreturn {own.episode_return:.1f}, mean {own.mean_return:.1f}")
            own_axes.set_axis_off()

        def show(number: int) -> Sequence[AxesImage]:
            for image, own in zip(images, films.values(), strict=True):
                image.set_data(own.frames[min(number, len(own.frames) - 1)])
            return images

        path = Path(directory) / "film.gif"
        numbers = range(0, n_frames, -(-n_frames // _MOST_FRAMES))
        FuncAnimation(figure, show, numbers).save(path, PillowWriter(FRAMES_PER_SECOND), dpi=100)
        plt.close(figure)
        return path.read_bytes()
