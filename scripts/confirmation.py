"""Rule confirmation: train one candidate with one seed of a phase, and write the returns of its held-out episodes."""

import argparse
import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.determinism import pin_as_configured

if TYPE_CHECKING:
    from sidewinder.config.schema import HeldOut, RunConfig, StudyConfig
    from sidewinder.results import ConfirmationRun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("candidate", type=Path, help="its file: results/<study>/confirmation/candidates/<name>.yaml")
    parser.add_argument("phase", choices=["validation", "test"], help="whose seeds")
    parser.add_argument(
        "index", help="which of the phase's seeds, from 0; of several environments <environment>-<index>"
    )
    parser.add_argument("output", type=Path, help="result to write")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    pin_as_configured(arguments.config)
    with errors_in_one_line():
        confirm(arguments)


def confirm(arguments: argparse.Namespace) -> None:
    """Train the candidate, or take what the same training gave before; `null` if its file names no candidate.

    With `study.trials_per_job` it goes on with the candidate's trainings that are in nobody's hands, for the jobs that
    will want them.
    """
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.config.schema import StudyConfig
    from sidewinder.confirmation.candidates import Candidate, seeded
    from sidewinder.results import ConfirmationResult, ConfirmationRun, to_json, write_atomically

    config, candidate = StudyConfig.load(arguments.config), Candidate.load(arguments.candidate)
    if candidate is None:
        write_atomically(arguments.output, "null\n")
        return
    settings = config.confirmation
    n_seeds = settings.n_validation_seeds if arguments.phase == "validation" else settings.n_test_seeds
    if arguments.index not in (trainings := config.trainings(n_seeds)):
        raise SidewinderError(f"index: found {arguments.index!r}, accepted: {', '.join(trainings)}")
    runs = arguments.config.parent / "confirmation" / "runs"
    environment, index = trainings[arguments.index]
    path, is_new = trained(config, runs, *seeded(config, candidate, environment, arguments.phase, index))
    result = ConfirmationResult(
        phase=arguments.phase,
        candidate=arguments.candidate.stem,
        trial=candidate.trial,
        index=index,
        environment=environment,
        run=ConfirmationRun.model_validate_json(path.read_bytes()),
    )
    write_atomically(arguments.output, to_json(result.model_dump()))
    left = config.study.trials_per_job - 1 if is_new else 0
    for name, (environment, index) in trainings.items():
        if left > 0 and name != arguments.index:
            with suppress(Timeout):
                ahead = seeded(config, candidate, environment, arguments.phase, index)
                left -= trained(config, runs, *ahead, patience=0)[1]


def trained(
    config: "StudyConfig", runs: Path, run: "RunConfig", held_out: "HeldOut", patience: float = -1
) -> tuple[Path, bool]:
    """Where in `runs` this training's outcome is, and whether it was trained just now. The same training has the same
    file: when a raised budget makes trials change ranks, nothing is trained twice.

    Raises:
        Timeout: For so many seconds another process has been at it; -1 waits for it.
    """
    from sidewinder.locks import file_lock
    from sidewinder.results import to_json, write_atomically

    path = runs / f"{run.digest(held_out)}.json"
    with file_lock(path.with_suffix(".lock"), config.study.storage).acquire(timeout=patience):
        if path.exists():
            logging.info("%s was trained already", path.stem)
            return path, False
        write_atomically(path, to_json(train(config, run, held_out).model_dump()))
        return path, True


def train(config: "StudyConfig", run: "RunConfig", held_out: "HeldOut") -> "ConfirmationRun":
    """Train, and keep the held-out returns of a run that did not fail."""
    from sidewinder.results import ConfirmationRun, installed_packages
    from sidewinder.training import run as training

    outcome = training.train(run, held_out=held_out, direction=config.study.return_direction)
    assert run.evaluation.seed is not None
    return ConfirmationRun(
        state=outcome.state,
        reason=outcome.reason,
        returns=outcome.held_out_returns if outcome.state == "complete" else [],
        evaluations=outcome.evaluations,
        seeds={"training": run.training.seed, "evaluation": run.evaluation.seed, "episodes": held_out.seed},
        bit_exact=run.bit_exact and not config.study.timed,
        packages=installed_packages(),
        steps_per_second=outcome.steps_per_second if config.study.timed else None,
    )


if __name__ == "__main__":
    main()
