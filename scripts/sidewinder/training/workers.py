"""Runs environments in worker processes. Raises their exceptions again in this process, and notices ended processes."""

import errno
import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.vec_env import SubprocVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from sidewinder import SidewinderError
from sidewinder.attempts import VanishedError
from sidewinder.errors import first_line

# The key of an info under which a worker process reports an exception.
_RAISED = "sidewinder:raised"


class RaisedInWorkerError(Exception):
    """An environment raised an exception in its worker process.

    Attributes:
        reason: The result of `reason_of` for the original exception.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# Full disk or quota, too many open files, no memory.
_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def is_of_the_machine(error: BaseException) -> bool:
    """Whether the machine caused an exception, such as by a full disk. The same training may go well elsewhere."""
    if isinstance(error, OSError):
        return error.errno in _OF_THE_MACHINE
    if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
        return True  # torch's, on CPU
    return isinstance(error, MemoryError | torch.OutOfMemoryError)


def reason_of(error: BaseException) -> str:
    """Return an exception's class and message in one line. The process that raised it makes no difference."""
    return error.reason if isinstance(error, RaisedInWorkerError) else f"{type(error).__name__}: {first_line(error)}"


@dataclass(frozen=True)
class _Raised:
    # An exception as a worker process reports it.
    reason: str
    traceback: str
    # Text of the SidewinderError to raise, if the config or the machine is to blame.
    mistake: str | None

    @classmethod
    def by(cls, error: BaseException) -> "_Raised":
        mistake = str(error) if isinstance(error, SidewinderError) else None
        if is_of_the_machine(error):
            mistake = f"environment.vec_env: found a process of subproc that cannot go on ({reason_of(error)})"
        return cls(reason_of(error), traceback.format_exc(), mistake)

    def again(self) -> Exception:
        if self.mistake is not None:
            return SidewinderError(self.mistake)
        error = RaisedInWorkerError(self.reason)
        error.add_note(f"In the environment's process:\n{self.traceback}")
        return error


class _Guarded(gym.Wrapper[Any, Any, Any, Any]):
    """Reports an environment's exceptions in its info. Otherwise SB3's worker would end, and the cause be lost."""

    # Why the environment could not be made, if it could not.
    making: _Raised | None = None

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        try:
            return self.env.step(action)
        except (Exception, SystemExit) as error:
            return self.observation_space.sample(), 0.0, False, False, {_RAISED: _Raised.by(error)}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        try:
            return self.env.reset(seed=seed, options=options)
        except (Exception, SystemExit) as error:
            return self.observation_space.sample(), {_RAISED: _Raised.by(error)}

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the environment or of a wrapper."""
        try:
            return self.get_wrapper_attr(name)(*arguments, **options)
        except (Exception, SystemExit) as error:
            return _Raised.by(error)

    def seed_generators(self, seed: int) -> None:
        """Seed Python's and numpy's global generators in this process, until `restore_generators`."""
        self._states = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed % 2**32)

    def restore_generators(self) -> None:
        """Put the generators back to their states before `seed_generators`."""
        random.setstate(self._states[0])
        np.random.set_state(self._states[1])


class _NeverMade(gym.Env[Any, Any]):
    """Takes the place of an environment that could not be made, until the error is reported."""

    observation_space = action_space = gym.spaces.Discrete(1)


def _guarded(make: Callable[[], gym.Env[Any, Any]]) -> gym.Env[Any, Any]:
    try:
        return _Guarded(make())
    except (Exception, SystemExit) as error:
        stand_in = _Guarded(_NeverMade())
        stand_in.making = _Raised.by(error)
        return stand_in


@contextmanager
def _noticing() -> Iterator[None]:
    try:
        yield
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise VanishedError("environment.vec_env: found a process of subproc that ended unexpectedly") from None


class WorkerVecEnv(SubprocVecEnv):
    """SB3's SubprocVecEnv with errors that name their cause.

    Raises:
        RaisedInWorkerError: An environment raised an exception. Its traceback is added as a note.
        VanishedError: A worker process has ended.
        SidewinderError: The config has a mistake, or the machine lacks memory, disk or files.
    """

    def __init__(self, env_fns: list[Callable[[], gym.Env[Any, Any]]]) -> None:
        with _noticing():
            super().__init__([partial(_guarded, make) for make in env_fns])
            making = [raised for raised in self.get_attr("making") if raised]
        if making:
            self.close()
            raise making[0].again()

    def reset(self) -> VecEnvObs:
        with _noticing():
            observations = super().reset()
        self._raise(self.reset_infos)
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        with _noticing():
            super().step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        with _noticing():
            observations, rewards, dones, infos = super().step_wait()
        self._raise(infos)
        if dones.any():
            self._raise(self.reset_infos)
        return observations, rewards, dones, infos

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        with _noticing():
            made = super().env_method("call", method_name, *method_args, indices=indices, **method_kwargs)
        for value in made:
            if isinstance(value, _Raised):
                raise value.again()
        return made

    def close(self) -> None:
        # Processes that have ended already cannot be told to close.
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            super().close()

    def _raise(self, infos: Sequence[dict[str, Any]]) -> None:
        for info in infos:
            if _RAISED in info:
                raise info[_RAISED].again()
