"""Applies overrides to the search space: `search_space.<key>=...` sets how a key is searched, `<key>=...` fixes it."""

from collections.abc import Iterable
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from sidewinder.config import search_space
from sidewinder.config.algorithms import SWITCHES
from sidewinder.config.interpolation import deferred, has, raw
from sidewinder.config.overrides import SEARCH, is_in_open, is_of_search_space, parse_override, sets
from sidewinder.config.provenance import Provenance
from sidewinder.config.run_config import RunConfig

# Keys that may be searched although the config lacks them: only interpolations read them.
HELPERS = "agent.helpers."


def apply_to_search_space(config: DictConfig, provenance: Provenance) -> dict[str, str]:
    """Change `config.search_space` as the overrides say.

    Args:
        config: The composed config. Its `search_space` is changed in place.
        provenance: The provenance of this composition, which has the overrides.

    Returns:
        Keys, without `+`, that an override takes out of the search, each with this override.

    Raises:
        SidewinderError: Two overrides contradict each other, or an override deletes an entry that does not exist, or
            sets a part of a key that the search space has as a whole.
    """
    parsed = {text: parse_override(text) for text in provenance.overrides}
    searching: dict[str, str] = {}
    taken_out: dict[str, str] = {}
    order = [name.lstrip("+~") for name in map(str, config.search_space)]
    for text, override in parsed.items():
        if is_of_search_space(override):
            if override.is_delete() and not _entries_of(config, override):
                accepted = ", ".join(name.lstrip("+~") for name in map(str, config.search_space))
                what = f"found nothing to take out, accepted: {accepted}"
                raise provenance.error_in(text, override.key_or_group, what)
            for key in _apply_to_entries(config, override):
                (taken_out if override.is_delete() else searching)[key] = f"override {text}"
                (searching if override.is_delete() else taken_out).pop(key, None)
    # The last override first, because the last one has set the value.
    for text, override in reversed(parsed.items()):
        if not is_of_search_space(override):
            for key in _take_out(config, text, override, searching, provenance):
                taken_out[key] = f"override {text}"
    for key in _without_switch(config, taken_out):
        switch = f"agent.{SWITCHES[key.removeprefix('agent.')]}"
        taken_out[key] = taken_out[switch]
    return {key: taken_out[key] for key in dict.fromkeys([*order, *taken_out]) if key in taken_out}


def known_values(config: DictConfig, before: Iterable[str]) -> dict[str, Any]:
    """Config values of the keys that overrides have taken out of the search space. They decide conditions.

    Args:
        config: The config after `apply_to_search_space`.
        before: The names of the search space's entries before `apply_to_search_space`.

    Returns:
        Values by dotted key, without and with `+`. Keys that are deleted or have interpolations are left out.
    """
    left = {name.lstrip("+~") for name in map(str, config.search_space)}
    values = {}
    for key in {name.lstrip("+~") for name in before} - left:
        if has(config, key):
            parent, _, last = key.rpartition(".")
            value = raw(OmegaConf.select(config, parent))[last]
            if "${" not in str(value):
                values[key] = values[f"+{key}"] = value
    return values


def _apply_to_entries(config: DictConfig, override: Override) -> list[str]:
    """Set or delete entries of the search space. Returns the keys that were set, or that were searched and deleted."""
    changed = []
    for key, value in _entries(config, override).items():
        names = [name for name in map(str, config.search_space) if name.lstrip("+~") == key]
        if override.is_delete():
            changed += [key for name in names if _is_searched(config, name)]
        else:
            may_add = _may_add(override, key) or is_in_open(key)
            is_new = may_add and not has(config, key) and not key.startswith(HELPERS)
            kept = next((name for name in names if not name.startswith("~")), f"+{key}" if is_new else key)
            config.search_space[kept] = value
            changed.append(key)
            names = [name for name in names if name != kept]
        for name in names:
            del config.search_space[name]
    return changed


def _may_add(override: Override, key: str) -> bool:
    """Whether an override may add the key to the config. A `+` before a whole search space does not cover its keys."""
    if override.key_or_group in SEARCH:
        return f"+{key}" in map(str, override.value())  # type: ignore[arg-type]
    return override.is_add() or override.is_force_add()


def _entries_of(config: DictConfig, override: Override) -> list[str]:
    """Names of the existing entries of the search space that an override sets or deletes."""
    keys = _entries(config, override)
    return [name for name in map(str, config.search_space) if name.lstrip("+~") in keys]


def _entries(config: DictConfig, override: Override) -> dict[str, Any]:
    """Keys of the search space, without `+`, that an override sets or deletes, with their new values."""
    if override.key_or_group in SEARCH:
        if override.is_delete():
            return {name.lstrip("+~"): None for name in map(str, config.search_space)}
        return {str(key).lstrip("+~"): value for key, value in override.value().items()}  # type: ignore[union-attr]
    key = next(override.key_or_group.removeprefix(f"{s}.") for s in SEARCH if override.key_or_group.startswith(f"{s}."))
    return {key: str(override.input_line).partition("=")[2] if override.is_sweep_override() else override.value()}


def _is_searched(config: DictConfig, name: str) -> bool:
    return name not in deferred(config.search_space) and search_space.is_search(name, config.search_space[name])


def _take_out(
    config: DictConfig, text: str, override: Override, searching: dict[str, str], provenance: Provenance
) -> list[str]:
    """Delete entries of the search space whose keys an override of the config sets. Returns keys that were searched."""
    taken_out, was = [], str(raw(config.search_space))
    for name in list(map(str, config.search_space)):
        key = name.lstrip("+~")
        if override.key_or_group.startswith(f"{key}."):
            what = (
                f"found a part of {key}, which search_space has as a whole, accepted: together with ~search_space.{key}"
            )
            raise provenance.error_in(text, override.key_or_group, what)
        if not sets(override, key):
            continue
        if key in searching:
            accepted = f"only one of this and {searching[key]}"
            raise provenance.error_in(
                text, key, f"found a key that another override sets in search_space, accepted: {accepted}"
            )
        if _is_searched(config, name):
            taken_out.append(key)
        del config.search_space[name]
    return taken_out + (_take_out_unread_helpers(config, was) if str(raw(config.search_space)) != was else [])


def _without_switch(config: DictConfig, taken_out: dict[str, str]) -> list[str]:
    """Delete searched entries that have no effect because an override switches them off. Returns their keys."""
    without = []
    for name in list(map(str, config.search_space)):
        key = name.lstrip("+~")
        switch = SWITCHES.get(key.removeprefix("agent."))
        is_off = f"agent.{switch}" in taken_out and raw(config.agent).get(switch) in (None, False)
        if is_off and _is_searched(config, name):
            del config.search_space[name]
            without.append(key)
    return without


def _take_out_unread_helpers(config: DictConfig, was: str) -> list[str]:
    """Delete searched helpers that nothing reads any more, but the search space did when its text was `was`.

    Returns their keys.
    """
    taken_out = []
    for name in list(map(str, config.search_space)):
        reads = f"${{{name}}}"
        still = str([raw(config[section]) for section in ("search_space", *RunConfig.model_fields)])
        if name.startswith(HELPERS) and reads in was and reads not in still:
            del config.search_space[name]
            taken_out.append(name)
    return taken_out
