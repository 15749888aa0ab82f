"""Replays studies without training: a trial gets the results of the most similar one in benchmarks/recorded_trials.csv.

The study sees one of the recorded trial's two trainings. The other one tells how much return the study's winner lacks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from scipy import stats

# The search space of benchmarks/record.py.
SPACE: dict[str, BaseDistribution] = {
    "agent.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "agent.tau": FloatDistribution(0.001, 0.1, log=True),
    "agent.noise_std": FloatDistribution(0.05, 0.5),
    "agent.gamma": CategoricalDistribution(["0.9", "0.95", "0.98", "0.99", "0.995"]),
    "agent.action_noise": CategoricalDistribution(["null", "normal", "ornstein-uhlenbeck"]),
    "agent.batch_size": CategoricalDistribution(["32", "64", "128"]),
    "agent.policy_kwargs.net_arch": CategoricalDistribution(["s", "[128, 128]"]),
}
# The environment steps of the evaluations.
STEPS = range(2000, 22000, 2000)


@dataclass(frozen=True)
class Recorded:
    """The recorded trials.

    Attributes:
        places: Each trial's place in the search space, from `place` (trials x dimensions).
        returns: Mean return of each evaluation (trials x trainings x evaluations).
        lacks: The difference from a training's best return to the best one of all trials (trials x trainings).
        pace: Seconds from one evaluation to the next (trials).
        work: The price of an environment step on the virtual clock (trials).
    """

    places: np.ndarray
    returns: np.ndarray
    lacks: np.ndarray
    pace: np.ndarray
    work: np.ndarray


@cache
def recorded() -> Recorded:
    path = Path(__file__).with_name("recorded_trials.csv")
    rows = pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys(SPACE, str))
    first, second = (rows[rows["replicate"] == replicate] for replicate in (0, 1))
    returns = np.stack([one[[str(step) for step in STEPS]].to_numpy(float) for one in (first, second)], axis=1)
    places = np.array([place(params) for params in first[list(SPACE)].to_dict("records")])
    best = returns.max(axis=2)
    # Times are from the second training, as the first one may include compilation.
    pace, work = second["seconds"].to_numpy(float) / len(STEPS), second["step_price"].to_numpy(int)
    return Recorded(places, returns, best.max(axis=0) - best, pace, work)


def place(params: Mapping[Any, Any]) -> list[float]:
    """Return a trial's coordinates in the search space.

    Ranges of numbers have length 1. Two choices of a parameter have distance 1.
    """
    coordinates = []
    for name, distribution in SPACE.items():
        if isinstance(distribution, FloatDistribution):
            ends = np.array([distribution.low, distribution.high, float(params[name])])
            low, high, value = np.log(ends) if distribution.log else ends
            coordinates.append((value - low) / (high - low))
        elif isinstance(distribution, CategoricalDistribution):
            coordinates += [(params[name] == choice) / np.sqrt(2) for choice in distribution.choices]
    return coordinates


class Trial:
    """A trial of a replayed study.

    Attributes:
        pace: Seconds from one evaluation to the next.
        work: The price of an environment step on the virtual clock.
        evaluations: The number of evaluations; fewer once the trial is pruned.
        value: The objective, unless the trial is pruned.
        lack: The difference from the other training's return to the best recorded trial's return. It is a difference,
            because the two trainings are evaluated in different episodes.
    """

    def __init__(self, asked: optuna.Trial, seen_training: int) -> None:
        like = int(((recorded().places - place(asked.params)) ** 2).sum(axis=1).argmin())
        self.asked = asked
        self.pace, self.work = float(recorded().pace[like]), int(recorded().work[like])
        self.returns = recorded().returns[like, seen_training]
        self.lack = float(recorded().lacks[like, 1 - seen_training])
        self.evaluations = len(STEPS)

    @property
    def value(self) -> float:
        return float(self.returns.max())

    @property
    def pruned(self) -> bool:
        return self.evaluations < len(STEPS)

    def evaluate(self, evaluation: int) -> bool:
        """Report an evaluation, counted from 0, to the pruner. Return whether it is the trial's last one."""
        self.asked.report(float(self.returns[evaluation]), STEPS[evaluation])
        if self.asked.should_prune():
            self.evaluations = evaluation + 1
        return evaluation + 1 == self.evaluations

    def train(self) -> None:
        """Report all evaluations, while nothing else happens in the study."""
        for evaluation in range(len(STEPS)):
            if self.evaluate(evaluation):
                break


class Replay:
    """A replayed study, with the sampler of the default study."""

    def __init__(self, seed: int, pruner: optuna.pruners.BasePruner) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(n_startup_trials=5, constant_liar=True, seed=seed)
        # Hyperband's brackets depend on the name.
        self.study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner, study_name=f"{seed}")
        self.seen_training = seed % 2
        self.trials: list[Trial] = []

    def ask(self) -> Trial:
        self.trials.append(Trial(self.study.ask(SPACE), self.seen_training))
        return self.trials[-1]

    def tell(self, trial: Trial) -> None:
        """Tell the study that a trial has ended."""
        if trial.pruned:
            self.study.tell(trial.asked, state=optuna.trial.TrialState.PRUNED)
        else:
            self.study.tell(trial.asked, trial.value)


def mean_with_interval(values: pd.Series) -> tuple[float, float, float]:
    """Return the mean over studies and its 95 % bootstrap interval: mean, low, high."""
    low, high = stats.bootstrap((values,), np.mean, method="percentile", rng=0).confidence_interval
    return float(values.mean()), float(low), float(high)
