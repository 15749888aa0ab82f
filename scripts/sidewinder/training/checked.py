"""Checks a training run before it trains: makes its environments and its agent as the training will, with the same
number of environments."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs

from sidewinder import SidewinderError
from sidewinder.config.import_paths import import_paths
from sidewinder.config.run_config import RunConfig
from sidewinder.config.run_sections import Environment
from sidewinder.errors import first_line
from sidewinder.training import agents
from sidewinder.training.arguments import family_of
from sidewinder.training.callbacks import made_callbacks
from sidewinder.training.environments import (
    LONGEST,
    close,
    episode_limit,
    evaluation_settings,
    make_evaluation_env,
    make_training_env,
)
from sidewinder.training.tried import check_alone
from sidewinder.training.workers import reason_of

# Exceptions of SB3, torch and Gymnasium if keys of the agent exclude each other or do not fit the environment.
_UNFIT = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


def check_run(run: RunConfig) -> None:
    """Make the environments and the agent as a training does. Check that an episode repeats with the same seed.

    Raises:
        SidewinderError: One line that names the key.
    """
    agents.check_agent(run.agent)
    made_callbacks(run)
    made_callbacks(run, "trackers")
    _check_device(run)
    check_environments(run)
    with environments_of(run) as env:
        check_in(env, run)


def check_environments(run: RunConfig) -> None:
    """Make and step one environment of each kind. If evaluation shares training's environments, check that it can.

    Raises:
        SidewinderError: One line that names the key.
    """
    for key, settings in _kinds_of_environment(run).items():
        check_alone(key, settings)
    _check_turns(run)


@contextmanager
def environments_of(run: RunConfig) -> Iterator[VecEnv]:
    """Make all environments of a training, yield the training environments, and close them on exit.

    Evaluation's environments exist beside them for a moment, to check that they can.

    Raises:
        SidewinderError: One line that names the key.
    """
    env = _made_for_training(run)
    try:
        _check_evaluation(run, env)
        yield env
    finally:
        close(env)


def check_in(env: VecEnv, run: RunConfig) -> None:
    """Make the agent in its training environments.

    If the config names the user's code, the agent is made twice, to check that the same seed gives the same agent.

    Raises:
        SidewinderError: One line that names the key.
    """
    of_ones_own = any(import_paths(run.agent))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = agents.build(run.agent, env, seed=0, device="cpu", tensorboard_log=None)
            if of_ones_own:
                observations = _env_of(model).reset()
                first = _acted(model, observations)
                again = agents.build(run.agent, env, seed=0, device="cpu", tensorboard_log=None)
                same = all(map(np.array_equal, _acted(again, observations), first))
    except SidewinderError:
        raise
    except Exception as error:
        # The user's code may raise anything.
        if not isinstance(error, _UNFIT) and not of_ones_own:
            raise
        raise SidewinderError(f"agent: {first_line(error) or type(error).__name__}") from None
    if of_ones_own and run.environment.reproducible and not same:
        raise SidewinderError(
            "agent: found one that was made twice with the same seed and acts differently, accepted: an agent that "
            "draws only from torch's, numpy's or Python's global generator, or from a generator that these seed "
            "(docs/your_own_code.md); or environment.reproducible=false, which marks results as bit_exact: false"
        )


def _env_of(model: BaseAlgorithm) -> VecEnv:
    """Return the environments of an agent, with the wrappers that the agent has added."""
    env = model.get_env()
    assert env is not None
    return env


def _acted(model: BaseAlgorithm, observations: VecEnvObs) -> tuple[np.ndarray, np.ndarray]:
    """Return an agent's first actions, and the action noise that it would add to them.

    Raises:
        ValueError: An action is not in the action space.
    """
    env = _env_of(model)
    actions, _ = model.predict(observations, deterministic=False)  # type: ignore[arg-type]
    if not all(env.action_space.contains(action) for action in actions):
        raise ValueError(f"its actions {_line(actions)} are not in the action space {_line(env.action_space)}")
    noise = getattr(model, "action_noise", None)
    return actions, np.zeros(0) if noise is None else np.asarray(noise())


def notes_on(run: RunConfig) -> list[str]:
    """Return warnings about the environments, one line each, to print before training."""
    notes = []
    limit = run.evaluation.max_episode_steps or LONGEST
    for key, settings in _kinds_of_environment(run).items():
        if episode_limit(settings) is None:
            notes.append(
                f"{key}.env_id: {settings.env_id} has no max_episode_steps, so an episode may never end; "
                f"evaluations end it after {limit} steps (evaluation.max_episode_steps), training does not; "
                "environment.env_kwargs.max_episode_steps=1000 would end all episodes after 1000 steps"
            )
            if run.agent.get("replay_buffer_class") == "her":
                notes.append("agent.learning_starts: HER needs a whole episode before it learns")
    return notes


def last_step(run: RunConfig) -> int:
    """Return the last environment step of the training.

    It is `total_timesteps` if an evaluation falls on it. Otherwise the training ends with its rollout or at the next
    evaluation, whichever comes first. The length of a rollout is only known for on-policy algorithms; for others this
    returns `total_timesteps`.
    """
    budget, rollout = run.training.total_timesteps, run.agent.get("n_steps")
    if budget % run.evaluation.eval_freq == 0 or "train_freq" in run.agent or not isinstance(rollout, int):
        return budget
    size = rollout * run.environment.n_envs
    next_evaluation = -(-budget // run.evaluation.eval_freq) * run.evaluation.eval_freq
    return min(-(-budget // size) * size, next_evaluation)


def _check_device(run: RunConfig) -> None:
    found = run.training.device
    try:
        torch.device(found)
    except RuntimeError:
        raise SidewinderError(f"training.device: found {found!r}, accepted: cpu, cuda, cuda:0") from None


def _check_turns(run: RunConfig) -> None:
    """Check that evaluation can run in training's environments, if `evaluation.n_envs` is `training`."""
    if run.evaluation.n_envs != "training":
        return
    where = "evaluation.n_envs: found 'training', accepted"
    if family_of(run.agent) == "ars":
        raise SidewinderError(f"{where} with ars, which judges by whole episodes: null or a number")
    if run.evaluation.environment.model_dump() != type(run.evaluation.environment)().model_dump():
        raise SidewinderError(f"{where} where evaluation.environment differs from training's: null or a number")
    if run.evaluation.max_episode_steps is not None:
        raise SidewinderError(f"{where} with evaluation.max_episode_steps: null or a number")
    if episode_limit(run.environment) is None:
        raise SidewinderError(
            f"{where} with environment.env_kwargs.max_episode_steps, as {run.environment.env_id} has no limit"
        )


