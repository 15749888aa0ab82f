"""Converts the entries of `study.enqueue`, known-good settings for a study's first trials, to Optuna parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from sidewinder import SidewinderError
from sidewinder.config.algorithms import NET_ARCHS, POLICY_DEFAULTS
from sidewinder.config.distributions import contains
from sidewinder.config.other_studies import best_of, is_of_another
from sidewinder.config.parameter_values import parse_value
from sidewinder.config.study_config import StudyConfig

_ABSENT = object()


def starting_points(
    config: StudyConfig, entries: Sequence[Any], taken_out: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Convert the entries of `study.enqueue` to Optuna parameters.

    Args:
        config: The study's config, complete except for `study.enqueue`.
        entries: Mappings from searched keys to values of the config, names of the study's baselines, or other studies'
            best trials, as `other_studies.best_of` takes them.
        taken_out: Keys that overrides have taken out of the search, each with the reason. They are removed from
            mappings.

    Returns:
        The Optuna parameters of each starting point, and lines for the user. A mapping that loses all keys makes no
        starting point. There is a line for each value that a mapping loses. There is also a line for each value of a
        baseline or of another study that is not in the search space: the sampler suggests another value instead.

    Raises:
        SidewinderError: `study.enqueue[i]...: found ..., accepted: ...`.
    """
    points, notes = [], []
    for position, entry in enumerate(entries):
        where = f"study.enqueue[{position}]"
        if is_of_another(entry):
            for name, params in best_of(where, entry):
                point, left = _from_params(config, params)
                points.append(_without_absent(config, point))
                notes += [f"{where}: {name}: {text}; left to the sampler" for text in left]
        elif isinstance(entry, Mapping):
            lost = [key for key in map(str, entry) if key.lstrip("+") in taken_out]
            notes += [f"{where}.{key}: found {entry[key]!r}, not used: {taken_out[key.lstrip('+')]}" for key in lost]
            kept = {key: value for key, value in entry.items() if str(key) not in lost}
            if kept or not lost:
                points.append(_without_absent(config, _from_mapping(config, where, kept)))
        elif entry in config.baselines:
            point, left = _from_baseline(config, entry)
            points.append(_without_absent(config, point))
            notes += [f"{where}: {entry}: {text}; left to the sampler" for text in left]
        else:
            others = ["a mapping from searched keys to values", "another study's best trials"]
            accepted = ", ".join([*config.baselines, *others])
            raise SidewinderError(f"{where}: found {entry!r}, accepted: {accepted}")
    return points, notes


def _without_absent(config: StudyConfig, point: dict[str, Any]) -> dict[str, Any]:
    """Remove the parameters that a trial at this point does not have, because their conditions fail."""
    space = config.space()
    kept = dict(point)
    for key in space.distributions:
        if space.conditions.get(key, {}).keys() <= point.keys() and not space.has(key, kept):
            kept.pop(key, None)
    return kept


def _from_mapping(config: StudyConfig, where: str, entry: Mapping[Any, Any]) -> dict[str, Any]:
    distributions = config.space().distributions
    names = {name.lstrip("+"): name for name in distributions}
    point = {}
    for key, value in entry.items():
        name = names.get(str(key).lstrip("+"))
        if name is not None:
            try:
                point[name] = _parameter(config, name, distributions[name], value)
            except ValueError as error:
                raise SidewinderError(f"{where}.{key}: {error}") from None
        elif config.study.custom_search_space:
            point[str(key)] = value  # the custom search space may suggest it
        else:
            raise SidewinderError(f"{where}.{key}: found a key that is not searched, accepted: {', '.join(names)}")
    return point


def _from_params(config: StudyConfig, params: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Convert another study's parameters. Their keys may have `agent.` before them or not.

    Returns:
        This study's parameters, and a line for each searched key that gets no value.
    """
    theirs = {key.lstrip("+"): parse_value(key, value) for key, value in params.items()}
    point, left = {}, []
    for key, distribution in config.space().distributions.items():
        name = key.lstrip("+")
        known = next((one for one in (name, name.removeprefix("agent.")) if one in theirs), None)
        try:
            if known is None:
                raise ValueError("found no value")
            point[key] = _parameter(config, key, distribution, theirs[known])
        except ValueError as error:
            left.append(f"{key}: {error}")
    return point, left


def _from_baseline(config: StudyConfig, name: str) -> tuple[dict[str, Any], list[str]]:
    run = config.for_baseline(name).model_dump()
    point, left = {}, []
    for key, distribution in config.space().distributions.items():
        value = _lookup(run, key.lstrip("+"))
        try:
            if value is _ABSENT:
                raise ValueError("found no value")
            point[key] = _parameter(config, key, distribution, value)
        except ValueError as error:
            left.append(f"{key}: {error}")
    return point, left


def _parameter(config: StudyConfig, name: str, distribution: BaseDistribution, value: Any) -> Any:
    """The Optuna parameter that stands for a value of the config.

    Raises:
        ValueError: The distribution does not contain the value.
    """
    if isinstance(distribution, CategoricalDistribution):
        meaning = _meaning(config, name, value)
        for choice in distribution.choices:
            if _same(choice, value) or _same(_meaning(config, name, parse_value(name, choice)), meaning):
                return choice
        raise ValueError(f"found {value!r}, accepted: one of {', '.join(map(str, distribution.choices))}")
    if isinstance(value, int | float) and not isinstance(value, bool) and contains(distribution, value):
        return int(value) if isinstance(distribution, IntDistribution) else float(value)
    raise ValueError(f"found {value!r}, accepted: {config.search_space[name]}")


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _meaning(config: StudyConfig, name: str, value: Any) -> Any:
    """Replace null and named sizes of networks by what they stand for; other values are returned unchanged."""
    default = POLICY_DEFAULTS.get(config.agent.get("algorithm", ""))
    if default and value is None and name.lstrip("+") == "agent.policy_kwargs.activation_fn":
        return default[1]
    if name.lstrip("+") == "agent.policy_kwargs.net_arch":
        widths = default[0] if default and value is None else value
        if isinstance(widths, dict):
            return {network: _meaning(config, name, own) for network, own in widths.items()}
        return NET_ARCHS.get(widths, widths) if isinstance(widths, str) else widths
    return value


def _lookup(node: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return _ABSENT
        node = node[part]
    return node
