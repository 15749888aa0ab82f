"""What can be wrong with a training run before it trains: its environments and its agent are made, with the numbers
that will train."""

import multiprocessing
import pickle
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import gymnasium as gym
import torch
from gymnasium.utils.env_checker import data_equivalence
from stable_baselines3.common.vec_env import VecEnv

from sidewinder import SidewinderError
from sidewinder.config.algorithms import backend_of
from sidewinder.config.run_config import Environment, RunConfig
from sidewinder.errors import first_line
from sidewinder.training import agents
from sidewinder.training.environments import (
    LONGEST,
    close,
    episode_limit,
    evaluation_settings,
    make_env,
    make_evaluation_env,
    make_training_env,
)
from sidewinder.training.workers import reason_of

# What SB3, torch and Gymnasium raise where keys of the agent do not go together or do not fit the environment.
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
# How long episodes are compared: steps, and seconds.
_STEPS, _PATIENCE = 100, 5.0
_STEPS_BEFORE_A_RESET = 40


def check_run(run: RunConfig) -> None:
    """Make the environments and the agent as a training does, and see whether an episode repeats.

    Raises:
        SidewinderError: One line that names the key.
    """
    agents.check_agent(run.agent)
    _check_device(run)
    check_environments(run)
    with environments_of(run) as env:
        check_in(env, run)


def check_environments(run: RunConfig) -> None:
    """Make and step one environment of each kind, and see whether evaluation can be as it is to be.

    Raises:
        SidewinderError: One line that names the key.
    """
    for key, settings in _kinds_of_environment(run).items():
        with _alone(key, settings) as env:
            _check_statistics(key, env)
        if fault := _in_a_process(_fault, key, settings):
            raise SidewinderError(fault)
    _check_turns(run)


@contextmanager
def environments_of(run: RunConfig) -> Iterator[VecEnv]:
    """Make all environments of a training at once, and close them again.

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
    """Make the agent in the environments that it would train in.

    Raises:
        SidewinderError: One line that names the key.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            agents.build(run.agent, env, seed=0, device="cpu", tensorboard_log=None)
    except _UNFIT as error:
        raise SidewinderError(f"agent: {first_line(error)}") from None


def notes_on(run: RunConfig) -> list[str]:
    """What one should know of the environments before anything trains in them."""
    notes = []
    limit = run.evaluation.max_episode_steps or LONGEST
    for key, settings in _kinds_of_environment(run).items():
        if episode_limit(settings) is None:
            notes.append(
                f"{key}.env_id: {settings.env_id} has no max_episode_steps, so that an episode may never end; "
                f"evaluations end it after {limit} steps (evaluation.max_episode_steps), training does not; "
                "environment.env_kwargs.max_episode_steps=1000 would end all episodes after 1000"
            )
            if run.agent.get("replay_buffer_class") == "her":
                notes.append("agent.learning_starts: HER needs a whole episode before it learns")
    return notes


