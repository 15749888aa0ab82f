"""Compares protocols of confirmation by what they recommend, in thousands of replayed studies.

python benchmarks/confirmations.py cartpole
No agent is trained. benchmarks/recorded_settings/ has trainings of random settings and of the baselines, all with the
same seeds (see benchmarks/record_settings.py). A setting's true return is its mean over all recorded seeds. A replayed
training is a recorded one, drawn with replacement; trainings that share a seed in a real study share it here too. A
study's sweep is random search. Prints a table; takes two minutes on 2 cores.
"""

import argparse
import itertools
import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

RECORDED = Path(__file__).with_name("recorded_settings")
BASELINES = ("defaults", "zoo")


@dataclass(frozen=True)
class Protocol:
    """The way in which a study finds the setting that it recommends.

    Attributes:
        name: The protocol's name in the table.
        rounds: For each round of the race, the number of settings, and the number of new seeds for each.
        n_test: The number of test seeds.
        enter: Whether the baselines take part in the race.
        decides: The rule for the recommendation. `always`: the tuned setting. `sure`: the tuned setting if the test is
            sure (p < 0.05) that it is better than the defaults, otherwise the defaults. `race`: the setting that came
            first in the race. `veto`: a baseline with at least as good a mean on the test seeds; if there is none, a
            baseline that came first in the race unless the tuned setting is surely better; otherwise the tuned setting.
        n_trials: The trials of the sweep, in whole trainings if they are pruned.
        replicates: The replicates of each trial.
        pruned: Whether Optuna's median pruner ends trials. The saved steps are used for more trials.
    """

    name: str
    rounds: tuple[tuple[int, int], ...]
    n_test: int
    enter: bool = True
    decides: str = "veto"
    n_trials: int = 30
    replicates: int = 1
    pruned: bool = False

    @property
    def top_k(self) -> int:
        """The number of the sweep's settings in the race."""
        return self.rounds[0][0] - (len(BASELINES) if self.enter else 0)


BEFORE = ((3, 3),)
HALVED = ((8, 2), (4, 2), (2, 4))
PROTOCOLS = [
    Protocol("3 settings, 3 seeds each; the best of them", BEFORE, 10, enter=False, decides="always"),
    Protocol("the same, if it is surely better than the defaults", BEFORE, 10, enter=False, decides="sure"),
    Protocol("the same, if its mean is better than the baselines'", BEFORE, 10, enter=False),
    Protocol("race 7x1 4x1 2x2, 8 test seeds", ((7, 1), (4, 1), (2, 2)), 8),
    Protocol("race 6x1 3x2 2x2, 8 test seeds", ((6, 1), (3, 2), (2, 2)), 8),
    Protocol("race 9x1 3x1 2x2, 8 test seeds", ((9, 1), (3, 1), (2, 2)), 8),
    Protocol("race 7x1 4x1 2x2 without baselines, 8 test seeds", ((7, 1), (4, 1), (2, 2)), 8, enter=False),
    Protocol("race 9x1 3x1 2x2 without baselines, 8 test seeds", ((9, 1), (3, 1), (2, 2)), 8, enter=False),
    Protocol("race 8x2 4x2 2x4; the tuned one", HALVED, 10, decides="always"),
    Protocol("race 8x2 4x2 2x4; who came first", HALVED, 10, decides="race"),
    Protocol("race 8x2 4x2 2x4", HALVED, 10),
    Protocol("race 8x2 4x2 2x4 without baselines", HALVED, 10, enter=False),
    Protocol("race 12x1 6x1 3x2 2x4", ((12, 1), (6, 1), (3, 2), (2, 4)), 10),
    Protocol("race 8x2 4x2 2x4, 8 test seeds, 13 trials", HALVED, 8, n_trials=13),
    Protocol("race 8x1 4x2 2x4, 8 test seeds, 21 trials", ((8, 1), (4, 2), (2, 4)), 8, n_trials=21),
    Protocol("race 7x1 4x1 2x2, 8 test seeds, 15 trials of 2", ((7, 1), (4, 1), (2, 2)), 8, n_trials=15, replicates=2),
    Protocol("race 7x1 4x1 2x2, 8 test seeds, 10 trials of 3", ((7, 1), (4, 1), (2, 2)), 8, n_trials=10, replicates=3),
    Protocol("race 7x1 4x1 2x2, 8 test seeds, pruned trials", ((7, 1), (4, 1), (2, 2)), 8, pruned=True),
]


