"""Writes the checkpoints of a training, and lets it go on from one, to the same bits."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import TensorBoardOutputFormat
from stable_baselines3.common.vec_env import VecEnv, unwrap_vec_wrapper

from sidewinder import SidewinderError
from sidewinder.errors import first_line
from sidewinder.training.agent_state import content_of_buffer, frozen, is_repeatable, storing, thaw
from sidewinder.training.checkpoints import Checkpoint, Saved, UnusableError
from sidewinder.training.evaluator import EndOfTraining, Evaluator
from sidewinder.training.recorded import Recorded, Tape, repeat
from sidewinder.training.workers import is_of_the_machine, reason_of

logger = logging.getLogger(__name__)

# The share of a training's time that its checkpoints may take.
SHARE = 0.015
# Seconds that a training has to come to rest when its process is told to end.
_GRACE = 5


class Keeper(BaseCallback):
    """Is told by the agent when it is at rest (`agent_state.Watcher`), and by SB3 when training begins.

    Attributes:
        rollouts_before: How many rollouts earlier processes made.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        training: str,
        saved: Saved | None,
        tape: Tape,
        evaluator: Evaluator,
        callbacks: list[BaseCallback],
        tensorboard_log: Path | None,
        written: Callable[[], None],
        *,
        of_ones_own: bool,
    ) -> None:
        """Prepare to write checkpoints, and to go on from one.

        Args:
            checkpoint: Where they are written.
            training: As for `Checkpoint.write`.
            saved: What the training goes on from; None if it begins.
            tape: Of what is done in the environments.
            evaluator: Whose evaluations are kept too.
            callbacks: What they know is kept too.
            tensorboard_log: The directory of the log.
            written: Called after each checkpoint.
            of_ones_own: Whether an algorithm or callbacks of somebody's may fill replay buffers in a way that storing
                the same steps does not repeat.
        """
        super().__init__()
        self._checkpoint, self._training, self._saved = checkpoint, training, saved
        self._tape, self._evaluator, self._callbacks = tape, evaluator, callbacks
        self._log, self._written, self._of_ones_own = tensorboard_log, written, of_ones_own
        self.rollouts_before = saved.facts["rollouts"] if saved else 0
        self._rollouts = self.rollouts_before
        self._unwritten = b""
        self._pause = checkpoint.every
        self._last = time.monotonic()
        self._wanted, self._ending, self._complaint = checkpoint.wanted, False, ""

    def at_rest(self, model: BaseAlgorithm) -> None:
        """Write a checkpoint, if it is time to or the process is to end."""
        due = self._pause is not None and time.monotonic() - self._last >= self._pause
        recorded = unwrap_vec_wrapper(model.get_env(), Recorded) if self._wanted else None  # type: ignore[arg-type]
        if isinstance(recorded, Recorded) and recorded.reached_into:
            self._wanted = False
            logger.info("there are no more checkpoints, for a callback reached into the environments")
        if not self._wanted:
            self._tape.taken()  # it would grow
        elif due or self._ending:
            self._write(model)
        if self._ending:
            _end()
        self._rollouts += 1

    def stored(self, actions: np.ndarray) -> None:
        """Record it."""
        self._tape.note("store", actions)

    @contextmanager
    def ending_at_rest(self) -> Iterator[None]:
        """Let SIGTERM end the process at the next moment of rest, if that comes soon."""

        def end_soon(_number: int, _frame: FrameType | None) -> None:
            self._ending = True
            signal.alarm(_GRACE)  # ends the process, whatever it is at

        in_main = threading.current_thread() is threading.main_thread()
        if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            yield
            return
        signal.signal(signal.SIGTERM, end_soon)
        try:
            yield
        except EndOfTraining:
            raise  # there is time to save the result
        except BaseException:
            if self._ending:
                _end()
            raise
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        if not is_repeatable(self.model):
            self._wanted = False
            logger.info("there are no checkpoints of an agent with a replay buffer of another class than SB3's own")
        elif self._saved:
            saved, self._saved = self._saved, None
            self._go_on(saved)

    def _go_on(self, saved: Saved) -> None:
        started = time.monotonic()
        env, facts = self.model.get_env(), saved.facts
        assert env is not None
        self._repeat(env, saved)
        if self._of_ones_own and content_of_buffer(self.model) != facts["buffer"]:
            raise UnusableError("storing the same steps fills another replay buffer", for_good=True)
        try:
            thaw(self.model, self._callbacks, saved.agent)
        except Exception as error:
            raise UnusableError(f"its agent cannot be read ({first_line(error)})") from error
        self.model.start_time = time.time_ns() - facts["elapsed"]
        self._last = time.monotonic()
        logger.info("goes on at step %d, after %.1f s of repeating", self.model.num_timesteps, self._last - started)
        self._evaluator.go_on(facts["evaluator"])

    def _repeat(self, env: VecEnv, saved: Saved) -> None:
        layouts = [(what, dtype, tuple(shape)) for what, dtype, shape in saved.facts["layouts"]]
        try:
            repeat(self._tape, env, saved.record, layouts, storing(self.model), self._evaluator.values)
        except Exception as error:
            if isinstance(error, SidewinderError) or is_of_the_machine(error):
                raise
            raise UnusableError(
                f"the environments cannot be brought back ({reason_of(error)})", for_good=True
            ) from error
        if self._tape.taken() != saved.record or self._tape.answers() != saved.facts["answers"]:
            raise UnusableError("the environments do not repeat for the same actions", for_good=True)

    def _write(self, model: BaseAlgorithm) -> None:
        started = time.monotonic()
        self._unwritten += self._tape.taken()
        try:
            facts = {
                "step": model.num_timesteps,
                "rollouts": self._rollouts,
                "elapsed": time.time_ns() - model.start_time,
                "layouts": self._tape.layouts,
                "answers": self._tape.answers(),
                "evaluator": self._evaluator.state(),
                "tensorboard": self._logged(model),
                "buffer": content_of_buffer(model) if self._of_ones_own else None,
            }
            self._checkpoint.write(self._training, facts, frozen(model, self._callbacks), self._unwritten)
            self._unwritten = b""
            self._written()
        except (SidewinderError, OSError) as error:
            self._complain(f"a checkpoint could not be written ({error})")
        except Exception as error:
            # Whatever somebody's classes raise when they are pickled.
            self._wanted = False
            self._complain(f"no checkpoint can be made of this agent ({reason_of(error)})")
        self._last = time.monotonic()
        if self._checkpoint.every is not None:
            self._pause = max(self._checkpoint.every, (self._last - started) / SHARE)

    def _complain(self, what: str) -> None:
        if what != self._complaint:
            logger.warning("%s; the training itself goes on", what)
        self._complaint = what

    def _logged(self, model: BaseAlgorithm) -> dict[str, int]:
        """How long the files of TensorBoard's log are now."""
        if self._log is None:
            return {}
        for output in model.logger.output_formats:
            if isinstance(output, TensorBoardOutputFormat):
                output.writer.flush()
        files = [path for path in self._log.rglob("*") if path.is_file()]
        return {path.relative_to(self._log).as_posix(): path.stat().st_size for path in files}


def cut(log: Path, sizes: dict[str, int]) -> None:
    """Make TensorBoard's log what it was when its files had these sizes."""
    for path in [path for path in log.rglob("*") if path.is_file()]:
        size = sizes.get(path.relative_to(log).as_posix())
        if size is None:
            path.unlink()
        else:
            os.truncate(path, min(size, path.stat().st_size))


def _end() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