def last_step(run: RunConfig) -> int:
    """Up to which environment step the agent trains: with an evaluation at `total_timesteps` it ends there; else with
    the rollout, whose length is known where the agent learns on policy."""
    budget, rollout = run.training.total_timesteps, run.agent.get("n_steps")
    if budget % run.evaluation.eval_freq == 0 or "train_freq" in run.agent or not isinstance(rollout, int):
        return budget
    size = rollout * run.environment.n_envs
    next_evaluation = -(-budget // run.evaluation.eval_freq) * run.evaluation.eval_freq
    return min(-(-budget // size) * size, next_evaluation)


def _check_device(run: RunConfig) -> None:
    found = run.training.device
    if backend_of(run.agent) == "sbx" and found != "cpu":
        raise SidewinderError(f"training.device: found {found!r}, accepted with agent.backend=sbx: cpu")
    try:
        torch.device(found)
    except RuntimeError:
        raise SidewinderError(f"training.device: found {found!r}, accepted: cpu, cuda, cuda:0") from None


def _check_turns(run: RunConfig) -> None:
    """Whether evaluation can take turns with training, where it is to."""
    if run.evaluation.n_envs != "training":
        return
    where = "evaluation.n_envs: found 'training', accepted"
    if run.agent.get("algorithm") == "ars":
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
    """The settings of one environment, by their section: training's, and evaluation's if they differ."""
    evaluation = evaluation_settings(run)
    ours = {key: getattr(evaluation, key) for key in ("env_id", "wrappers")}
    kwargs = {key: value for key, value in evaluation.env_kwargs.items() if key != "max_episode_steps"}
    theirs = {key: value for key, value in run.environment.env_kwargs.items() if key != "max_episode_steps"}
    same = all(getattr(run.environment, key) == value for key, value in ours.items()) and kwargs == theirs
    return {"environment": run.environment} | ({} if same else {"evaluation.environment": evaluation})


def _in_a_process(check: Callable[[str, Environment], str | None], key: str, settings: Environment) -> str | None:
    """What a check of an environment finds. In a process of its own, for the environment may end it: no finding, as a
    training may go well."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=lambda: theirs.send(check(key, settings)))
    process.start()
    theirs.close()
    found = None
    with suppress(EOFError):
        if ours.poll(4 * _PATIENCE):
            found = ours.recv()
    process.kill()
    process.join()
    return found


def _fault(key: str, settings: Environment) -> str | None:
    """What is wrong with an environment's steps, in a line. It is made twice: one after the other, for some exist only
    once."""
    said = []
    with suppress(Exception):
        for _ in range(2 if settings.reproducible else 1):
            with _alone(key, settings) as env:
                said.append(list(islice(_said(env), _STEPS)))
    for step, answers in enumerate(zip(*said, strict=False)):
        if len(answers) == 2 and not data_equivalence(answers[0].content, answers[1].content, exact=True):
            return (
                f"{key}.env_id: found {settings.env_id!r}, which was made twice with the same seed and differs at "
                f"step {step} of the same actions, accepted: one that draws from its np_random alone, which reset "
                "seeds; or environment.reproducible=false, which marks results as bit_exact: false"
            )
        if answers[0].unseen:
            return f"{key}.wrappers: {agents.UNSEEN_END}"
        if settings.vec_env == "subproc" and (reason := _unpicklable(answers[0].info)):
            return (
                f"{key}.vec_env: found 'subproc' with an info that no other process can read ({reason}), accepted: "
                "dummy, or a wrapper that leaves it out"
            )
    return None


def _unpicklable(info: dict[str, Any]) -> str | None:
    try:
        pickle.dumps(info)
    except Exception as error:
        return reason_of(error)
    return None


@contextmanager
def _alone(key: str, settings: Environment) -> Iterator[gym.Env[Any, Any]]:
    try:
        env = make_env(settings, seed=0)
    except SidewinderError:
        raise
    except Exception as error:
        found = f"{settings.env_id!r} ({reason_of(error)})"
        raise SidewinderError(f"{key}.env_id: found {found}, accepted: one that can be made") from None
    try:
        yield env
    finally:
        close(env)


@dataclass
class _Answer:
    """What an environment says to a reset or a step.

    Attributes:
        content: What must be the same again.
        info: What came with it.
        unseen: Whether an episode ended that Monitor does not know of.
    """

    content: Any
    info: dict[str, Any]
    unseen: bool = False


def _said(env: gym.Env[Any, Any]) -> Iterator[_Answer]:
    """What it says to random actions, until it raises something: that may happen, and fails a training. After some
    steps it is reset without a seed, as at the end of each episode."""
    started = time.monotonic()
    with suppress(Exception):
        yield _Answer(*env.reset(seed=0))
        for step in count(1):
            observation, reward, terminated, truncated, info = env.step(_action(env))
            ended = bool(terminated or truncated)
            answer = _Answer((observation, reward, terminated, truncated), info)
            reset = env.reset() if ended or step % _STEPS_BEFORE_A_RESET == 0 else None
            answer.unseen = ended and "episode" not in info and not env.get_wrapper_attr("rewards")
            yield answer
            if reset:
                yield _Answer(*reset)
            if time.monotonic() - started > _PATIENCE:
                return


def _action(env: gym.Env[Any, Any]) -> Any:
    if env.has_wrapper_attr("action_masks") and isinstance(env.action_space, gym.spaces.Discrete):
        return env.action_space.sample(mask=env.get_wrapper_attr("action_masks")().astype("int8"))
    return env.action_space.sample()


def _check_statistics(key: str, env: gym.Env[Any, Any]) -> None:
    """Refuse wrappers with running statistics, as NormalizeObservation has them: evaluation would have its own."""
    layer = env
    while True:
        for value in vars(layer).values():
            if all(hasattr(value, name) for name in ("mean", "var", "count")) and not hasattr(value, "__len__"):
                name = f"{type(layer).__module__}.{type(layer).__name__}"
                raise SidewinderError(
                    f"{key}.wrappers: found {name}, whose statistics evaluation would not share with training, "
                    "accepted: environment.normalize in its place"
                )
        if not isinstance(layer, gym.Wrapper):
            return
        layer = layer.env


def _check_evaluation(run: RunConfig, env: VecEnv) -> None:
    """Make evaluation's environments beside training's."""
    if run.evaluation.n_envs == "training":
        return
    try:
        evaluation = make_evaluation_env(run, run.evaluation.n_eval_episodes, 0)
    except SidewinderError:
        raise
    except Exception as error:
        found = run.evaluation.n_envs
        accepted = "fewer; or training, where no other can be made beside those of training"
        raise SidewinderError(f"evaluation.n_envs: found {found} ({reason_of(error)}), accepted: {accepted}") from None
    close(evaluation)
    for name in ("observation_space", "action_space"):
        trained, evaluated = getattr(env, name), getattr(evaluation, name)
        if trained != evaluated:
            raise SidewinderError(
                f"evaluation.environment: found the {name.replace('_', ' ')} {_line(evaluated)}, "
                f"accepted: that of training, {_line(trained)}"
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
