"""Measures the workflow's own cost in large studies: planning, starting jobs, asking for a trial, and file sizes.

python benchmarks/scale.py directory
One core; trials that train for 100 steps. Asking is measured in made-up studies, whose past trials are in the database
but have no result files.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from workflow import snakemake, write_studies

from sidewinder.determinism import pin

if TYPE_CHECKING:
    from sidewinder.config.study_config import StudyConfig

SAMPLERS = ("random", "qmc", "tpe", "cmaes", "nsgaii", "nsgaiii", "gp", "grid", "brute_force")
# Samplers that try all points of a search space, and a space of 5,400 points for them.
OF_POINTS = {"grid": "optuna.samplers.GridSampler", "brute_force": "optuna.samplers.BruteForceSampler"}
POINTS = {
    "agent.learning_rate": "choice(1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)",
    "agent.batch_size": "choice(32, 64, 128, 256)",
    "agent.gamma": "choice(0.9, 0.95, 0.98, 0.99, 0.995)",
    "agent.tau": "choice(0.001, 0.003, 0.01, 0.03, 0.1)",
    "agent.action_noise": "choice(null, normal, ornstein-uhlenbeck)",
    "agent.train_freq": "choice(1, 4, 8)",
}
N_CYCLES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--trials", type=int, nargs="*", default=[100, 1000, 10000])
    parser.add_argument("--studies", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--past", type=int, nargs="*", default=[100, 1000, 5000])
    parser.add_argument("--samplers", nargs="*", default=SAMPLERS)
    arguments = parser.parse_args()
    print(
        "| trials | of a job | dry run, s | first job after, s | a trial, s | memory, MB |\n|---|---|---|---|---|---|"
    )
    for n_trials in arguments.trials:
        for trials_per_job in (1, 10):
            directory = arguments.directory / f"{n_trials}-{trials_per_job}"
            row = " | ".join(workflow(directory, n_trials, trials_per_job))
            print(f"| {n_trials} | {trials_per_job} | {row} |", flush=True)
    print("\n| studies | jobs | dry run, s | again, s | processor, s | memory, MB |\n|---|---|---|---|---|---|")
    for n_studies in arguments.studies:
        print(
            f"| {n_studies} | {' | '.join(matrix(arguments.directory / f'matrix-{n_studies}', n_studies))} |",
            flush=True,
        )
    pin("avx2", 1)
    print(f"\n| study.storage | past trials | its file, MB | sampler | first ask, ms | next, ms |\n{6 * '|---'}|")
    for storage in ("null", "journal"):
        for past in arguments.past:
            for sampler in arguments.samplers:
                if sampler == "gp" and past > 1000:
                    continue  # takes many minutes
                made = arguments.directory / f"{storage}-{past}-{'points' if sampler in OF_POINTS else 'ranges'}"
                made_for = study_config(storage, "grid" if sampler in OF_POINTS else "random")
                if not made.exists():
                    make_study(made, made_for, past)
                size = sum(path.stat().st_size for path in made.glob("study.*")) / 1e6
                first, following = asks(made, made_for, study_config(storage, sampler), past)
                row = f"| {storage} | {past} | {size:.1f} | {sampler} | {first:.0f} | {following:.0f} |"
                print(row, flush=True)


def workflow(directory: Path, n_trials: int, trials_per_job: int) -> Iterator[str]:
    shutil.rmtree(directory, ignore_errors=True)
    overrides = ["study=pendulum_ddpg", f"study.n_trials={n_trials}", f"study.trials_per_job={trials_per_job}"]
    overrides += ["pruner=none", "study.workers=8", "training.total_timesteps=100", "evaluation.n_eval_episodes=1"]
    write_studies(directory, {"large": overrides})
    command = snakemake(directory, 1, "results/large/trials.csv")
    dry_run = [*command[: command.index("--")], "--dry-run", *command[command.index("--") :]]
    started = time.monotonic()
    subprocess.run(dry_run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield f"{time.monotonic() - started:.1f}"
    started, study = time.monotonic(), directory / "results/large"
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(study.glob("logs/trial/*.log")):
        time.sleep(0.05)
    yield f"{time.monotonic() - started:.1f}"
    while len(results := list(study.glob("trials/*/result.json"))) <= N_CYCLES:
        time.sleep(0.1)
    ends = sorted(path.stat().st_mtime for path in results)
    yield f"{median(after - before for before, after in pairwise(ends)):.1f}"
    os.killpg(process.pid, signal.SIGKILL)
    _, _, used = os.wait4(process.pid, 0)
    yield f"{used.ru_maxrss / 1024:.0f}"


def matrix(directory: Path, n_studies: int) -> Iterator[str]:
    """Plan studies that differ in their seed only, twice; the second time they are composed already.

    Gives the number of jobs, both wall times (seconds), the processor seconds and the memory (MB) of the second time.
    """
    shutil.rmtree(directory, ignore_errors=True)
    seeds = f"study.seed=range({n_studies})"
    write_studies(directory, {"compare": ["study=plain", "agent=ppo", "environment=cartpole", seeds]})
    command = snakemake(directory, 1, "all")
    command[command.index("--quiet") : command.index("--quiet") + 2] = ["--dry-run", "--quiet", "rules"]
    walls: list[float] = []
    for _ in range(2):
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        said = process.stdout.read()
        _, _, used = os.wait4(process.pid, 0)
        walls.append(time.monotonic() - started)
    yield next(line.split()[1] for line in said.splitlines() if line.startswith("total "))
    yield from (f"{wall:.1f}" for wall in walls)
    yield f"{used.ru_utime + used.ru_stime:.1f}"
    yield f"{used.ru_maxrss / 1024:.0f}"


def make_study(directory: Path, config: "StudyConfig", past: int) -> None:
    """Make a study with `past` finished trials with random parameters and ten evaluations each."""
    from optuna import create_study, logging
    from optuna.samplers import RandomSampler
    from optuna.trial import FrozenTrial, TrialState

    from sidewinder.study import clock, seals
    from sidewinder.study.databases import database_of

    logging.set_verbosity(logging.WARNING)
    directory.mkdir(parents=True)
    distributions = config.space().distributions
    asking, before = create_study(sampler=RandomSampler(seed=0)), config.digest()
    with database_of(directory, config).open() as (opened, study_id):
        for number in range(past):
            trial = asking.ask(distributions)
            value = -sum(value**2 for value in trial.params.values() if isinstance(value, float))
            ends = clock.possible_ends(config, trial.params)
            finished = FrozenTrial(
                number=number,
                trial_id=number,
                state=TrialState.COMPLETE,
                value=value,
                datetime_start=datetime.now(),
                datetime_complete=datetime.now(),
                params=trial.params,
                distributions=distributions,
                user_attrs={"state": "complete", "reason": None},
                system_attrs={"sidewinder:ends": ends, seals.WORK: ends[0][-1], seals.PRUNER_ATTRS: {}},
                intermediate_values=dict.fromkeys(range(2000, 20001, 2000), value),
            )
            own = finished.system_attrs[seals.SEAL] = seals.seal(finished, before)
            before = own["hash"]
            attrs = {name: finished.system_attrs[name] for name in (seals.PRUNER_ATTRS, seals.WORK)}
            finished.system_attrs[seals.RESULT_SEAL] = seals.result_seal(
                before, finished.state, finished.values, finished.intermediate_values, attrs | finished.user_attrs
            )
            opened.create_new_trial(study_id, finished)


def asks(made: Path, made_for: "StudyConfig", config: "StudyConfig", past: int) -> tuple[float, float]:
    """Return the processor milliseconds in which a process asks for each of the next two trials; medians of three."""
    from sidewinder.study.study import Study

    directory = made.with_name("asked")
    taken: list[list[float]] = []
    for _ in range(3):
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(made, directory)
        study, moments = Study(directory, config), [time.process_time()]
        # The rows are sealed for the study that made them, which has another sampler.
        study.digest = made_for.digest()
        for number in (past, past + 1):
            study.ask(number)
            moments.append(time.process_time())
        taken.append([after - before for before, after in pairwise(moments)])
    first, following = zip(*taken, strict=True)
    return 1000 * median(first), 1000 * median(following)


def study_config(storage: str, sampler: str) -> "StudyConfig":
    from sidewinder.config.composition import compose_study

    overrides = ["study=plain", "agent=ddpg", "environment=pendulum", f"study.storage={storage}"]
    # A schedule whose view has all past trials except the last ones.
    overrides += ["study.schedule=window", "study.window=8"]
    if sampler == "cmaes":
        overrides.append("sampler.warn_independent_sampling=false")  # the warning is about choices
    if sampler not in OF_POINTS:
        return compose_study("asked", [*overrides, f"sampler={sampler}"])
    points = {"search_space": POINTS, "sampler": {"_target_": OF_POINTS[sampler]}}
    return compose_study("asked", overrides).model_copy(update=points)


if __name__ == "__main__":
    main()
