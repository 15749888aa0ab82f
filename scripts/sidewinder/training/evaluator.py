"""Evaluates the agent of a training run at set steps, reports the results, and ends the training."""

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
    """Ends the training. It is raised because a callback that returns False does not end the training of ARS.

    Attributes:
        pruned: Whether the run is pruned. Else it is complete.
    """

    def __init__(self, *, pruned: bool) -> None:
        super().__init__()
        self.pruned = pruned


class NotOfTheTrainingError(Exception):
    """Wraps an error that the training did not cause, such as one of the study's database.

    Attributes:
        error: The original exception.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def not_of_the_training() -> Iterator[None]:
    """Raise any exception of the code inside as NotOfTheTrainingError."""
    try:
        yield
    except Exception as error:
        raise NotOfTheTrainingError(error) from error


class Evaluator(BaseCallback):
    """Evaluates the agent every `eval_freq` environment steps. The first evaluation at or beyond `total_timesteps` ends
    the training.

    Args:
        run: The training run.
        trained_in: Training's environments.
        episodes: The episodes of an evaluation.
        held_out: The held-out episodes; None for none.
        report, counted, direction: As for `run.train`.
        tape: Notes what is done in the environments; None if nothing is to be noted.

    Attributes:
        evaluations: The evaluations, in order of steps.
        held_out: Values of the held-out episodes by metric, empty without any. The agent is the best evaluation's if
            `evaluation.objective` is `best`, else the last evaluation's.
        goes_on: Called after each evaluation; False ends the training.
        evaluation_seconds: Seconds that evaluations and held-out episodes took so far.
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
        """Highest mean of the metric so far. As in SB3's `EvalCallback`, callbacks such as
        `StopTrainingOnRewardThreshold` read it."""
        return max(map(self._worth, self.evaluations), default=-np.inf)

    @property
    def last_mean_reward(self) -> float:
        """Mean of the metric in the last evaluation, as in SB3's `EvalCallback`."""
        return self._worth(self.evaluations[-1]) if self.evaluations else -np.inf

    def steps_per_second(self) -> float:
        """Return the environment steps per second so far; the time of evaluations is not counted."""
        return self.num_timesteps / (time.monotonic() - self._started - self.evaluation_seconds)

    def state(self) -> dict[str, Any]:
        """Return what `go_on` needs, as values that JSON can hold."""
        return {
            "evaluations": [evaluation.model_dump() for evaluation in self.evaluations],
            "held_out": self.held_out,
            "next_step": self._next_step,
            "seconds": time.monotonic() - self._started,
            "evaluating": self.evaluation_seconds,
        }

    def go_on(self, state: dict[str, Any]) -> None:
        """Resume from an earlier `state` of the same training.

        All its evaluations are reported again: this process's pruner does not know them.

        Raises:
            EndOfTraining: The run is pruned at one of them.
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
        """Evaluate if it is due, and return whether it was. `TakesTurns` calls this when its environments have stepped,
        before the agent counts the steps."""
        step = self.model.num_timesteps + self.training_env.num_envs
        if step < self._next_step:
            return False
        self._evaluate(step)
        return True

    def _on_training_end(self) -> None:
        # There is no evaluation at or beyond `total_timesteps` yet: it would have ended the training.
        self._evaluate(self.num_timesteps)

    def end(self, step: int) -> NoReturn:
        """End the training for a callback, with an evaluation at this step if there is none yet.

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
            # Not only once training has ended: the agent may be updated between its last evaluation and the end.
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
        """Run the held-out episodes and call `counted`: the objective so far describes the agent as it is now."""
        if self._episodes["hold"]:
            self.held_out = self._timed("hold")
        with not_of_the_training():
            self._counted(self.model)

    def values(self, which: str, acting: PolicyPredictor) -> dict[str, list[float]]:
        """Run episodes, and note them on the tape, if there is one.

        Args:
            which: `evaluate` for the episodes of an evaluation, `hold` for the held-out ones.
            acting: The agent that acts in them.

        Returns:
            One value per episode for each metric, and for `return`.
        """
        episodes = self._episodes[which]
        assert episodes
        if self._tape is None:
            return episodes.values(self.model, acting)
        self._tape.note(which)
        values = episodes.values(self.model, Noting(acting, self._tape))
        self._tape.hear(np.asarray(list(values.values())).tobytes())
        return values

    def _worth(self, evaluation: EvaluationResult) -> float:
        """Return the mean of the metric that evaluations are judged by."""
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
