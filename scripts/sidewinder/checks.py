"""Checks a composed study before anything trains."""

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from hydra.errors import HydraException
from hydra.utils import get_class, get_method, instantiate
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import NopPruner
from optuna.samplers import CmaEsSampler

from sidewinder import SidewinderError
from sidewinder.config.algorithms import SWITCHES
from sidewinder.config.import_paths import import_paths
from sidewinder.config.parameter_values import parse_value
from sidewinder.config.run_config import RunConfig
from sidewinder.config.search_space import SearchSpace
from sidewinder.config.study_config import StudyConfig
from sidewinder.errors import first_line
from sidewinder.study.samplers import make_sampler
from sidewinder.training import agents, checked
from sidewinder.training.callbacks import JUDGES, made_callbacks

# Keys whose values can only be checked together.
_TOGETHER = {
    "environment.n_envs",
    "agent.policy",
    "agent.n_steps",
    "agent.batch_size",
    "agent.normalize_advantage",
    "agent.learning_starts",
    "agent.buffer_size",
    "agent.train_freq",
    "agent.replay_buffer_class",
    "training.total_timesteps",
    "evaluation.eval_freq",
}


def check_study(config: StudyConfig) -> None:
    """Check a study: build its environments, agent, baselines, sampler and pruner once.

    The agent is also checked with the ends of each parameter's range and with each of its choices. Notes that the user
    should know are printed to stdout.

    Raises:
        SidewinderError: One line that names the key, what was found and what is accepted.
    """
    notes: dict[str, None] = {}
    try:
        for environment in config.environment_names():
            run = config.for_trial({}, environment)
            if environment and (other := run.evaluation.environment.env_id):
                accepted = "null where the study has several environments"
                raise SidewinderError(f"evaluation.environment.env_id: found {other!r}, accepted: {accepted}")
            checked.check_run(run)
            notes |= dict.fromkeys(checked.notes_on(run))
        _check_judges(config)
        _check_baselines(config)
        space = config.space()
        for key, distribution in space.distributions.items():
            for value in _samples(distribution):
                run = config.for_trial({**space.enabling(key), key: value})
                agents.check_agent(run.agent)
                if "training.callbacks" in key:
                    made_callbacks(run)
        notes |= dict.fromkeys(_check_extremes(config, space))
        _check_effects(config)
        _check_sampling(config)
    except SidewinderError as error:
        raise SidewinderError(f"study {config.study.name}: {error}") from None
    for note in notes:
        # To stdout, which is shown on the terminal: Snakemake writes stderr to the log.
        print(f"study {config.study.name}: {note}")


def _check_extremes(config: StudyConfig, space: SearchSpace) -> list[str]:
    """Make environments and agents with extreme values of the searched parameters (`_extremes`).

    Returns:
        Notes that the user should know.
    """
    end = budget = 0
    for environment in config.environment_names():
        plain = config.for_trial({}, environment)
        together: dict[str, list[tuple[dict[str, Any], RunConfig]]] = {}
        for params in _extremes(space):
            run = config.for_trial(params, environment)
            end, budget = max((end, budget), (checked.last_step(run), run.training.total_timesteps))
            together.setdefault(repr((run.environment, run.evaluation)), []).append((params, run))
        for alike in together.values():
            with ExitStack() as stack:
                params, run = alike[0]
                with _naming(params):
                    if run.environment != plain.environment:
                        checked.check_environments(run)
                    env = stack.enter_context(checked.environments_of(run))
                for params, run in alike:
                    with _naming(params):
                        checked.check_in(env, run)
    if end <= budget:
        return []
    return [
        f"training.total_timesteps: {budget} is no multiple of evaluation.eval_freq, so training continues to the end "
        f"of a rollout, at most to step {end}"
    ]


def _extremes(space: SearchSpace) -> list[dict[str, Any]]:
    """Settings to try: all combinations of the extreme values of the keys in `_TOGETHER`.

    Further settings try each value of one other parameter that is an argument of a class (`_is_of_a_class`). A setting
    has no parameters but these and the ones that enable them.
    """
    ends = {key: _ends(space.distributions[key]) for key in space.distributions if key.lstrip("+") in _TOGETHER}
    found = []
    for values in itertools.product(*ends.values()):
        params: dict[str, Any] = {}
        for key, value in zip(ends, values, strict=True):
            enabling = space.enabling(key)
            if space.has(key, {**enabling, **params}):
                params |= {**enabling, **params, key: value}
        found.append(params)
    for key, distribution in space.distributions.items():
        if key not in ends and _is_of_a_class(key.lstrip("+"), distribution):
            found += [{**space.enabling(key), key: value} for value in _samples(distribution)]
    return list({repr(params): params for params in found}.values())


def _check_judges(config: StudyConfig) -> None:
    """Refuse callbacks for which a higher reward is better in a study that minimizes the return."""
    judges = [one for one in made_callbacks(config.for_trial({})) if isinstance(one, JUDGES)]
    if judges and config.study.return_direction == "minimize":
        found = ", ".join(type(one).__name__ for one in judges)
        accepted = "callbacks that do not expect higher rewards, or study.direction=maximize"
        raise SidewinderError(f"training.callbacks: found {found}, accepted: {accepted}")


def _is_of_a_class(key: str, distribution: BaseDistribution) -> bool:
    """Whether a parameter is an argument of a class, or chooses one by import path.

    Such classes are the environment, the features extractor and the optimizer.
    """
    choices = distribution.choices if isinstance(distribution, CategoricalDistribution) else ()
    by_path = any(import_paths([parse_value(key, choice) for choice in choices]))
    return by_path or key.startswith("environment.") or "_kwargs." in key.removeprefix("agent.policy_kwargs.")


