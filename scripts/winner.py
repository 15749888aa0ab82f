"""Rule winner: write the trial of the sweep that came first in the race, or first after baselines."""

import argparse
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.race import standing
from sidewinder.records import add_record, recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("--candidates", type=Path, nargs="+", required=True, help="<name>.yaml of the first round")
    parser.add_argument("--validation", type=Path, nargs="+", required=True, help="results of all rounds of the race")
    parser.add_argument("--output", type=Path, required=True, help="winner.yaml to write")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config = StudyConfig.load(arguments.config)
        read = [*arguments.candidates, *arguments.validation]
        with recorded(arguments.record, rule_settings("winner", config), read) as write:
            order = standing(config, arguments.candidates, arguments.validation)
            tuned = [candidate for candidate in order if candidate.trial is not None]
            if not tuned:
                raise SidewinderError("confirmation: found only failed runs of the sweep's best trials")
            write(arguments.output, tuned[0].model_copy(update={"name": "winner"}).dump())


if __name__ == "__main__":
    main()
