"""Rule trial: ask the study for the parameters of one trial, train with them, and write the trial's result.json.

With replicates as separate jobs (`replicate.py`), this rule gathers their results instead of training. With
`study.trials_per_job` it makes several trials: the one that it was started for, and idle ones.
"""

import argparse
import logging
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.attempts import work_in_a_child
from sidewinder.determinism import pin_as_configured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, help="result to write: results/<study>/trials/<number>/result.json")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    study_dir, number = arguments.result.absolute().parents[2], arguments.result.parent.name
    if not number.isdecimal() or arguments.result.name != "result.json":
        parser.error(f"found {arguments.result}, accepted: results/<study>/trials/<number>/result.json")
    if arguments.result.exists():
        logging.info("trial %s has its result already", number)
        return
    pin_as_configured(study_dir / "config.yaml")
    work_in_a_child()
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.study.study import Study
    from sidewinder.trials.jobs import make_trials

    with errors_in_one_line():
        make_trials(Study.open(study_dir), int(number))


if __name__ == "__main__":
    main()