def _ends(distribution: BaseDistribution) -> Iterable[Any]:
    if isinstance(distribution, CategoricalDistribution):
        choices = distribution.choices
        numbers = [choice for choice in choices if isinstance(choice, int | float) and not isinstance(choice, bool)]
        return dict.fromkeys((min(numbers), max(numbers))) if len(numbers) == len(choices) else choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low, distribution.high


@contextmanager
def _naming(params: dict[str, Any]) -> Iterator[None]:
    try:
        yield
    except SidewinderError as error:
        if not params:
            raise
        searched = ", ".join(f"{key}={value}" for key, value in params.items())
        raise SidewinderError(f"search_space: with {searched}: {error}") from None


def _check_baselines(config: StudyConfig) -> None:
    """Build each baseline in each environment. A baseline that cannot be built would lose against any setting."""
    for name in config.compared():
        for environment in config.environment_names():
            try:
                run = config.for_baseline(name, environment)
                agents.check_agent(run.agent)
                with checked.environments_of(run) as env:
                    checked.check_in(env, run)
            except (SidewinderError, MemoryError) as error:
                where = f" in {environment}" if environment else ""
                raise SidewinderError(
                    f"confirmation.baselines: found {name!r}, which cannot be built{where} ({first_line(error)}), "
                    "accepted: a baseline that can be built, or confirmation.baselines without it"
                ) from None


def _samples(distribution: BaseDistribution) -> Iterable[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    ends = [distribution.low, distribution.high]
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        # A value that is not whole, for keys that need whole numbers while both ends happen to be whole.
        ends.append(distribution.low + 0.381966 * (distribution.high - distribution.low))
    return ends


def _check_effects(config: StudyConfig) -> None:
    """Refuse searched keys that have no effect on any trial."""
    if config.study.custom_search_space:
        return  # it may set any key
    searched = {key.lstrip("+") for key in config.search_space}
    readers = str([config.agent, config.environment, config.training, config.evaluation])
    for key in sorted(searched):
        where = f"search_space: {key}: found a search without effect, accepted:"
        name = key.removeprefix("agent.")
        switch = SWITCHES.get(name)
        # A switch that is an interpolation may be on in some trials.
        if switch and f"agent.{switch}" not in searched and config.agent.get(switch) in (None, False):
            raise SidewinderError(f"{where} with agent.{switch} set or searched")
        set_by_all = [key.removeprefix("environment.") in (e.model_extra or {}) for e in config.environments.values()]
        if set_by_all and all(set_by_all):
            raise SidewinderError(f"{where} without {key} in each of environments")
        if name.startswith("helpers.") and f"{name}}}" not in readers:
            raise SidewinderError(f"{where} with ${{{key}}} in another key")


def _check_sampling(config: StudyConfig) -> None:
    if (found := config.sampler.get("constraints_func")) is not None:
        # Optuna computes constraints when a trial ends and keeps them only in its database, not in our files.
        accepted = "null, because results store no constraints; a second objective (study.objectives) can replace one"
        raise SidewinderError(f"sampler.constraints_func: found {found!r}, accepted: {accepted}")
    sampler = _make("sampler", config.sampler, lambda: make_sampler(config, 0), "an Optuna sampler and its options")
    pruner = _make("pruner", config.pruner, lambda: instantiate(config.pruner), "an Optuna pruner and its options")
    _check_options("sampler", config.sampler)
    _check_options("pruner", config.pruner)
    prunes, several = not isinstance(pruner, NopPruner), len(config.study.objectives) > 1
    if several and isinstance(sampler, CmaEsSampler):
        raise SidewinderError(
            "sampler: found CmaEsSampler, accepted for several objectives: tpe, nsgaii, gp and others"
        )
    if several and prunes:
        raise SidewinderError(f"pruner: found {type(pruner).__name__}, accepted for several objectives: none")
    if config.environments and prunes and config.study.replicates_in == "jobs":
        accepted = "none; or any with study.replicates_in=sequence, which prunes between replicates"
        raise SidewinderError(f"pruner: found {type(pruner).__name__}, accepted for several environments: {accepted}")
    if path := config.study.custom_search_space:
        _make("study.custom_search_space", path, lambda: get_method(path), "package.module.function")


def _check_options(section: str, options: dict[str, Any]) -> None:
    """Refuse text for an option that needs another type in Optuna: it would fail in each trial."""
    parameters = inspect.signature(get_class(options["_target_"])).parameters
    for name, value in options.items():
        if name not in parameters or not isinstance(value, str):
            continue
        annotation = parameters[name].annotation
        kind = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        if "Callable" in kind:
            accepted = "null, as functions cannot be named in a config"
        elif re.search(r"\bBase[A-Z]", kind):
            accepted = "null, or a mapping with _target_ and options"
        elif re.fullmatch(r"(int|float|bool|None|[ |])+", kind):
            accepted = kind.replace("|", "or").replace("None", "null")
        else:
            continue
        raise SidewinderError(f"{section}.{name}: found {value!r}, accepted: {accepted}")


def _make(key: str, found: object, make: Callable[[], object], accepted: str) -> object:
    try:
        return make()
    except (HydraException, ImportError, TypeError, ValueError, KeyError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        # For example, the study's file has an option for its sampler, and the command line chooses another sampler.
        if unknown := re.search(r"unexpected keyword argument '(\w+)'", reason):
            accepted += f"; ~{key}.{unknown[1]} leaves it out"
        raise SidewinderError(f"{key}: found {found!r} ({reason}), accepted: {accepted}") from None
