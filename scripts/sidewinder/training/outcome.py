"""What came of a training run. It loads no torch: a training may be known."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional

from sidewinder.results import EvaluationResult, State

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


@dataclass
class Outcome:
    """What came of a training run.

    Attributes:
        state: `complete`, `pruned` or `failed`.
        reason: Why it failed; else None.
        evaluations: In order of steps.
        held_out_returns: Of the held-out episodes, if there are any, with the agent as it was when `evaluations` were
            at their best, or with the last one, as `evaluation.objective` says.
        model: The agent as training left it; None if it could not be built.
        steps_per_second: Environment steps over the time that training took without its evaluations; 0 if it failed.
        evaluation_seconds: How long its evaluations took, held-out episodes among them; 0 if it failed.
    """

    state: State = "complete"
    reason: str | None = None
    evaluations: list[EvaluationResult] = field(default_factory=list)
    held_out_returns: list[float] = field(default_factory=list)
    model: Optional["BaseAlgorithm"] = None
    steps_per_second: float = 0.0
    evaluation_seconds: float = 0.0

    def objective(self, which: str, direction: str = "maximize") -> float | None:
        """The best or the last mean return of a complete run, else None."""
        if self.state != "complete":
            return None
        # Imported late: what is known needs no numpy.
        from sidewinder.training.objectives import counted

        return counted(self.evaluations, which, direction).mean_return


def repeated(evaluations: list[EvaluationResult], report: Callable[[int, float], bool]) -> Outcome:
    """What comes of a training whose evaluations are known, for who asks now whether to prune it."""
    for index, evaluation in enumerate(evaluations):
        if report(evaluation.step, evaluation.mean_return):
            return Outcome(state="pruned", evaluations=evaluations[: index + 1])
    return Outcome(evaluations=evaluations)
