"""The results of a study as tables: made from the trials' files, and read again by all later steps."""

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
# Keys of a training in timing.json.
TIMES = ("started", "seconds", "evaluation_seconds", "environment_steps", "host", "process")


def trials_table(results: list[Result]) -> pd.DataFrame:
    """Make trials.csv: one row per trial, in the order of the results.

    Columns: `number`, `state`, `objective` (empty unless complete), one column per further objective, `steps`
    (environment steps at the last evaluation; 0 without one), `reason` (why it failed). With several environments:
    `return_<environment>`, the mean over the replicates of a complete trial. If trainings come from archives:
    `archive`, the archive with the processor. Then one column per parameter, empty where the trial does not have it.

    Args:
        results: The results of the trials.
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
    # dtype=object: whole numbers stay whole if other trials lack the parameter.
    return pd.DataFrame(rows, dtype=object)


def return_column(environment: str) -> str:
    """The name of the column with a trial's return in one of several environments."""
    return f"return_{environment}"


def _returns(result: Result) -> dict[str, float | None]:
    """A trial's mean return in each of several environments, by column name; None unless the trial is complete."""
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
    """Make evaluations.csv: one row per evaluation.

    Columns: `number` (of the trial), `step` (environment steps), then for each metric the mean and the standard
    deviation over episodes, such as `mean_return`, `std_return`.

    Args:
        results: The results of the trials.
        metrics: The metrics of `evaluation.metric`, in their order. The return is added if it is not among them.
    """
    names = _with_return(metrics)
    rows = [
        [result.number, evaluation.step, *(value for name in names for value in evaluation.of(name))]
        for result in results
        for evaluation in result.evaluations
    ]
    return pd.DataFrame(rows, columns=["number", "step", *metric_columns(metrics)])


def metric_columns(metrics: Sequence[str]) -> list[str]:
    """The names of a table's columns for the metrics of `evaluation.metric`; rows are judged by the first metric."""
    return [f"{what}_{name}" for name in _with_return(metrics) for what in ("mean", "std")]


def _with_return(metrics: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*metrics, "return"]))


def judged(table: pd.DataFrame) -> str:
    """The metric that a table's rows are judged by: the metric of its first `mean_` column."""
    return next(name for name in map(str, table) if name.startswith("mean_")).removeprefix("mean_")


def read_timing(path: Path) -> list[dict[str, Any]]:
    """Read when, where and how long the trainings of a trial ran from its timing.json.

    Returns:
        One dictionary per training, with the keys `TIMES`.

    Raises:
        SidewinderError: The file is missing or malformed.
    """
    with reading(path, "the trial's job makes it", "to go on without these times, which are not measured again"):
        trainings = json.loads(path.read_text())
        # Before version 0.2, the time of evaluations was not measured.
        return [{name: ({"evaluation_seconds": None} | training)[name] for name in TIMES} for training in trainings]


def timings_table(timings: Mapping[int, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """Make timings.csv: one row per training, so one per replicate.

    Columns: `number` (of the trial), `started` (ISO 8601, UTC), `seconds`, `evaluation_seconds` (a part of `seconds`;
    empty if it was not measured), `environment_steps`, `host`, `process`.

    Args:
        timings: What `read_timing` returned, by trial number.
    """
    rows = [{"number": number, **training} for number, own in timings.items() for training in own]
    return pd.DataFrame(rows, columns=["number", *TIMES])


def distributions_json(results: list[Result]) -> str:
    """Make distributions.json: each parameter's distribution in Optuna's JSON.

    With it, trials.csv and evaluations.csv are enough to make the Optuna study again.
    """
    distributions: dict[str, BaseDistribution] = {}
    for result in results:
        distributions |= result.optuna_distributions()
    return to_json(as_json(distributions))


def read_trials(path: Path) -> pd.DataFrame:
    """Read trials.csv, which `trials_table` made."""
    # Only the empty field is a missing value: "null" and "None" may be choices of a parameter.
    with reading(path, MADE_BY):
        return pd.read_csv(path, keep_default_na=False, na_values=[""])


def read_distributions(path: Path) -> dict[str, Any]:
    """Read distributions.json, which `distributions_json` made."""
    with reading(path, MADE_BY):
        distributions: dict[str, Any] = json.loads(path.read_text())
        return distributions


def read_evaluations(path: Path) -> pd.DataFrame:
    """Read evaluations.csv, which `evaluations_table` made."""
    with reading(path, MADE_BY):
        return pd.read_csv(path)


def read_timings(path: Path) -> pd.DataFrame:
    """Read timings.csv, which `timings_table` made, with `started` as times."""
    with reading(path, MADE_BY):
        return pd.read_csv(path, parse_dates=["started"], date_format="ISO8601")


def ranked(trials: pd.DataFrame, direction: str) -> list[int]:
    """The numbers of the complete trials, best first. Equally good trials are in order of number."""
    complete = trials[trials["state"] == "complete"]
    best_first = complete.sort_values(["objective", "number"], ascending=[direction == "minimize", True])
    return [int(number) for number in best_first["number"]]


def pareto_set(trials: pd.DataFrame, objectives: Sequence[str], directions: Sequence[Direction]) -> list[int]:
    """The numbers of the complete trials in the Pareto set, ordered by the first objective, best first.

    No trial is better than one of these in one objective and at least as good in the others.

    Args:
        trials: trials.csv, as `read_trials` returns it.
        objectives: The study's objectives.
        directions: `maximize` or `minimize`, one per objective.
    """
    complete = trials[trials["state"] == "complete"].sort_values("objective", ascending=directions[0] == "minimize")
    values = complete[value_columns(objectives)].to_numpy(float)
    return [int(complete["number"].iloc[position]) for position in undominated(values.tolist(), directions)]


def undominated(values: Sequence[Sequence[float]], directions: Sequence[Direction]) -> list[int]:
    """The positions of the settings in the Pareto set, in ascending order.

    Args:
        values: One row per setting, one column per objective.
        directions: `maximize` or `minimize`, one per objective.
    """
    # Imported late: most jobs need not load it.
    import optuna
    from optuna.trial import create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=directions)
    study.add_trials([create_trial(values=list(row)) for row in values])
    return sorted(trial.number for trial in study.best_trials)


def value_columns(objectives: Sequence[str]) -> list[str]:
    """The names of the columns of trials.csv that have these objectives of a study."""
    return ["objective", *objectives[1:]]


class Made(Protocol):
    """A result that says with which packages and sources it was made."""

    packages: dict[str, str]
    sources: dict[str, str]


def mixed_versions(results: Sequence[Made]) -> str:
    """Name the packages and the user's modules that the results were made with in different versions.

    Returns:
        Text such as `torch 2.5 and 2.6`; empty if all versions are the same.
    """
    found: dict[str, list[str]] = {}
    for result in results:
        for name, version in (result.packages | result.sources).items():
            if version not in found.setdefault(name, []):
                found[name].append(version)
    return ", ".join(f"{name} {' and '.join(versions)}" for name, versions in found.items() if len(versions) > 1)