@dataclass(frozen=True)
class World:
    """Recorded trainings, by setting and seed. The first settings are random ones, the last ones are the baselines.

    Attributes:
        curves: Mean return of each evaluation (settings x seeds x evaluations).
        returns: Mean return of the held-out episodes (settings x seeds).
        truth: Mean of `returns` over seeds (settings).
        n_random: The number of random settings.
    """

    curves: np.ndarray
    returns: np.ndarray
    truth: np.ndarray
    n_random: int


@cache
def world(study: str) -> World:
    """Read the recorded trainings of a study."""
    rows = pd.read_csv(RECORDED / f"{study}.csv", dtype={"setting": str})
    steps = [str(name) for name in rows.columns if str(name).isdecimal()]
    table = rows.set_index(["setting", "seed"])
    random = [name for name in rows["setting"].unique() if name not in BASELINES]
    names = [*random, *BASELINES]
    curves = np.stack([table.loc[name, steps].to_numpy(float) for name in names])
    returns = np.stack([table.loc[name, "held_out"].to_numpy(float) for name in names])
    return World(curves, returns, returns.mean(axis=1), len(random))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=[path.stem for path in sorted(RECORDED.glob("*.csv"))])
    parser.add_argument("--studies", type=int, default=3000, help="for each row")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    known = world(arguments.study)
    better = (known.truth[: known.n_random] > known.truth[known.n_random]).mean()
    print(
        f"{known.n_random} random settings, {known.returns.shape[1]} seeds. True returns: the best of them "
        f"{known.truth[: known.n_random].max():.1f}; {better:.0%} are better than the defaults' "
        f"{known.truth[known.n_random]:.1f}; RL Zoo's {known.truth[known.n_random + 1]:.1f}\n"
    )
    print("| protocol | sweep | race | test | all | true return | short of the best | harm | baselines |")
    print("|---|---|---|---|---|---|---|---|---|")
    jobs = [(arguments.study, protocol, arguments.studies) for protocol in PROTOCOLS]
    with ProcessPoolExecutor(arguments.cores) as pool:
        for protocol, found in zip(PROTOCOLS, pool.map(replayed, jobs), strict=True):
            mean = found.mean()
            error = 1.96 * float(found["true"].std()) / math.sqrt(len(found))
            trainings = f"{mean['sweep']:.0f} | {mean['race']:.0f} | {mean['test']:.0f} | {mean['all']:.0f}"
            print(
                f"| {protocol.name} | {trainings} | {mean['true']:.1f} ± {error:.1f} | {mean['short']:.1f} | "
                f"{mean['harm']:.1%} | {mean['baseline']:.0%} |",
                flush=True,
            )


def replayed(job: tuple[str, Protocol, int]) -> pd.DataFrame:
    """Replay studies with one protocol. Return a row for each."""
    study, protocol, n_studies = job
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return pd.DataFrame([replay(world(study), protocol, np.random.default_rng(seed)) for seed in range(n_studies)])


