"""Runs the callbacks and trackers that `training.callbacks` and `training.trackers` name: Stable-Baselines3's, or the
user's own."""

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    StopTrainingOnNoModelImprovement,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.logger import KVWriter

from sidewinder import SidewinderError
from sidewinder.config.run_config import RunConfig
from sidewinder.training.imported import made

logger = logging.getLogger(__name__)

# Callbacks that SB3's EvalCallback calls after each evaluation. They ask their parent for the best mean reward.
JUDGES = (StopTrainingOnNoModelImprovement, StopTrainingOnRewardThreshold)


def made_callbacks(run: RunConfig, which: Literal["callbacks", "trackers"] = "callbacks") -> list[BaseCallback]:
    """Make the callbacks or the trackers of a training.

    Raises:
        SidewinderError: An object cannot be made, or is no callback; one line that names the key.
    """
    callbacks = []
    for position, entry in enumerate(getattr(run.training, which)):
        key = f"training.{which}[{position}]"
        callback = made(key, entry)
        if not isinstance(callback, BaseCallback):
            raise SidewinderError(f"{key}: found {entry['_target_']!r}, accepted: a subclass of SB3's BaseCallback")
        callbacks.append(callback)
    return callbacks


class OwnCallbacks(CallbackList):
    """Calls a training's callbacks: `JUDGES` after each evaluation, all others at each step.

    Attributes:
        noted: Returns the context manager in which callbacks are called; by default one that does nothing.
    """

    def __init__(
        self,
        callbacks: list[BaseCallback],
        evaluator: BaseCallback,
        stop: Callable[[int], NoReturn],
    ) -> None:
        """Keep the callbacks; SB3 initialises them later.

        Args:
            callbacks: The result of `made_callbacks`.
            evaluator: Parent of the judges. It has the attributes of SB3's `EvalCallback` that they read.
            stop: Ends the training. Called with the environment step when a callback returns False.
        """
        super().__init__(callbacks)
        self._evaluator, self._stop = evaluator, stop
        self.noted: Callable[[], AbstractContextManager[None]] = nullcontext

    def everyone(self) -> list[BaseCallback]:
        """Return all callbacks, nested ones included, in an order that depends on the config alone."""
        found: dict[int, BaseCallback] = {}
        _add_with_inner(self.callbacks, found)
        return list(found.values())

    def go_on_after_evaluation(self) -> bool:
        """Call the judges. Returns whether training goes on."""
        with self.noted():
            judged = [callback.on_step() for callback in self.callbacks if isinstance(callback, JUDGES)]
        return all(judged)

    def _init_callback(self) -> None:
        for callback in self.callbacks:
            callback.init_callback(self.model)
            callback.parent = self._evaluator if isinstance(callback, JUDGES) else self.parent

    def _on_step(self) -> bool:
        with self.noted():
            said = [callback.on_step() for callback in self.callbacks if not isinstance(callback, JUDGES)]
        if not all(said):
            # Returning False does not end the training of SB3-Contrib's ARS.
            self._stop(self.num_timesteps)
        return True

    def _on_training_start(self) -> None:
        with self.noted():
            super()._on_training_start()

    def _on_rollout_start(self) -> None:
        with self.noted():
            super()._on_rollout_start()

    def _on_rollout_end(self) -> None:
        with self.noted():
            super()._on_rollout_end()

    def _on_training_end(self) -> None:
        """Do nothing: an evaluation may follow. `end` tells the callbacks after it."""

    def end(self) -> None:
        """Tell the callbacks, once, that training has ended."""
        for callback in self.callbacks:
            callback.on_training_end()


class Trackers(BaseCallback):
    """Calls trackers: callbacks that only watch a training.

    The random generators are put back after each call, so a tracker cannot change the training through them. A tracker
    that raises is left out from then on.
    """

    def __init__(self, run: RunConfig) -> None:
        """Make the trackers. Call this before the environments and the agent are made."""
        super().__init__()
        self._trackers: list[BaseCallback] = []
        with _generators_kept(None):
            try:
                self._trackers = made_callbacks(run, "trackers")
            except Exception:
                logger.warning("the trackers could not be made, and are left out", exc_info=True)

    def _init_callback(self) -> None:
        self._tell(lambda tracker: tracker.init_callback(self.model))

    def _on_training_start(self) -> None:
        outputs = self.logger.output_formats
        before = len(outputs)
        self._tell(lambda tracker: tracker.on_training_start(self.locals, self.globals))
        outputs[before:] = [_Lenient(output, self.model) for output in outputs[before:]]

    def _on_rollout_start(self) -> None:
        self._tell(lambda tracker: tracker.on_rollout_start())

    def _on_step(self) -> bool:
        self._tell(lambda tracker: tracker.on_step())
        return True

    def _on_rollout_end(self) -> None:
        self._tell(lambda tracker: tracker.on_rollout_end())

    def _on_training_end(self) -> None:
        self._tell(lambda tracker: tracker.on_training_end())
        self._trackers.clear()

    def update_child_locals(self, locals_: dict[str, Any]) -> None:
        for tracker in self._trackers:
            tracker.update_locals(locals_)

    def _tell(self, tell: Callable[[BaseCallback], object]) -> None:
        for tracker in list(self._trackers):
            # There is no model if it could not be made.
            with _generators_kept(getattr(self, "model", None)):
                try:
                    tell(tracker)
                except Exception:
                    logger.warning("a tracker failed, and is left out from here on", exc_info=True)
                    self._trackers.remove(tracker)


@contextmanager
def _generators_kept(model: BaseAlgorithm | None) -> Iterator[None]:
    """Restore, on exit, the states of the random generators that a training uses: Python's, numpy's, torch's, and
    those in the model's spaces."""
    spaces = [] if model is None else [model.action_space, model.observation_space]
    drawn = [space.np_random.bit_generator.state for space in spaces]
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        for space, state in zip(spaces, drawn, strict=True):
            space.np_random.bit_generator.state = state


class _Lenient(KVWriter):
    """Wraps a tracker's output of SB3's logger: errors are logged, and random generators are put back."""

    def __init__(self, output: KVWriter, model: BaseAlgorithm) -> None:
        self._output, self._model = output, model

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        with _generators_kept(self._model):
            try:
                self._output.write(key_values, key_excluded, step)
            except Exception:
                logger.warning("a tracker could not write the log of step %d", step, exc_info=True)

    def close(self) -> None:
        self._output.close()


def _add_with_inner(callbacks: list[BaseCallback], found: dict[int, BaseCallback]) -> None:
    """Add callbacks, and the callbacks in their attributes, to `found`, each once, by `id`."""
    for callback in callbacks:
        if id(callback) in found:
            continue
        found[id(callback)] = callback
        for name, value in vars(callback).items():
            inner = value if isinstance(value, list) else [value]
            if name != "parent":
                _add_with_inner([one for one in inner if isinstance(one, BaseCallback)], found)


# Attributes that SB3 sets anew: they are no part of a callback's state.
_GIVEN = ("globals", "locals", "logger", "model", "parent")


def states_of(callbacks: list[BaseCallback]) -> list[dict[str, Any]]:
    """Return the attributes of each callback, without `_GIVEN`."""
    return [{key: value for key, value in vars(one).items() if key not in _GIVEN} for one in callbacks]


def put_back(callbacks: list[BaseCallback], states: list[dict[str, Any]], model: BaseAlgorithm) -> None:
    """Give callbacks the states that `states_of` returned for callbacks of the same config."""
    for callback, state in zip(callbacks, states, strict=True):
        vars(callback).update(state)
        callback.model = model
