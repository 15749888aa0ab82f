"""The trainings of one trial: its replicates, each with its own seeds, and their common result."""

import logging
import os
import platform
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd

from sidewinder import SidewinderError
from sidewinder.config.run_config import RunConfig
from sidewinder.config.study_config import StudyConfig
from sidewinder.determinism import derive_seed
from sidewinder.results import GIVEN_UP, EvaluationResult, Replicate, Result, as_json, installed_packages
from sidewinder.study.view import pruner_attrs
from sidewinder.training.objectives import objectives
from sidewinder.training.outcome import Outcome, repeated
from sidewinder.training.store import Kept

logger = logging.getLogger(__name__)


def train_replicate(
    config: StudyConfig,
    study_dir: Path,
    trial: optuna.Trial,
    replicate: str,
    tensorboard_log: Path,
    report: Callable[[int, float], bool] = lambda _step, _mean_return: False,
    checkpoint: Path | None = None,
    progressed: Callable[[], None] = lambda: None,
) -> tuple[Result, dict[str, Any]]:
    """Train one replicate of a trial, or take the result of the same training from the training store.

    Args:
        config: The study's config.
        study_dir: The study's directory.
        trial: The trial, as `Study.ask` returned it.
        replicate: The replicate's name in `StudyConfig.replicates`, which gives its environment and seeds.
        tensorboard_log, report, checkpoint, progressed: As for `training.run.train`.

    Returns:
        The result of this training alone; its objective is not scaled to a score. And its timing: `started` (ISO 8601,
        UTC), `seconds`, `evaluation_seconds` (a part of `seconds`), `environment_steps` (0 if it came from the store),
        `host`, `process`.
    """
    environment, index = config.replicates()[replicate]
    run = replicate_run(config, config.for_trial(trial.params, environment), trial.number, index)
    logger.info("trial %d of study %s, replicate %s: %s", trial.number, config.study.name, replicate, trial.params)
    started, clock = datetime.now(UTC), time.monotonic()

    def trained() -> Outcome:
        # Imported late: a trial whose training is in the store need not load torch.
        from sidewinder.training.run import train

        return train(
            run,
            tensorboard_log=tensorboard_log,
            report=report,
            direction=config.study.return_direction,
            checkpoint=checkpoint,
            progressed=progressed,
        )

    packages = archived = None
    kept = Kept.of(config, study_dir, run, None)
    if trial.number in config.study.give_up:
        outcome = Outcome(state="failed", reason=GIVEN_UP)
    elif kept.shared is not None and (known := kept.load()):
        logger.info("%s was trained already", kept.path.stem)
        outcome = repeated(known.evaluations, run.evaluation.metrics[0], report)
        packages, archived = known.packages, known.archived
    else:
        outcome = trained()
        if kept.shared is not None and outcome.state == "complete":
            kept.save(outcome)
    timing = {
        "started": started.isoformat(),
        "seconds": time.monotonic() - clock,
        "evaluation_seconds": outcome.evaluation_seconds,
        "environment_steps": outcome.model.num_timesteps if outcome.model else 0,
        "host": platform.node(),
        "process": os.getpid(),
    }
    assert run.evaluation.seed is not None
    result = Result(
        number=trial.number,
        config=config.digest(),
        state=outcome.state,
        objective=outcome.objective(run, config.study.return_direction),
        further_objectives={"steps_per_second": outcome.steps_per_second} if config.study.timed else {},
        reason=outcome.reason,
        params=trial.params,
        distributions=as_json(trial.distributions),
        evaluations=outcome.evaluations,
        pruner_attrs=pruner_attrs(trial),
        seeds={"training": run.training.seed, "evaluation": run.evaluation.seed},
        bit_exact=run.bit_exact and not config.study.timed,
        packages=packages or installed_packages(),
        sources=kept.sources,
        environment=environment,
        archived=archived,
    )
    logger.info(
        "trial %d, replicate %s %s: objective %s, %d steps in %.0f s",
        trial.number,
        replicate,
        result.state,
        result.objective,
        timing["environment_steps"],
        timing["seconds"],
    )
    return result, timing


def reporter(trial: optuna.Trial) -> Callable[[int, float], bool]:
    """Make the `report` for `train_replicate`: it reports each evaluation to the study's pruner.

    Returns:
        A function of a step and a value; it returns whether the trial is to be pruned.
    """
    if len(trial.study.directions) > 1:
        return lambda _step, _mean_return: False  # Optuna has no pruners for several objectives

    def report(step: int, mean_return: float) -> bool:
        trial.report(mean_return, step)
        return trial.should_prune()

    return report


