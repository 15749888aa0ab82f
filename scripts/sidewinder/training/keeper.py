"""Writes the checkpoints of a training, and resumes it from one, bit-exactly."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import TensorBoardOutputFormat

from sidewinder import SidewinderError
from sidewinder.errors import first_line
from sidewinder.training.agent_state import frozen, thaw
from sidewinder.training.checkpoints import Checkpoint, Saved, UnusableError
from sidewinder.training.evaluator import EndOfTraining, Evaluator
from sidewinder.training.workers import reason_of

logger = logging.getLogger(__name__)

# Largest share of a training's time that its checkpoints may take, without waiting for the disk.
SHARE = 0.015
# Seconds in which a training must come to rest after SIGTERM; else the process ends without a checkpoint.
_GRACE = 5


class Way(Protocol):
    """How a checkpoint keeps and restores the environments and the replay buffer: `repeating.Repeating` or
    `snapshots.Snapshots`.

    Attributes:
        way: Its name, `repeating` or `snapshots`.
    """

    way: str

    def stored(self, actions: np.ndarray) -> None:
        """Called before the agent stores a step in its replay buffer."""

    def no_use(self, model: BaseAlgorithm) -> str:
        """Return why no checkpoint of this agent can be made; empty if one can."""

    def growth(self, model: BaseAlgorithm) -> bytes:
        """Return the bytes that the checkpoint's record does not have yet."""

    def recorded(self) -> None:
        """Called when the last `growth` has been written to the record."""

    def forget(self) -> None:
        """Called at each moment of rest when no more checkpoints are written."""

    def state(self, model: BaseAlgorithm) -> tuple[dict[str, Any], bytes]:
        """Return the facts for JSON, and the state of the environments."""

    def bring_back(self, model: BaseAlgorithm, saved: Saved) -> None:
        """Restore the state of the environments and of the replay buffer.

        Raises:
            UnusableError: They cannot be restored.
        """


