"""Seals of a database's rows: hashes that show whether the study wrote a row and nobody changed it.

The database is an index of the files. Computing all suggestions again each time would take too long, so rows with
intact seals are trusted. The seal of a suggestion is a hash of its content and of the seal before it; the first
seal takes the digest of the study's config instead. A result that is attached gets a seal too. A row that is missing,
added, or changed by another program breaks a seal. Then the database is made again from the files.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

SEAL, RESULT_SEAL = "sidewinder:seal", "sidewinder:result_seal"
# The pruner's notes on the trial while it ran. Trials that may not see its result do not see them either.
PRUNER_ATTRS = "sidewinder:pruner_attrs"
# With the schedule `virtual`: after how much work the trial ended.
WORK = "sidewinder:work"
_WITH_RESULT = (PRUNER_ATTRS, WORK, RESULT_SEAL, SEAL)


class BrokenSealError(Exception):
    """A row of the database is not the row that this study wrote."""


def seal(trial: FrozenTrial, before: str) -> dict[str, Any]:
    """Seal a suggestion.

    Args:
        trial: The suggestion, as it will be in the database.
        before: The hash of the suggestion before it. For the first one: the digest of the study's config.

    Returns:
        The value of the system attribute `SEAL`. `hash` is the seal. `attrs` names the other system attributes that
        it covers; another program may add more.
    """
    names = sorted(name for name in trial.system_attrs if name not in _WITH_RESULT)
    return {"hash": _hash_of_suggestion(trial, names, before), "attrs": names}


def suggestion_attrs(trial: FrozenTrial) -> dict[str, Any]:
    """The system attributes that the sampler gave a sealed suggestion."""
    names = trial.system_attrs[SEAL]["attrs"]
    return {name: trial.system_attrs[name] for name in names if not name.startswith("sidewinder:")}


def result_seal(
    suggestion: str,
    state: TrialState,
    values: Sequence[float] | None,
    reports: Mapping[int, float],
    attrs: Mapping[str, Any],
) -> str:
    """Seal a result that is attached to its trial.

    Args:
        suggestion: The hash of the trial's suggestion.
        state: The trial's state in the database.
        values: The trial's values in the database, one an objective; None if it has none.
        reports: The values that the trial reported to its pruner, by step.
        attrs: `PRUNER_ATTRS`, `WORK` if the trial has it, and the user attributes `state` and `reason`.

    Returns:
        The value of the system attribute `RESULT_SEAL`.
    """
    numbers = None if values is None else [float(value) for value in values]
    steps = [[int(step), float(value)] for step, value in sorted(reports.items())]
    return _hash(suggestion, state.name, numbers, steps, attrs)


def check(trial: FrozenTrial, number: int, before: str) -> str:
    """Check the seals of a row, and return the hash of its suggestion.

    Args:
        trial: The row, as read from the database.
        number: The number that it should have.
        before: The hash of the suggestion before it, as for `seal`.

    Raises:
        BrokenSealError: The row lacks something, was changed, or has another number.
    """
    try:
        found: str = trial.system_attrs[SEAL]["hash"]
        if found != _hash_of_suggestion(trial, trial.system_attrs[SEAL]["attrs"], before) or trial.number != number:
            raise BrokenSealError(f"trial {number}: its suggestion was changed")
        if trial.state == TrialState.RUNNING:
            return found
        attrs = {name: trial.system_attrs[name] for name in (PRUNER_ATTRS, WORK) if name in trial.system_attrs}
        attrs |= {name: trial.user_attrs[name] for name in ("state", "reason")}
        own = result_seal(found, trial.state, trial.values, trial.intermediate_values, attrs)
        if trial.system_attrs[RESULT_SEAL] != own:
            raise BrokenSealError(f"trial {number}: its result was changed")
    except (KeyError, TypeError, IndexError) as error:
        raise BrokenSealError(f"trial {number}: it lacks {error}") from None
    return found


def _hash_of_suggestion(trial: FrozenTrial, names: Sequence[str], before: str) -> str:
    params = [[name, trial.params[name], repr(trial.distributions[name])] for name in sorted(trial.params)]
    return _hash(before, trial.number, params, {name: trial.system_attrs[name] for name in names})


def _hash(*content: Any) -> str:
    # JSON, because each database returns JSON unchanged.
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
