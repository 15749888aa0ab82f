"""Makes SB3's vectorised environments from the `environment` section of a config, for training and evaluation."""

import logging
import multiprocessing
import random
import re
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecCheckNan, VecEnv, VecFrameStack, VecNormalize

from sidewinder import SidewinderError
from sidewinder.config.run_config import RunConfig
from sidewinder.config.run_sections import Environment, Wrappers
from sidewinder.errors import first_line
from sidewinder.paths import installing
from sidewinder.training.imported import as_wanted
from sidewinder.training.turns import SeededEpisodes, TakesTurns
from sidewinder.training.workers import WorkerVecEnv

logger = logging.getLogger(__name__)

# Patterns of error messages that mean: the packages of requirements-<name>.lock are missing.
_EXTRAS = {"atari": r"\bale_py\b|\bALE\b|OpenCV", "box2d": r"Box2D|gymnasium\[box2d\]", "mujoco": r"MuJoCo"}
_MISSING = (gym.error.DependencyNotInstalled, gym.error.NamespaceNotFound, ModuleNotFoundError, AssertionError)

# Preloaded in the fork server: otherwise each process of `subproc` would load torch again.
multiprocessing.set_forkserver_preload(["stable_baselines3"])

# Evaluation episodes are truncated after so many steps if nothing else limits them.
LONGEST = 100_000


def make_training_env(run: RunConfig) -> VecEnv:
    """Make the `environment.n_envs` training environments, seeded by `training.seed`.

    Raises:
        SidewinderError: They cannot be made; one line that names the key.
    """
    settings, seed = run.environment, run.training.seed
    base = _make(settings, settings.n_envs, seed, seeded=run.evaluation.n_envs == "training")
    if run.evaluation.n_envs == "training":
        base = TakesTurns(base, seed)
    return _wrapped(run, settings, base)


def make_evaluation_env(run: RunConfig, n_episodes: int, seed: int, within: VecEnv | None = None) -> VecEnv:
    """Make the environments of an evaluation. Rewards are not normalised.

    The caller seeds the episodes: by SB3's `seed` if each episode has its own environment, else by
    `turns.seed_episodes`. The caller also copies training's normalisation statistics, by SB3's
    `sync_envs_normalization`.

    Args:
        run: The training run. `evaluation.n_envs` is the number of environments; null means one for each episode.
        n_episodes: Number of episodes.
        seed: Seed of the first episode.
        within: Training's unwrapped vectorised environment, if `evaluation.n_envs` is `training`; else None.

    Raises:
        SidewinderError: They cannot be made; one line that names the key.
    """
    settings, n_envs = evaluation_settings(run), run.evaluation.n_envs
    if within is not None:
        # Wrapped like training's environments: `sync_envs_normalization` walks both wrapper by wrapper.
        base: VecEnv = TakesTurns(within, seed)
    else:
        n_made = min(n_envs, n_episodes) if isinstance(n_envs, int) else n_episodes
        base = _make(settings, n_made, seed, seeded=True)
    env = _wrapped(run, settings, base)
    if isinstance(env, VecNormalize):
        env.training = False
        env.norm_reward = False
    return env


def evaluation_settings(run: RunConfig) -> Environment:
    """Return the settings of evaluation's environments: training's, `evaluation.environment` over them, and the limit
    of an episode's length."""
    other = run.evaluation.environment
    settings = run.environment.model_copy(
        update={
            "env_id": run.environment.env_id if other.env_id is None else other.env_id,
            "vec_env": other.vec_env,
            "wrappers": run.environment.wrappers if other.wrappers is None else other.wrappers,
            "env_kwargs": {**run.environment.env_kwargs, **other.env_kwargs},
        }
    )
    limit = run.evaluation.max_episode_steps
    if limit is None and run.evaluation.n_envs != "training" and episode_limit(settings) is None:
        limit = LONGEST
    if limit is not None:
        settings.env_kwargs["max_episode_steps"] = limit
    return settings


def episode_limit(settings: Environment) -> int | None:
    """Return the step at which episodes are truncated at the latest; None if there is no limit or it is unknown."""
    if (given := settings.env_kwargs.get("max_episode_steps")) is not None:
        return int(given) if given > 0 else None
    module, _, name = settings.env_id.rpartition(":")
    try:
        if module:
            import_module(module)  # registers the environment
    except ImportError:
        return None  # making the environment will report the error
    if (spec := gym.registry.get(name) or _newest(name)) is None:
        return None
    # Atari games have a limit of their own, in frames.
    return spec.max_episode_steps or {**spec.kwargs, **settings.env_kwargs}.get("max_num_frames_per_episode")


