"""Tries one environment before anything trains: makes it and steps it with random actions."""

import multiprocessing
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import gymnasium as gym
from gymnasium.utils.env_checker import data_equivalence

from sidewinder import SidewinderError
from sidewinder.config.run_sections import Environment
from sidewinder.training.agents import UNSEEN_END
from sidewinder.training.environments import close, make_env
from sidewinder.training.workers import reason_of

# Episodes are compared for this many steps or seconds at most.
_STEPS, _PATIENCE = 100, 5.0
_STEPS_BEFORE_A_RESET = 40


def check_alone(key: str, settings: Environment) -> None:
    """Make an environment and step it.

    Args:
        key: Key of the section that describes it.
        settings: The section.

    Raises:
        SidewinderError: It cannot be made, has running statistics, does not repeat, or a wrapper ends its episodes.
    """
    with _alone(key, settings) as env:
        _check_statistics(key, env)
    if fault := _in_a_process(_fault, key, settings):
        raise SidewinderError(fault)


def _in_a_process(check: Callable[[str, Environment], str | None], key: str, settings: Environment) -> str | None:
    """Run a check of an environment in a separate process, and return its finding.

    If the environment kills the process or takes too long, there is no finding: a training may still go well.
    """
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
    """Return a line about what is wrong with an environment's steps; None if nothing is.

    To compare episodes, it is made twice, one after the other: some environments cannot exist twice at a time.
    """
    said = []
    with suppress(Exception):
        for _ in range(2 if settings.reproducible else 1):
            with _alone(key, settings) as env:
                said.append(list(islice(_said(env), _STEPS)))
    for step, answers in enumerate(zip(*said, strict=False)):
        if len(answers) == 2 and not data_equivalence(answers[0].content, answers[1].content, exact=True):
            return (
                f"{key}.env_id: found {settings.env_id!r}, which was made twice with the same seed and differs at "
                f"step {step} of the same actions, accepted: one that draws only from its np_random, which reset "
                "seeds; or environment.reproducible=false, which marks results as bit_exact: false"
            )
        if answers[0].unseen:
            return f"{key}.wrappers: {UNSEEN_END}"
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
    """Answer of an environment to a reset or a step.

    Attributes:
        content: The part that must repeat: the observation and, for a step, reward, terminated and truncated.
        info: The info.
        unseen: Whether an episode ended without Monitor's notice.
    """

    content: Any
    info: dict[str, Any]
    unseen: bool = False


def _said(env: gym.Env[Any, Any]) -> Iterator[_Answer]:
    """Yield an environment's answers to random actions, until it raises or time is over.

    An exception is no fault here: it would only fail the training. The environment is reset without a seed at the end
    of each episode, and also after each `_STEPS_BEFORE_A_RESET` steps.
    """
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
    """Refuse wrappers with running statistics, such as NormalizeObservation: evaluation would have other statistics.

    Raises:
        SidewinderError: There is such a wrapper.
    """
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
