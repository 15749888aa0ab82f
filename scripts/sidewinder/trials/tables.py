"""The results of a study as tables: written from the trials' files, read by whatever comes after them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from sidewinder.config.study_settings import Direction
from sidewinder.files import reading, to_json
from sidewinder.results import Result, as_json

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MADE_BY = "`snakemake` makes it from the trials"
# What timing.json says of a training.
TIMES = ("started", "seconds", "evaluation_seconds", "environment_steps", "host", "process")


def trials_table(results: list[Result]) -> pd.DataFrame:
    """One row a trial, in order of number.

    Columns: `number`, `state`, `objective` (empty unless complete), one column a further objective, `steps`
    (environment steps at the last evaluation), `reason` (of a failure), then one column a parameter, empty where the
    trial did not have it. Of several environments also `return_<environment>`, the mean over replicates of a complete
    trial. Where trainings come from archives, also `archive`, with the processor.
    """
    archives = {result.number: _archives(result) for result in results}
    further = {name: None for result in results for name in result.further_objectives}
    rows = [
        {
            "number": result.number,
            "state": result.state,
            "objective": result.objective,
            **(further | result.further_objectives),
            "steps": result.evaluations[-1].step if result.evaluations else 0,
            "reason": result.reason,
            **_returns(result),
            **({"archive": archives[result.number]} if any(archives.values()) else {}),
            **result.params,
        }
        for result in results
    ]
    # As objects: whole numbers stay whole where other trials lack the parameter.
    return pd.DataFrame(rows, dtype=object)


def return_column(environment: str) -> str:
    """The column of a trial's return in one of several environments."""
    return f"return_{environment}"


def _returns(result: Result) -> dict[str, float | None]:
    """A trial's return in each of several environments, by column."""
    returns: dict[str, list[float]] = {}
    for one in result.replicates:
        if one.environment is not None:
            returns.setdefault(one.environment, []).extend([] if one.objective is None else [one.objective])
    complete = result.state == "complete"
    return {
        return_column(name): sum(values) / len(values) if complete and values else None
        for name, values in returns.items()
    }


def _archives(result: Result) -> str | None:
    parts = [result.archived, *(replicate.archived for replicate in result.replicates)]
    return ", ".join(dict.fromkeys(str(part) for part in parts if part)) or None


def evaluations_table(results: list[Result], metrics: Sequence[str] = ()) -> pd.DataFrame:
    """One row an evaluation. Columns: `number`, `step` (environment steps), then for each metric the mean and the
    standard deviation over episodes, such as `mean_return`, `std_return`.

    Args:
        results: Of the trials.
        metrics: Those of `evaluation.metric`, in their order; the return is always one.
    """
    names = _with_return(metrics)
    rows = [
        [result.number, evaluation.step, *(value for name in names for value in evaluation.of(name))]
        for result in results
        for evaluation in result.evaluations
    ]
    return pd.DataFrame(rows, columns=["number", "step", *metric_columns(metrics)])


def metric_columns(metrics: Sequence[str]) -> list[str]:
    """The columns of a table with the metrics of `evaluation.metric`: what its rows are judged by comes first."""
    return [f"{what}_{name}" for name in _with_return(metrics) for what in ("mean", "std")]


def _with_return(metrics: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*metrics, "return"]))


def judged(table: pd.DataFrame) -> str:
    """The metric that a table's rows are judged by."""
    return next(name for name in map(str, table) if name.startswith("mean_")).removeprefix("mean_")


def read_timing(path: Path) -> list[dict[str, Any]]:
    """When, where and how long the trainings of a trial ran, from its timing.json.

    Raises:
        SidewinderError: It is missing or malformed.
    """
    with reading(path, "the trial's job makes it", "to go on without these times, which are not measured again"):
        trainings = json.loads(path.read_text())
        # Before version 0.2 nobody measured the evaluations.
        return [{name: ({"evaluation_seconds": None} | training)[name] for name in TIMES} for training in trainings]


def timings_table(timings: Mapping[int, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """One row a training, of several replicates one each. Columns: `number`, `started` (ISO 8601, UTC), `seconds`,
    `evaluation_seconds` of these (empty where nobody measured them), `environment_steps`, `host`, `process`.

    Args:
        timings: As `read_timing` gives them, by the trial's number.
    """
    rows = [{"number": number, **training} for number, own in timings.items() for training in own]
    return pd.DataFrame(rows, columns=["number", *TIMES])


def distributions_json(results: list[Result]) -> str:
    """The distribution of each parameter, in Optuna's JSON: what the two tables lack to make the study again."""
    distributions: dict[str, BaseDistribution] = {}
    for result in results:
        distributions |= result.optuna_distributions()
    return to_json(as_json(distributions))


def read_trials(path: Path) -> pd.DataFrame:
    """Read trials.csv as `trials_table` made it."""
    # Only the empty field is a missing value: "null" and "None" are choices.
    with reading(path, MADE_BY):
        return pd.read_csv(path, keep_default_na=False, na_values=[""])


def read_distributions(path: Path) -> dict[str, Any]:
    """Read distributions.json as `distributions_json` made it."""
    with reading(path, MADE_BY):
        distributions: dict[str, Any] = json.loads(path.read_text())
        return distributions


def read_evaluations(path: Path) -> pd.DataFrame:
    """Read evaluations.csv as `evaluations_table` made it."""
    with reading(path, MADE_BY):
        return pd.read_csv(path)


def read_timings(path: Path) -> pd.DataFrame:
    """Read timings.csv as `timings_table` made it, `started` as times."""
    with reading(path, MADE_BY):
        return pd.read_csv(path, parse_dates=["started"], date_format="ISO8601")


def ranked(trials: pd.DataFrame, direction: str) -> list[int]:
    """The complete trials, the best first; of equally good trials the one with the lower number first."""
    complete = trials[trials["state"] == "complete"]
    best_first = complete.sort_values(["objective", "number"], ascending=[direction == "minimize", True])
    return [int(number) for number in best_first["number"]]


def pareto_set(trials: pd.DataFrame, objectives: Sequence[str], directions: Sequence[Direction]) -> list[int]:
    """The complete trials that none is better than in one objective and no worse in the others, in order of return."""
    complete = trials[trials["state"] == "complete"].sort_values("objective", ascending=directions[0] == "minimize")
    values = complete[value_columns(objectives)].to_numpy(float)
    return [int(complete["number"].iloc[position]) for position in undominated(values.tolist(), directions)]


def undominated(values: Sequence[Sequence[float]], directions: Sequence[Direction]) -> list[int]:
    """Positions of the settings that none is better than in one objective and no worse in the others, in order.

    Args:
        values: Settings x objectives.
        directions: One an objective.
    """
    # Imported late: most jobs need not load it.
    import optuna
    from optuna.trial import create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=directions)
    study.add_trials([create_trial(values=list(row)) for row in values])
    return sorted(trial.number for trial in study.best_trials)


def value_columns(objectives: Sequence[str]) -> list[str]:
    """The columns of trials.csv that hold these objectives of a study."""
    return ["objective", *objectives[1:]]


class Made(Protocol):
    """What says with which code it was made."""

    packages: dict[str, str]
    sources: dict[str, str]


def mixed_versions(results: Sequence[Made]) -> str:
    """Packages, or modules of one's own, of which results were made with different versions; empty without any."""
    found: dict[str, list[str]] = {}
    for result in results:
        for name, version in (result.packages | result.sources).items():
            if version not in found.setdefault(name, []):
                found[name].append(version)
    return ", ".join(f"{name} {' and '.join(versions)}" for name, versions in found.items() if len(versions) > 1)
