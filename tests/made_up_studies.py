"""Studies with a made-up objective, in real files and a real SQLite database, with all samplers and pruners."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from sidewinder.config.study_config import StudyConfig
from sidewinder.paths import CONFIG_DIR
from sidewinder.results import EvaluationResult, Result, as_json, result_path
from sidewinder.study import progress
from sidewinder.study.schedule import awaited
from sidewinder.study.study import NotYetError, Study
from sidewinder.study.view import pruner_attrs
from sidewinder.trials.replicates import reporter

N_STEPS = 4


def shipped(group: str) -> dict[str, dict[str, Any]]:
    """Read configs/<group>/*.yaml, by name."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CONFIG_DIR / group).glob("*.yaml"))}


# Options with which a sampler learns, and a pruner prunes, within a few trials of four steps.
SMALL: dict[str, dict[str, Any]] = {
    "tpe": {"n_startup_trials": 3},
    "gp": {"n_startup_trials": 7},
    "nsgaii": {"population_size": 4},
    "nsgaiii": {"population_size": 4},
    "median": {"n_startup_trials": 3},
    "percentile": {"n_startup_trials": 3},
    "successive_halving": {"min_resource": 1, "reduction_factor": 2},
    "hyperband": {"max_resource": 4, "reduction_factor": 2},
    "patient": {"patience": 0},
    "threshold": {"lower": -2.0},
    "wilcoxon": {"p_threshold": 0.3},
}
SAMPLERS = {name: options | SMALL.get(name, {}) for name, options in shipped("sampler").items()}
SAMPLERS |= {
    "tpe independent": SAMPLERS["tpe"] | {"multivariate": False, "constant_liar": False},
    "tpe group": SAMPLERS["tpe"] | {"group": True},
    "cmaes nested": SAMPLERS["cmaes"] | {"independent_sampler": SAMPLERS["tpe"]},
    "cmaes separable": SAMPLERS["cmaes"] | {"use_separable_cma": True},
    "cmaes with margin": SAMPLERS["cmaes"] | {"with_margin": True, "popsize": 4},
    "cmaes adaptive": SAMPLERS["cmaes"] | {"lr_adapt": True, "consider_pruned_trials": True, "popsize": 4},
    "qmc scrambled": SAMPLERS["qmc"] | {"scramble": True, "qmc_type": "halton"},
    "nsgaii crossed": SAMPLERS["nsgaii"]
    | {
        "crossover": {"_target_": "optuna.samplers.nsgaii.SBXCrossover"},
        "mutation": {"_target_": "optuna.samplers.nsgaii.PolynomialMutation"},
    },
}
PRUNERS = {name: options | SMALL.get(name, {}) for name, options in shipped("pruner").items()}
PRUNERS |= {
    "patient alone": PRUNERS["patient"] | {"wrapped_pruner": None, "min_delta": 0.1},
    "patient nested": PRUNERS["patient"] | {"wrapped_pruner": PRUNERS["hyperband"]},
    "hyperband auto": PRUNERS["hyperband"] | {"max_resource": "auto"},
    "successive_halving auto": PRUNERS["successive_halving"] | {"min_resource": "auto"},
}
DISCRETE = {
    "agent.gamma": "choice(0.1, 0.3, 0.9)",
    "agent.tau": "range(0.0, 1.0, 0.5)",
    "agent.batch_size": "choice(1,2)",
}


def objective(params: dict[str, Any], step: int) -> float:
    """A smooth bowl over all parameters. A run approaches its value from below, with a setback at step 3."""
    distance = sum((float(value) - 0.3) ** 2 for value in params.values() if isinstance(value, int | float))
    return -distance * (1.5 if step == 3 else 1.0) - 1.0 / step


def distance_to_one(params: dict[str, Any]) -> float:
    """An objective at odds with `objective`."""
    return sum((float(value) - 1) ** 2 for value in params.values() if isinstance(value, int | float))


def training(study: Study, number: int, *, tell: bool = True) -> Iterator[Result | None]:
    """Ask and "train" as the workflow's jobs do. Yields None after each step that does not end the trial, and then the
    result; saves it when resumed."""
    trial, path = study.ask(number), result_path(study.directory, number)
    report, evaluations = reporter(trial), []
    state, value = "complete", None
    for step in range(1, N_STEPS + 1):
        value = objective(trial.params, step)
        evaluations.append(EvaluationResult(step=step, mean_return=value, std_return=0.0))
        if report(step, value):
            state, value = "pruned", None
            break
        if study.config.study.schedule == "virtual":
            progress.note_progress(path, step)
        yield None
    result = Result(
        number=number,
        config=study.config.digest(),
        state=state,  # type: ignore[arg-type]
        objective=value,
        further_objectives={name: distance_to_one(trial.params) for name in study.config.study.objectives[1:]},
        reason=None,
        params=trial.params,
        distributions=as_json(trial.distributions),
        evaluations=evaluations,
        pruner_attrs=pruner_attrs(trial),
        seeds={},
        bit_exact=True,
        packages={},
    )
    yield result
    result.save(path)
    if tell:
        study.tell(result)


def run_trial(study: Study, number: int, *, tell: bool = True) -> Callable[[], Result]:
    """Ask and "train". The returned function writes the result when it is called."""
    trained = training(study, number, tell=tell)
    result = next(step for step in trained if step)

    def finish() -> Result:
        assert list(trained) == []
        return result

    return finish


def run_study(directory: Path, config: StudyConfig, *, cores: int, shuffle: int) -> dict[int, bytes]:
    """Run a study on so many "cores", with starts, steps and ends in an order drawn from `shuffle`.

    Every job opens the study anew; a third of them die between writing the result and telling the database. On the
    virtual clock, a job that must wait holds its core.

    Returns:
        The bytes of each trial's result.json.
    """
    directory.mkdir(parents=True, exist_ok=True)
    order, settings = random.Random(shuffle), config.study
    virtual = settings.schedule == "virtual"
    window = settings.window or 2 * settings.workers
    running: dict[int, Iterator[Result | None]] = {}
    waiting: list[int] = []
    done: set[int] = set()
    while len(done) < settings.n_trials:
        started = done | running.keys() | set(waiting)
        ready = [n for n in range(settings.n_trials) if n not in started and done.issuperset(awaited(n, window))]
        if not virtual:
            order.shuffle(ready)
        waiting += ready[: cores - len(running) - len(waiting)]
        for number in order.sample(waiting, len(waiting)):
            trained = training(Study(directory, config), number, tell=order.random() > 1 / 3)
            with suppress(NotYetError):
                next(trained)
                running[number] = trained
                waiting.remove(number)
        number = order.choice(sorted(running))
        if next(running[number], "saved") == "saved":
            del running[number]
            done.add(number)
    return {number: result_path(directory, number).read_bytes() for number in range(settings.n_trials)}
