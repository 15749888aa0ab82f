"""Rule race: fill one place in a round of the race with the setting that has this rank after the rounds before."""

import argparse
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate
from sidewinder.confirmation.race import standing
from sidewinder.records import add_record, recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("--candidates", type=Path, nargs="+", required=True, help="<name>.yaml of the first round")
    parser.add_argument("--validation", type=Path, nargs="+", required=True, help="results of the rounds before")
    parser.add_argument("--output", type=Path, required=True, help="round-<round>-<rank>.yaml to write")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, place = StudyConfig.load(arguments.config), arguments.output.stem
        places = [name for names, _ in config.race()[1:] for name in names]
        if place not in places:
            raise SidewinderError(f"output: found {place!r}, accepted: {', '.join(places) or 'none, as rounds is []'}")
        read = [*arguments.candidates, *arguments.validation]
        with recorded(arguments.record, rule_settings("race", config), read) as write:
            order = standing(config, arguments.candidates, arguments.validation)
            rank = int(place.rpartition("-")[2])
            found = order[rank - 1] if rank <= len(order) else Candidate.absent(place)
            write(arguments.output, found.dump())


if __name__ == "__main__":
    main()
