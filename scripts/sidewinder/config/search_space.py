"""Reads search spaces in the syntax of Hydra's Optuna sweeper into Optuna distributions. It never samples.

Hydra's override parser parses the text of each parameter. The distribution is the one that hydra-optuna-sweeper 1.3
makes, including its quirks: `range(1,3)` includes 3, and the categories of `null`, lists and quoted strings in
`choice(...)` are their texts.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    Quote,
    QuotedString,
    RangeSweep,
    Transformer,
)
from hydra.errors import HydraException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from sidewinder.config.algorithms import SWITCHES
from sidewinder.config.distributions import contains
from sidewinder.config.parameter_values import SearchSpaceError, as_text, parse_value, read_entry


@dataclass
class SearchSpace:
    """A parsed search space.

    Attributes:
        distributions: Parameters to search, by dotted config key, in the file's order.
        fixed: Values to set in the config, by dotted key (a leading `+` adds the key, as in Hydra).
        deleted: Keys to delete from the config (`~key`), and from the search.
        conditions: For each parameter that only some trials have: the values of other searched keys with which a trial
            has it. The other keys come before the parameter in `distributions`.
    """

    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    conditions: dict[str, dict[str, list[Any]]] = field(default_factory=dict)

    def has(self, key: str, params: Mapping[str, Any]) -> bool:
        """Whether a trial has this parameter, given the Optuna parameters that come before it."""
        return all(
            other in params and _is_among(parse_value(other, params[other]), values)
            for other, values in self.conditions.get(key, {}).items()
        )

    def n_points(self, sizes: Mapping[str, int]) -> int | None:
        """Number of different settings in a space of choices and ranges.

        None if the conditions are not simple: on a parameter with a condition, on several keys, or different ones on
        the same key.

        Args:
            sizes: Number of values of each parameter.
        """
        children: dict[str, dict[str, int]] = {}
        for key, when in self.conditions.items():
            if len(when) > 1 or next(iter(when)) in self.conditions:
                return None
            children.setdefault(next(iter(when)), {})[key] = len(next(iter(when.values())))
        total = 1
        for key, n_values in sizes.items():
            if key in self.conditions:
                continue
            own = children.get(key, {})
            if len({*map(str, (self.conditions[child] for child in own))}) > 1:
                return None
            n_on = next(iter(own.values()), 0)
            total *= n_on * math.prod(sizes[child] for child in own) + n_values - n_on
        return total

    def enabling(self, key: str) -> dict[str, Any]:
        """Config values of other searched keys with which a trial has this parameter."""
        values: dict[str, Any] = {}
        for other, accepted in self.conditions.get(key, {}).items():
            values |= self.enabling(other) | {other: accepted[0]}
        return values


def is_search(key: str, raw: Any) -> bool:
    """Whether an entry of a search space is searched, and not a value to set or a key to delete.

    Raises:
        SearchSpaceError: The entry is malformed.
    """
    if isinstance(raw, Mapping | Sequence) and not isinstance(raw, str):
        return isinstance(raw, Mapping) and set(raw) == {"space", "when"}
    return read_entry(key, raw).is_sweep_override()


def parse(params: Mapping[str, Any], known: Mapping[str, Any] | None = None) -> SearchSpace:
    """Read a search space, `{key: text or plain YAML value}`, or `{key: {space: text, when: {other key: values}}}`.

    Args:
        params: The search space.
        known: Config values, by dotted key, of parameters that overrides have taken out of it. They decide conditions.

    Raises:
        SearchSpaceError: A value is malformed, or Optuna has no distribution for it.
    """
    space = SearchSpace()
    for name, raw in params.items():
        key = str(name)
        if isinstance(raw, Mapping) and set(raw) == {"space", "when"}:
            override = read_entry(key, raw["space"])
            if not override.is_sweep_override():
                raise SearchSpaceError(key, str(raw), "space is no range and no choice")
            space.distributions[override.get_key_element()] = _distribution(key, raw["space"], override)
            space.conditions[override.get_key_element()] = _values_by_key(key, raw["when"])
            continue
        if isinstance(raw, Mapping | Sequence) and not isinstance(raw, str):
            _check_plain(key, raw)
            space.fixed[key] = raw
            continue
        override = read_entry(key, raw)
        if override.is_delete():
            space.deleted.append(override.key_or_group)
        elif override.is_sweep_override():
            space.distributions[override.get_key_element()] = _distribution(key, raw, override)
        else:
            space.fixed[override.get_key_element()] = override.value()
    for key in space.deleted:
        space.distributions.pop(key, None)
        space.fixed.pop(key, None)
        space.conditions.pop(key, None)
    _settle_conditions(space, {**(known or {}), **space.fixed})
    return space


def add_conditions(space: SearchSpace) -> None:
    """Add conditions to parameters that have an effect only while another key is set (`SWITCHES`).

    Without the conditions, trials that train the same would look different to the sampler.
    """
    for name, switch in SWITCHES.items():
        key, other = f"agent.{name}", f"agent.{switch}"
        switches = space.distributions.get(other)
        if key not in space.distributions or key in space.conditions:
            continue
        if not isinstance(switches, CategoricalDistribution):
            continue
        values = [parse_value(other, choice) for choice in switches.choices]
        on = [value for value in values if value not in (None, False)]
        if 0 < len(on) < len(values):
            space.conditions[key] = {other: on}
    _put_in_order(space)


def _values_by_key(key: str, when: Any) -> dict[str, list[Any]]:
    if not isinstance(when, Mapping) or not when or [] in when.values():
        raise SearchSpaceError(key, str(when), "when is no mapping from searched keys to their values")
    return {
        str(other): list(values) if isinstance(values, Sequence) and not isinstance(values, str) else [values]
        for other, values in when.items()
    }


def _settle_conditions(space: SearchSpace, known: Mapping[str, Any]) -> None:
    """Check all conditions, and decide the conditions on keys with known values."""
    for key, when in space.conditions.items():
        for other, values in when.items():
            if other not in known and other not in space.distributions:
                raise SearchSpaceError(key, f"when {other}", f"{other} is not searched")
            for value in values:
                if other in space.distributions and not _is_value(other, space.distributions[other], value):
                    raise SearchSpaceError(key, f"when {other}: {value}", "not a value of its search space")
    # Without the removed parameters, conditions on them are impossible in turn.
    while impossible := [key for key, when in space.conditions.items() if not _can_hold(when, space, known)]:
        for key in impossible:
            del space.distributions[key]
            del space.conditions[key]
    for key, when in list(space.conditions.items()):
        space.conditions[key] = {other: values for other, values in when.items() if other not in known}
        if not space.conditions[key]:
            del space.conditions[key]
    _put_in_order(space)


def _put_in_order(space: SearchSpace) -> None:
    """Put each parameter after the parameters that its condition names."""
    waiting, settled = dict(space.distributions), dict[str, BaseDistribution]()
    while waiting:
        ready = [key for key in waiting if settled.keys() >= space.conditions.get(key, {}).keys()]
        if not ready:
            key = next(iter(waiting))
            found = f"when {', '.join(space.conditions[key])}"
            raise SearchSpaceError(key, found, "conditions wait for each other")
        settled[ready[0]] = waiting.pop(ready[0])
    space.distributions = settled


def _can_hold(when: Mapping[str, list[Any]], space: SearchSpace, known: Mapping[str, Any]) -> bool:
    return all(
        known[other] in values if other in known else other in space.distributions for other, values in when.items()
    )


def _is_among(value: Any, values: list[Any]) -> bool:
    """Whether `value` is one of `values`, up to rounding: samplers give 0.30000000000000004 in range(0.1, 0.7, 0.1)."""
    return value in values or (
        isinstance(value, float) and any(isinstance(one, float) and math.isclose(one, value) for one in values)
    )


def _is_value(key: str, distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return any(parse_value(key, choice) == value for choice in distribution.choices)
    return isinstance(value, int | float) and contains(distribution, value)


def from_deprecated(search_space: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Translate `hydra.sweeper.search_space` (Hydra 1.1, still read by the 1.3 sweeper) to the grammar of `params`."""
    return {key: _from_deprecated(key, entry) for key, entry in search_space.items()}