def _newest(name: str) -> EnvSpec | None:
    """Return the newest registered version for an id without a version, which Gymnasium would make; None if none."""
    versions = [spec for spec in gym.registry.values() if name == "/".join(filter(None, (spec.namespace, spec.name)))]
    return max(versions, key=lambda spec: -1 if spec.version is None else spec.version, default=None)


def close(env: VecEnv | gym.Env[Any, Any]) -> None:
    """Close an environment. Errors are only logged: they change no result."""
    try:
        env.close()
    except Exception:
        logger.warning("an environment could not be closed", exc_info=True)


def _make(settings: Environment, n_envs: int, seed: int, *, seeded: bool) -> VecEnv:
    makers: list[Callable[[], gym.Env[Any, Any]]] = [
        partial(make_env, settings, seed + rank, seeded=seeded) for rank in range(n_envs)
    ]
    env: VecEnv = WorkerVecEnv(makers) if settings.vec_env == "subproc" else DummyVecEnv(makers)
    env.seed(seed)
    return env


def make_env(settings: Environment, seed: int, *, seeded: bool = False) -> gym.Env[Any, Any]:
    """Make one environment in this process, as SB3's `make_vec_env` does.

    Args:
        settings: The section that describes it.
        seed: Seeds Python's and numpy's global generators before it is made, and then its spaces. It does not seed
            the first episode: `reset` does.
        seeded: Whether to wrap it in `turns.SeededEpisodes`, which gives episodes their own seeds.

    Raises:
        SidewinderError: It cannot be made; one line that names the key.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        env = _gym_make(settings)
    except (gym.error.Error, ModuleNotFoundError) as error:
        accepted = "an id registered with Gymnasium, or package.module:Id-v0"
        raise _error("env_id", settings.env_id, error, accepted) from None
    except TypeError as error:
        raise _error("env_kwargs", settings.env_kwargs, error, f"what {settings.env_id} takes") from None
    wrapped = _wrap(Monitor(env), settings.wrappers)
    for space in (env.action_space, env.observation_space, wrapped.action_space, wrapped.observation_space):
        space.seed(seed)
    env = wrapped
    return SeededEpisodes(env) if seeded else env


def _gym_make(settings: Environment) -> gym.Env[Any, Any]:
    try:
        return gym.make(settings.env_id, **{"render_mode": "rgb_array", **settings.env_kwargs})
    except (TypeError, AssertionError, ValueError):
        return gym.make(settings.env_id, **settings.env_kwargs)  # it does not take a render_mode, or not rgb_array


def _wrapped(run: RunConfig, settings: Environment, env: VecEnv) -> VecEnv:
    # Innermost: a NaN raises before it enters the statistics of VecNormalize.
    env = VecCheckNan(env, raise_exception=True)
    if settings.frame_stack is not None:
        try:
            env = VecFrameStack(env, settings.frame_stack)
        except AssertionError as error:
            env.close()
            raise _error("frame_stack", settings.frame_stack, error, "null for this environment") from None
    if settings.normalize is not None:
        options = settings.normalize.model_dump()
        if options["gamma"] is None:
            options["gamma"] = run.agent.get("gamma", 0.99)
        try:
            env = VecNormalize(env, **options)
        except (KeyError, ValueError) as error:
            env.close()
            raise _error("normalize", options, error, "what VecNormalize can do for this environment") from None
    return env


def _wrap(env: gym.Env[Any, Any], wrappers: Wrappers) -> gym.Env[Any, Any]:
    """Put wrappers around Monitor, as SB3 and RL Zoo do: returns have the environment's rewards, not the wrappers'."""
    for wrapper in wrappers:
        for path, arguments in wrapper.items():
            module, _, name = path.rpartition(".")
            try:
                make = getattr(import_module(module), name)
                env = make(env, **as_wanted(make, arguments))
            except (ImportError, AttributeError, TypeError, ValueError, AssertionError) as error:
                accepted = "the import path of a wrapper, and arguments that it takes"
                raise _error("wrappers", {path: arguments} if arguments else path, error, accepted) from None
            if isinstance(env, gym.wrappers.TimeLimit):
                # Monitor would not see it end episodes, so an evaluation would never end.
                instead = "environment.env_kwargs.max_episode_steps in its place"
                raise SidewinderError(f"environment.wrappers: found {path}, accepted: {instead}")
    return env


def _error(key: str, found: object, error: Exception, accepted: str) -> SidewinderError:
    if isinstance(error, _MISSING):
        for extra, words in _EXTRAS.items():
            if re.search(words, str(error)):
                return SidewinderError(f"environment.{key}: found {found!r}, accepted after `{installing(extra)}`")
    return SidewinderError(f"environment.{key}: found {found!r} ({first_line(error)}), accepted: {accepted}")
