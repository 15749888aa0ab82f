"""Rule confirmation_table: gather the results of a study's confirmation into confirmation.csv."""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.results import read_results, table
from sidewinder.files import write_atomically


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("results", type=Path, nargs="+", help="<phase>/<candidate>/<index>.json")
    parser.add_argument("--output", type=Path, required=True, help="confirmation.csv to write")
    arguments = parser.parse_args()
    with errors_in_one_line():
        confirmed = table(StudyConfig.load(arguments.config), read_results(arguments.results))
        write_atomically(arguments.output, confirmed.to_csv(index=False))


if __name__ == "__main__":
    main()
