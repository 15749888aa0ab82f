"""Resolves the interpolations of a composed config, except those that depend on a searched key."""

import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

from sidewinder.config.run_config import RunConfig
from sidewinder.config.search_space import SearchSpace


def deferred(search: DictConfig) -> dict[str, str]:
    """Values of a search space that read a section of a trial's config, such as `${one_minus:${agent.helpers.x}}`.

    They go into the config unresolved, and each trial resolves them.
    """
    sections = "|".join(RunConfig.model_fields)
    reads = re.compile(rf"\$\{{(.*\$\{{)?({sections})\.")
    written = {str(key): value for key, value in raw(search).items()}
    return {key: value for key, value in written.items() if isinstance(value, str) and reads.match(value)}


def without(config: DictConfig, keys: Mapping[str, Any]) -> DictConfig:
    """Copy of a config in which these keys are marked as missing."""
    copy = config.copy()
    for key in keys:
        OmegaConf.update(copy, key.lstrip("+"), "???", force_add=True)
    return copy


def resolve(node: Any, probe: Any, keep_all: bool) -> Any:
    """Plain values of a node. Interpolations are resolved unless they depend on a searched key.

    Args:
        node: A node of the config.
        probe: The same node in a copy that `without` made, where the searched keys are missing.
        keep_all: Whether to resolve no interpolation at all.
    """
    if not isinstance(node, DictConfig | ListConfig):
        return node
    keys = list(node) if isinstance(node, DictConfig) else range(len(node))
    values: dict[Any, Any] = {}
    written = raw(node)
    for key in keys:
        if OmegaConf.is_missing(probe, key):
            values[key] = plain(node[key])
        elif OmegaConf.is_interpolation(node, key):
            try:
                values[key] = written[key] if keep_all else plain(probe[key])
            except InterpolationToMissingValueError:
                values[key] = written[key]
        else:
            values[key] = resolve(node[key], probe[key], keep_all)
    return values if isinstance(node, DictConfig) else list(values.values())


def raw(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=False)


def plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def has(config: DictConfig, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    return isinstance(node, DictConfig) and last in node


def as_written(value: Any, space: SearchSpace, key: str) -> Any:
    """Entry of the search space for a parameter: its text, or its text and what remains of its condition."""
    text = str(value["space"] if isinstance(value, DictConfig) else value)
    return {"space": text, "when": space.conditions[key]} if key in space.conditions else text
