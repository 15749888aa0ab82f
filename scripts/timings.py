"""Rule timings: gather when and where each trial of a study was trained, and for how long, into timings.csv.

Unlike the other tables, this one differs from run to run.
"""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.config.study_config import StudyConfig
from sidewinder.files import write_atomically
from sidewinder.results import result_path
from sidewinder.trials.tables import timings_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("--n-trials", type=int, help="how many of the study's trials (default: its whole budget)")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    arguments = parser.parse_args()
    with errors_in_one_line():
        n_trials = arguments.n_trials or StudyConfig.load(arguments.config).study.n_trials
        results = [result_path(arguments.config.parent, number) for number in range(n_trials)]
        timings = {number: path.with_name("timing.json") for number, path in enumerate(results)}
        table = timings_table({number: path.read_text() for number, path in timings.items() if path.exists()})
        write_atomically(arguments.output, table.to_csv(index=False))


if __name__ == "__main__":
    main()
