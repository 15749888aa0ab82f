"""The trainings of the confirmation: each is trained once, whoever needs it, and kept by its digest."""

import logging
import shutil
from contextlib import suppress
from pathlib import Path

from filelock import Timeout

from sidewinder import SidewinderError
from sidewinder.attempts import attempt
from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate, confirmation_run, made_from
from sidewinder.confirmation.results import ConfirmationResult, ConfirmationRun, Phase
from sidewinder.files import to_json, write_atomically
from sidewinder.training.store import Kept, Training

logger = logging.getLogger(__name__)


def confirm(study_dir: Path, candidate_path: Path, phase: Phase, training: str, output: Path) -> None:
    """Train a candidate once, or take what the same training gave before; no run if there is no such candidate.

    With `study.trials_per_job` it goes on with the candidate's trainings that nobody is at, for the jobs that will want
    them.

    Args:
        study_dir: The study's directory.
        candidate_path: The candidate's file.
        phase: Whose seeds.
        training: Which of the phase's trainings, by its name in `StudyConfig.trainings`.
        output: Result to write.

    Raises:
        SidewinderError: A file is missing or malformed, or the phase has no such training.
    """
    config, candidate = StudyConfig.load(study_dir / "config.yaml"), Candidate.load(candidate_path)
    settings = config.confirmation
    n_seeds = settings.n_validation_seeds if phase == "validation" else settings.n_test_seeds
    if training not in (trainings := config.trainings(n_seeds)):
        raise SidewinderError(f"index: found {training!r}, accepted: {', '.join(trainings)}")
    environment, index = trainings[training]
    run, is_new, name = None, False, f"{candidate_path.stem}, {phase}"
    keeps = phase == "test" and config.confirmation.keep_agents != "none"
    if candidate.exists:
        run, is_new = _trained(
            config,
            study_dir,
            f"{name} {training}",
            *confirmation_run(config, candidate, environment, phase, index),
            keeps=keeps,
        )
    result = ConfirmationResult(
        phase=phase,
        candidate=candidate_path.stem,
        trial=candidate.trial,
        index=index,
        environment=environment,
        made_from=made_from(config, candidate, environment, phase, index),
        run=run,
    )
    write_atomically(output, to_json(result.model_dump()))
    left = config.study.trials_per_job - 1 if is_new else 0
    for ahead_of, (environment, index) in trainings.items():
        if left > 0 and ahead_of != training:
            with suppress(Timeout):
                ahead = confirmation_run(config, candidate, environment, phase, index)
                left -= _trained(config, study_dir, f"{name} {ahead_of}", *ahead, keeps=keeps, patience=0)[1]


def _trained(
    config: StudyConfig,
    study_dir: Path,
    name: str,
    run: RunConfig,
    held_out: HeldOut,
    *,
    keeps: bool,
    patience: float = -1,
) -> tuple[ConfirmationRun, bool]:
    """This training's outcome, and whether it was trained just now: when a raised budget makes trials change ranks, or
    another study had the same baseline, nothing is trained twice. `name` is for people; with `keeps`, the agent is kept
    where one is trained.

    Raises:
        Timeout: For so many seconds another process has been at it; -1 waits for it.
    """
    kept = Kept.of(config, study_dir, run, held_out)
    with kept.lock().acquire(timeout=patience):
        known = kept.load()
        is_new = known is None
        if known is None:
            known = _train(config, kept, name, keeps=keeps)
        else:
            logger.info("%s: %s was trained already", name, kept.path.stem)
    assert run.evaluation.seed is not None
    return ConfirmationRun(
        state=known.state,
        reason=known.reason,
        returns=known.held_out_returns,
        evaluations=known.evaluations,
        seeds={"training": run.training.seed, "evaluation": run.evaluation.seed, "episodes": held_out.seed},
        bit_exact=run.bit_exact and not config.study.timed,
        packages=known.packages,
        steps_per_second=known.steps_per_second,
        archived=known.archived,
    ), is_new


def _train(config: StudyConfig, kept: Kept, name: str, *, keeps: bool) -> Training:
    """Train what is to be kept there, and keep it; its lock is held."""
    checkpoint = kept.path.with_suffix(".checkpoint")
    # With the checkpoint it is as old as that: what comes after is done again.
    agent = checkpoint / "agent"
    with attempt(kept.path, name, "") as progressed:
        # Imported late: a job whose training is known need not load torch.
        from sidewinder.training.agents import keep_agent
        from sidewinder.training.run import train

        outcome = train(
            kept.run,
            held_out=kept.held_out,
            counted=lambda model: keep_agent(model, agent) if keeps else None,
            direction=config.study.return_direction,
            checkpoint=checkpoint,
            progressed=progressed,
        )
        if outcome.state == "complete" and agent.is_dir() and keeps:
            copied = kept.agent.with_suffix(".copied")
            shutil.rmtree(copied, ignore_errors=True)
            shutil.copytree(agent, copied)
            shutil.rmtree(kept.agent, ignore_errors=True)
            copied.rename(kept.agent)
        training = kept.save(outcome)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return training


def agent_of(config: StudyConfig, study_dir: Path, candidate: Candidate, training: str) -> Path:
    """The directory of the agent of one of a candidate's test trainings, as `SavedAgent` writes it. It is trained again
    if it was not kept.

    Raises:
        SidewinderError: Trained again, it has other returns than are on record.
    """
    path = study_dir / "confirmation" / "test" / candidate.name / f"{training}.json"
    on_record = ConfirmationResult.load(path).run
    environment, index = config.trainings(config.confirmation.n_test_seeds)[training]
    kept = Kept.of(config, study_dir, *confirmation_run(config, candidate, environment, "test", index))
    # Imported late: only this needs torch.
    from sidewinder.training.agents import is_whole

    with kept.lock():
        if not is_whole(kept.agent, normalized=kept.run.environment.normalize is not None):
            logger.info("the agent of %s was not kept, so it is trained again", path)
            known = _train(config, kept, f"{candidate.name}, test {training}", keeps=True)
            if not kept.agent.is_dir():
                raise SidewinderError(
                    f"{path}: found an agent that cannot be saved, as the line above says; accepted with "
                    "confirmation.keep_agents=none: no agent"
                )
            if on_record is None or known.held_out_returns != on_record.returns:
                raise SidewinderError(
                    f"{path}: returns: found others than those of the agent, which was trained again here; accepted: "
                    "the same; delete the file, and the results are made again with this agent"
                )
    return kept.agent


def forget_agents(config: StudyConfig, study_dir: Path) -> None:
    """Delete the agents of the test's trainings."""
    for name in ["winner", *config.compared()]:
        candidate = Candidate.load(study_dir / "confirmation" / "candidates" / f"{name}.yaml")
        for environment, index in config.trainings(config.confirmation.n_test_seeds).values():
            run, held_out = confirmation_run(config, candidate, environment, "test", index)
            shutil.rmtree(Kept.of(config, study_dir, run, held_out).agent, ignore_errors=True)
