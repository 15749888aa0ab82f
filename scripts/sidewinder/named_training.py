"""Finds a training of a study by its name, to train it again by hand, in a debugger, or with other settings."""

from pathlib import Path

from sidewinder import SidewinderError
from sidewinder.config.run_config import RunConfig
from sidewinder.config.study_config import StudyConfig, Trainings
from sidewinder.config.study_settings import Direction
from sidewinder.confirmation.candidates import Candidate, confirmation_run
from sidewinder.confirmation.results import Phase
from sidewinder.results import load_result
from sidewinder.trials.replicates import replicate_run

_NAMES = (
    "a trial (7), one of its replicates (7/0), a setting of the confirmation (winner, top-1, defaults), or one of its "
    "trainings (test/winner/0)"
)


def named_training(study_dir: Path, name: str) -> tuple[RunConfig, Direction]:
    """Find the run of a trial that has ended in any state, or of a training of the confirmation.

    Args:
        study_dir: The study's directory.
        name: A trial (`7`), one of its replicates (`7/0`), a setting of the confirmation (`winner`, `defaults`), or one
            of its trainings (`test/winner/0`). If the name leaves several trainings, the first one is meant.

    Returns:
        The run with its seeds, and the direction of the study's return.

    Raises:
        SidewinderError: The study has no such training, or a file is missing or malformed.
    """
    config = StudyConfig.load(study_dir / "config.yaml")
    first, *others = name.split("/")
    if first.isdecimal() and len(others) <= 1:
        replicates = config.replicates()
        environment, seed = replicates[_one_of(replicates, others, study_dir, name)]
        result = load_result(study_dir, int(first), config.digest(), config.study.give_up)
        run = replicate_run(config, config.for_trial(result.params, environment), result.number, seed)
        return run, config.study.return_direction
    for phase, candidates in reversed(config.confirmations().items()):
        setting, *training = (others or [""]) if first == phase else [first, *others]
        if setting in candidates and len(training) <= 1:
            environment, seed = candidates[setting][_one_of(candidates[setting], training, study_dir, name)]
            candidate = Candidate.load(study_dir / "confirmation/candidates" / f"{setting}.yaml")
            if not candidate.exists:
                raise SidewinderError(f"{study_dir}: --trial: found {name!r}, which the sweep has no trial for")
            seeds: Phase = "test" if phase == "test" else "validation"
            run, _ = confirmation_run(config, candidate, environment, seeds, seed)
            return run, config.study.return_direction
    raise SidewinderError(f"{study_dir}: --trial: found {name!r}, accepted: {_NAMES}")


def _one_of(trainings: Trainings, wanted: list[str], study_dir: Path, name: str) -> str:
    training = wanted[0] if wanted else next(iter(trainings))
    if training not in trainings:
        raise SidewinderError(f"{study_dir}: --trial: found {name!r}, accepted after the /: {', '.join(trainings)}")
    return training
