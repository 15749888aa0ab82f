"""Matrices of studies: entries of config/config.yaml whose overrides have several values, as in Hydra's multirun."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import ValueType

from sidewinder import SidewinderError
from sidewinder.config.overrides import PRIMARY, is_of_search_space, parse_override

# A list of overrides; or several lists, whose studies are then also compared with each other; or the place of a
# tutorial's config (see tutorial.py): `config_dir` and `config`, with optional `overrides`.
Entry = Sequence[str] | Sequence[Sequence[str]] | Mapping[str, Any]


def expanded(studies: Mapping[str, Entry]) -> dict[str, list[str]]:
    """Expand entries into studies: one study for each combination of values, as in Hydra's multirun.

    `agent=ddpg,sac` and `study.seed=range(5)` make ten studies. The values become part of the name: `compare-ddpg-0`.

    Returns:
        The overrides of each study, by its name.

    Raises:
        SidewinderError: An override has a continuous range of values, or two studies would have the same name.
    """
    found: dict[str, list[str]] = {}
    for entry, overrides in studies.items():
        for study, combination in _named(entry, overrides):
            if study in found:
                raise SidewinderError(f"studies: found two studies named {study!r}, accepted: one of each name")
            found[study] = combination
    return found


def factors(entry: str, overrides: Entry) -> dict[str, dict[str, str]]:
    """Differences between the studies of an entry: by study name, the overrides of the keys that have several values.

    If the entry is a single study, it has no such keys.
    """
    combinations = _named(entry, overrides)
    keys = _varied(overrides, [combination for _, combination in combinations])
    return {study: _picked(combination, keys) for study, combination in combinations}


def lists(overrides: Entry) -> list[list[str]]:
    """All lists of overrides of an entry, also if there is only one."""
    if isinstance(overrides, Mapping):
        primary = f"{PRIMARY}{overrides['config_dir']}/{overrides.get('config', 'default')}"
        return [[primary, *one] for one in lists(overrides.get("overrides", []))]
    several = [list(one) for one in overrides if not isinstance(one, str)]
    return several or [[str(override) for override in overrides]]


def _named(entry: str, overrides: Entry) -> list[tuple[str, list[str]]]:
    """The name and the overrides of each study of an entry."""
    found = []
    for one in lists(overrides):
        choices = [_values(entry, override) for override in one]
        if not any(override.startswith(("study=", PRIMARY)) for override in one):
            choices.insert(0, [f"study={entry}"])
        found += [list(combination) for combination in itertools.product(*choices)]
    keys = _varied(overrides, found)
    names = []
    for combination in found:
        values = [re.sub(r"[^A-Za-z0-9_.]+", "_", value).strip("_") for value in _picked(combination, keys).values()]
        names.append("-".join([entry, *values]))
    return list(zip(names, found, strict=True))


def _varied(overrides: Entry, combinations: list[list[str]]) -> list[str]:
    """Keys that become part of the studies' names: those written with several values.

    Where several studies would still share a name, further keys in which they differ are added, the first ones first.
    """
    # If a key has two overrides, the last one counts.
    values = [{key: value for key, _, value in map(_parts, combination)} for combination in combinations]
    swept = {override.partition("=")[0] for one in lists(overrides) for override in one if _is_swept(override)}
    keys = list(dict.fromkeys(key for own in values for key in own))

    def n_distinct(keys: set[str]) -> int:
        return len({tuple((key, value) for key, value in own.items() if key in keys) for own in values})

    for key in keys:
        if n_distinct({*swept, key}) > n_distinct(swept):
            swept.add(key)
    return [key for key in keys if key in swept]


def _picked(combination: list[str], keys: list[str]) -> dict[str, str]:
    """Values that a study's overrides give to these keys, in the order of the overrides."""
    return {key: value for key, _, value in map(_parts, combination) if key in keys}


def _parts(override: str) -> tuple[str, str, str]:
    return override.partition("=")


def _is_swept(override: str) -> bool:
    parsed = parse_override(override, "studies: override")
    if is_of_search_space(parsed):
        # In a search space, choice(1, 2) is one parameter to search, but 1,2 makes two studies.
        return parsed.value_type is ValueType.SIMPLE_CHOICE_SWEEP
    return parsed.is_sweep_override()


def _values(entry: str, override: str) -> list[str]:
    """Split an override with several values into one override for each value."""
    if not _is_swept(override):
        return [override]
    parsed = parse_override(override, "studies: override")
    if not parsed.is_discrete_sweep():
        accepted = "values or range(start, stop); what Optuna should search belongs to search_space"
        raise SidewinderError(f"studies: {entry}: found {override!r}, accepted: {accepted}")
    key = override.partition("=")[0]
    return [f"{key}={value}" for value in parsed.sweep_string_iterator()]
