"""The outcome of one training of the confirmation as a file, and the table of all of them, confirmation.csv."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict

from sidewinder.config.study_config import StudyConfig
from sidewinder.files import reading
from sidewinder.results import ArchivedOrNot, EpisodeMetrics, EvaluationResult, Sources, State

if TYPE_CHECKING:
    import pandas as pd

Phase = Literal["validation", "test"]


class ConfirmationRun(BaseModel):
    """One training run of the confirmation, and the returns of episodes that chose nothing.

    Attributes:
        returns: Undiscounted, one a held-out episode; empty if the run failed.
        metrics: What else `evaluation.metric` names, in the same order.
        evaluations: While it trained: they chose the moment, as `evaluation.objective` says, that `returns` are of.
        sources: As `results.Result` has them.
        steps_per_second: Of the training, if that is an objective of the study.
        archived: Where it comes from, if it was not trained here.
    """

    model_config = ConfigDict(extra="forbid")

    state: State
    reason: str | None
    returns: list[float]
    metrics: EpisodeMetrics = {}
    evaluations: list[EvaluationResult]
    seeds: dict[str, int]
    bit_exact: bool
    packages: dict[str, str]
    sources: Sources = {}
    steps_per_second: float | None = None
    archived: ArchivedOrNot = None


class ConfirmationResult(BaseModel):
    """Whose run it is.

    Attributes:
        candidate: `top-1` (the sweep's best) and so on, `winner` of the validation, or a baseline: `defaults`, `zoo`.
        trial: The candidate's number in the sweep; None for a baseline.
        index: Which of the phase's seeds, from 0. Runs of one index share training seed and initial states.
        environment: Its name, if the study has several.
        made_from: `candidates.made_from` of the study and the candidate that it belongs to.
        run: None if the sweep has no such candidate.
    """

    model_config = ConfigDict(extra="forbid")

    phase: Phase
    candidate: str
    trial: int | None
    index: int
    environment: str | None
    made_from: str
    run: ConfirmationRun | None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a result of the confirmation.

        Raises:
            SidewinderError: It is missing or malformed.
        """
        with reading(path, "run `snakemake` again to train that candidate"):
            return cls.model_validate_json(path.read_bytes())


def read_results(paths: list[Path]) -> list[ConfirmationResult]:
    """Read results of the confirmation, without those of candidates that do not exist.

    Raises:
        SidewinderError: One is missing or malformed.
    """
    results = (ConfirmationResult.load(path) for path in paths)
    return [result for result in results if result.run]


def read_table(path: Path) -> "pd.DataFrame":
    """Read confirmation.csv as `table` made it.

    Raises:
        SidewinderError: It is missing or malformed.
    """
    # Imported late: trainings, and Snakemake itself, need not load it.
    import pandas as pd

    with reading(path, "`snakemake` makes it once the sweep has ended"):
        return pd.read_csv(path)


def table(config: StudyConfig, results: list[ConfirmationResult]) -> "pd.DataFrame":
    """One row a result. Columns: `phase`, `candidate`, `trial`, `index`, `state`, `n_episodes`, then for
    each metric of `evaluation.metric` and the return the mean and the standard deviation over episodes (empty if it
    failed), such as `mean_return` and `std_return`, `reason`; of several environments also `environment` and `score`
    (of the first metric); `steps_per_second` where that is an objective; and `archive`, with the processor, where
    trainings come from archives."""
    import pandas as pd

    rows = [
        {
            "phase": result.phase,
            "candidate": result.candidate,
            "trial": result.trial,
            "environment": result.environment,
            "index": result.index,
            "state": run.state,
            "n_episodes": len(run.returns),
            **means,
            "score": None if worth is None else config.score(worth, result.environment),
            "steps_per_second": run.steps_per_second,
            "reason": run.reason,
            "archive": str(run.archived) if run.archived else None,
        }
        for result in results
        for run in [result.run]
        if run
        for means in [_means(config.metrics, run)]
        for worth in [means[f"mean_{config.study.objectives[0]}"]]
    ]
    frame = pd.DataFrame(rows).astype({"trial": "Int64"})
    if not config.environments:
        frame = frame.drop(columns=["environment", "score"])
    if not config.study.timed:
        frame = frame.drop(columns="steps_per_second")
    return frame if frame["archive"].any() else frame.drop(columns="archive")


def _means(metrics: list[str], run: ConfirmationRun) -> dict[str, float | None]:
    """Means and standard deviations over a run's episodes, by column."""
    import numpy as np

    found: dict[str, float | None] = {}
    for name in dict.fromkeys([*metrics, "return"]):
        values = run.returns if name == "return" else run.metrics.get(name)
        found[f"mean_{name}"] = float(np.mean(values)) if values else None
        found[f"std_{name}"] = float(np.std(values)) if values else None
    return found
