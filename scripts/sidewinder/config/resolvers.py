"""What an interpolation in a config can compute, e.g. `${one_minus:${agent.helpers.one_minus_gamma}}`: pure
functions, for what is best searched on another scale, or in other parts, than it is used."""

from typing import Any

from omegaconf import OmegaConf


def one_minus(value: float) -> float:
    """1 - value: a discount factor from its distance to 1, which a log scale suits."""
    return 1 - value


def power_of_two(exponent: int) -> int:
    """2 to the power of a whole exponent that is not negative."""
    if exponent != int(exponent) or exponent < 0:
        raise ValueError(f"power_of_two: found {exponent!r}, accepted: a whole number from 0")
    return int(2 ** int(exponent))


def share(fraction: float, whole: float) -> int:
    """That fraction of the whole, rounded down, but at least 1: `learning_starts` from `training.total_timesteps`."""
    return max(int(fraction * whole), 1)


def quotient(dividend: int, divisor: int) -> int:
    """The quotient, rounded down, but at least 1: gradient steps after every so many environment steps."""
    return max(dividend // divisor, 1)


def repeat(value: Any, times: int) -> list[Any]:
    """The value so many times: a network's widths from its width and its depth."""
    return [value] * int(times)


def below(value: int, limit: int) -> int:
    """The value, or the largest whole number below the limit if that is less."""
    return min(value, limit - 1)


def register() -> None:
    """Make them known to OmegaConf, by their names; doing it again is no harm."""
    for function in (one_minus, power_of_two, share, quotient, repeat, below):
        OmegaConf.register_new_resolver(function.__name__, function, replace=True)
