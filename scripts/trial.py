"""Rule trial: ask the study for one trial's parameters, train with them, and write its result.json.

Where replicates are jobs of their own (`replicate.py`), it gathers their results instead of training.
"""

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from sidewinder import errors_in_one_line
from sidewinder.determinism import pin_as_configured

if TYPE_CHECKING:
    from sidewinder.config import StudyConfig
    from sidewinder.results import Result
    from sidewinder.study import Study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, help="what to make: results/<study>/trials/<number>/result.json")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    study_dir = arguments.result.absolute().parents[2]
    number = arguments.result.parent.name
    if not number.isdecimal() or arguments.result.name != "result.json":
        parser.error(f"found {arguments.result}, accepted: results/<study>/trials/<number>/result.json")
    pin_as_configured(study_dir / "config.yaml")
    with errors_in_one_line():
        run_trial(study_dir, int(number))


def run_trial(study_dir: Path, number: int) -> None:
    """Make the result of trial `number` of the study in this directory, unless it is there already."""
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.config import StudyConfig
    from sidewinder.results import result_path, to_json, write_atomically
    from sidewinder.study import Study

    config = StudyConfig.load(study_dir / "config.yaml")
    path = result_path(study_dir, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    # One process trains one trial: after a kill of Snakemake alone, its orphan may still be at it.
    with FileLock(path.parent / ".lock"):
        if path.exists():
            logging.info("trial %d has its result already", number)
            return
        study = Study(study_dir, config)
        if config.replicate_jobs():
            result, timings = gathered(study_dir, config, number)
        else:
            result, timings = trained(study, number)
        write_atomically(path.with_name("timing.json"), to_json(timings))
        result.save(path)
        logging.info("trial %d %s: objective %s", number, result.state, result.objective)
        study.tell(result)


def gathered(study_dir: Path, config: "StudyConfig", number: int) -> tuple["Result", list[dict[str, Any]]]:
    """The result and the timings of a trial whose replicates were jobs."""
    from sidewinder.replicates import gather
    from sidewinder.results import Result, replicate_path

    paths = [replicate_path(study_dir, number, replicate) for replicate in config.replicate_jobs()]
    timings = [json.loads(path.with_name("timing.json").read_text())[0] for path in paths]
    return gather(config, [Result.load(path) for path in paths]), timings


def trained(study: "Study", number: int) -> tuple["Result", list[dict[str, Any]]]:
    """Train the trial: once, or its replicates in sequence until one fails or the pruner has seen enough."""
    from sidewinder.replicates import gather, reporter, train_replicate

    trial, replicates = study.ask(number), list(study.config.replicates())
    logging.info("trial %d of study %s: %s", number, study.config.study.name, trial.params)
    log = study.directory / "trials" / str(number) / "tensorboard"
    if len(replicates) == 1:
        result, timing = train_replicate(study.config, trial, replicates[0], log, reporter(trial))
        return gather(study.config, [result]), [timing]
    results: list[Result] = []
    timings = []
    report, pruned = reporter(trial), False
    for index, replicate in enumerate(replicates):
        result, timing = train_replicate(study.config, trial, replicate, log / replicate)
        results.append(result)
        timings.append(timing)
        if result.objective is None:
            break
        pruned = report(index, study.config.score(result.objective, result.environment))
        if pruned:
            break
    return gather(study.config, results, pruned=pruned and len(results) < len(replicates)), timings


if __name__ == "__main__":
    main()
