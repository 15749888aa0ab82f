"""Rule replicate: train one replicate of a trial, with the replicate's seeds, and write its result.json."""

import argparse
import logging
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.attempts import work_in_a_child
from sidewinder.determinism import pin_as_configured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    where = "results/<study>/trials/<number>/replicates/<replicate>/result.json"
    parser.add_argument("result", type=Path, help=f"result to write: {where}")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    *_, study_dir, _, number, _, replicate, name = (arguments.result, *arguments.result.absolute().parents)[::-1]
    if not number.name.isdecimal() or name.name != "result.json":
        parser.error(f"found {arguments.result}, accepted: {where}")
    pin_as_configured(study_dir / "config.yaml")
    work_in_a_child()
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.study.study import Study
    from sidewinder.trials.jobs import make_replicate

    with errors_in_one_line():
        make_replicate(Study.open(study_dir), int(number.name), replicate.name)


if __name__ == "__main__":
    main()
