"""Rule pareto: write the Pareto set of a study with several objectives, as configs for train.py and as tables."""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.results import read_table
from sidewinder.records import add_record, recorded
from sidewinder.report.pareto import write_pareto_set
from sidewinder.results import result_path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("confirmation", type=Path, help="the study's confirmation.csv")
    parser.add_argument("--output", type=Path, help="directory for pareto/ and pareto.* (default: the study's)")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, study_dir = StudyConfig.load(arguments.config), arguments.config.parent
        confirmed = read_table(arguments.confirmation)
        results = [result_path(study_dir, int(number)) for number in confirmed["trial"].dropna().unique()]
        read = [arguments.confirmation, *results]
        with recorded(arguments.record, rule_settings("pareto", config), read) as write:
            write_pareto_set(config, study_dir, confirmed, arguments.output or study_dir, write)


if __name__ == "__main__":
    main()
