"""Rule trial: ask the study for one trial's parameters, train with them, and write its result.json."""

import argparse
import logging
import os
import platform
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from sidewinder import errors_in_one_line
from sidewinder.determinism import derive_seed, pin_as_configured


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
    """Train trial `number` of the study in this directory, unless its result is there already."""
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.config import StudyConfig
    from sidewinder.results import Result, as_json, installed_packages, result_path, to_json, write_atomically
    from sidewinder.study import Study, pruner_attrs
    from sidewinder.training import train

    config = StudyConfig.load(study_dir / "config.yaml")
    path = result_path(study_dir, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    # One process trains one trial: after a kill of Snakemake alone, its orphan may still be at it.
    with FileLock(path.parent / ".lock"):
        if path.exists():
            logging.info("trial %d has its result already", number)
            return
        study = Study(study_dir, config)
        trial = study.ask(number)
        logging.info("trial %d of study %s: %s", number, config.study.name, trial.params)
        run = config.for_trial(trial.params)
        run.training.seed = derive_seed(config.study.seed, "training", number, 0)
        if run.evaluation.seed is None:
            # The same initial states for all trials: one is not better for easier episodes.
            run.evaluation.seed = derive_seed(config.study.seed, "evaluation")

        def report(step: int, mean_return: float) -> bool:
            trial.report(mean_return, step)
            return trial.should_prune()

        tensorboard_log = path.parent / "tensorboard"
        shutil.rmtree(tensorboard_log, ignore_errors=True)
        started, clock = datetime.now(UTC), time.monotonic()
        outcome = train(run, tensorboard_log=tensorboard_log, report=report)
        seconds = time.monotonic() - clock
        steps = outcome.model.num_timesteps if outcome.model else 0
        timing = {
            "started": started.isoformat(),
            "seconds": seconds,
            "environment_steps": steps,
            "host": platform.node(),
            "process": os.getpid(),
        }
        write_atomically(path.with_name("timing.json"), to_json(timing))
        result = Result(
            number=number,
            config=config.digest(),
            state=outcome.state,
            objective=outcome.objective(run.evaluation.objective, config.study.direction),
            reason=outcome.reason,
            params=trial.params,
            distributions=as_json(trial.distributions),
            evaluations=outcome.evaluations,
            pruner_attrs=pruner_attrs(trial),
            seeds={"training": run.training.seed, "evaluation": run.evaluation.seed},
            bit_exact=run.bit_exact,
            packages=installed_packages(),
        )
        result.save(path)
        logging.info(
            "trial %d %s: objective %s, %d steps in %.0f s", number, result.state, result.objective, steps, seconds
        )
        study.tell(result)


if __name__ == "__main__":
    main()
