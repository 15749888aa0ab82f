"""Callbacks of one's own in a training, as `training.callbacks` names them: Stable-Baselines3's, and the user's."""

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

# Those that SB3's EvalCallback calls after each evaluation: they ask their parent for the best mean reward.
JUDGES = (StopTrainingOnNoModelImprovement, StopTrainingOnRewardThreshold)


def made_callbacks(run: RunConfig, which: Literal["callbacks", "trackers"] = "callbacks") -> list[BaseCallback]:
    """The callbacks or the trackers of a training, made anew.

    Raises:
        SidewinderError: One cannot be made, or is none; one line that names the key.
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
    """The callbacks of a training. They are called at each step, but SB3's judges of evaluations after each of these.

    Attributes:
        noted: Within what it returns, callbacks are called.
    """

    def __init__(
        self,
        callbacks: list[BaseCallback],
        evaluator: BaseCallback,
        stop: Callable[[int], NoReturn],
    ) -> None:
        """Prepare to call them.

        Args:
            callbacks: As they were made.
            evaluator: The parent of judges, with the attributes of SB3's `EvalCallback` that they read.
            stop: Called with the environment step where one of them ends the training.
        """
        super().__init__(callbacks)
        self._evaluator, self._stop = evaluator, stop
        self.noted: Callable[[], AbstractContextManager[None]] = nullcontext

    def everyone(self) -> list[BaseCallback]:
        """All callbacks, those in others among them, in an order that depends on the config alone."""
        found: dict[int, BaseCallback] = {}
        _add_with_inner(self.callbacks, found)
        return list(found.values())

    def go_on_after_evaluation(self) -> bool:
        """Call those that judge evaluations. Returns whether training is to go on."""
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
            # Returning False would not end the training of SB3-Contrib's ARS.
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
        """Not yet: an evaluation may follow, and `end` comes after it."""

    def end(self) -> None:
        """Tell the callbacks, once, that training has ended."""
        for callback in self.callbacks:
            callback.on_training_end()


class Trackers(BaseCallback):
    """Callbacks that only look at a training: nothing that they do or draw at random changes it, and one that fails is
    left out from then on."""

    def __init__(self, run: RunConfig) -> None:
        """Of a training, before its environments and its agent are made."""
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
            # Without a model, if it could not be made.
            with _generators_kept(getattr(self, "model", None)):
                try:
                    tell(tracker)
                except Exception:
                    logger.warning("a tracker failed, and is left out from here on", exc_info=True)
                    self._trackers.remove(tracker)


@contextmanager
def _generators_kept(model: BaseAlgorithm | None) -> Iterator[None]:
    """Put back what the generators were that a training draws from, its spaces' among them."""
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
    """What a tracker writes SB3's log to."""

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
    """Add callbacks and those that they hold, each once, by their identity."""
    for callback in callbacks:
        if id(callback) in found:
            continue
        found[id(callback)] = callback
        for name, value in vars(callback).items():
            inner = value if isinstance(value, list) else [value]
            if name != "parent":
                _add_with_inner([one for one in inner if isinstance(one, BaseCallback)], found)


# What SB3 gives a callback anew: no state of its own.
_GIVEN = ("globals", "locals", "logger", "model", "parent")


def states_of(callbacks: list[BaseCallback]) -> list[dict[str, Any]]:
    """What callbacks know, without what SB3 gives them."""
    return [{key: value for key, value in vars(one).items() if key not in _GIVEN} for one in callbacks]


def put_back(callbacks: list[BaseCallback], states: list[dict[str, Any]], model: BaseAlgorithm) -> None:
    """Give callbacks of the same config what others knew."""
    for callback, state in zip(callbacks, states, strict=True):
        vars(callback).update(state)
        callback.model = model
