"""Records trials that benchmarks/replay.py replays: random settings of DDPG on Pendulum, each trained twice by SBX.

python benchmarks/record.py my_directory
Writes benchmarks/recorded_trials.csv; takes 25 minutes on 2 cores. A row is a training: the trial and its parameters,
the price of an environment step on the virtual clock, the seconds of the training, and the return of each evaluation.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
from workflow import snakemake, write_studies

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.config.study_config import StudyConfig
from sidewinder.results import Result, result_path
from sidewinder.study.clock import step_price

RECORDED = Path(__file__).with_name("recorded_trials.csv")
# The default study's five parameters, and two that change what a step costs.
SPACE = '{agent.batch_size: "choice(32, 64, 128)", agent.policy_kwargs.net_arch: "choice(s, [128, 128])"}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="where to run; existing results are not made again")
    parser.add_argument("--trials", type=int, default=160)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    overrides = ["study=pendulum_ddpg", "agent.backend=sbx", "sampler=random", "~sampler.n_startup_trials"]
    overrides += [f"search_space={SPACE}", f"study.n_trials={arguments.trials}", "study.workers=1000"]
    overrides += ["study.replicates=2", "study.replicates_in=sequence", "study.trials_per_job=20"]
    directory = arguments.directory.absolute()
    write_studies(directory, {"recorded": overrides})
    subprocess.run(snakemake(directory, arguments.cores, "results/recorded/trials.csv"), check=True)
    study_dir = directory / "results/recorded"
    config = StudyConfig.load(study_dir / "config.yaml")
    rows = []
    for number in range(arguments.trials):
        path = result_path(study_dir, number)
        result, timings = Result.load(path), json.loads(path.with_name("timing.json").read_text())
        price = step_price(config.for_trial(result.params))
        for index, (replicate, timing) in enumerate(zip(result.replicates, timings, strict=True)):
            row = {"number": number, "replicate": index, **result.params, "step_price": price}
            row["seconds"] = round(timing["seconds"], 2)
            returns = {evaluation.step: round(evaluation.mean_return, 3) for evaluation in replicate.evaluations}
            rows.append(row | returns)
    pd.DataFrame(rows).to_csv(RECORDED, index=False)


if __name__ == "__main__":
    main()
