"""Studies that train no agent: each trial is answered with the most similar of benchmarks/recorded_trials.csv.

A study sees one of that trial's two trainings; the other says how much the study's winner lacks.
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

# What benchmarks/record.py draws from.
SPACE: dict[str, BaseDistribution] = {
    "agent.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "agent.tau": FloatDistribution(0.001, 0.1, log=True),
    "agent.noise_std": FloatDistribution(0.05, 0.5),
    "agent.gamma": CategoricalDistribution(["0.9", "0.95", "0.98", "0.99", "0.995"]),
    "agent.action_noise": CategoricalDistribution(["null", "normal", "ornstein-uhlenbeck"]),
    "agent.batch_size": CategoricalDistribution(["32", "64", "128"]),
    "agent.policy_kwargs.net_arch": CategoricalDistribution(["s", "[128, 128]"]),
}
# Of the evaluations.
STEPS = range(2000, 22000, 2000)


@dataclass(frozen=True)
class Recorded:
    """The recorded trials: places (trials x dimensions), returns (trials x trainings x evaluations) and by how much the
    best of a training's is lower than that of the best trial (trials x trainings), seconds between two evaluations and
    what the virtual clock takes for that (trials)."""

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
    # Of the second training: some processes compile something in the first.
    pace, work = second["seconds"].to_numpy(float) / len(STEPS), second["step_price"].to_numpy(int)
    return Recorded(places, returns, best.max(axis=0) - best, pace, work)


def place(params: Mapping[Any, Any]) -> list[float]:
    """Where a trial is in the search space: 0 to 1 along a number, and 1 from one choice to any other."""
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
        pace: Seconds between two evaluations.
        work: What the virtual clock takes for that.
        evaluations: How many it has, if its pruner lets it go on.
        value: Its objective, unless it is pruned.
        lack: By how much the other training's return is lower than that of the best recorded trial. Not the return
            itself: the two trainings are evaluated in different episodes.
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
        """Report an evaluation, counted from 0, to the pruner; whether that is the trial's last."""
        self.asked.report(float(self.returns[evaluation]), STEPS[evaluation])
        if self.asked.should_prune():
            self.evaluations = evaluation + 1
        return evaluation + 1 == self.evaluations

    def train(self) -> None:
        """All its evaluations, while nothing else happens in the study."""
        for evaluation in range(len(STEPS)):
            if self.evaluate(evaluation):
                break


class Replay:
    """One study, whose trials are recorded ones. Its sampler is the default study's."""

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
        """Let the study know that a trial has ended."""
        if trial.pruned:
            self.study.tell(trial.asked, state=optuna.trial.TrialState.PRUNED)
        else:
            self.study.tell(trial.asked, trial.value)


def mean_with_interval(values: pd.Series) -> tuple[float, float, float]:
    """The mean over studies, and its 95 % interval by bootstrap."""
    low, high = stats.bootstrap((values,), np.mean, method="percentile", rng=0).confidence_interval
    return float(values.mean()), float(low), float(high)
