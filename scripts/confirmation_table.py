"""Rule confirmation_table: gather the results of a study's confirmation into confirmation.csv."""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.results import read_results, table
from sidewinder.records import add_record, recorded
from sidewinder.trials.tables import mixed_versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("results", type=Path, nargs="+", help="<phase>/<candidate>/<index>.json")
    parser.add_argument("--output", type=Path, required=True, help="confirmation.csv to write")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config = StudyConfig.load(arguments.config)
        with recorded(arguments.record, rule_settings("confirmation_table", config), arguments.results) as write:
            results = read_results(arguments.results)
            if versions := mixed_versions([result.run for result in results if result.run]):
                # To the terminal: Snakemake keeps stderr for the log.
                print(f"{arguments.config.parent}: the confirmation was made with different versions: {versions}")
            write(arguments.output, table(config, results).to_csv(index=False))


if __name__ == "__main__":
    main()
