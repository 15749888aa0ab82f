"""Rule candidate: write one setting to confirm: one of the sweep's best trials, or a baseline."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config.schema import StudyConfig
from sidewinder.confirmation.candidates import Candidate
from sidewinder.results import Result, result_path, write_atomically
from sidewinder.trials.tables import pareto_set, ranked, read_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("trials", type=Path, help="the study's trials.csv")
    parser.add_argument("output", type=Path, help="<name>.yaml to write: top-1, top-2, ..., defaults or zoo")
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, name = StudyConfig.load(arguments.config), arguments.output.stem
        if name in config.baselines:
            text = Candidate.of_baseline(name).dump()
        elif name in config.candidates():
            numbers = chosen(config, read_trials(arguments.trials))
            if not numbers:
                raise SidewinderError(f"{arguments.trials}: state: found no complete trial, accepted: at least one")
            text = f"# There are only {len(numbers)} of them.\n"
            if (rank := config.candidates().index(name)) < len(numbers):
                result = Result.load(result_path(arguments.config.parent, numbers[rank]))
                text = Candidate.of_trial(name, result).dump()
        else:
            accepted = ", ".join([*config.candidates(), *config.baselines])
            raise SidewinderError(f"{arguments.output}: found {name!r}, accepted: {accepted}")
        write_atomically(arguments.output, text)


def chosen(config: StudyConfig, trials: pd.DataFrame) -> list[int]:
    """The trials to confirm: the sweep's best; of several objectives its Pareto set, or as many of it as are confirmed,
    evenly along the return, both ends included."""
    n_confirmed, settings = len(config.candidates()), config.study
    if len(settings.objectives) == 1:
        return ranked(trials, settings.return_direction)[:n_confirmed]
    front = pareto_set(trials, settings.objectives, settings.directions)
    positions = np.linspace(0, len(front) - 1, min(n_confirmed, len(front))).round()
    return [front[int(position)] for position in positions]


if __name__ == "__main__":
    main()
