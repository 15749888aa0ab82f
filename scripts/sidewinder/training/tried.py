"""One environment alone, tried before anything trains: whether it can be made, and what it says to random actions."""

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

# How long episodes are compared: steps, and seconds.
_STEPS, _PATIENCE = 100, 5.0
_STEPS_BEFORE_A_RESET = 40


def check_alone(key: str, settings: Environment) -> None:
    """Make an environment and step it.

    Args:
        key: The section that describes it.
        settings: The section.

    Raises:
        SidewinderError: It cannot be made, has running statistics, does not repeat, or a wrapper ends its episodes.
    """
    with _alone(key, settings) as env:
        _check_statistics(key, env)
    if fault := _in_a_process(_fault, key, settings):
        raise SidewinderError(fault)


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
