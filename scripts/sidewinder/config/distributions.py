"""Values that Optuna's distributions contain."""

from decimal import Decimal
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial


def first_value(distribution: BaseDistribution) -> Any:
    """The first choice or the low end of a distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a distribution contains a value, by the check that Optuna makes when it creates a trial."""
    try:
        create_trial(value=0.0, params={"it": value}, distributions={"it": distribution})
    except ValueError:
        return False
    return True


def grid_values(distribution: BaseDistribution) -> list[Any]:
    """Every value of a discrete distribution, for a grid search.

    Raises:
        ValueError: The distribution is continuous.
    """
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution) and not distribution.log:
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        # Decimal arithmetic, because 0.1 + 2 * 0.1 is not 0.3 in floats.
        low, step = Decimal(str(distribution.low)), Decimal(str(distribution.step))
        steps = round((distribution.high - distribution.low) / distribution.step)
        return [float(low + i * step) for i in range(steps + 1)]
    raise ValueError(f"found {distribution}")
