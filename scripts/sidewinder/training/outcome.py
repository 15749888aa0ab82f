"""The outcome of a training run. Does not import torch: a known training needs none."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional

from sidewinder.results import EvaluationResult, State

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from sidewinder.config.run_config import RunConfig


@dataclass
class Outcome:
    """Outcome of a training run.

    Attributes:
        state: `complete`, `pruned` or `failed`.
        reason: Why it failed; else None.
        evaluations: The evaluations, in order of steps.
        held_out: Values of the held-out episodes, by metric; empty without any. The agent is as it was at the best
            evaluation if `evaluation.objective` is `best`, else as it was at the last one.
        model: The agent at the end of training; None if it could not be built or the training was not run here.
        steps_per_second: Environment steps per second of training, evaluations not counted; 0 if it failed.
        evaluation_seconds: Seconds that evaluations and held-out episodes took; 0 if it failed.
    """

    state: State = "complete"
    reason: str | None = None
    evaluations: list[EvaluationResult] = field(default_factory=list)
    held_out: dict[str, list[float]] = field(default_factory=dict)
    model: Optional["BaseAlgorithm"] = None
    steps_per_second: float = 0.0
    evaluation_seconds: float = 0.0

    @property
    def held_out_returns(self) -> list[float]:
        """Undiscounted returns of the held-out episodes."""
        return self.held_out.get("return", [])

    @property
    def held_out_metrics(self) -> dict[str, list[float]]:
        """Values of the held-out episodes for the other metrics, by name."""
        return {name: values for name, values in self.held_out.items() if name != "return"}

    def objective(self, run: "RunConfig", direction: str = "maximize") -> float | None:
        """Return the objective of a complete run, as `evaluation.objective` defines it; None for any other run."""
        if self.state != "complete":
            return None
        # Imported late: a known training needs no numpy.
        from sidewinder.training.objectives import reached

        return reached(self.evaluations, run, run.evaluation.metrics[0], direction)[0]


def repeated(evaluations: list[EvaluationResult], metric: str, report: Callable[[int, float], bool]) -> Outcome:
    """Return the outcome of a training whose evaluations are known, with today's decisions to prune.

    Args:
        evaluations: All evaluations of the training, in order of steps.
        metric: The metric that evaluations are judged by.
        report: Called with the steps and the metric's mean of each evaluation; True prunes the training there.
    """
    for index, evaluation in enumerate(evaluations):
        if report(evaluation.step, evaluation.of(metric)[0]):
            return Outcome(state="pruned", evaluations=evaluations[: index + 1])
    return Outcome(evaluations=evaluations)