class Keeper(BaseCallback):
    """Writes checkpoints when the agent is at rest (`agent_state.Watcher`), and resumes when SB3 starts training.

    Attributes:
        rollouts_before: Number of rollouts that earlier processes made in this training.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        training: str,
        saved: Saved | None,
        way: Way,
        evaluator: Evaluator,
        callbacks: list[BaseCallback],
        tensorboard_log: Path | None,
        written: Callable[[], None],
    ) -> None:
        """Prepare to write checkpoints, and to resume from one.

        Args:
            checkpoint: The checkpoint to write.
            training: As for `Checkpoint.write`.
            saved: Content of the checkpoint to resume from; None if the training begins.
            way: Keeps and restores the environments and the replay buffer.
            evaluator: Its evaluations are part of the checkpoint.
            callbacks: The training's callbacks. Their state is part of the checkpoint.
            tensorboard_log: Directory of TensorBoard's log; None without a log.
            written: Called after each checkpoint.
        """
        super().__init__()
        self._checkpoint, self._training, self._saved = checkpoint, training, saved
        self._way, self._evaluator, self._callbacks = way, evaluator, callbacks
        self._log, self._written = tensorboard_log, written
        self.rollouts_before = saved.facts["rollouts"] if saved else 0
        self._rollouts = self.rollouts_before
        # Files are written beside the training, one checkpoint at a time: a disk may take long.
        self._writer = ThreadPoolExecutor(1)
        self._writing: Future[float] | None = None
        self._took = 0.0
        self._pause = checkpoint.every
        self._last = time.monotonic()
        self._wanted, self._ending, self._complaint = checkpoint.wanted, False, ""

    def at_rest(self, model: BaseAlgorithm) -> None:
        """Write a checkpoint if one is due, or if the process was told to end. In the latter case, end it."""
        if self._ending or (self._writing and self._writing.done()):
            self.finish()
        due = self._pause is not None and time.monotonic() - self._last >= self._pause
        if self._wanted and ((due and not self._writing) or self._ending):
            if reason := self._way.no_use(model):
                self._wanted = False
                logger.info("there are no more checkpoints: %s", reason)
            else:
                self._write(model)
        if not self._wanted:
            self._way.forget()
        if self._ending:
            _end()
        self._rollouts += 1

    def finish(self) -> None:
        """Wait until the last checkpoint is written."""
        if self._writing is None:
            return
        writing, self._writing = self._writing, None
        seconds = 0.0
        try:
            seconds = writing.result()
            self._way.recorded()
            self._written()
        except Exception as error:
            self._failed(error)
        if self._checkpoint.every is not None:
            self._pause = max(self._checkpoint.every, (self._took + seconds) / SHARE)

    def stored(self, actions: np.ndarray) -> None:
        """Pass the step on to the way that keeps the replay buffer."""
        self._way.stored(actions)

    @contextmanager
    def ending_at_rest(self) -> Iterator[None]:
        """While this context lasts, let SIGTERM end the process at the next moment of rest, within `_GRACE` seconds.

        Does nothing outside the main thread, or if SIGTERM has a handler already.
        """

        def end_soon(_number: int, _frame: FrameType | None) -> None:
            self._ending = True
            signal.alarm(_GRACE)  # its default action ends the process

        in_main = threading.current_thread() is threading.main_thread()
        if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            yield
            return
        signal.signal(signal.SIGTERM, end_soon)
        try:
            yield
        except EndOfTraining:
            raise  # the caller saves the result, in what is left of `_GRACE`
        except BaseException:
            if self._ending:
                _end()
            raise
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        if self._saved:
            saved, self._saved = self._saved, None
            self._resume(saved)

    def _resume(self, saved: Saved) -> None:
        started = time.monotonic()
        if saved.facts["way"] != self._way.way:
            raise UnusableError(f"it keeps environments by {saved.facts['way']}, this training by {self._way.way}")
        self._way.bring_back(self.model, saved)
        try:
            thaw(self.model, self._callbacks, saved.agent)
        except Exception as error:
            raise UnusableError(f"its agent cannot be read ({first_line(error)})") from error
        self.model.start_time = time.time_ns() - saved.facts["elapsed"]
        self._last = time.monotonic()
        step, seconds = self.model.num_timesteps, self._last - started
        logger.info("resumes at step %d; environments restored by %s in %.1f s", step, self._way.way, seconds)
        self._evaluator.go_on(saved.facts["evaluator"])

    def _write(self, model: BaseAlgorithm) -> None:
        started = time.monotonic()
        try:
            facts, environments = self._way.state(model)
            facts |= {
                "way": self._way.way,
                "step": model.num_timesteps,
                "rollouts": self._rollouts,
                "elapsed": time.time_ns() - model.start_time,
                "evaluator": self._evaluator.state(),
                "tensorboard": self._logged(model),
            }
            content = (facts, frozen(model, self._callbacks), environments, self._way.growth(model))
            self._writing = self._writer.submit(self._write_files, *content)
        except Exception as error:
            self._failed(error)
        self._last = time.monotonic()
        self._took = self._last - started
        if self._ending or self._checkpoint.every == 0:
            self.finish()

    def _write_files(self, facts: dict[str, Any], agent: bytes, environments: bytes, growth: bytes) -> float:
        """Write the checkpoint's files, in a thread. Returns the seconds of processor time that it took."""
        started = time.thread_time()
        self._checkpoint.write(self._training, facts, agent, environments, growth)
        return time.thread_time() - started

    def _failed(self, error: Exception) -> None:
        if isinstance(error, SidewinderError | OSError):
            self._complain(f"a checkpoint could not be written ({error})")
        else:
            # Pickling users' classes can raise anything.
            self._wanted = False
            self._complain(f"no checkpoint can be made of this agent ({reason_of(error)})")

    def _complain(self, what: str) -> None:
        if what != self._complaint:
            logger.warning("%s; the training itself goes on", what)
        self._complaint = what

    def _logged(self, model: BaseAlgorithm) -> dict[str, int]:
        """Return the sizes in bytes of the files of TensorBoard's log, by path within it."""
        if self._log is None:
            return {}
        for output in model.logger.output_formats:
            if isinstance(output, TensorBoardOutputFormat):
                output.writer.flush()
        files = [path for path in self._log.rglob("*") if path.is_file()]
        return {path.relative_to(self._log).as_posix(): path.stat().st_size for path in files}


def cut(log: Path, sizes: dict[str, int]) -> None:
    """Cut TensorBoard's log back to an earlier state, and remove the files that did not exist then.

    Args:
        log: Directory of the log.
        sizes: Sizes in bytes of its files at that time, by path within it.
    """
    for path in [path for path in log.rglob("*") if path.is_file()]:
        size = sizes.get(path.relative_to(log).as_posix())
        if size is None:
            path.unlink()
        else:
            os.truncate(path, min(size, path.stat().st_size))


def _end() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
