"""Compares the default study with the tutorial's sweep: wall times, and the winners' returns on the same test seeds.

python benchmarks/default_study.py my_directory --tutorial-python other_environment/bin/python
The sweeps run one after the other. The other environment has the packages of requirements.lock, and then
hydra-optuna-sweeper, which needs Optuna 2. The sweeps take half an hour on 2 cores. With --confirm, which trains the
winners again, it takes twice as long.
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
# The fixed settings of benchmarks/tutorial.py.
TUTORIAL = {"action_noise": "normal", "batch_size": 32, "train_freq": 1, "policy_kwargs.net_arch": "[64,32]"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="where to run; existing results are not made again")
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
    """Run a command and return the seconds that it takes. If it has run before, return the noted seconds."""
    note = directory / f"{name}.seconds"
    if not note.exists():
        print(f"{name} ...", flush=True)
        started = time.monotonic()
        with (directory / f"{name}.log").open("w") as log:
            subprocess.run(command, cwd=directory, stdout=log, stderr=log, check=True)
        note.write_text(f"{time.monotonic() - started:.1f}")
    return float(note.read_text())


def confirm(directory: Path, cores: int) -> None:
    """Print the winners' returns on the test seeds of the default study."""
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
    """Train the tutorial's best setting with a test seed, in the same way as a winner. Return its mean return."""
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
