"""Records trainings that benchmarks/confirmations.py replays: random settings, each trained with the same 20 seeds.

python benchmarks/record_settings.py cartpole my_directory
Writes benchmarks/recorded_settings/cartpole.csv; takes half an hour on 2 cores. (pendulum.csv was made with
--settings 60 --seeds 8.) A row is a training: the setting (`defaults`, `zoo`, or the index of a random setting), the
index of the seed, the mean return of each evaluation, and the mean return of the held-out episodes.
"""

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.determinism import pin

if TYPE_CHECKING:
    from sidewinder.config.study_config import StudyConfig

# Both tasks are shortened, so a training takes seconds.
STUDIES = {
    "cartpole": ["study=cartpole_ppo"],
    "pendulum": [
        "study=pendulum_ddpg",
        "agent.backend=sbx",
        "training.total_timesteps=10000",
        "evaluation.eval_freq=1000",
    ],
}
RECORDED = Path(__file__).with_name("recorded_settings")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=[*STUDIES])
    parser.add_argument("directory", type=Path, help="where trainings are kept; they are not trained again")
    parser.add_argument("--settings", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    pin("avx2", threads=1)
    settings = [f"{number}" for number in range(arguments.settings)]
    # All settings with the first seed, then all with the next: an unfinished recording can be replayed too.
    wanted = [(name, seed) for seed in range(arguments.seeds) for name in ("defaults", "zoo", *settings)]
    paths = {job: arguments.directory / f"{arguments.study}-{job[0]}-{job[1]}.json" for job in wanted}
    missing = [job for job in wanted if not paths[job].exists()]
    with ProcessPoolExecutor(arguments.cores) as pool:
        jobs = ((arguments.study, name, seed, arguments.settings, paths[name, seed]) for name, seed in missing)
        for done, _ in enumerate(pool.map(record, jobs), 1):
            if done % 50 == 0 or done == len(missing):
                print(f"{done} of {len(missing)} trainings", flush=True)
    rows = [json.loads(path.read_text()) for path in paths.values()]
    # Imported late, also in the functions below: numpy and torch read the pins when they load.
    import pandas as pd

    table = pd.DataFrame(rows).sort_values(["setting", "seed"], key=lambda column: column.map(_order))
    RECORDED.mkdir(exist_ok=True)
    table.to_csv(RECORDED / f"{arguments.study}.csv", index=False)


def _order(value: Any) -> int:
    return int(value) if str(value).isdigit() else -1


def record(job: tuple[str, str, int, int, Path]) -> None:
    """Train one setting with one seed, and write its row to a file."""
    from sidewinder.confirmation.candidates import Candidate, confirmation_run
    from sidewinder.training.run import train

    study, name, seed, n_settings, path = job
    config = study_config(study)
    if name in config.baselines:
        candidate = Candidate.of_baseline(name)
    else:
        params = drawn(study, n_settings)[int(name)]
        candidate = Candidate(name=name, exists=True, trial=int(name), params=params, objective=None)
    run, held_out = confirmation_run(config, candidate, None, "validation", seed)
    outcome = train(run, held_out=held_out, direction=config.study.return_direction)
    returns = {f"{found.step}": round(found.mean_return, 2) for found in outcome.evaluations}
    tested = outcome.held_out_returns
    row = {"setting": name, "seed": seed, **returns}
    row["held_out"] = round(sum(tested) / len(tested), 2) if tested else None
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps(row))
    unfinished.rename(path)


@cache
def study_config(study: str) -> "StudyConfig":
    from sidewinder.config.composition import compose_study

    return compose_study(study, STUDIES[study])


@cache
def drawn(study: str, n_settings: int) -> list[dict[str, Any]]:
    """Draw settings from the study's search space with Optuna's random sampler."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trials = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    distributions = study_config(study).space().distributions
    return [trials.ask(distributions).params for _ in range(n_settings)]


if __name__ == "__main__":
    main()