def replay(known: World, protocol: Protocol, rng: np.random.Generator) -> dict[str, float]:
    """Replay one study. Return the trainings that it takes, and how good the recommended setting is.

    In the row, `short` is the difference to the best setting that the study has tried, and `harm` says whether the
    recommended setting is worse than the defaults.
    """
    order = rng.permutation(known.n_random)
    values, sweep = swept(known, protocol, order, rng)
    tried = order[: len(values)]
    complete = ~np.isnan(values)
    best_first = tried[complete][np.argsort(-values[complete], kind="stable")]
    baselines = [known.n_random, known.n_random + 1]
    entrants = [*(baselines if protocol.enter else []), *best_first[: protocol.top_k]]
    ranking, race = raced(known, protocol, entrants, rng)
    winner = next(setting for setting in ranking if setting not in baselines)
    seeds = rng.integers(known.returns.shape[1], size=protocol.n_test)
    gains = {other: known.returns[winner, seeds] - known.returns[other, seeds] for other in baselines}
    recommended = decided(protocol.decides, winner, ranking[0], gains)
    test = protocol.n_test * (1 + len(baselines))
    true = known.truth[recommended]
    return {
        "sweep": sweep,
        "race": race,
        "test": test,
        "all": sweep + race + test,
        "true": true,
        "short": max(known.truth[tried].max(), known.truth[baselines].max()) - true,
        "harm": true < known.truth[baselines[0]],
        "baseline": recommended in baselines,
    }


def swept(known: World, protocol: Protocol, order: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Replay a sweep over these settings, in this order.

    Returns:
        The objective of each trial, NaN for a pruned one; and the environment steps of the sweep, in whole trainings.
    """
    n_seeds, n_evaluations = known.curves.shape[1:]
    if not protocol.pruned:
        chosen = order[: protocol.n_trials]
        seeds = rng.integers(n_seeds, size=(len(chosen), protocol.replicates))
        return known.curves[chosen[:, None], seeds].max(axis=2).mean(axis=1), float(seeds.size)
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner())
    values: list[float] = []
    used = 0.0
    for setting in order:
        trial = study.ask()
        curve = known.curves[setting, rng.integers(n_seeds)]
        for step, value in enumerate(curve):
            trial.report(float(value), step)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                values.append(np.nan)
                break
        else:
            study.tell(trial, float(curve.max()))
            values.append(float(curve.max()))
        used += (step + 1) / n_evaluations
        if used >= protocol.n_trials:
            break
    return np.array(values), used


def raced(known: World, protocol: Protocol, entrants: list[int], rng: np.random.Generator) -> tuple[list[int], float]:
    """Replay a race. Return the settings, best first, and the number of trainings."""
    seen: dict[int, list[float]] = {setting: [] for setting in entrants}
    out: list[int] = []
    ahead, trainings = entrants, 0
    for n_stay, n_seeds in protocol.rounds:
        ahead, left = ahead[:n_stay], ahead[n_stay:]
        out = [*left, *out]
        seeds = rng.integers(known.returns.shape[1], size=n_seeds)
        for setting in ahead:
            seen[setting] += known.returns[setting, seeds].tolist()
            trainings += n_seeds
        ahead = sorted(ahead, key=lambda setting: -np.mean(seen[setting]))
    return [*ahead, *out], trainings


def decided(rule: str, winner: int, first: int, gains: dict[int, np.ndarray]) -> int:
    """Return the setting that a rule (`Protocol.decides`) recommends.

    Args:
        rule: The rule.
        winner: The tuned setting.
        first: The setting that came first in the race.
        gains: For each baseline, the winner's return minus the baseline's return on each test seed. The first baseline
            is the defaults.
    """
    defaults, *_ = gains
    worst = min(gains, key=lambda other: float(gains[other].mean()))
    if rule == "always":
        return winner
    if rule == "sure":
        return winner if gains[defaults].mean() > 0 and p_value(gains[defaults]) < 0.05 else defaults
    if rule == "race":
        return first
    if gains[worst].mean() <= 0:
        return worst
    return first if first == winner or p_value(gains[first]) >= 0.05 else winner


def p_value(differences: np.ndarray) -> float:
    """Return the p-value of an exact permutation test, which exchanges the two settings within seeds in all ways."""
    means = np.abs(_signs(len(differences)) @ differences)
    return float((means >= abs(differences.sum()) - 1e-9).mean())


@cache
def _signs(n: int) -> np.ndarray:
    return np.array(list(itertools.product((1, -1), repeat=n)))


if __name__ == "__main__":
    main()
