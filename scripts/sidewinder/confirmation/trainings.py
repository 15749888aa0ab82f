"""Makes the trainings of the confirmation. Each is trained once, and kept in the training store by its digest."""

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

# The file with the returns of an agent's held-out episodes, in the agent's directory.
RETURNS = "returns.json"


def confirm(study_dir: Path, candidate_path: Path, phase: Phase, training: str, output: Path) -> None:
    """Make one result of the confirmation: train the candidate, or take the same training from the training store.

    A candidate that does not exist gets a result without a run. With `study.trials_per_job` above 1, this job also
    makes further idle trainings of the candidate, and the store keeps them for the jobs that need them.

    Args:
        study_dir: The study's directory.
        candidate_path: The candidate's file.
        phase: The phase, which gives the seeds.
        training: The training's name in `StudyConfig.confirmations`, such as `0` or `pendulum-0`.
        output: The file of the result to write.

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
    """Take a training from the training store, or train it.

    So nothing is trained twice if a raised budget changes the ranks of trials, or if another study has the same
    baseline.

    Args:
        config: The study's config.
        study_dir: The study's directory.
        name: The training's name in log lines.
        run: The run to train.
        held_out: Its held-out episodes.
        keeps: Whether the agent is kept if it is trained now.
        patience: Seconds to wait while another process makes the same training; -1 waits without a limit.

    Returns:
        The outcome, and whether it was trained now.

    Raises:
        Timeout: Another process still makes it after that time.
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
    """Train and save to the training store. The caller holds the training's lock."""
    checkpoint = kept.path.with_suffix(".checkpoint")
    # Inside the checkpoint, so that both are of the same step when the training resumes.
    agent = checkpoint / "agent"
    with attempt(kept.path, name, "") as progressed:
        # Imported late: a job whose training is in the store need not load torch.
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
            # The returns are written last: an agent without them is incomplete.
            for file, content in {**files, RETURNS: to_json(outcome.held_out_returns).encode()}.items():
                write_atomically(kept.agent / file, content)
        training = kept.save(outcome)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return training


def agent_of(
    config: StudyConfig, study_dir: Path, candidate: Candidate, training: str, before: Path
) -> dict[str, bytes]:
    """Get the agent of one of a candidate's test trainings. The agent is trained again if it was not kept.

    Args:
        config: The study's config.
        study_dir: The study's directory.
        candidate: The candidate.
        training: The training's name in the test, such as `0` or `pendulum-0`.
        before: The directory where the agent was written last, which may still have it.

    Returns:
        The content of the agent's files by name: the files of `SavedAgent`, and `RETURNS`.

    Raises:
        SidewinderError: Trained again, the agent has other returns than those on record, or it cannot be saved.
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
            f"{path}: found an agent that cannot be saved, see the line above; accepted: an agent that can be saved, "
            "or confirmation.keep_agents=none"
        )
    again = "delete the file to confirm it again here"
    if on_record and on_record.archived:
        again = f"take {on_record.archived.archive} out of `archives` and {again}, or set confirmation.keep_agents=none"
    raise SidewinderError(
        f"{path}: returns: found other returns than the same training gives here; accepted: the same returns; {again}"
    )


def _agent_with(directory: Path, kept: Kept, returns: list[float]) -> dict[str, bytes] | None:
    """The files of the agent in a directory; None if it is incomplete or has other returns."""
    from sidewinder.training.agents import kept_agent

    files = kept_agent(directory, normalized=kept.run.environment.normalize is not None)
    try:
        content = (directory / RETURNS).read_bytes()
        same = json.loads(content) == returns
    except (OSError, ValueError):
        return None
    return {**files, RETURNS: content} if files and same else None


def forget_agents(config: StudyConfig, study_dir: Path) -> None:
    """Delete the agents of the test's trainings from the training store.

    Agents of baselines are deleted only if there is no other study, because another study may need them.
    """
    alone = len(list(study_dir.parent.glob("*/config.yaml"))) == 1
    for name in ["winner", *(config.compared() if alone else [])]:
        candidate = Candidate.load(study_dir / "confirmation" / "candidates" / f"{name}.yaml")
        for environment, index in config.confirmations()["test"][name].values():
            run, held_out = confirmation_run(config, candidate, environment, "test", index)
            kept = Kept.of(config, study_dir, run, held_out)
            with suppress(Timeout), kept.lock().acquire(timeout=0):
                shutil.rmtree(kept.agent, ignore_errors=True)
