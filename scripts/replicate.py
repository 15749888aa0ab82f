"""Rule replicate: train a trial's parameters with one more set of seeds, and write that result.json."""

import argparse
import logging
from pathlib import Path

from filelock import FileLock

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.determinism import pin_as_configured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    where = "results/<study>/trials/<number>/replicates/<replicate>/result.json"
    parser.add_argument("result", type=Path, help=f"what to make: {where}")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    *_, study_dir, _, number, _, replicate, name = (arguments.result, *arguments.result.absolute().parents)[::-1]
    if not number.name.isdecimal() or name.name != "result.json":
        parser.error(f"found {arguments.result}, accepted: {where}")
    pin_as_configured(study_dir / "config.yaml")
    with errors_in_one_line():
        run_replicate(study_dir, int(number.name), replicate.name)


def run_replicate(study_dir: Path, number: int, replicate: str) -> None:
    """Train this replicate of trial `number` of the study in this directory, unless its result is there already."""
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.config import StudyConfig
    from sidewinder.replicates import reporter, train_replicate
    from sidewinder.results import replicate_path, to_json, write_atomically
    from sidewinder.study import Study

    config = StudyConfig.load(study_dir / "config.yaml")
    if replicate not in config.replicates():
        raise SidewinderError(f"replicate: found {replicate!r}, accepted: {', '.join(config.replicates())}")
    path = replicate_path(study_dir, number, replicate)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".lock"):
        if path.exists():
            logging.info("replicate %s of trial %d has its result already", replicate, number)
            return
        trial = Study(study_dir, config).ask(number)
        log = path.with_name("tensorboard")
        result, timing = train_replicate(config, trial, replicate, log, reporter(trial))
        write_atomically(path.with_name("timing.json"), to_json([timing]))
        result.save(path)


if __name__ == "__main__":
    main()
