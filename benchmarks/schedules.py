"""Compares schedules with asynchronous Optuna by replay: winners and busy workers after the same wall time.

python benchmarks/schedules.py --seeds 100
No agent is trained (see benchmarks/replay.py). Prints a table and draws docs/schedules.png; takes five minutes on
2 cores.
"""

import argparse
import heapq
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import optuna
import pandas as pd
from replay import STEPS, Replay, mean_with_interval, recorded

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.study.schedule import virtual_view, window_view

FIGURE = Path(__file__).resolve().parents[1] / "docs/schedules.png"
PRUNERS = {"none": optuna.pruners.NopPruner, "median": optuna.pruners.MedianPruner}
# Wall time in mean durations of a trial, for each number of workers; longer for fewer workers.
ROUNDS = {2: 10, 8: 5, 32: 3}
ASYNCHRONOUS = "asynchronous Optuna"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="studies for each row")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    cases = [
        (seed, workers, pruner, *schedule)
        for workers in ROUNDS
        for pruner in PRUNERS
        for schedule in schedules(workers)
        for seed in range(arguments.seeds)
    ]
    with ProcessPoolExecutor(arguments.cores) as pool:
        found = pd.DataFrame(pool.map(replayed, *zip(*cases, strict=True), chunksize=10))
    rows = []
    for (workers, pruner, schedule), studies in found.groupby(["workers", "pruner", "schedule"], sort=False):
        row = {"workers": workers, "pruner": pruner, "schedule": schedule}
        row |= dict(zip(("lack", "low", "high"), mean_with_interval(studies["lack"]), strict=True))
        rows.append(row | studies[["busy", "trials"]].mean().to_dict())
    table = pd.DataFrame(rows)
    print_table(table)
    draw(table, FIGURE)


def schedules(workers: int) -> list[tuple[str, int]]:
    """Return the schedules to compare, with their numbers of virtual workers or their windows."""
    widths = (workers, round(1.5 * workers), 2 * workers)
    return [(ASYNCHRONOUS, 0), *((schedule, width) for schedule in ("virtual", "window") for width in widths)]


class Schedule:
    """A replayed study on a number of workers, with the seconds at which each trial starts and ends."""

    def __init__(self, seed: int, workers: int, pruner: str) -> None:
        self.replay = Replay(seed, PRUNERS[pruner]())
        self.workers, self.may_be_pruned = workers, pruner != "none"
        self.wall = ROUNDS[workers] * float(recorded().pace.mean()) * len(STEPS)
        self.starts: list[float] = []

    def end(self, number: int) -> float:
        trial = self.replay.trials[number]
        return self.starts[number] + trial.evaluations * trial.pace

    def asynchronous(self) -> None:
        """Run like Optuna's workers: each sees all trials that have ended, when it asks and when it prunes."""
        # Each event is a time, a trial and the index of its evaluation. A negative trial is a free worker.
        events: list[tuple[float, int, int]] = [(0.0, worker - self.workers, 0) for worker in range(self.workers)]
        while events[0][0] < self.wall:
            now, number, evaluation = heapq.heappop(events)
            if number >= 0:
                trial = self.replay.trials[number]
                if not trial.evaluate(evaluation):
                    heapq.heappush(events, (now + trial.pace, number, evaluation + 1))
                    continue
                self.replay.tell(trial)
            self.starts.append(now)
            heapq.heappush(events, (now + self.replay.ask().pace, len(self.starts) - 1, 0))

    def scheduled(self, schedule: str, width: int) -> None:
        """Run like Sidewinder: a trial sees its view, when it asks and when it prunes."""
        told: set[int] = set()
        free = [0.0] * self.workers
        while True:
            now, view = self.moment(schedule, width, heapq.heappop(free))
            if now >= self.wall:
                return
            for number in sorted(set(view) - told):
                self.replay.tell(self.replay.trials[number])
                told.add(number)
            trial = self.replay.ask()
            # The trial's evaluations may all be reported now: no result is told before the next trial asks.
            trial.train()
            self.starts.append(now)
            heapq.heappush(free, self.end(len(self.starts) - 1))

    def moment(self, schedule: str, width: int, now: float) -> tuple[float, Sequence[int]]:
        """Return when a worker that is free at `now` may start the next trial, and that trial's view."""
        numbers = range(len(self.starts))
        if schedule == "window":
            seen = window_view(len(numbers), width)
            return max([now, *(self.end(number) for number in seen)]), seen
        for event in sorted({now, *(event for event in self.events() if event > now)}):
            view = virtual_view([self.known_work(number, event) for number in numbers], width)
            if all(self.end(number) <= event for number in view):
                return event, view
        raise AssertionError("the lowest unfinished trial waits")

    def known_work(self, number: int, now: float) -> int:
        """Return a trial's work; while it runs, its work up to its next possible end."""
        trial = self.replay.trials[number]
        if now >= self.end(number):
            return trial.work * trial.evaluations
        reached = int((now - self.starts[number]) / trial.pace)
        return trial.work * (reached + 1 if self.may_be_pruned else len(STEPS))

    def events(self) -> Iterator[float]:
        """Give the times of all evaluations, at which more is known of a trial's work."""
        for number, (trial, start) in enumerate(zip(self.replay.trials, self.starts, strict=True)):
            yield from (start + evaluation * trial.pace for evaluation in range(1, trial.evaluations))
            yield self.end(number)


