"""Rule best: write the study's best trial as best.yaml, a complete Hydra config that train.py runs as it is."""

import argparse
from pathlib import Path

import yaml

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config import StudyConfig
from sidewinder.results import Result, result_path, write_atomically
from sidewinder.tables import read_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("trials", type=Path, help="the study's trials.csv")
    parser.add_argument("output", type=Path, help="best.yaml to write")
    arguments = parser.parse_args()
    with errors_in_one_line():
        config = StudyConfig.load(arguments.config)
        complete = read_trials(arguments.trials).query("state == 'complete'")
        if complete.empty:
            raise SidewinderError(f"{arguments.trials}: state: found no complete trial, accepted: at least one")
        ascending = config.study.direction == "minimize"
        # Of equally good trials the first.
        number = int(complete.sort_values(["objective", "number"], ascending=[ascending, True])["number"].iloc[0])
        winner = Result.load(result_path(arguments.config.parent, number))
        write_atomically(arguments.output, best_yaml(config, winner))


def best_yaml(config: StudyConfig, winner: Result) -> str:
    """The winner's whole training run, and under `winner` what it won and with which packages."""
    run = config.for_trial(winner.params)
    run.training.seed, run.evaluation.seed = winner.seeds["training"], winner.seeds["evaluation"]
    provenance = {
        "study": config.study.name,
        "trial": winner.number,
        "objective": winner.objective,
        "params": winner.params,
        "bit_exact": winner.bit_exact,
        "packages": winner.packages,
    }
    head = (
        f"# The best trial of study {config.study.name}. Train it again, from the repository's root:\n"
        "#   python scripts/train.py --config-path <directory of this file> --config-name best\n"
    )
    return head + yaml.safe_dump({**run.model_dump(), "winner": provenance}, sort_keys=False, allow_unicode=True)


if __name__ == "__main__":
    main()
