"""Builds, evaluates and saves models of Stable-Baselines3, SB3-Contrib or SBX, as the `agent` section of a config
says. Training itself is in `run.py`."""

import io
import logging
import math
import pickle
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.her import HerReplayBuffer

from sidewinder import SidewinderError
from sidewinder.config.algorithms import backend_of
from sidewinder.config.import_paths import import_paths
from sidewinder.errors import first_line
from sidewinder.files import write_atomically
from sidewinder.training.arguments import ACTION_NOISES, algorithm_of, constructor_arguments, family_of
from sidewinder.training.conversion import wrong
from sidewinder.training.fast_torch import make_fast
from sidewinder.training.lean_torch import defer_compiler

defer_compiler()
logger = logging.getLogger(__name__)

UNSEEN_END = (
    "found one that ends episodes, which SB3's Monitor does not see, so returns would be wrong, accepted: an "
    "environment that ends its episodes itself"
)


def check_agent(agent: dict[str, Any]) -> None:
    """Check every key and value of an agent, without an environment.

    Raises:
        SidewinderError: `agent.<key>: found ..., accepted: ...`.
    """
    constructor_arguments(agent)


def build(
    agent: dict[str, Any],
    env: VecEnv,
    *,
    seed: int,
    device: str,
    tensorboard_log: str | None,
    subclassed: Callable[[type[BaseAlgorithm]], type[BaseAlgorithm]] = lambda algorithm: algorithm,
) -> BaseAlgorithm:
    """Make the model that an `agent` section describes.

    Args:
        agent: The resolved section. Its keys are the arguments of the algorithm's constructor, and these:
            `algorithm`; `backend`: `sb3` (torch) or `sbx` (JAX); `lr_schedule` and `clip_range_schedule`: see
            `schedules.schedule`; `noise_std`: standard deviation of `action_noise`, in units of the action;
            `helpers`: any values, read by the interpolations of other keys only. `replay_buffer_class: her` selects
            hindsight experience replay. The user's classes and functions are named by their import paths.
        env: The training environments.
        seed: Seeds the networks, exploration, the replay buffer, and `env`.
        device: Name of a torch device, such as `cpu` or `cuda:0`.
        tensorboard_log: Directory, or None for no log. An existing log is continued.
        subclassed: Receives the algorithm's class and returns the class to instantiate.

    Raises:
        SidewinderError: As in `check_agent`; or the agent needs goals or action masks, which the environment lacks.
        ValueError: The algorithm cannot act in this environment, or hyperparameters exclude each other. SB3 raises
            other exceptions for that, too.
    """
    if any(import_paths(agent)):
        set_random_seed(seed)  # the user's classes may draw in their constructors, before SB3 seeds the generators
    arguments = constructor_arguments(agent)
    if (noise := arguments.get("action_noise")) is not None and not isinstance(noise, ActionNoise):
        # Made here, not in `constructor_arguments`: the noise has the shape of the environment's actions.
        size = env.action_space.shape or ()
        make = ACTION_NOISES.get(noise, noise)
        arguments["action_noise"] = make(np.zeros(size), np.full(size, agent.get("noise_std", 0.1)))
    if (buffer := arguments.get("replay_buffer_class")) and issubclass(buffer, HerReplayBuffer):
        _check_goals(agent, env)
    if env.num_envs > 1 and _by_episode(agent):
        found = agent["train_freq"]
        raise ValueError(
            f"train_freq: found {found}, accepted with environment.n_envs={env.num_envs}: a number of steps"
        )
    if family_of(agent) == "maskable_ppo" and not env.has_attr("action_masks"):
        raise wrong("algorithm", agent["algorithm"], "an environment with a method action_masks, or another algorithm")
    model: BaseAlgorithm = subclassed(algorithm_of(agent))(
        env=env, seed=seed, device=device, tensorboard_log=tensorboard_log, **arguments
    )
    if tensorboard_log is None:
        # Otherwise SB3 makes a temporary directory for each training and never deletes it.
        model.set_logger(Logger(folder=None, output_formats=[]))
    else:
        model.set_logger(configure(str(Path(tensorboard_log) / "run_1"), ["tensorboard"]))
    if backend_of(agent) == "sb3":
        make_fast(model)
    return model


