"""From the `environment` section of a config to SB3's vectorised environments, for training and for evaluation."""

import multiprocessing
import re
from functools import partial
from importlib import import_module
from typing import Any

import gymnasium as gym
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecCheckNan,
    VecEnv,
    VecFrameStack,
    VecNormalize,
)

from sidewinder import SidewinderError
from sidewinder.config.run_config import Environment, RunConfig, Wrappers
from sidewinder.errors import first_line
from sidewinder.paths import installing

# Environments that need more than requirements.lock: what an error says that has to do with requirements-<name>.lock.
_EXTRAS = {"atari": r"\bale_py\b|\bALE\b|OpenCV", "box2d": r"Box2D|gymnasium\[box2d\]", "mujoco": r"MuJoCo"}
_MISSING = (gym.error.DependencyNotInstalled, gym.error.NamespaceNotFound, ModuleNotFoundError, AssertionError)

# Processes of `subproc` are forked with it loaded, or each would load torch anew.
multiprocessing.set_forkserver_preload(["stable_baselines3"])

_VEC_ENVS: dict[str, type[DummyVecEnv | SubprocVecEnv]] = {"dummy": DummyVecEnv, "subproc": SubprocVecEnv}


def make_training_env(run: RunConfig) -> VecEnv:
    """The `n_envs` environments that an agent trains in, seeded by `training.seed`.

    Raises:
        SidewinderError: They cannot be made; one line that names the key.
    """
    return _make(run, run.environment, run.environment.n_envs, run.training.seed)


def make_evaluation_env(run: RunConfig, n_episodes: int, seed: int) -> VecEnv:
    """An environment an episode: one policy call acts in all of them, and each has its own initial state.

    Statistics of normalisation are to come from training, by SB3's `sync_envs_normalization`; rewards are not
    normalised.

    Raises:
        SidewinderError: They cannot be made; one line that names the key.
    """
    env = _make(run, _evaluation_settings(run), n_episodes, seed)
    if isinstance(env, VecNormalize):
        env.training = False
        env.norm_reward = False
    return env


def make_checked_env(run: RunConfig) -> VecEnv:
    """One training environment, in this process, of a run whose environments can all be made and go together.

    Raises:
        SidewinderError: They cannot or do not; one line that names the key.
    """
    evaluation = _make(run, _evaluation_settings(run).model_copy(update={"vec_env": "dummy"}), 1, seed=0)
    evaluation.close()
    env = _make(run, run.environment.model_copy(update={"vec_env": "dummy"}), 1, seed=0)
    for name in ("observation_space", "action_space"):
        trained, evaluated = getattr(env, name), getattr(evaluation, name)
        if trained != evaluated:
            env.close()
            raise SidewinderError(
                f"evaluation.environment: found the {name.replace('_', ' ')} {_line(evaluated)}, "
                f"accepted: that of training, {_line(trained)}"
            )
    return env


def _evaluation_settings(run: RunConfig) -> Environment:
    other = run.evaluation.environment
    return run.environment.model_copy(
        update={
            "env_id": run.environment.env_id if other.env_id is None else other.env_id,
            "vec_env": other.vec_env,
            "wrappers": run.environment.wrappers if other.wrappers is None else other.wrappers,
            "env_kwargs": {**run.environment.env_kwargs, **other.env_kwargs},
        }
    )


def _make(run: RunConfig, settings: Environment, n_envs: int, seed: int) -> VecEnv:
    env = _make_vec_env(settings, n_envs, seed)
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


def _make_vec_env(settings: Environment, n_envs: int, seed: int) -> VecEnv:
    try:
        return make_vec_env(
            settings.env_id,
            n_envs=n_envs,
            seed=seed,
            env_kwargs=settings.env_kwargs,
            wrapper_class=partial(_wrap, wrappers=settings.wrappers),
            vec_env_cls=_VEC_ENVS[settings.vec_env],
        )
    except (gym.error.Error, ModuleNotFoundError) as error:
        accepted = "an id registered with Gymnasium, or package.module:Id-v0"
        raise _error("env_id", settings.env_id, error, accepted) from None
    except TypeError as error:
        raise _error("env_kwargs", settings.env_kwargs, error, f"what {settings.env_id} takes") from None


def _wrap(env: gym.Env[Any, Any], wrappers: Wrappers) -> gym.Env[Any, Any]:
    """As SB3 and RL Zoo do it, around Monitor: returns are the environment's own, whatever wrappers do to rewards."""
    for wrapper in wrappers:
        for path, arguments in wrapper.items():
            module, _, name = path.rpartition(".")
            try:
                env = getattr(import_module(module), name)(env, **arguments)
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


def _line(value: object) -> str:
    return " ".join(str(value).split())
