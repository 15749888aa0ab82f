"""Whether pruning pays: the winner's return on test seeds against the environment steps of the sweep, over study seeds.

python benchmarks/pruning.py my_directory --seeds 5
Studies of SBX's DDPG on Pendulum; about two minutes each on 2 cores. What is there already is not run again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
# As many trials as train for about as many steps as 20 do that nobody prunes, and 20.
ROWS = [("none", 20), ("median", 20), ("median", 30), ("hyperband", 20), ("hyperband", 40)]
STEPS = 20_000
OPTIONS = {"median": ["pruner.n_startup_trials=5"], "hyperband": ["pruner.min_resource=2000"]}
N_TEST_SEEDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seeds", type=int, default=5, help="studies for each row")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    directory = arguments.directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    studies = {
        f"{pruner}-{n_trials}-{seed}": [
            *("study=pendulum_ddpg", "agent.backend=sbx", f"study.n_trials={n_trials}", f"study.seed={seed}"),
            *(f"pruner={pruner}", *OPTIONS.get(pruner, [])),
        ]
        for seed in range(arguments.seeds)
        for pruner, n_trials in ROWS
    }
    (directory / "config.yaml").write_text(yaml.safe_dump({"studies": studies}))
    rows = []
    for name in studies:
        winner = [f"results/{name}/confirmation/test/winner/{index}.json" for index in range(N_TEST_SEEDS)]
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow/Snakefile")]
        snakemake += ["--configfile", "config.yaml", "--cores", str(arguments.cores), "--quiet", "all"]
        subprocess.run([*snakemake, *winner], cwd=directory, check=True, stderr=subprocess.DEVNULL)
        timings = [json.loads(path.read_text()) for path in directory.glob(f"results/{name}/trials/*/timing.json")]
        runs = [json.loads((directory / path).read_text())["run"] for path in winner]
        rows.append(
            {
                "pruner, trials": name.rpartition("-")[0].replace("-", ", "),
                "steps": sum(timing[0]["environment_steps"] for timing in timings) / STEPS,
                "return": np.mean([np.mean(run["returns"]) for run in runs]),
            }
        )
        print(rows[-1], flush=True)
    found = pd.DataFrame(rows).groupby("pruner, trials", sort=False).agg(["mean", "sem"])
    print("\n| pruner, trials | steps, in whole trials | winner's test return |\n|---|---|---|")
    for label, row in found.iterrows():
        steps, returns = (f"{row[key, 'mean']:.1f} ± {row[key, 'sem']:.1f}" for key in ("steps", "return"))
        print(f"| {label} | {steps} | {returns} |")


if __name__ == "__main__":
    main()
