"""From the `environment` section of a config to SB3's vectorised environments, for training and for evaluation."""

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

# Environments that need more than requirements.lock: what an error says that has to do with requirements-<name>.lock.
_EXTRAS = {"atari": r"\bale_py\b|\bALE\b|OpenCV", "box2d": r"Box2D|gymnasium\[box2d\]", "mujoco": r"MuJoCo"}
_MISSING = (gym.error.DependencyNotInstalled, gym.error.NamespaceNotFound, ModuleNotFoundError, AssertionError)

# Processes of `subproc` are forked with it loaded, or each would load torch anew.
multiprocessing.set_forkserver_preload(["stable_baselines3"])

# Where an evaluation episode is truncated in an environment without a limit of its own.
LONGEST = 100_000


def make_training_env(run: RunConfig) -> VecEnv:
    """The `n_envs` environments that an agent trains in, seeded by `training.seed`.

    Raises:
        SidewinderError: They cannot be made; one line that names the key.
    """
    settings, seed = run.environment, run.training.seed
    base = _make(settings, settings.n_envs, seed, seeded=run.evaluation.n_envs == "training")
    if run.evaluation.n_envs == "training":
        base = TakesTurns(base, seed)
    return _wrapped(run, settings, base)


def make_evaluation_env(run: RunConfig, n_episodes: int, seed: int, within: VecEnv | None = None) -> VecEnv:
    """Environments for so many episodes: as many, or as `evaluation.n_envs` says, or those of training.

    Where there is one for each episode, each has its own initial state by SB3's `seed`; else `turns.seed_episodes` is
    to be called. Statistics of normalisation are to come from training, by SB3's `sync_envs_normalization`; rewards are
    not normalised.

    Args:
        run: What is trained.
        n_episodes: How many.
        seed: Of the first episode.
        within: Training's environments, without what is around them, where `evaluation.n_envs` is `training`.

    Raises:
        SidewinderError: They cannot be made; one line that names the key.
    """
    settings, n_envs = evaluation_settings(run), run.evaluation.n_envs
    if within is not None:
        # With as many wrappers as training's, for SB3 compares them one by one.
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
    """The environment that evaluation has, with its limit of an episode's length."""
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
    """After how many steps an episode is truncated at the latest; None if it need not end, or nobody can tell."""
    if (given := settings.env_kwargs.get("max_episode_steps")) is not None:
        return int(given) if given > 0 else None
    module, _, name = settings.env_id.rpartition(":")
    try:
        if module:
            import_module(module)  # which registers it
    except ImportError:
        return None  # making it says what is wrong
    if (spec := gym.registry.get(name) or _newest(name)) is None:
        return None
    # The Atari games have a limit of their own.
    return spec.max_episode_steps or {**spec.kwargs, **settings.env_kwargs}.get("max_num_frames_per_episode")


def _newest(name: str) -> EnvSpec | None:
    """What Gymnasium makes for an id without a version."""
    versions = [spec for spec in gym.registry.values() if name == "/".join(filter(None, (spec.namespace, spec.name)))]
    return max(versions, key=lambda spec: -1 if spec.version is None else spec.version, default=None)


def close(env: VecEnv | gym.Env[Any, Any]) -> None:
    """Close it; what it raises then changes no result."""
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
    """One environment, in this process, as SB3's `make_vec_env` makes it.

    What it draws while it is made, from its spaces, or from the generators that all of Python shares, comes from the
    seed.

    Args:
        settings: Which one.
        seed: Its own; that of its first episode is up to who resets it.
        seeded: Whether its episodes are to have seeds (`turns.SeededEpisodes`).

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
        return gym.make(settings.env_id, **settings.env_kwargs)  # one that has no render_mode, or not this one


def _wrapped(run: RunConfig, settings: Environment, env: VecEnv) -> VecEnv:
    # Innermost: before the environment's NaN are in statistics.
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
    """As SB3 and RL Zoo do it, around Monitor: returns are the environment's own, whatever wrappers do to rewards."""
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
                # Monitor would never see an episode end, and an evaluation neither.
                instead = "environment.env_kwargs.max_episode_steps in its place"
                raise SidewinderError(f"environment.wrappers: found {path}, accepted: {instead}")
    return env


def _error(key: str, found: object, error: Exception, accepted: str) -> SidewinderError:
    if isinstance(error, _MISSING):
        for extra, words in _EXTRAS.items():
            if re.search(words, str(error)):
                return SidewinderError(f"environment.{key}: found {found!r}, accepted after `{installing(extra)}`")
    return SidewinderError(f"environment.{key}: found {found!r} ({first_line(error)}), accepted: {accepted}")