def evaluate(
    model: BaseAlgorithm,
    env: VecEnv,
    n_episodes: int,
    *,
    deterministic: bool,
    metrics: Sequence[str] = (),
    after_step: Callable[[np.ndarray], None] = lambda _actions: None,
    acting: PolicyPredictor | None = None,
) -> dict[str, list[float]]:
    """Run evaluation episodes. A MaskablePPO takes only actions that the environment allows.

    Args:
        model: The agent.
        env: The evaluation environments.
        n_episodes: Number of episodes over all environments.
        deterministic: Whether the agent takes its most likely action rather than a sampled one.
        metrics: Metrics to collect beside `return`, as `evaluation.metric` names them.
        after_step: Called after each step of each environment, with the actions in all environments.
        acting: Chooses the actions in place of `model`, if given.

    Returns:
        One value per episode for each metric, by the metric's name. `return` is undiscounted.

    Raises:
        SidewinderError: A wrapper ends episodes, so Monitor's returns would be wrong; or an episode's last info lacks
            a metric.
    """
    values: dict[str, list[float]] = {metric: [] for metric in metrics if metric != "return"}

    def callback(found: dict[str, Any], _globals: dict[str, Any]) -> None:
        after_step(found["actions"])
        info = found["infos"][found["i"]]
        if not found["dones"][found["i"]]:
            return
        if "episode" in info:
            for metric, own in values.items():
                own.append(_metric_of(metric, info))
        # Losing a life in an Atari game does not end the episode: Monitor still holds its rewards so far.
        elif not env.get_attr("rewards", found["i"])[0]:
            raise SidewinderError(f"environment.wrappers: {UNSEEN_END}")

    if any(kind.__name__ == "MaskablePPO" for kind in type(model).__mro__):
        from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate_masked

        returns, _ = evaluate_masked(
            acting or model,  # type: ignore[arg-type]
            env,
            n_episodes,
            deterministic=deterministic,
            callback=callback,
            return_episode_rewards=True,
        )
    else:
        returns, _ = evaluate_policy(
            acting or model,
            env,
            n_episodes,
            deterministic=deterministic,
            callback=callback,
            return_episode_rewards=True,
        )
    return {"return": [float(episode) for episode in returns], **values}  # type: ignore[union-attr]


def _metric_of(metric: str, info: Mapping[str, Any]) -> float:
    """Return a metric of an episode, from its last info."""
    if metric == "length":
        return float(info["episode"]["l"])
    key = "is_success" if metric == "success_rate" else metric.removeprefix("info:")
    try:
        if math.isfinite(value := float(info[key])):
            return value
        raise ValueError
    except (KeyError, TypeError, ValueError):
        numbers = [name for name, value in info.items() if isinstance(value, bool | int | float | np.number)]
        raise SidewinderError(
            f"evaluation.metric: found {metric!r} where an episode's last info has "
            f"{key + '=' + repr(info[key]) if key in info else 'no ' + key}, accepted: return, length"
            + "".join(f", info:{name}" for name in numbers if name != "TimeLimit.truncated")
        ) from None


class SavedAgent:
    """Snapshot of an agent and its normalisation statistics, in SB3's file formats."""

    def __init__(self, model: BaseAlgorithm) -> None:
        """Hold in memory what `model.save` and `VecNormalize.save` would write now."""
        file = io.BytesIO()
        model.save(file)
        self._model = file.getvalue()
        normalization = model.get_vec_normalize_env()
        self._normalization = None if normalization is None else pickle.dumps(normalization)

    def write(self, directory: Path, prefix: str = "") -> None:
        """Write `model.zip`, and `vecnormalize.pkl` if the agent's observations or rewards are normalised."""
        write_atomically(directory / f"{prefix}model.zip", self._model)
        if self._normalization is not None:
            write_atomically(directory / f"{prefix}vecnormalize.pkl", self._normalization)


def keep_agent(model: BaseAlgorithm, directory: Path) -> None:
    """Write an agent as `SavedAgent` does. If that fails, log a warning and delete the directory, with any older agent
    in it."""
    try:
        SavedAgent(model).write(directory)
    except Exception as error:  # a full disk, or anything that the user's classes raise when they are pickled
        shutil.rmtree(directory, ignore_errors=True)
        logger.warning("the agent could not be kept (%s); the training goes on", first_line(error))


def kept_agent(directory: Path, *, normalized: bool) -> dict[str, bytes] | None:
    """Read the files that `SavedAgent` wrote, by name; None if one is missing or damaged.

    Args:
        directory: Where the files are.
        normalized: Whether `vecnormalize.pkl` must be there beside `model.zip`.
    """
    try:
        files = {"model.zip": (directory / "model.zip").read_bytes()}
        with zipfile.ZipFile(io.BytesIO(files["model.zip"])) as model:
            if model.testzip() is not None:
                return None
        if normalized:
            files["vecnormalize.pkl"] = (directory / "vecnormalize.pkl").read_bytes()
            pickle.loads(files["vecnormalize.pkl"])
    except (OSError, zipfile.BadZipFile, pickle.UnpicklingError, EOFError):
        return None
    return files


def _check_goals(agent: dict[str, Any], env: VecEnv) -> None:
    """Check what HER needs: goals in the observations, and a whole episode in the buffer before the first update.

    Raises:
        SidewinderError: The observations have no goals.
        ValueError: `learning_starts` is too small.
    """
    space = env.observation_space
    if not isinstance(space, spaces.Dict) or not {"achieved_goal", "desired_goal"} <= space.keys():
        raise wrong("replay_buffer_class", "her", "null, or an environment with achieved_goal and desired_goal")
    specs = [spec for spec in env.get_attr("spec") if spec is not None and spec.max_episode_steps is not None]
    longest = sum(spec.max_episode_steps for spec in specs)
    # 100 is the default of SB3's constructors.
    if not _by_episode(agent) and (found := agent.get("learning_starts", 100)) < longest:
        raise ValueError(
            f"learning_starts: found {found}, accepted with her: at least {longest}: an episode in each environment"
        )


def _by_episode(agent: dict[str, Any]) -> bool:
    every = agent.get("train_freq")
    return isinstance(every, list | tuple) and every[1] == "episode"
