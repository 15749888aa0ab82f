"""Rule candidate: write one setting to confirm: one of the sweep's best trials, or a baseline."""

import argparse
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate, chosen_trials
from sidewinder.files import write_atomically
from sidewinder.results import Result, result_path
from sidewinder.trials.tables import read_trials


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
            numbers = chosen_trials(config, read_trials(arguments.trials))
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


if __name__ == "__main__":
    main()
