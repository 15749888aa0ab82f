"""Seals of a database's rows, by which a study knows that a row is its own and unchanged.

The database is an index of the files. Computing all suggestions anew each time would take too long. So each suggestion
is sealed by a hash of its content and of the seal before it, the first by the digest of the study's config; a result
that is attached is sealed too. A row that is missing, added, or changed by another program breaks a seal. Then the
database is made again from the files.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

SEAL, RESULT_SEAL = "sidewinder:seal", "sidewinder:result_seal"
# What the pruner noted while the trial ran; hidden from those that may not see its result.
PRUNER_ATTRS = "sidewinder:pruner_attrs"
# On the virtual clock: after how much work the trial ended.
WORK = "sidewinder:work"
_WITH_RESULT = (PRUNER_ATTRS, WORK, RESULT_SEAL, SEAL)


class BrokenSealError(Exception):
    """A row of the database is not the one that this study wrote there."""


def seal(trial: FrozenTrial, before: str) -> dict[str, Any]:
    """Seal a suggestion.

    Args:
        trial: As it goes into the database.
        before: The hash of the suggestion before it; of the first, the digest of the study's config.

    Returns:
        For its system attribute `SEAL`: `hash`, and the names of the other system attributes that count (`attrs`), so
        that what another program adds does not.
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
    """Seal a result that is attached.

    Args:
        suggestion: The hash of the trial's suggestion.
        state: Of the trial in the database.
        values: Of the objectives.
        reports: What the trial reported to its pruner, by step.
        attrs: `PRUNER_ATTRS`, and `WORK` if there is any, and the user attributes `state` and `reason`.
    """
    numbers = None if values is None else [float(value) for value in values]
    steps = [[int(step), float(value)] for step, value in sorted(reports.items())]
    return _hash(suggestion, state.name, numbers, steps, attrs)


def check(trial: FrozenTrial, number: int, before: str) -> str:
    """Check the seals of a row, and return the hash of its suggestion.

    Args:
        trial: As the database has it.
        number: The number that it should have.
        before: As for `seal`.

    Raises:
        BrokenSealError: It is missing something, or was changed, or another row belongs here.
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
    # As JSON, in which every database gives back what was put in.
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