def _from_deprecated(key: str, config: Any) -> str:
    if not isinstance(config, Mapping):
        raise SearchSpaceError(key, str(config), "not a mapping with type, low, high or choices")
    entry = dict(config)
    kind, log, step = entry.get("type"), entry.get("log", False), entry.get("step")
    try:
        if kind == "categorical":
            return f"choice({','.join(_quoted(choice) for choice in entry['choices'])})"
        if kind in ("int", "float"):
            number: Callable[[Any], float] = int if kind == "int" else float
            low, high = number(entry["low"]), number(entry["high"])
            if step is not None and not log:
                return f"range({low},{high},{number(step)})"
            return f"tag(log, {kind}(interval({low},{high})))" if log else f"{kind}(interval({low},{high}))"
    except KeyError as missing:
        raise SearchSpaceError(key, str(entry), f"{missing} is missing") from None
    except (TypeError, ValueError) as error:
        raise SearchSpaceError(key, str(entry), str(error)) from None
    raise SearchSpaceError(key, str(entry), "type must be int, float or categorical")


def _quoted(choice: Any) -> str:
    return QuotedString(choice, Quote.single).with_quotes() if isinstance(choice, str) else as_text(choice)


def _check_plain(key: str, raw: Any) -> None:
    """Refuse a nested mapping that has parameters in it, such as `agent: {gamma: interval(0, 1)}`."""
    for name, value in raw.items() if isinstance(raw, Mapping) else ():
        _check_plain(f"{key}.{name}", value)
        if isinstance(value, str) and read_entry(f"{key}.{name}", value).is_sweep_override():
            raise SearchSpaceError(key, str(raw), f"a parameter is written with its dotted key, {key}.{name}")


