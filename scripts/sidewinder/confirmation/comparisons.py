"""Compares a setting with others seed by seed: by how much it is better, and how surely. Reads rows of `results.table`.

Trainings with the same index have the same seeds and the same initial states, whatever their setting. The luck of the
seed is in both, so it cancels in their difference. That is why paired differences say more than two means.
"""

import math
import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from pydantic import BaseModel

from sidewinder.confirmation.statistics import Estimate, bootstrapped, by_environment, n_failed, value_column

# The probability of calling a difference sure that does not exist, and of finding one that does.
ALPHA, POWER = 0.05, 0.8
# Nobody will train more seeds than this.
_MANY = 10_000


class Comparison(BaseModel):
    """A comparison of two settings over the seeds that both were trained with.

    Attributes:
        gain: The mean difference of returns (with several environments, of scores), with its bootstrap interval (95 %,
            percentiles of resampled seeds). It is positive if the first setting is better.
        p_value: The p-value of a two-sided permutation test that exchanges the settings within seeds. It is adjusted
            by Holm's method if there are several comparisons.
        n_seeds: The number of seeds, and so of differences.
        detectable: The difference that so many seeds find with 80 % power, by a paired t-test at the level of 5 %
            divided by the number of comparisons.
        needed: The number of seeds that would find the observed difference with that power and level; None if it is
            more than 10,000.
        fewest: The smallest number of seeds that can make any difference sure at that level.
    """

    gain: Estimate
    p_value: float
    n_seeds: int
    detectable: float
    needed: int | None
    fewest: int

    @property
    def sure(self) -> bool:
        """Whether the p-value is below 5 %."""
        return self.p_value < ALPHA


def compare(rows: pd.DataFrame, others: Mapping[str, pd.DataFrame], direction: str) -> dict[str, Comparison | None]:
    """Compare a setting with others.

    Args:
        rows: The setting's rows of `results.table`.
        others: The rows of each other setting, by its name.
        direction: `maximize` or `minimize`.

    Returns:
        The comparison with each other setting, by its name; None if trainings of one of the two failed.
    """
    # Imported late: it takes a second, and choosing the winner does not need it.
    from statsmodels.stats.multitest import multipletests

    sign = -1 if direction == "minimize" else 1
    differences = {
        name: None if n_failed(rows) or n_failed(other) else sign * _differences(rows, other)
        for name, other in others.items()
    }
    tested = {name: _p_value(found) for name, found in differences.items() if found is not None}
    adjusted = dict(zip(tested, multipletests([*tested.values()], method="holm")[1], strict=True)) if tested else {}
    return {
        name: None if found is None else _comparison(found, float(adjusted[name]), len(tested))
        for name, found in differences.items()
    }


def _differences(rows: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """The differences, one per seed; with several environments, their mean over environments."""
    value = value_column(rows)
    parts = [
        ours.set_index("index")[value] - theirs.set_index("index")[value]
        for ours, theirs in zip(by_environment(rows).values(), by_environment(others).values(), strict=True)
    ]
    return pd.concat(parts, axis=1).mean(axis=1).to_numpy(float)


def _comparison(differences: np.ndarray, p_value: float, n_compared: int) -> Comparison:
    from statsmodels.stats.power import TTestPower

    n_seeds, deviation = len(differences), float(differences.std(ddof=1))
    power, alpha = TTestPower(), ALPHA / n_compared
    # Of 2^n ways to exchange the settings within n seeds, two are as extreme as the most extreme.
    fewest = next(n for n in range(2, 100) if 2 / 2**n < alpha)
    detectable = float(power.solve_power(nobs=n_seeds, alpha=alpha, power=POWER)) * deviation
    mean = abs(float(differences.mean()))
    effect = 0.0 if mean == 0 else mean / deviation if deviation else math.inf
    needed: int | None = fewest
    # The solver does not converge for larger effects; the fewest seeds are enough for them.
    if effect < 2:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = float(power.solve_power(effect_size=effect, alpha=alpha, power=POWER)) if effect else math.inf
        needed = max(fewest, math.ceil(found)) if found < _MANY else None
    return Comparison(
        gain=bootstrapped([differences], np.mean),
        p_value=p_value,
        n_seeds=n_seeds,
        detectable=detectable,
        needed=needed,
        fewest=fewest,
    )


def _p_value(differences: np.ndarray) -> float:
    from scipy import stats

    # With one sample, "samples" flips the signs of the differences. With few seeds the test is exact.
    found = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)
