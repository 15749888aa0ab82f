"""The evaluations of a training run: when, with which agent, and what follows from each."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.vec_env import VecEnv, unwrap_vec_wrapper

from sidewinder.config.run_config import RunConfig
from sidewinder.results import EvaluationResult
from sidewinder.training.episodes import Episodes
from sidewinder.training.recorded import Noting, Tape
from sidewinder.training.turns import TakesTurns

logger = logging.getLogger(__name__)


class EndOfTraining(Exception):  # noqa: N818
    """Ends the training of every algorithm; a callback that returns False does not end ARS's.

    Attributes:
        pruned: Whether it ends before its time.
    """

    def __init__(self, *, pruned: bool) -> None:
        super().__init__()
        self.pruned = pruned


class NotOfTheTrainingError(Exception):
    """Something else than training went wrong, such as the study's database.

    Attributes:
        error: What it raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def not_of_the_training() -> Iterator[None]:
    """Tell what is raised in here from what a training raises."""
    try:
        yield
    except Exception as error:
        raise NotOfTheTrainingError(error) from error


class Evaluator(BaseCallback):
    """Evaluates every `eval_freq` environment steps and at the end, which is the first evaluation at or beyond
    `total_timesteps`: nothing that is trained after it would count.

    Attributes:
        evaluations: In order of steps.
        held_out: Values of the held-out episodes by metric, if there are any, with the agent of the evaluation that
            counts.
        goes_on: Asked after each evaluation whether training is to go on.
    """

    def __init__(
        self,
        run: RunConfig,
        trained_in: VecEnv,
        episodes: Episodes,
        held_out: Episodes | None,
        report: Callable[[int, float], bool],
        counted: Callable[[BaseAlgorithm], None],
        direction: str,
        tape: Tape | None = None,
    ) -> None:
        super().__init__()
        self.evaluations: list[EvaluationResult] = []
        self.held_out: dict[str, list[float]] = {}
        self._settings, self._metric = run.evaluation, run.evaluation.metrics[0]
        self._total_timesteps = run.training.total_timesteps
        self._episodes = {"evaluate": episodes, "hold": held_out}
        self._tape = tape
        self._report, self._counted = report, counted
        self.goes_on: Callable[[], bool] = lambda: True
        self._sign = -1 if direction == "minimize" else 1
        self._next_step = run.evaluation.eval_freq
        self._started = time.monotonic()
        self.evaluation_seconds = 0.0
        self._turns = unwrap_vec_wrapper(trained_in, TakesTurns)
        if isinstance(self._turns, TakesTurns):
            self._turns.turn = self._turn

    @property
    def best_mean_reward(self) -> float:
        """As SB3's `EvalCallback` has it, for the callbacks that it is the parent of."""
        return max(map(self._worth, self.evaluations), default=-np.inf)

    @property
    def last_mean_reward(self) -> float:
        """As SB3's `EvalCallback` has it."""
        return self._worth(self.evaluations[-1]) if self.evaluations else -np.inf

    def steps_per_second(self) -> float:
        """Environment steps so far over the time that they took, evaluations not counted."""
        return self.num_timesteps / (time.monotonic() - self._started - self.evaluation_seconds)

    def state(self) -> dict[str, Any]:
        """What `go_on` needs, as JSON can hold it."""
        return {
            "evaluations": [evaluation.model_dump() for evaluation in self.evaluations],
            "held_out": self.held_out,
            "next_step": self._next_step,
            "seconds": time.monotonic() - self._started,
            "evaluating": self.evaluation_seconds,
        }

    def go_on(self, state: dict[str, Any]) -> None:
        """Go on from a moment of rest of the same training: report its evaluations again, to whoever asks now.

        Raises:
            EndOfTraining: The training was to end by then.
        """
        self.held_out = state["held_out"]
        self._next_step, self.evaluation_seconds = state["next_step"], state["evaluating"]
        self._started = time.monotonic() - state["seconds"]
        self.num_timesteps = self.model.num_timesteps
        for evaluation in state["evaluations"]:
            self.evaluations.append(EvaluationResult(**evaluation))
            with not_of_the_training():
                pruned = self._report(evaluation["step"], self._worth(self.evaluations[-1]))
            if pruned:
                raise EndOfTraining(pruned=True)

    def _on_step(self) -> bool:
        if self._turns is None and self.num_timesteps >= self._next_step:
            self._evaluate(self.num_timesteps)
        return True

    def _turn(self) -> bool:
        """The environments have stepped, and the agent does not know it yet."""
        step = self.model.num_timesteps + self.training_env.num_envs
        if step < self._next_step:
            return False
        self._evaluate(step)
        return True

    def _on_training_end(self) -> None:
        # Had there been one at or beyond the budget, training would have ended there.
        self._evaluate(self.num_timesteps)

    def end(self, step: int) -> NoReturn:
        """End the training before its time, with an evaluation.

        Raises:
            EndOfTraining: Always.
        """
        logger.info("a callback ends the training at step %d", step)
        if self.evaluations and self.evaluations[-1].step == step:
            if self._settings.objective != "best":
                self._count()
        else:
            self._evaluate(step, ends=True)
        raise EndOfTraining(pruned=False)

    def _evaluate(self, step: int, *, ends: bool = False) -> None:
        self._next_step += self._settings.eval_freq
        evaluation = EvaluationResult.of_episodes(step, self._timed("evaluate"))
        earlier = [self._sign * self._worth(other) for other in self.evaluations]
        self.evaluations.append(evaluation)
        ends = not self.goes_on() or ends
        if self._settings.objective == "best":
            counts = self._sign * self._worth(evaluation) > max(earlier, default=-np.inf)
        else:
            # At once, for the agent may yet be updated before training ends.
            counts = ends or step >= self._total_timesteps or self._next_step > self._total_timesteps
        if counts:
            self._count()
        with not_of_the_training():
            self.logger.record("eval/mean_return", evaluation.mean_return)
            self.logger.record("eval/std_return", evaluation.std_return)
            for name, (mean, std) in evaluation.metrics.items():
                self.logger.record(f"eval/mean_{name}", mean)
                self.logger.record(f"eval/std_{name}", std)
            self.logger.dump(step)
            pruned = self._report(step, self._worth(evaluation))
        self._log_progress(evaluation)
        if pruned:
            logger.info("pruned at step %d", step)
        if pruned or ends or step >= self._total_timesteps:
            raise EndOfTraining(pruned=pruned)

    def _count(self) -> None:
        """The agent as it is now is the one that the objective is of, for now."""
        if self._episodes["hold"]:
            self.held_out = self._timed("hold")
        with not_of_the_training():
            self._counted(self.model)

    def values(self, which: str, acting: PolicyPredictor) -> dict[str, list[float]]:
        """The values of an evaluation's episodes (`evaluate`) or of the held-out ones (`hold`), by metric, recorded on
        the tape."""
        episodes = self._episodes[which]
        assert episodes
        if self._tape is None:
            return episodes.values(self.model, acting)
        self._tape.note(which)
        values = episodes.values(self.model, Noting(acting, self._tape))
        self._tape.hear(np.asarray(list(values.values())).tobytes())
        return values

    def _worth(self, evaluation: EvaluationResult) -> float:
        """The mean of the metric that evaluations are judged by."""
        return evaluation.of(self._metric)[0]

    def _timed(self, which: str) -> dict[str, list[float]]:
        started = time.monotonic()
        values = self.values(which, self.model)
        self.evaluation_seconds += time.monotonic() - started
        return values

    def _log_progress(self, evaluation: EvaluationResult) -> None:
        speed = evaluation.step / (time.monotonic() - self._started)
        remaining = max(0, self._total_timesteps - evaluation.step) / speed
        logger.info(
            "step %d of %d: mean return %.1f (std %.1f)%s, %.0f steps/s, %.0f s to go",
            evaluation.step,
            self._total_timesteps,
            evaluation.mean_return,
            evaluation.std_return,
            "".join(f", {name} {mean:.4g}" for name, (mean, _) in evaluation.metrics.items()),
            speed,
            remaining,
        )
