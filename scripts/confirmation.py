"""Rule confirmation: train one candidate with one seed of a phase, and write the returns of its held-out episodes."""

import argparse
import logging
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.attempts import work_in_a_child
from sidewinder.determinism import pin_as_configured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("candidate", type=Path, help="results/<study>/confirmation/candidates/<name>.yaml")
    parser.add_argument("phase", choices=["validation", "test"], help="phase of the confirmation")
    parser.add_argument(
        "index", help="index of the phase's seed, from 0; with several environments <environment>-<index>"
    )
    parser.add_argument("output", type=Path, help="result to write")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    study_dir = arguments.config.parent
    pin_as_configured(arguments.config)
    work_in_a_child()
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.confirmation.trainings import confirm

    with errors_in_one_line():
        confirm(study_dir, arguments.candidate, arguments.phase, arguments.index, arguments.output)


if __name__ == "__main__":
    main()