def replicate_run(config: StudyConfig, run: RunConfig, number: int, replicate: int) -> RunConfig:
    """Copy a run and set the seeds of one replicate of trial `number`.

    The training seed differs for each trial and replicate. The evaluation seed is the config's, if it has one; else it
    differs only by replicate. So trials are compared on the same episodes.

    Args:
        config: The study's config.
        run: The trial's run.
        number: The trial's number.
        replicate: The index of the replicate's seed.
    """
    run = run.model_copy(deep=True)
    run.training.seed = derive_seed(config.study.seed, "training", number, replicate)
    if run.evaluation.seed is None:
        run.evaluation.seed = derive_seed(config.study.seed, "evaluation", replicate)
    return run


def gather(config: StudyConfig, replicates: list[Result], *, pruned: bool = False) -> Result:
    """Combine the results of a trial's replicates into the trial's result.

    The trial has failed if one replicate has. It was pruned if all replicates were, or if `pruned` is set. Else it is
    complete, and `training.objectives.objectives` gives its objectives; a pruned replicate counts with the evaluations
    that it has.

    Args:
        config: The study's config.
        replicates: Their results, in the order of `StudyConfig.replicates`; fewer if the rest was not trained.
        pruned: Whether the trial was pruned between replicates.

    Raises:
        SidewinderError: The results are of different trials, parameters or configs.
    """
    first = replicates[0]
    for other in replicates:
        if (other.number, other.config, other.params) != (first.number, first.config, first.params):
            raise SidewinderError(
                f"trials/{first.number}/replicates: found results of different trials, parameters or configs, "
                "accepted: those of one; delete them to train them again"
            )
    named = zip(config.replicates(), replicates, strict=False)
    failed = next(((name, one) for name, one in named if one.state == "failed"), None)
    if failed:
        state = "failed"
    elif pruned or all(one.state == "pruned" for one in replicates):
        state = "pruned"
    else:
        state = "complete"
    worth = objectives(config, replicates) if state == "complete" else {}
    value = worth.pop(config.study.objectives[0], None)
    result = first.model_copy(update={"objective": value, "further_objectives": worth})
    if len(config.replicates()) == 1:
        return result
    return result.model_copy(
        update={
            "state": state,
            "reason": f"replicate {failed[0]}: {failed[1].reason}" if failed else None,
            "evaluations": _mean_curve(config, replicates),
            "pruner_attrs": _mean_attrs(replicates),
            "environment": None,
            "archived": None,
            "replicates": [Replicate(**one.model_dump(include=set(Replicate.model_fields))) for one in replicates],
        }
    )


def _mean_curve(config: StudyConfig, replicates: list[Result]) -> list[EvaluationResult]:
    """The mean and standard deviation over replicates of each metric, at each step where all replicates have one.

    A replicate that stopped earlier keeps its last value. In several environments, the first metric is a score.
    """
    first, *others = dict.fromkeys([config.study.objectives[0], "return", *_metrics(replicates)])
    curves = {name: _curves(config, replicates, name, scored=name == first) for name in (first, *others)}
    means, stds = ({name: of(curve) for name, curve in curves.items()} for of in (_mean_over, _std_over))
    found = []
    for position, step in enumerate(curves[first].index):
        values = {name: (float(means[name].iloc[position]), float(stds[name].iloc[position])) for name in curves}
        mean_return, std_return = values.pop("return")
        found.append(EvaluationResult(step=int(step), mean_return=mean_return, std_return=std_return, metrics=values))
    return found


def _metrics(replicates: list[Result]) -> Iterable[str]:
    return (name for one in replicates for evaluation in one.evaluations[:1] for name in evaluation.metrics)


def _curves(config: StudyConfig, replicates: list[Result], metric: str, *, scored: bool) -> pd.DataFrame:
    """A metric at each step where all replicates have a value: rows are steps, columns are replicates."""
    rows = [
        (evaluation.step, index, config.score(value, one.environment) if scored else value)
        for index, one in enumerate(replicates)
        for evaluation in one.evaluations
        for value in [evaluation.of(metric)[0]]
    ]
    curves = pd.DataFrame(rows, columns=["step", "replicate", "value"])
    return curves.pivot(index="step", columns="replicate", values="value").ffill().dropna()


def _mean_over(curves: pd.DataFrame) -> "pd.Series[float]":
    return curves.mean(axis=1)


def _std_over(curves: pd.DataFrame) -> "pd.Series[float]":
    return curves.std(axis=1, ddof=0)


def _mean_attrs(replicates: list[Result]) -> dict[str, Any]:
    """The pruner's notes, such as the value at each rung, as means over the replicates that have them."""
    keys = dict.fromkeys(key for one in replicates for key in one.pruner_attrs)
    return {
        key: float(np.mean([one.pruner_attrs[key] for one in replicates if key in one.pruner_attrs])) for key in keys
    }
