"""What overrides do to the search: `search_space.<key>=...` says how a parameter is searched, `<key>=...` fixes it."""

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

# Keys that may be searched without being there: only interpolations read them.
HELPERS = "agent.helpers."


def apply_to_search_space(config: DictConfig, provenance: Provenance) -> dict[str, str]:
    """Change `config.search_space` as the overrides say.

    Args:
        config: Composed; its `search_space` is changed in place.
        provenance: Of this composition; it knows the overrides.

    Returns:
        Keys, without `+`, that an override takes out of the search, each with this override.

    Raises:
        SidewinderError: Two overrides contradict each other, or one sets a part of what is searched.
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
    # The last one first: it has set the value.
    for text, override in reversed(parsed.items()):
        if not is_of_search_space(override):
            for key in _take_out(config, text, override, searching, provenance):
                taken_out[key] = f"override {text}"
    for key in _without_switch(config, taken_out):
        switch = f"agent.{SWITCHES[key.removeprefix('agent.')]}"
        taken_out[key] = taken_out[switch]
    return {key: taken_out[key] for key in dict.fromkeys([*order, *taken_out]) if key in taken_out}


def known_values(config: DictConfig, before: Iterable[str]) -> dict[str, Any]:
    """The config's values of the keys that overrides have removed from the search space, by dotted key, also with `+`:
    those that decide conditions.

    Args:
        config: With its search space as the overrides leave it.
        before: The names of the search space's entries before that.

    Returns:
        Nothing for a key that is deleted, or reads a trial's own sections.
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
    """Set or delete entries of the search space. Returns the keys of those that it sets, or that were searched."""
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
    """Whether an override adds the key to a trial. A `+` before a whole search space says nothing of its keys."""
    if override.key_or_group in SEARCH:
        return f"+{key}" in map(str, override.value())  # type: ignore[arg-type]
    return override.is_add() or override.is_force_add()


def _entries_of(config: DictConfig, override: Override) -> list[str]:
    """The names of those entries of the search space that an override of it is about."""
    keys = _entries(config, override)
    return [name for name in map(str, config.search_space) if name.lstrip("+~") in keys]


def _entries(config: DictConfig, override: Override) -> dict[str, Any]:
    """The keys of the search space that an override of it is about, without `+`, and what it says of them."""
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
    """Delete the entries of the search space whose keys an override of the config sets. Returns the searched ones."""
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
            raise provenance.error_in(text, key, f"found a value beside a search, accepted: {accepted}")
        if _is_searched(config, name):
            taken_out.append(key)
        del config.search_space[name]
    return taken_out + (_take_out_unread_helpers(config, was) if str(raw(config.search_space)) != was else [])


def _without_switch(config: DictConfig, taken_out: dict[str, str]) -> list[str]:
    """Delete the searched entries that have no effect, as an override has switched off what they are about."""
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
    """Delete the searched helpers that the search space, whose text `was` this, read and nothing reads any more."""
    taken_out = []
    for name in list(map(str, config.search_space)):
        reads = f"${{{name}}}"
        still = str([raw(config[section]) for section in ("search_space", *RunConfig.model_fields)])
        if name.startswith(HELPERS) and reads in was and reads not in still:
            del config.search_space[name]
            taken_out.append(name)
    return taken_out
