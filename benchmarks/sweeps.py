"""Measures the workflow's cost around training: sweeps on one core and on two, with each schedule.

For comparison, the same trials are trained in a plain loop, and a sweep is run by Optuna alone, with two threads and
with two processes. All run one after the other.

python benchmarks/sweeps.py --trials 8 --backend sb3
The search space is the default study's. The first trials of all studies are the same.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from workflow import ROOT, snakemake, write_studies

sys.path.insert(0, str(ROOT / "scripts"))
if TYPE_CHECKING:
    from sidewinder.config.study_config import StudyConfig

# For each sweep its cores, and the overrides of the default study.
SWEEPS = {
    "one core": (1, []),
    "virtual 8": (2, []),
    "virtual 2": (2, ["study.workers=2"]),
    "window 2": (2, ["study.schedule=window", "study.window=2"]),
    "window 3": (2, ["study.schedule=window", "study.window=3"]),
    "window 4": (2, ["study.schedule=window", "study.window=4"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--backend", default="sb3")
    parser.add_argument("--trials-per-job", type=int, default=1)
    parser.add_argument("--sweeps", nargs="*", choices=SWEEPS, default=list(SWEEPS))
    parser.add_argument("--only", choices=ALONE, help=argparse.SUPPRESS)
    parser.add_argument("--config", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        from sidewinder.determinism import pin_as_configured

        pin_as_configured(arguments.config)
        print(json.dumps(ALONE[arguments.only](arguments.config)))
        return
    overrides = ["study=pendulum_ddpg", f"agent.backend={arguments.backend}", f"study.n_trials={arguments.trials}"]
    overrides.append(f"study.trials_per_job={arguments.trials_per_job}")
    print(f"{arguments.trials} trials, {arguments.backend}, trials_per_job {arguments.trials_per_job}\n")
    print("| | wall time | share of it that a core trains | best value |\n|---|---|---|---|", flush=True)
    with TemporaryDirectory() as base:
        studies = {name.replace(" ", "_"): [*overrides, *SWEEPS[name][1]] for name in arguments.sweeps}
        write_studies(Path(base), studies)
        for name in arguments.sweeps:
            directory, cores = Path(base) / "results" / name.replace(" ", "_"), SWEEPS[name][0]
            seconds, _ = timed(snakemake(Path(base), cores, f"results/{directory.name}/trials.csv"))
            timings = [json.loads(path.read_text())[0]["seconds"] for path in directory.glob("trials/*/timing.json")]
            results = [json.loads(path.read_text())["objective"] for path in directory.glob("trials/*/result.json")]
            row(name, seconds, sum(timings), cores, max(value for value in results if value is not None))
        for name in ALONE:
            config = str(directory / "config.yaml")
            seconds, output = timed([sys.executable, __file__, "--config", config, "--only", name])
            row(name.format(directory.name.replace("_", " ")), seconds, *json.loads(output))


def timed(command: list[str]) -> tuple[float, str]:
    """Run a command. Return the seconds that it takes, and what it prints."""
    started = time.monotonic()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return time.monotonic() - started, done.stdout.decode()


def row(name: str, seconds: float, trained: float, cores: int, best: float) -> None:
    print(f"| {name} | {seconds:.0f} s | {trained / cores / seconds:.0%} | {best:.1f} |", flush=True)


def loop(path: Path) -> tuple[float, int, float]:
    """Train the sweep's trials again, one after the other, and check that they have the same objectives."""
    from sidewinder.config.study_config import StudyConfig
    from sidewinder.results import Result, result_path

    config = StudyConfig.load(path)
    results = [Result.load(result_path(path.parent, number)) for number in range(config.study.n_trials)]
    trained = [train_trial(config, path.parent, result.number, result.params) for result in results]
    assert [value for _, value in trained] == [result.objective for result in results]
    return sum(seconds for seconds, _ in trained), 1, max(value for _, value in trained if value is not None)


def threads(path: Path) -> tuple[float, int, float]:
    return optimize(path, n_jobs=2)


def processes(path: Path) -> tuple[float, int, float]:
    import optuna

    # Made here, because two processes cannot create the database at the same time.
    optuna.create_study(direction="maximize", storage=storage(path, 1), study_name="optuna")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        parts = pool.map(optimize, [path, path], chunksize=1)
    return sum(seconds for seconds, _, _ in parts), 2, max(best for _, _, best in parts)


def optimize(path: Path, n_jobs: int = 1) -> tuple[float, int, float]:
    """Run a sweep with Optuna alone: a sampler without a seed, a database, and workers that stop at the budget."""
    import optuna
    from hydra.utils import instantiate

    from sidewinder.config.study_config import StudyConfig
    from sidewinder.study.view import suggest

    config, durations = StudyConfig.load(path), []
    distributions = config.space().distributions

    def objective(trial: optuna.Trial) -> float:
        params = {name: suggest(trial, name, distribution) for name, distribution in distributions.items()}
        seconds, value = train_trial(config, path.parent, trial.number, params)
        durations.append(seconds)
        return float("nan") if value is None else value  # NaN means failed for Optuna

    study = optuna.create_study(
        direction="maximize",
        sampler=instantiate(config.sampler),
        storage=storage(path, n_jobs),
        study_name="optuna",
        load_if_exists=True,
    )
    study.optimize(objective, n_jobs=n_jobs, callbacks=[optuna.study.MaxTrialsCallback(config.study.n_trials, None)])
    return sum(durations), n_jobs, study.best_value


def storage(path: Path, n_jobs: int) -> str:
    return f"sqlite:///{path.parent}/optuna_{n_jobs}.db"


def train_trial(
    config: "StudyConfig", directory: Path, number: int, params: dict[str, Any]
) -> tuple[float, float | None]:
    """Train a trial. Return the seconds that it takes, and its objective."""
    from sidewinder.training.run import train
    from sidewinder.trials.replicates import replicate_run

    started = time.monotonic()
    run = replicate_run(config, config.for_trial(params), number, 0)
    outcome = train(run, tensorboard_log=directory / f"alone/{number}")
    return time.monotonic() - started, outcome.objective(run)


ALONE = {
    "the trials of {} in a loop": loop,
    "Optuna, two threads": threads,
    "Optuna, two processes": processes,
}

if __name__ == "__main__":
    main()
