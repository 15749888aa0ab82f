"""Films of trained agents: one episode of each, side by side in a GIF."""

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
# The most frames of a GIF. Of a longer episode it has every second frame, every third frame, and so on.
_MOST_FRAMES = 250


@dataclass
class Film:
    """One filmed episode.

    Attributes:
        frames: One image for each step, from before the step; arrays of height x width x 3, 0 to 255.
        episode_return: The episode's undiscounted return.
        mean_return: The mean return of the episodes that the filmed one belongs to: the agent's held-out episodes, or
            in `train.py` the evaluations that `evaluation.objective` names.
    """

    frames: list[np.ndarray] = field(default_factory=list)
    episode_return: float = 0.0
    mean_return: float = 0.0


class Camera:
    """Films one episode of an agent during its training.

    Call `shoot` at each evaluation that counts so far; `film` then has the agent of the last of these.
    """

    def __init__(self, run: RunConfig, seed: int) -> None:
        """Make the environment.

        Args:
            run: The config of the training.
            seed: The seed of the episode's initial state.

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
        """Play one episode and keep its actions, in place of the previous episode's."""
        if (trained_in := model.get_env()) is not None:
            sync_envs_normalization(trained_in, self._env)
        self._actions.clear()
        self._env.seed(self._seed)
        (self._return,) = agents.evaluate(
            model, self._env, 1, deterministic=self._deterministic, after_step=self._actions.append
        )["return"]

    def film(self, mean_return: float) -> Film:
        """Return the last episode, rendered. `mean_return` is the value for `Film.mean_return`."""
        return Film(_frames(self._env, self._seed, self._actions), self._return, mean_return)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def film(run: RunConfig, held_out: HeldOut, direction: str) -> Film:
    """Train as the confirmation does, and film the agent of the evaluation that counts, in the first held-out episode.

    Args:
        run: The config of the training.
        held_out: The held-out episodes: their number and their seed.
        direction: `maximize` or `minimize`: whether the best evaluation has the highest or the lowest value.

    Raises:
        SidewinderError: The environment cannot be rendered, or training fails.
    """
    camera = Camera(run, held_out.seed)
    try:
        outcome = train(run, held_out=held_out, counted=camera.shoot, direction=direction)
        if outcome.state != "complete":
            raise SidewinderError(f"agent: found a {outcome.state} training, accepted: a complete one")
        return camera.film(float(np.mean(outcome.held_out_returns)))
    finally:
        camera.close()


def _frames(env: VecEnv, seed: int, actions: list[np.ndarray]) -> list[np.ndarray]:
    """Play the episode again from its actions, and render each step.

    Only the last episode is rendered, because rendering takes longer than playing.
    """
    env.seed(seed)
    env.reset()
    frames = []
    for action in actions:
        frames.append(np.asarray(env.render()))
        env.step(action)
    return frames


def side_by_side(films: dict[str, Film]) -> bytes:
    """Return a GIF of all films, each below its name. A film that ends before the others keeps its last frame."""
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
