"""The results of a study as tables: written from the trials' files, read by whatever comes after them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from sidewinder.config.schema import Direction
from sidewinder.results import Result, as_json, to_json


def trials_table(results: list[Result]) -> pd.DataFrame:
    """One row a trial, in order of number.

    Columns: `number`, `state`, `objective` (empty unless complete), one column a further objective, `steps`
    (environment steps at the last evaluation), `reason` (of a failure), then one column a parameter, empty where the
    trial did not have it.
    """
    further = {name: None for result in results for name in result.further_objectives}
    rows = [
        {
            "number": result.number,
            "state": result.state,
            "objective": result.objective,
            **(further | result.further_objectives),
            "steps": result.evaluations[-1].step if result.evaluations else 0,
            "reason": result.reason,
            **result.params,
        }
        for result in results
    ]
    # As objects: whole numbers stay whole where other trials lack the parameter.
    return pd.DataFrame(rows, dtype=object)


def evaluations_table(results: list[Result]) -> pd.DataFrame:
    """One row an evaluation. Columns: `number`, `step` (environment steps), `mean_return`, `std_return`."""
    rows = [
        {"number": result.number, **evaluation.model_dump()} for result in results for evaluation in result.evaluations
    ]
    return pd.DataFrame(rows, columns=["number", "step", "mean_return", "std_return"])


def timings_table(timings: Mapping[int, str]) -> pd.DataFrame:
    """One row a training, of several replicates one each. Columns: `number`, `started` (ISO 8601, UTC), `seconds`,
    `environment_steps`, `host`, `process`.

    Args:
        timings: Content of each trial's timing.json, by its number.
    """
    rows = [{"number": number, **training} for number, text in timings.items() for training in json.loads(text)]
    return pd.DataFrame(rows, columns=["number", "started", "seconds", "environment_steps", "host", "process"])


def distributions_json(results: list[Result]) -> str:
    """The distribution of each parameter, in Optuna's JSON: what the two tables lack to make the study again."""
    distributions: dict[str, BaseDistribution] = {}
    for result in results:
        distributions |= result.optuna_distributions()
    return to_json(as_json(distributions))


def read_trials(path: Path) -> pd.DataFrame:
    """Read trials.csv as `trials_table` made it."""
    # Only the empty field is a missing value: "null" and "None" are choices.
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def read_evaluations(path: Path) -> pd.DataFrame:
    """Read evaluations.csv as `evaluations_table` made it."""
    return pd.read_csv(path)


def read_timings(path: Path) -> pd.DataFrame:
    """Read timings.csv as `timings_table` made it, `started` as times."""
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
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=directions)
    study.add_trials([create_trial(values=list(row)) for row in values])
    return sorted(trial.number for trial in study.best_trials)


def value_columns(objectives: Sequence[str]) -> list[str]:
    """The columns of trials.csv that hold these objectives of a study."""
    return ["objective", *objectives[1:]]


def optuna_study(
    trials: pd.DataFrame, evaluations: pd.DataFrame, distributions: Mapping[str, object], direction: Direction
) -> optuna.Study:
    """The study in memory, for Optuna's visualization and importance.

    Args:
        trials: As `read_trials` gives it.
        evaluations: As `evaluations_table` has it.
        distributions: Content of distributions.json.
        direction: Of the objective; of several, the return's.
    """
    spaces = {name: json_to_distribution(json.dumps(raw)) for name, raw in distributions.items()}
    study = optuna.create_study(direction=direction)
    by_trial = dict(list(evaluations.groupby("number")))
    for _, row in trials.iterrows():
        study.add_trial(_frozen(row, by_trial.get(row["number"]), spaces))
    return study


def _frozen(
    row: "pd.Series[Any]", evaluations: pd.DataFrame | None, spaces: dict[str, BaseDistribution]
) -> FrozenTrial:
    params = {name: _choice(row[name], space) for name, space in spaces.items() if not pd.isna(row[name])}
    reports = {} if evaluations is None else dict(zip(evaluations["step"], evaluations["mean_return"], strict=True))
    complete = row["state"] == "complete"
    return create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        value=float(row["objective"]) if complete else None,
        params=params,
        distributions={name: spaces[name] for name in params},
        intermediate_values={int(step): float(value) for step, value in reports.items()},
    )


def _choice(cell: Any, space: BaseDistribution) -> Any:
    """The parameter that a cell of the table stands for: CSV has forgotten its type."""
    if isinstance(space, optuna.distributions.CategoricalDistribution):
        return next(choice for choice in space.choices if str(choice) == str(cell) or choice == cell)
    return int(cell) if isinstance(space, optuna.distributions.IntDistribution) else float(cell)
