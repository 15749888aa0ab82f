"""Brings environments back to a checkpoint's state by repeating what was done in them: right for every environment
that repeats."""

from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, unwrap_vec_wrapper

from sidewinder import SidewinderError
from sidewinder.training.agent_state import content_of_buffer, is_repeatable, storing
from sidewinder.training.checkpoints import Saved, UnusableError
from sidewinder.training.evaluator import Evaluator
from sidewinder.training.recorded import Recorded, Tape, repeat
from sidewinder.training.workers import is_of_the_machine, reason_of


class Repeating:
    """A checkpoint's part for the environments and the replay buffer, by repeating.

    The checkpoint's record grows by what is done in the environments. The agent and the evaluations note it on a tape.
    """

    way = "repeating"

    def __init__(self, tape: Tape, evaluator: Evaluator, *, of_ones_own: bool) -> None:
        """Prepare to repeat.

        Args:
            tape: What is done in the environments of training and of the evaluations.
            evaluator: Repeats the evaluations.
            of_ones_own: Whether the user's algorithm or callbacks may fill replay buffers in a way that storing the
                same steps does not repeat.
        """
        self._tape, self._evaluator, self._of_ones_own = tape, evaluator, of_ones_own
        self._unrecorded = b""

    def stored(self, actions: np.ndarray) -> None:
        """Note that the agent stores a step in its replay buffer."""
        self._tape.note("store", actions)

    def no_use(self, model: BaseAlgorithm) -> str:
        """Why no checkpoint can be made of this agent; empty if it can."""
        if not is_repeatable(model):
            return "the replay buffer is of another class than Stable-Baselines3's own"
        env = model.get_env()
        assert env is not None
        recorded = unwrap_vec_wrapper(env, Recorded)
        reached_into = isinstance(recorded, Recorded) and recorded.reached_into
        return "a callback reached into the environments" if reached_into else ""

    def growth(self, _model: BaseAlgorithm) -> bytes:
        """What was done that the record does not have yet."""
        self._unrecorded += self._tape.taken()
        return self._unrecorded

    def recorded(self) -> None:
        """The last `growth` is in the record."""
        self._unrecorded = b""

    def forget(self) -> None:
        """There will be no further checkpoint, so the tape must not grow."""
        self._tape.taken()

    def state(self, model: BaseAlgorithm) -> tuple[dict[str, Any], bytes]:
        """Facts for JSON; nothing else is needed."""
        facts = {
            "layouts": list(self._tape.layouts),
            "answers": self._tape.answers(),
            "buffer": content_of_buffer(model) if self._of_ones_own else None,
        }
        return facts, b""

    def bring_back(self, model: BaseAlgorithm, saved: Saved) -> None:
        """Repeat what the record says."""
        env, facts = model.get_env(), saved.facts
        assert env is not None
        self._repeat(env, saved, model)
        if self._tape.taken() != saved.record or self._tape.answers() != facts["answers"]:
            raise UnusableError("the environments do not repeat for the same actions", for_good=True)
        if self._of_ones_own and content_of_buffer(model) != facts["buffer"]:
            raise UnusableError("storing the same steps fills another replay buffer", for_good=True)

    def _repeat(self, env: VecEnv, saved: Saved, model: BaseAlgorithm) -> None:
        layouts = [(what, dtype, tuple(shape)) for what, dtype, shape in saved.facts["layouts"]]
        try:
            repeat(self._tape, env, saved.record, layouts, storing(model), self._evaluator.values)
        except Exception as error:
            if isinstance(error, SidewinderError) or is_of_the_machine(error):
                raise
            raise UnusableError(
                f"the environments cannot be brought back ({reason_of(error)})", for_good=True
            ) from error
