"""Compares pruners by replay: the return that the winner lacks, against the environment steps of the study.

python benchmarks/pruning.py --seeds 100
No agent is trained (see benchmarks/replay.py). With each pruner, trials run one after the other; with the median pruner
also on several virtual workers. Prints a table and draws docs/pruning.png; takes two minutes on 2 cores.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor

import matplotlib.pyplot as plt
import optuna
import pandas as pd
from replay import STEPS, Replay, mean_with_interval
from workflow import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from sidewinder.study.schedule import virtual_view

FIGURE = ROOT / "docs/pruning.png"
PRUNERS = {
    "none": optuna.pruners.NopPruner(),
    "median": optuna.pruners.MedianPruner(n_startup_trials=5),
    "median, from half on": optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=10_000),
    "percentile 25": optuna.pruners.PercentilePruner(25.0, n_startup_trials=5),
    "successive halving": optuna.pruners.SuccessiveHalvingPruner(min_resource=2_000, reduction_factor=3),
    "hyperband": optuna.pruners.HyperbandPruner(min_resource=2_000, max_resource=20_000, reduction_factor=3),
}
N_TRIALS = [20, 40]
SEVERAL = [("median", 2), ("median", 4), ("median", 8)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="studies for each pruner")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    kinds = [*((pruner, 1) for pruner in PRUNERS), *SEVERAL]
    cases = [(seed, *kind) for kind in kinds for seed in range(arguments.seeds)]
    with ProcessPoolExecutor(arguments.cores) as pool:
        found = pd.concat(pool.map(replayed, *zip(*cases, strict=True), chunksize=5))
    print(
        "| pruner | virtual workers | trials | steps, in whole trials | return that the winner lacks, 95 % interval |"
    )
    print(f"|{5 * '---|'}")
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
    for (kind, rows), marker in zip(found.groupby(["pruner", "workers"], sort=False), "os^vDP123", strict=True):
        pruner, workers = kind
        points = []
        for n_trials in N_TRIALS:
            part = rows[rows["trials"] == n_trials]
            steps, (mean, low, high) = part["steps"].mean(), mean_with_interval(part["lack"])
            print(f"| {pruner} | {workers} | {n_trials} | {steps:.1f} | {mean:.1f} [{low:.1f}, {high:.1f}] |")
            points.append((steps, mean, mean - low, high - mean))
        if workers == 1:
            at, means, below, above = zip(*points, strict=True)
            axes.errorbar(at, means, (below, above), marker=marker, capsize=3, label=pruner)
    axes.set(xlabel="environment steps of the sweep, in whole trials", ylabel="return that the winner lacks")
    figure.legend(fontsize="small", loc="outside upper center", ncols=3)
    figure.savefig(FIGURE, dpi=150)


def replayed(seed: int, pruner: str, workers: int) -> pd.DataFrame:
    """Replay a study. Return a row for each number of trials in `N_TRIALS`.

    A row has the return that the winner lacks (`lack`), and the environment steps in whole trials (`steps`).
    """
    replay, told, rows = Replay(seed, PRUNERS[pruner]), set[int](), []
    for n_trials in range(1, max(N_TRIALS) + 1):
        for number in virtual_view([trial.work * trial.evaluations for trial in replay.trials], workers):
            if number not in told:
                replay.tell(replay.trials[number])
                told.add(number)
        replay.ask().train()
        if n_trials in N_TRIALS:
            winner = max((trial for trial in replay.trials if not trial.pruned), key=lambda trial: trial.value)
            steps = sum(trial.evaluations for trial in replay.trials) / len(STEPS)
            kind = {"pruner": pruner, "workers": workers, "trials": n_trials}
            rows.append({**kind, "steps": steps, "lack": winner.lack})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