def _kinds_of_environment(run: RunConfig) -> dict[str, Environment]:
    """Return the settings to check, by their section: training's, and evaluation's if it makes other environments."""
    evaluation = evaluation_settings(run)
    ours = {key: getattr(evaluation, key) for key in ("env_id", "wrappers")}
    kwargs = {key: value for key, value in evaluation.env_kwargs.items() if key != "max_episode_steps"}
    theirs = {key: value for key, value in run.environment.env_kwargs.items() if key != "max_episode_steps"}
    same = all(getattr(run.environment, key) == value for key, value in ours.items()) and kwargs == theirs
    return {"environment": run.environment} | ({} if same else {"evaluation.environment": evaluation})


def _check_evaluation(run: RunConfig, env: VecEnv) -> None:
    """Make evaluation's environments while training's exist, and compare their spaces."""
    if run.evaluation.n_envs == "training":
        return
    try:
        evaluation = make_evaluation_env(run, run.evaluation.n_eval_episodes, 0)
    except SidewinderError:
        raise
    except Exception as error:
        found = run.evaluation.n_envs
        accepted = "fewer; or training, if none can be made beside the training environments"
        raise SidewinderError(f"evaluation.n_envs: found {found} ({reason_of(error)}), accepted: {accepted}") from None
    close(evaluation)
    for name in ("observation_space", "action_space"):
        trained, evaluated = getattr(env, name), getattr(evaluation, name)
        if trained != evaluated:
            raise SidewinderError(
                f"evaluation.environment: found the {name.replace('_', ' ')} {_line(evaluated)}, "
                f"accepted: the training environments' {_line(trained)}"
            )


def _made_for_training(run: RunConfig) -> VecEnv:
    try:
        return make_training_env(run)
    except SidewinderError:
        raise
    except Exception as error:
        found = f"{run.environment.n_envs} of {run.environment.env_id} ({reason_of(error)})"
        accepted = "environments that SB3 can step together in one process, or environment.vec_env=subproc"
        raise SidewinderError(f"environment.n_envs: found {found}, accepted: {accepted}") from None


def _line(value: object) -> str:
    return " ".join(str(value).split())
