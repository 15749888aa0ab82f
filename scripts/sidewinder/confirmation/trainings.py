"""The trainings of the confirmation: each is trained once, whoever needs it, and kept by its digest."""

import json
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

# Beside an agent: the returns of its held-out episodes.
RETURNS = "returns.json"


def confirm(study_dir: Path, candidate_path: Path, phase: Phase, training: str, output: Path) -> None:
    """Train a candidate once, or take what the same training gave before; no run if there is no such candidate.

    With `study.trials_per_job` it goes on with the candidate's trainings that nobody is at, for the jobs that will want
    them.

    Args:
        study_dir: The study's directory.
        candidate_path: The candidate's file.
        phase: Whose seeds.
        training: Which of the candidate's trainings, by its name in `StudyConfig.confirmations`.
        output: Result to write.

    Raises:
        SidewinderError: A file is missing or malformed, or the phase has no such candidate or training.
    """
    config, candidate = StudyConfig.load(study_dir / "config.yaml"), Candidate.load(candidate_path)
    if (trainings := config.confirmations().get(phase, {}).get(candidate_path.stem)) is None:
        raise SidewinderError(f"{candidate_path}: found a setting that the {phase} does not train")
    if training not in trainings:
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
        candidate=candidate.name,
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
        metrics=known.held_out_metrics,
        evaluations=known.evaluations,
        seeds={"training": run.training.seed, "evaluation": run.evaluation.seed, "episodes": held_out.seed},
        bit_exact=run.bit_exact and not config.study.timed,
        packages=known.packages,
        sources=known.sources,
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
        from sidewinder.training.agents import keep_agent, kept_agent
        from sidewinder.training.run import train

        outcome = train(
            kept.run,
            held_out=kept.held_out,
            counted=lambda model: keep_agent(model, agent) if keeps else None,
            direction=config.study.return_direction,
            checkpoint=checkpoint,
            progressed=progressed,
        )
        files = kept_agent(agent, normalized=kept.run.environment.normalize is not None)
        if outcome.state == "complete" and keeps and files:
            shutil.rmtree(kept.agent, ignore_errors=True)
            # The returns last: with them the agent is whole.
            for file, content in {**files, RETURNS: to_json(outcome.held_out_returns).encode()}.items():
                write_atomically(kept.agent / file, content)
        training = kept.save(outcome)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return training


def agent_of(
    config: StudyConfig, study_dir: Path, candidate: Candidate, training: str, before: Path
) -> dict[str, bytes]:
    """The files of the agent of one of a candidate's test trainings, by name: `SavedAgent`'s, and its returns. It is
    trained again if it was not kept.

    Args:
        config: The study's.
        study_dir: Its directory.
        candidate: Whose agent.
        training: Which of the test's trainings, by its name.
        before: A directory that may have it, too: where it was written last.

    Raises:
        SidewinderError: Trained again, it has other returns than are on record; or it cannot be saved.
    """
    path = study_dir / "confirmation" / "test" / candidate.name / f"{training}.json"
    on_record = ConfirmationResult.load(path).run
    returns = on_record.returns if on_record else []
    environment, index = config.confirmations()["test"][candidate.name][training]
    kept = Kept.of(config, study_dir, *confirmation_run(config, candidate, environment, "test", index))
    with kept.lock():
        for directory in (kept.agent, before):
            if files := _agent_with(directory, kept, returns):
                return files
        logger.info("the agent of %s was not kept, so it is trained again", path)
        known = _train(config, kept, f"{candidate.name}, test {training}", keeps=True)
        if files := _agent_with(kept.agent, kept, returns):
            return files
        shutil.rmtree(kept.agent, ignore_errors=True)
    if known.held_out_returns == returns:
        raise SidewinderError(
            f"{path}: found an agent that cannot be saved, as the line above says; accepted with "
            "confirmation.keep_agents=none: no agent"
        )
    again = "delete the file to confirm it again here"
    if on_record and on_record.archived:
        again = f"take {on_record.archived.archive} out of `archives` and {again}, or set confirmation.keep_agents=none"
    raise SidewinderError(f"{path}: returns: found others than the same training has here; accepted: the same; {again}")


def _agent_with(directory: Path, kept: Kept, returns: list[float]) -> dict[str, bytes] | None:
    """The files of the agent in a directory, if it is whole and has these returns."""
    from sidewinder.training.agents import kept_agent

    files = kept_agent(directory, normalized=kept.run.environment.normalize is not None)
    try:
        content = (directory / RETURNS).read_bytes()
        same = json.loads(content) == returns
    except (OSError, ValueError):
        return None
    return {**files, RETURNS: content} if files and same else None


def forget_agents(config: StudyConfig, study_dir: Path) -> None:
    """Delete the agents of the test's trainings; those of the baselines only where no other study may want them."""
    alone = len(list(study_dir.parent.glob("*/config.yaml"))) == 1
    for name in ["winner", *(config.compared() if alone else [])]:
        candidate = Candidate.load(study_dir / "confirmation" / "candidates" / f"{name}.yaml")
        for environment, index in config.confirmations()["test"][name].values():
            run, held_out = confirmation_run(config, candidate, environment, "test", index)
            kept = Kept.of(config, study_dir, run, held_out)
            with suppress(Timeout), kept.lock().acquire(timeout=0):
                shutil.rmtree(kept.agent, ignore_errors=True)
