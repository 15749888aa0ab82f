"""By how much a setting is better than others, and how surely: differences seed by seed, from rows of `results.table`.

Trainings of one index have the same seeds and meet the same initial states, whatever their setting. So their difference
says more than the difference of two means: what is luck of the seed is in both.
"""

import math
import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from pydantic import BaseModel

from sidewinder.confirmation.statistics import Estimate, bootstrapped, by_environment, n_failed, value_column

# Of errors: to call a difference sure that is none, and not to find one that is there.
ALPHA, POWER = 0.05, 0.8
# Where more would be needed, nobody will train them.
_MANY = 10_000


class Comparison(BaseModel):
    """A setting and another, over the seeds that both were trained with.

    Attributes:
        gain: The mean difference of returns (of several environments, of scores), positive where the first is better,
            with its bootstrap interval (95 %, percentiles of resampled seeds).
        p_value: Of a permutation test that exchanges the two within seeds, two-sided; against several others adjusted
            by Holm's method.
        n_seeds: How many differences there are.
        detectable: The difference that so many seeds find with 80 % power, by a paired t-test of 5 % over the number
            of comparisons.
        needed: How many seeds would find the difference that was seen; None if more than 10,000.
        fewest: So many seeds, at least, can be sure of anything.
    """

    gain: Estimate
    p_value: float
    n_seeds: int
    detectable: float
    needed: int | None
    fewest: int

    @property
    def sure(self) -> bool:
        """Whether the difference is more than luck, by its p-value."""
        return self.p_value < ALPHA


def compare(rows: pd.DataFrame, others: Mapping[str, pd.DataFrame], direction: str) -> dict[str, Comparison | None]:
    """A setting's rows of `table` with those of others, by their names; None where trainings of either failed."""
    # Imported late: it takes a second, which choosing the winner need not pay.
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
    """One a seed; of several environments the mean over them."""
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
    # The solver finds no end beyond these.
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

    # One sample and the statistic of its mean: "samples" exchanges signs. Exact where there are few seeds.
    found = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)
