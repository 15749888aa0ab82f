"""Rule database: bring the study's database up to date with all results, for Optuna's dashboard and other tools.

The database only repeats what the files say. If it cannot be updated, a line says why, and the rule succeeds.
"""

import argparse
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.determinism import pin_as_configured
from sidewinder.records import add_record, recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml, with the study's trials beside it")
    add_record(parser)
    arguments = parser.parse_args()
    pin_as_configured(arguments.config)
    # Imported late: numpy, which samplers use, reads the pins when it loads.
    from sidewinder.config.rule_settings import rule_settings
    from sidewinder.study.study import Study

    with errors_in_one_line():
        study = Study.open(arguments.config.parent)
        settings = rule_settings("database", study.config)
        with recorded(arguments.record, settings, [study.directory / "trials.csv"]):
            try:
                study.catch_up()
            except SidewinderError as error:
                # To the terminal: Snakemake keeps stderr for the log.
                print(f"study {study.config.study.name}: its database is not up to date: {error}")


if __name__ == "__main__":
    main()
