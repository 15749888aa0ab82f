"""What came of a training run. It loads no torch: a training may be known."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional

from sidewinder.results import EvaluationResult, State

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from sidewinder.config.run_config import RunConfig


@dataclass
class Outcome:
    """What came of a training run.

    Attributes:
        state: `complete`, `pruned` or `failed`.
        reason: Why it failed; else None.
        evaluations: In order of steps.
        held_out: The values of the held-out episodes by metric, if there are any, with the agent as it was when
            `evaluations` were at their best, or with the last one, as `evaluation.objective` says.
        model: The agent as training left it; None if it could not be built.
        steps_per_second: Environment steps over the time that training took without its evaluations; 0 if it failed.
        evaluation_seconds: How long its evaluations took, held-out episodes among them; 0 if it failed.
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
        """Undiscounted, one a held-out episode."""
        return self.held_out.get("return", [])

    @property
    def held_out_metrics(self) -> dict[str, list[float]]:
        """Their other metrics, by name."""
        return {name: values for name, values in self.held_out.items() if name != "return"}

    def objective(self, run: "RunConfig", direction: str = "maximize") -> float | None:
        """What a complete run is worth, as its `evaluation.objective` says; else None."""
        if self.state != "complete":
            return None
        # Imported late: what is known needs no numpy.
        from sidewinder.training.objectives import reached

        return reached(self.evaluations, run, run.evaluation.metrics[0], direction)[0]


def repeated(evaluations: list[EvaluationResult], metric: str, report: Callable[[int, float], bool]) -> Outcome:
    """What comes of a training whose evaluations are known, for who asks now whether to prune it; the metric is the one
    that they are judged by."""
    for index, evaluation in enumerate(evaluations):
        if report(evaluation.step, evaluation.of(metric)[0]):
            return Outcome(state="pruned", evaluations=evaluations[: index + 1])
    return Outcome(evaluations=evaluations)
