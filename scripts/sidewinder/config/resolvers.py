"""Functions that interpolations in a config can call, e.g. `${one_minus:${agent.helpers.one_minus_gamma}}`.

They are pure. With them, a study can search a parameter on another scale, or by other parts, than the agent uses.
"""

from typing import Any

from omegaconf import OmegaConf


def one_minus(value: float) -> float:
    """1 - value: for example a discount factor from its distance to 1, which is best searched on a log scale."""
    return 1 - value


def power_of_two(exponent: int) -> int:
    """2 to the power of the exponent.

    Raises:
        ValueError: The exponent is negative or no whole number.
    """
    if exponent != int(exponent) or exponent < 0:
        raise ValueError(f"power_of_two: found {exponent!r}, accepted: a whole number from 0")
    return int(2 ** int(exponent))


def share(fraction: float, whole: float) -> int:
    """A fraction of the whole, rounded down, at least 1: `learning_starts` as a share of `training.total_timesteps`."""
    return max(int(fraction * whole), 1)


def quotient(dividend: int, divisor: int) -> int:
    """The quotient, rounded down, at least 1: `gradient_steps` as `train_freq` divided by a searched number."""
    return max(dividend // divisor, 1)


def repeat(value: Any, times: int) -> list[Any]:
    """List that repeats the value `times` times: the layer widths of a network from its width and its depth."""
    return [value] * int(times)


def below(value: int, limit: int) -> int:
    """The smaller of the value and `limit - 1`."""
    return min(value, limit - 1)


def register() -> None:
    """Register these functions with OmegaConf under their names. It may be called several times."""
    for function in (one_minus, power_of_two, share, quotient, repeat, below):
        OmegaConf.register_new_resolver(function.__name__, function, replace=True)
