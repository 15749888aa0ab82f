"""Rule timings: gather when, where and for how long each trial of a study was trained, into timings.csv.

Unlike the other tables, this one is different in each run of the same study.
"""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.records import add_record, recorded
from sidewinder.results import result_path
from sidewinder.trials.tables import read_timing, timings_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config = StudyConfig.load(arguments.config)
        results = [result_path(arguments.config.parent, number) for number in range(config.study.n_trials)]
        paths = [path.with_name("timing.json") for path in results]
        with recorded(arguments.record, rule_settings("timings", config), paths) as write:
            timings = {number: read_timing(path) for number, path in enumerate(paths) if path.exists()}
            write(arguments.output, timings_table(timings).to_csv(index=False))


if __name__ == "__main__":
    main()
