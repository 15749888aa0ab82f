"""The default study beside the tutorial's way, one after the other in one run: wall time of each sweep, and what the
winners are worth on the same test seeds.

python benchmarks/default_study.py my_directory --tutorial-python other_environment/bin/python
In the other environment are requirements.lock and then hydra-optuna-sweeper, which needs Optuna 2. Half an hour for the
sweeps on 2 cores; with --confirm, which trains the winners again, as long again.
"""

import argparse
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import yaml
from workflow import ROOT, snakemake, winner_returns, write_studies

sys.path.insert(0, str(ROOT / "scripts"))
N_SEEDS = 10
STUDIES = {
    "sb3": ["agent.backend=sb3"],
    "sbx": ["agent.backend=sbx"],
    "sbx_unpruned": ["agent.backend=sbx", "pruner=none"],
    "sb3_unpruned": ["agent.backend=sb3", "pruner=none"],
}
# Of benchmarks/tutorial.py, beside what it searches.
TUTORIAL = {"action_noise": "normal", "batch_size": 32, "train_freq": 1, "policy_kwargs.net_arch": "[64,32]"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="where to run; what is there already is not run again")
    parser.add_argument("--tutorial-python", type=Path, required=True, help="Python of the tutorial's environment")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--confirm", action="store_true", help="also train the winners on the test seeds")
    arguments = parser.parse_args()
    directory, cores = arguments.directory.absolute(), arguments.cores
    write_studies(directory, {name: ["study=pendulum_ddpg", *overrides] for name, overrides in STUDIES.items()})
    tutorial = [str(arguments.tutorial_python), str(ROOT / "benchmarks/tutorial.py"), "--multirun"]
    times = {"tutorial": timed("tutorial", [*tutorial, f"hydra.sweep.dir={directory}/tutorial"], directory)}
    for name in STUDIES:
        times[name] = timed(name, snakemake(directory, cores, f"results/{name}/trials.csv"), directory)
    print("\n| | wall time | times as fast |\n|---|---|---|")
    for name, seconds in times.items():
        print(f"| {name} | {seconds:.0f} s | {times['tutorial'] / seconds:.1f} |")
    if arguments.confirm:
        confirm(directory, cores)


def timed(name: str, command: list[str], directory: Path) -> float:
    """Seconds that a command takes, from the file where it was noted if it has run."""
    note = directory / f"{name}.seconds"
    if not note.exists():
        print(f"{name} ...", flush=True)
        started = time.monotonic()
        with (directory / f"{name}.log").open("w") as log:
            subprocess.run(command, cwd=directory, stdout=log, stderr=log, check=True)
        note.write_text(f"{time.monotonic() - started:.1f}")
    return float(note.read_text())


def confirm(directory: Path, cores: int) -> None:
    """Print what the winners are worth on the test seeds of the default study."""
    with ProcessPoolExecutor(cores, get_context("spawn"), pin_here) as pool:
        returns = {"tutorial": list(pool.map(tutorial_on_test_seed, [directory] * N_SEEDS, range(N_SEEDS)))}
    for name in STUDIES:
        returns[name] = winner_returns(directory, cores, name, N_SEEDS)
    # Imported late: the pool's processes pin numpy before they load it.
    import numpy as np
    from scipy import stats

    print("\n| winner of | return on test seeds, 95 % interval |\n|---|---|")
    for name, found in returns.items():
        low, high = stats.bootstrap((found,), np.mean, method="percentile", rng=0).confidence_interval
        print(f"| {name} | {statistics.mean(found):.1f} [{low:.1f}, {high:.1f}] |")


def pin_here() -> None:
    from sidewinder.determinism import pin

    pin("avx2", 1)


def tutorial_on_test_seed(directory: Path, index: int) -> float:
    """The mean return of the tutorial's best setting, trained as a study's winner is."""
    from sidewinder.config.study_config import StudyConfig
    from sidewinder.confirmation.candidates import Candidate, confirmation_run
    from sidewinder.training.run import train

    best = yaml.safe_load((directory / "tutorial/optimization_results.yaml").read_text())["best_params"]
    params = {f"agent.{key}": value for key, value in {**TUTORIAL, **best}.items()}
    config = StudyConfig.load(directory / "results/sb3/config.yaml")
    candidate = Candidate(exists=True, name="winner", trial=0, params=params, objective=None)
    run, held_out = confirmation_run(config, candidate, None, "test", index)
    returns = train(run, held_out=held_out).held_out_returns
    return statistics.mean(returns)


if __name__ == "__main__":
    main()
