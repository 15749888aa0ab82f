"""Interpolations of a composed config: those that no searched key has a part in are resolved, the others are kept."""

import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

from sidewinder.config.run_config import RunConfig
from sidewinder.config.search_space import SearchSpace


def deferred(search: DictConfig) -> dict[str, str]:
    """Of a search space's values those that read a trial's own sections, such as `${one_minus:${agent.helpers.x}}`:
    they are set as they are, for each trial to resolve."""
    sections = "|".join(RunConfig.model_fields)
    reads = re.compile(rf"\$\{{(.*\$\{{)?({sections})\.")
    written = {str(key): value for key, value in raw(search).items()}
    return {key: value for key, value in written.items() if isinstance(value, str) and reads.match(value)}


def without(config: DictConfig, keys: Mapping[str, Any]) -> DictConfig:
    """A copy in which the searched keys have no value yet."""
    copy = config.copy()
    for key in keys:
        OmegaConf.update(copy, key.lstrip("+"), "???", force_add=True)
    return copy


def resolve(node: Any, probe: Any, keep_all: bool) -> Any:
    """Plain values with every interpolation resolved that no searched key has a part in."""
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
    """A parameter's text, with what is left of its condition."""
    text = str(value["space"] if isinstance(value, DictConfig) else value)
    return {"space": text, "when": space.conditions[key]} if key in space.conditions else text
