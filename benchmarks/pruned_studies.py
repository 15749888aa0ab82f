"""Measures whether pruning is worth it: runs the default study with and without its pruner, on several study seeds.

python benchmarks/pruned_studies.py my_directory
Trains with SBX. Existing results are not made again. There are two studies a seed; each takes about four minutes on
2 cores.
"""

import argparse
import statistics
from pathlib import Path

import pandas as pd
from replay import mean_with_interval
from workflow import winner_returns, write_studies

PRUNERS = ("none", "median")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seeds", type=int, default=5, help="studies for each pruner")
    parser.add_argument("--test-seeds", type=int, default=5, help="trainings of each winner, for its return")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    cases = {f"{pruner}-{seed}": (pruner, seed) for seed in range(arguments.seeds) for pruner in PRUNERS}
    study = ["study=pendulum_ddpg", "agent.backend=sbx", f"confirmation.n_test_seeds={arguments.test_seeds}"]
    overrides = {name: [*study, f"pruner={pruner}", f"study.seed={seed}"] for name, (pruner, seed) in cases.items()}
    write_studies(arguments.directory, overrides)
    rows = []
    print(
        "| pruner | study seed | steps, in whole trials | value in the sweep | winner's return |\n|---|---|---|---|---|"
    )
    for name, (pruner, seed) in cases.items():
        returned = statistics.mean(winner_returns(arguments.directory, arguments.cores, name, arguments.test_seeds))
        trials = pd.read_csv(arguments.directory / f"results/{name}/trials.csv")
        steps = trials["steps"].sum() / trials["steps"].max()
        rows.append({"pruner": pruner, "steps": steps, "return": returned})
        print(f"| {pruner} | {seed} | {steps:.1f} | {trials['objective'].max():.1f} | {returned:.1f} |", flush=True)
    found = pd.DataFrame(rows)
    for pruner in PRUNERS:
        own = found[found["pruner"] == pruner]
        mean, low, high = mean_with_interval(own["return"])
        print(f"| {pruner} | all | {own['steps'].mean():.1f} | | {mean:.1f} [{low:.1f}, {high:.1f}] |")


if __name__ == "__main__":
    main()
