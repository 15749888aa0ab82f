"""What each schedule costs: quality and busy workers at equal wall time, simulated, beside asynchronous Optuna.

python benchmarks/schedules.py --workers 8 --seeds 20
Trials have a budget of ten evaluations, of which a share prunes itself at the first or the second; their durations are
noisy. The objective is Hartmann's six-dimensional function with noise, the sampler TPE. No agent is trained.
"""

import argparse
import heapq
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.schedule import virtual_view, window_view

N_EVALUATIONS = 10
# Of Hartmann's function (Surjanovic and Bingham's library of test functions).
ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=8, help="real workers, and virtual ones")
    parser.add_argument("--seeds", type=int, default=20, help="studies for each row")
    parser.add_argument("--rounds", type=float, default=10, help="wall time, in trials that are not pruned")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    cores = arguments.workers
    schedules = [("asynchronous Optuna", 0), *(("virtual", width) for width in sorted({cores, round(1.25 * cores)}))]
    schedules += [("window", width) for width in sorted({cores, round(1.5 * cores), 2 * cores})]
    for pruned, noise in ((0.0, 0.2), (0.4, 0.2)):
        rows = []
        for schedule, width in schedules:
            found = pd.DataFrame(
                simulated(schedule, width, cores, arguments.rounds, pruned, noise, seed)
                for seed in range(arguments.seeds)
            )
            error = found["best"].std() / np.sqrt(len(found))
            rows.append(
                {
                    "schedule": f"{schedule} {width}" if width else schedule,
                    "best value": f"{found['best'].mean():.2f} ± {error:.2f}",
                    "busy": f"{found['busy'].mean():.2f}",
                    "trials": f"{found['trials'].mean():.0f}",
                }
            )
        print(f"\n{cores} workers, {pruned:.0%} pruned, durations within {noise:.0%} of the work:\n")
        print(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True), flush=True)


@dataclass
class Trial:
    """A trial on a real worker: so much work, in evaluations, from `start` on at `pace` seconds each."""

    start: float
    work: int
    pace: float
    may_be_pruned: bool

    @property
    def end(self) -> float:
        return self.start + self.work * self.pace

    def known_work(self, now: float) -> int:
        """Its work, or while it runs that of its next possible end."""
        if now >= self.end:
            return self.work
        return int((now - self.start) / self.pace) + 1 if self.may_be_pruned else N_EVALUATIONS

    def events(self) -> Iterator[float]:
        """When more is known of it: at each evaluation, the last of which ends it."""
        yield from (self.start + step * self.pace for step in range(1, self.work))
        yield self.end


def simulated(
    schedule: str, width: int, cores: int, rounds: float, pruned: float, noise: float, seed: int
) -> dict[str, float]:
    """One study: its best true value, the share of time that workers train, and how many trials ended in time."""
    random, wall = np.random.default_rng(seed), rounds * N_EVALUATIONS
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    trials: list[Trial] = []
    asked: list[tuple[optuna.Trial, float]] = []
    values: list[float] = []
    told: set[int] = set()
    free = [0.0] * cores
    while True:
        now, seen = moment(schedule, width, heapq.heappop(free), trials)
        if now >= wall:
            break
        for number in set(seen) - told:
            study.tell(*asked[number])
            told.add(number)
        trial = study.ask()
        x = np.array([trial.suggest_float(f"x{dimension}", 0, 1) for dimension in range(6)])
        values.append(float((ALPHA * np.exp(-(A * (x - P) ** 2).sum(axis=1))).sum()))
        asked.append((trial, values[-1] + 0.1 * random.normal()))
        work = int(random.integers(1, 3)) if random.random() < pruned else N_EVALUATIONS
        trials.append(Trial(now, work, float(random.lognormal(0, noise)), pruned > 0))
        heapq.heappush(free, trials[-1].end)
    ended = [number for number, trial in enumerate(trials) if trial.end <= wall]
    busy = sum(min(trial.end, wall) - trial.start for trial in trials) / (cores * wall)
    return {"best": max(values[number] for number in ended), "busy": busy, "trials": len(ended)}


def moment(schedule: str, width: int, now: float, trials: Sequence[Trial]) -> tuple[float, Sequence[int]]:
    """When a worker that is free now may start the next trial, and whose results that trial sees."""
    if schedule == "window":
        seen: Sequence[int] = window_view(len(trials), width)
        return max([now, *(trials[number].end for number in seen)]), seen
    if schedule == "asynchronous Optuna":
        return now, [number for number, trial in enumerate(trials) if trial.end <= now]
    events = sorted({now, *(event for trial in trials for event in trial.events() if event > now)})
    for event in events:
        seen = virtual_view([trial.known_work(event) for trial in trials], width)
        if all(trials[number].end <= event for number in seen):
            return event, seen
    raise AssertionError("the lowest unfinished trial waits")


if __name__ == "__main__":
    main()
