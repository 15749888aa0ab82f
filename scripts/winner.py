"""Rule winner: choose among the sweep's best trials the one whose validation seeds did best."""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate
from sidewinder.confirmation.results import read_results, table
from sidewinder.confirmation.statistics import winner
from sidewinder.records import add_record, recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("--candidates", type=Path, nargs="+", required=True, help="their files, <name>.yaml")
    parser.add_argument("--validation", type=Path, nargs="+", required=True, help="results of their validation")
    parser.add_argument("--output", type=Path, required=True, help="winner.yaml to write")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config = StudyConfig.load(arguments.config)
        read = [*arguments.candidates, *arguments.validation]
        with recorded(arguments.record, rule_settings("winner", config), read) as write:
            name = winner(table(config, read_results(arguments.validation)), config.study.return_direction)
            candidates = [Candidate.load(path) for path in arguments.candidates]
            chosen = next(candidate for candidate in candidates if candidate.name == name)
            write(arguments.output, chosen.model_copy(update={"name": "winner"}).dump())


if __name__ == "__main__":
    main()
