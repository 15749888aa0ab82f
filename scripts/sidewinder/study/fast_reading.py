"""Optuna's relational storage that reads all trials of a study at once. Its ORM takes seconds for thousands."""

import json
from collections import defaultdict
from collections.abc import Container
from datetime import UTC, datetime
from functools import cache
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import DateTime, Enum, Float, text

_NUMBERS = {"INF_POS": float("inf"), "INF_NEG": float("-inf"), "NAN": float("nan")}


class FastStorage(RDBStorage):
    """Optuna's storage with faster reading, for databases with the tables of the installed version of Optuna."""

    # Optuna calls this for each reading of trials; tests/test_optuna_private.py fails if that changes.
    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        if states is not None or trial_id_greater_than != -1:
            return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        found: dict[str, defaultdict[int, list[Any]]] = {}
        with self.engine.connect() as connection:

            def read(columns: str, table: str, order: str, **types: Any) -> list[Any]:
                query = f"SELECT {columns} FROM {table} WHERE t.study_id = :study ORDER BY {order}"
                return list(connection.execute(text(query).columns(**types), {"study": study_id}).all())

            def of_trials(columns: str, table: str, order: str, **types: Any) -> None:
                own = found[table] = defaultdict(list)
                rows = read(
                    f"o.trial_id, {columns}", f"{table} o JOIN trials t ON t.trial_id = o.trial_id", order, **types
                )
                for row in rows:
                    own[row[0]].append(row)

            # Trials are read first. What another process adds meanwhile belongs to later trials or to running ones.
            trials = read(
                "t.trial_id, t.number, t.state, t.datetime_start, t.datetime_complete",
                "trials t",
                "t.trial_id",
                state=Enum(TrialState),
                datetime_start=DateTime,
                datetime_complete=DateTime,
            )
            of_trials(
                "o.param_name, o.param_value, o.distribution_json", "trial_params", "o.param_id", param_value=Float
            )
            of_trials("o.value, o.value_type", "trial_values", "o.objective", value=Float)
            for table in ("trial_user_attributes", "trial_system_attributes"):
                of_trials("o.key, o.value_json", table, "o.trial_id")
            steps = "o.step, o.intermediate_value, o.intermediate_value_type"
            of_trials(steps, "trial_intermediate_values", "o.step", intermediate_value=Float)

        # Most trials share a few distributions.
        distribution = cache(json_to_distribution)

        def attrs(table: str, trial_id: int) -> dict[str, Any]:
            return {key: json.loads(value) for _, key, value in found[table][trial_id]}

        made = []
        for trial_id, number, state, start, complete in trials:
            params = [
                (name, value, distribution(written)) for _, name, value, written in found["trial_params"][trial_id]
            ]
            values = [_number(value, kind) for _, value, kind in found["trial_values"][trial_id]]
            reports = found["trial_intermediate_values"][trial_id]
            made.append(
                FrozenTrial(
                    number=number,
                    state=state,
                    value=None,
                    values=values or None,
                    datetime_start=_local(start),
                    datetime_complete=_local(complete),
                    params={name: own.to_external_repr(value) for name, value, own in params},
                    distributions={name: own for name, _, own in params},
                    user_attrs=attrs("trial_user_attributes", trial_id),
                    system_attrs=attrs("trial_system_attributes", trial_id),
                    intermediate_values={step: _number(value, kind) for _, step, value, kind in reports},
                    trial_id=trial_id,
                )
            )
        return made


def _number(value: float | None, kind: str) -> float:
    return _NUMBERS[kind] if value is None else value


def _local(moment: datetime | None) -> datetime | None:
    """A UTC time of the database as local time without a zone, as Optuna returns it."""
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
