"""Makes an Optuna study in memory from a study's tables, for Optuna's visualization and importance."""

import json
from collections.abc import Mapping
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from sidewinder.config.study_settings import Direction
from sidewinder.trials.tables import judged


def optuna_study(
    trials: pd.DataFrame, evaluations: pd.DataFrame, distributions: Mapping[str, object], direction: Direction
) -> optuna.Study:
    """Make the study in memory.

    Args:
        trials: Rows of trials.csv, from `read_trials`.
        evaluations: Rows of evaluations.csv, from `read_evaluations`.
        distributions: The content of distributions.json.
        direction: The direction of the objective; with several objectives, of the first one.
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
    reports = {} if evaluations is None else _reports(evaluations)
    complete = row["state"] == "complete"
    return create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        value=float(row["objective"]) if complete else None,
        params=params,
        distributions={name: spaces[name] for name in params},
        intermediate_values={int(step): float(value) for step, value in reports.items()},
    )


def _reports(evaluations: pd.DataFrame) -> dict[int, float]:
    return dict(zip(evaluations["step"], evaluations[f"mean_{judged(evaluations)}"], strict=True))


def _choice(cell: Any, space: BaseDistribution) -> Any:
    """Return a parameter's value from a cell of the table. CSV does not keep its type."""
    if isinstance(space, optuna.distributions.CategoricalDistribution):
        return next(choice for choice in space.choices if str(choice) == str(cell) or choice == cell)
    return int(cell) if isinstance(space, optuna.distributions.IntDistribution) else float(cell)
