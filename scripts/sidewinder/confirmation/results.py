"""The results of the confirmation's trainings as files, and their table, confirmation.csv."""

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
    """The outcome of one training of the confirmation, with the returns of its held-out episodes.

    Attributes:
        state: `complete` or `failed`.
        reason: Why it failed; else None.
        returns: The undiscounted returns, one per held-out episode; empty if the run failed.
        metrics: The values of the other metrics of `evaluation.metric`, one per held-out episode, in the same order.
        evaluations: The evaluations while it trained. By `evaluation.objective`, they decide which agent runs the
            held-out episodes.
        seeds: The seeds of `training`, `evaluation` and held-out `episodes`.
        bit_exact: Whether the training is bit-exact, as docs/glossary.md defines it.
        packages: The versions of the packages that it was trained with.
        sources: The versions or hashes of the modules that the run names, as in `results.Result`.
        steps_per_second: The speed of the training, if that is an objective of the study.
        archived: The archive that it comes from; None if it was trained here.
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
    """A training of the confirmation: its candidate, its seeds and its outcome.

    Attributes:
        phase: `validation` or `test`.
        candidate: `top-1` (the sweep's best) and so on, `winner` of the race, or a baseline: `defaults`, `zoo`.
        trial: The candidate's number in the sweep; None for a baseline.
        index: The index of the phase's seeds, from 0. Runs with the same index have the same training seed and the
            same initial states.
        environment: The environment's name, if the study has several.
        made_from: The hash of everything that the result depends on, by `candidates.made_from`.
        run: The outcome; None if the sweep has no such candidate.
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
            SidewinderError: The file is missing or malformed.
        """
        with reading(path, "run `snakemake` again to train that candidate"):
            return cls.model_validate_json(path.read_bytes())


def read_results(paths: list[Path]) -> list[ConfirmationResult]:
    """Read results of the confirmation; results of candidates that do not exist are left out.

    Raises:
        SidewinderError: A file is missing or malformed.
    """
    results = (ConfirmationResult.load(path) for path in paths)
    return [result for result in results if result.run]


def read_table(path: Path) -> "pd.DataFrame":
    """Read confirmation.csv, which `table` made.

    Raises:
        SidewinderError: The file is missing or malformed.
    """
    # Imported late: trainings, and Snakemake itself, need not load pandas.
    import pandas as pd

    with reading(path, "`snakemake` makes it once the sweep has ended"):
        return pd.read_csv(path)


def table(config: StudyConfig, results: list[ConfirmationResult]) -> "pd.DataFrame":
    """Make confirmation.csv: one row per result that has a run.

    Columns: `phase`, `candidate`, `trial`, `index`, `state`, `n_episodes` (held-out episodes), then for each metric of
    `evaluation.metric` and for the return the mean and the standard deviation over episodes, such as `mean_return` and
    `std_return` (empty if the run failed), and `reason`. With several environments also `environment` and `score` (of
    the first metric). `steps_per_second` if that is an objective. `archive`, the archive with the processor, if
    trainings come from archives.
    """
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
    """Means and standard deviations over a run's held-out episodes, by column name; None if the run failed."""
    import numpy as np

    found: dict[str, float | None] = {}
    for name in dict.fromkeys([*metrics, "return"]):
        values = run.returns if name == "return" else run.metrics.get(name)
        found[f"mean_{name}"] = float(np.mean(values)) if values else None
        found[f"std_{name}"] = float(np.std(values)) if values else None
    return found
