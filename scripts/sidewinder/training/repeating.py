"""Restores the environments of a checkpoint by repeating what was done in them. This works for every environment that
gives the same results for the same seeds and actions."""

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
    """Keeps environments and replay buffer in a checkpoint, and restores them by repeating; see `keeper.Way`.

    The checkpoint's record grows by the entries of a tape: what the agent and the evaluations do in the environments.
    """

    way = "repeating"

    def __init__(self, tape: Tape, evaluator: Evaluator, *, of_ones_own: bool) -> None:
        """Prepare to repeat.

        Args:
            tape: Has an entry for all that is done in the environments of training and of the evaluations.
            evaluator: Repeats the evaluations.
            of_ones_own: Whether the training has algorithms, callbacks or other classes of the user. Storing the same
                steps may then fill another replay buffer, so its digest is compared.
        """
        self._tape, self._evaluator, self._of_ones_own = tape, evaluator, of_ones_own
        self._unrecorded = b""

    def stored(self, actions: np.ndarray) -> None:
        """Note the step that the agent is about to store in its replay buffer."""
        self._tape.note("store", actions)

    def no_use(self, model: BaseAlgorithm) -> str:
        """Return why no checkpoint of this agent can be made; empty if one can."""
        if not is_repeatable(model):
            return "the class of the replay buffer is none of Stable-Baselines3's"
        env = model.get_env()
        assert env is not None
        recorded = unwrap_vec_wrapper(env, Recorded)
        reached_into = isinstance(recorded, Recorded) and recorded.reached_into
        return "a callback reached into the environments themselves" if reached_into else ""

    def growth(self, _model: BaseAlgorithm) -> bytes:
        """Return the entries that the record does not have yet."""
        self._unrecorded += self._tape.taken()
        return self._unrecorded

    def recorded(self) -> None:
        """Take note that the last `growth` is in the record."""
        self._unrecorded = b""

    def forget(self) -> None:
        """Empty the tape, which would otherwise grow: there will be no further checkpoint."""
        self._tape.taken()

    def state(self, model: BaseAlgorithm) -> tuple[dict[str, Any], bytes]:
        """Return the facts for JSON, and no bytes: the record is enough to restore the environments."""
        facts = {
            "layouts": list(self._tape.layouts),
            "answers": self._tape.answers(),
            "buffer": content_of_buffer(model) if self._of_ones_own else None,
        }
        return facts, b""

    def bring_back(self, model: BaseAlgorithm, saved: Saved) -> None:
        """Repeat the record in new environments.

        Raises:
            UnusableError: The environments raise, or give other results than before; or the replay buffer differs.
        """
        env, facts = model.get_env(), saved.facts
        assert env is not None
        self._repeat(env, saved, model)
        if self._tape.taken() != saved.record or self._tape.answers() != facts["answers"]:
            raise UnusableError("the environments give other results for the same actions", for_good=True)
        if self._of_ones_own and content_of_buffer(model) != facts["buffer"]:
            raise UnusableError("storing the same steps gives another replay buffer", for_good=True)

    def _repeat(self, env: VecEnv, saved: Saved, model: BaseAlgorithm) -> None:
        layouts = [(what, dtype, tuple(shape)) for what, dtype, shape in saved.facts["layouts"]]
        try:
            repeat(self._tape, env, saved.record, layouts, storing(model), self._evaluator.values)
        except Exception as error:
            if isinstance(error, SidewinderError) or is_of_the_machine(error):
                raise
            raise UnusableError(f"the environments cannot be restored ({reason_of(error)})", for_good=True) from error