def _distribution(key: str, raw: Any, override: Override) -> BaseDistribution:
    if override.is_delete():
        raise SearchSpaceError(key, as_text(raw), "a deleted key cannot be searched")
    sweep: Any = override.value()
    numbers = sweep.list if isinstance(sweep, ChoiceSweep) else vars(sweep).values()
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        raise SearchSpaceError(key, as_text(raw), "numbers must be finite")
    try:
        if isinstance(sweep, IntervalSweep):
            low, high, log = sweep.start, sweep.end, "log" in sweep.tags
            whole = isinstance(low, int) and isinstance(high, int)
            return (IntDistribution if whole else FloatDistribution)(low, high, log=log)  # type: ignore[arg-type]
        if isinstance(sweep, ChoiceSweep) or (isinstance(sweep, RangeSweep) and sweep.shuffle):
            # Categories have no order, so a shuffle changes nothing, and it would be drawn anew at each reading.
            sweep.shuffle = False
            choices: Iterator[Any] = override.sweep_iterator(transformer=Transformer.encode)
            return CategoricalDistribution(list(choices))
        if isinstance(sweep, RangeSweep):
            low, high, step = sweep.start, sweep.stop, sweep.step
            whole = not any(isinstance(number, float) for number in (low, high, step))
            return (IntDistribution if whole else FloatDistribution)(low, high, step=step)  # type: ignore[arg-type]
    except (ValueError, TypeError, HydraException) as error:
        raise SearchSpaceError(key, as_text(raw), str(error).splitlines()[0].rstrip(".")) from None
    raise SearchSpaceError(key, as_text(raw), "a glob has no values here")
