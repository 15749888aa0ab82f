"""Rule confirmation: train one candidate with one seed of a phase, and write the returns of its held-out episodes."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from sidewinder import errors_in_one_line
from sidewinder.determinism import pin_as_configured

if TYPE_CHECKING:
    from sidewinder.config import HeldOut, RunConfig
    from sidewinder.results import ConfirmationRun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("candidate", type=Path, help="its file: results/<study>/confirmation/candidates/<name>.yaml")
    parser.add_argument("phase", choices=["validation", "test"], help="whose seeds")
    parser.add_argument("index", type=int, help="which of the phase's seeds, from 0")
    parser.add_argument("output", type=Path, help="result to write")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    pin_as_configured(arguments.config)
    with errors_in_one_line():
        confirm(arguments)


def confirm(arguments: argparse.Namespace) -> None:
    """Train the candidate, or take what the same training gave before; `null` if its file names no candidate."""
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.config import StudyConfig
    from sidewinder.confirmation import Candidate, seeded
    from sidewinder.results import ConfirmationResult, ConfirmationRun, to_json, write_atomically

    config, candidate = StudyConfig.load(arguments.config), Candidate.load(arguments.candidate)
    if candidate is None:
        write_atomically(arguments.output, "null\n")
        return
    run, held_out = seeded(config, candidate, arguments.phase, arguments.index)
    # By content: when a raised budget makes trials change ranks, nothing is trained twice.
    path = arguments.config.parent / "confirmation" / "runs" / f"{run.digest(held_out)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if path.exists():
            logging.info("%s was trained already", path.stem)
        else:
            write_atomically(path, to_json(train(run, held_out, config.study.direction).model_dump()))
    result = ConfirmationResult(
        phase=arguments.phase,
        candidate=arguments.candidate.stem,
        trial=candidate.trial,
        index=arguments.index,
        run=ConfirmationRun.model_validate_json(path.read_bytes()),
    )
    write_atomically(arguments.output, to_json(result.model_dump()))


def train(run: "RunConfig", held_out: "HeldOut", direction: str) -> "ConfirmationRun":
    """Train, and keep the held-out returns of a run that did not fail."""
    from sidewinder import training
    from sidewinder.results import ConfirmationRun, installed_packages

    outcome = training.train(run, held_out=held_out, direction=direction)
    assert run.evaluation.seed is not None
    return ConfirmationRun(
        state=outcome.state,
        reason=outcome.reason,
        returns=outcome.held_out_returns if outcome.state == "complete" else [],
        evaluations=outcome.evaluations,
        seeds={"training": run.training.seed, "evaluation": run.evaluation.seed, "episodes": held_out.seed},
        bit_exact=run.bit_exact,
        packages=installed_packages(),
    )


if __name__ == "__main__":
    main()