def replayed(seed: int, workers: int, pruner: str, schedule: str, width: int) -> dict[str, float | str]:
    """Replay one study.

    Returns a row: the return that its winner lacks, the share of time that workers train, and the number of trials that
    ended in time.
    """
    study = Schedule(seed, workers, pruner)
    if schedule == ASYNCHRONOUS:
        study.asynchronous()
    else:
        study.scheduled(schedule, width)
    trials, wall = study.replay.trials, study.wall
    ended = [trial for number, trial in enumerate(trials) if study.end(number) <= wall]
    winner = max((trial for trial in ended if not trial.pruned), key=lambda trial: trial.value)
    busy = sum(min(study.end(number), wall) - start for number, start in enumerate(study.starts))
    return {
        "workers": workers,
        "pruner": pruner,
        "schedule": f"{schedule} {width}" if width else schedule,
        "lack": winner.lack,
        "busy": busy / (workers * wall),
        "trials": len(ended),
    }


def print_table(table: pd.DataFrame) -> None:
    print("| workers | pruner | schedule | return that the winner lacks, 95 % interval | busy | trials |")
    print(f"|{6 * '---|'}")
    for row in table.to_dict("records"):
        interval = f"{row['lack']:.1f} [{row['low']:.1f}, {row['high']:.1f}]"
        print(f"| {row['workers']} | {row['pruner']} | {row['schedule']} | {interval}", end="")
        print(f" | {row['busy']:.0%} | {row['trials']:.0f} |")


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw two panels for each number of workers: the return that winners lack, and the share of busy workers."""
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(2, len(ROUNDS), figsize=(9, 5), sharey="row", layout="constrained")
    for (workers, rows), (above, below) in zip(table.groupby("workers"), axes.T, strict=True):
        for (pruner, part), marker, shift in zip(rows.groupby("pruner"), "os", (-0.1, 0.1), strict=True):
            positions = np.arange(len(part)) + shift
            errors = [part["lack"] - part["low"], part["high"] - part["lack"]]
            above.errorbar(positions, part["lack"], errors, fmt=marker, capsize=3, label=f"pruner: {pruner}")
            below.plot(positions, 100 * part["busy"], marker)
        above.set(title=f"{workers} workers", xticks=[])
        below.set_xticks(
            range(len(part)), part["schedule"].replace(ASYNCHRONOUS, "asynchronous"), rotation=45, ha="right"
        )
    axes[0, 0].set_ylabel("return that\nthe winner lacks")
    axes[1, 0].set_ylabel("workers that train (%)")
    axes[1, 0].legend(*axes[0, 0].get_legend_handles_labels())
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
