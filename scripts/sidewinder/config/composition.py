"""From Hydra's configs to a study's config: composed, checked, each error with the file that it comes from.

It knows Hydra's config groups and search path, and the `hydra.sweeper` blocks of Hydra's Optuna sweeper.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException
from optuna.distributions import CategoricalDistribution
from pydantic import BaseModel, ValidationError

from sidewinder import SidewinderError
from sidewinder.config import search_space
from sidewinder.config.algorithms import backend_of, beyond_limits
from sidewinder.config.schema import (
    Environment,
    RunConfig,
    ScoredEnvironment,
    StudyConfig,
    expectation,
    first_line,
    one_line,
)
from sidewinder.config.search_space import SearchSpace, SearchSpaceError
from sidewinder.config.starting_points import starting_points

CONFIG_DIR = Path(__file__).resolve().parents[3] / "configs"
_PRIMARY = "tune"
# Keys that may be searched without being there: only interpolations read them.
HELPERS = "agent.helpers."


def compose_study(name: str, overrides: Sequence[str] = (), config_dirs: Sequence[Path] = ()) -> StudyConfig:
    """Compose a study from configs/study/<name>.yaml, or from whatever `study=` the overrides name.

    Args:
        name: The study's name, also that of its directory under results.
        overrides: Hydra overrides, e.g. `["study=pendulum_ddpg", "study.n_trials=100"]`.
        config_dirs: More directories of Hydra configs; theirs come before the shipped ones.

    Raises:
        SidewinderError: One line that names file, key, what was found and what is accepted.
    """
    if not any(override.startswith("study=") for override in overrides):
        overrides = [f"study={name}", *overrides]
    for directory in config_dirs:
        if not directory.is_dir():
            raise SidewinderError(f"config_dirs: {directory} is not a directory")
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        # hydra.searchpath would put them after the shipped ones.
        loader = GlobalHydra.instance().config_loader()
        for directory in reversed(config_dirs):
            loader.get_search_path().prepend("config_dirs", f"file://{directory.resolve()}")
        loader.repository.initialize_sources(loader.get_search_path())  # type: ignore[attr-defined]
        return _Composition(name, list(overrides)).study_config()


class _Composition:
    """One composition by Hydra, and the way back from a key to the file that set it."""

    def __init__(self, name: str, overrides: list[str]) -> None:
        self.name = name
        self.overrides = overrides
        # Where a `hydra.sweeper` block set what is now in another place.
        self.moved: dict[tuple[str, ...], tuple[str, ...]] = {}

    def study_config(self) -> StudyConfig:
        config = self._compose()
        try:
            return self._study_config(config)
        except OmegaConfBaseException as error:
            key = error.full_key or ""
            raise self._error(tuple(key.split(".")), first_line(error), key=key) from None

    def _study_config(self, config: DictConfig) -> StudyConfig:
        sweeper = config.hydra.sweeper
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        for section in ("study", "search_space", "sampler", "pruner", "confirmation", "environments"):
            if not isinstance(config[section], DictConfig) or OmegaConf.is_missing(config, section):
                raise self._error((section,), f"found {config[section]!r}, accepted: a mapping")
        storage = self._storage(config, sweeper)
        try:
            self._take_over_sweeper(config, sweeper)
            deferred = _deferred(config.search_space)
            space = search_space.parse(
                {key: config.search_space[key] for key in config.search_space if key not in deferred}
            )
            space.fixed.update(deferred)
        except SearchSpaceError as error:
            raise self._error(("search_space", error.key), str(error), key=error.key) from None
        config.study.setdefault("name", self.name)
        self._put_in(config, space)
        config.search_space = {key: _as_written(config.search_space[key], space, key) for key in space.distributions}
        probe = _without(config, space.distributions)
        plain = _resolve(config, probe, keep_all=bool(config.study.custom_search_space))
        plain["study"]["storage"] = storage
        entries = plain["study"].pop("enqueue", [])
        study = self._validated({**plain, "baselines": _baselines(plain)})
        self._enqueue(study, entries)
        self._check_conditions(study, space)
        self._cap_at_grid(study, space)
        return study

    def _storage(self, config: DictConfig, sweeper: DictConfig) -> Any:
        """Where the database is. What comes from the environment may be secret, so it is left as it is written, for the
        one who opens it to put in, and taken out of the config, so that nothing else does."""
        found = None
        for section, path in ((config.study, ("study", "storage")), (sweeper, ("hydra", "sweeper", "storage"))):
            written = _raw(section).get("storage")
            if written is not None:
                found = written if "${oc.env:" in str(written) else section.storage
                self.moved["study", "storage"] = path
            section.storage = None
        return found

    def _compose(self) -> DictConfig:
        try:
            return compose(_PRIMARY, self.overrides, return_hydra_config=True)
        except MissingConfigException as error:
            wanted = error.missing_cfg_file or ""
            group, _, option = wanted.rpartition("/")
            accepted = ", ".join(error.options or []) or "no option at all"
            raise SidewinderError(
                f"{self._who_chose(group, option)}: {group}: found {option!r}, accepted: {accepted}"
            ) from None
        except yaml.YAMLError as error:
            raise SidewinderError(one_line(error)) from None
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            reason = first_line(error)
            if reason.endswith(":"):
                reason = f"{reason} {str(error).splitlines()[1]}"
            if isinstance(cause := error.__cause__, OmegaConfBaseException):
                reason = f"{reason} ({first_line(cause)})" if reason else f"{cause.full_key}: {first_line(cause)}"
            if "resolving interpolation" in reason:
                reason += "; accepted in a study's defaults list: a name, such as ddpg"
            if "@study." in reason:
                reason += "; accepted: a study's file whose first line is # @package _global_"
            raise SidewinderError(f"{self._who_is_in(reason)}: {reason}") from None

    def _validated(self, plain: dict[str, Any]) -> StudyConfig:
        try:
            config = StudyConfig.model_validate(plain)
            if not config.study.custom_search_space and not config.search_space:
                accepted = "at least one parameter"
                raise SidewinderError(
                    f"{self._study_file()}: search_space: found nothing to search, accepted: {accepted}"
                )
            # A trial's sections, unless they wait for the search; 1e5 becomes 100000 where an integer is wanted.
            for section in RunConfig.model_fields:
                if "${" not in str(plain[section]):
                    model = RunConfig.model_fields[section].annotation
                    if isinstance(model, type) and issubclass(model, BaseModel):
                        setattr(config, section, model.model_validate(plain[section]).model_dump())
            for name, scored in config.environments.items():
                self._check_scored(name, scored)
        except ValidationError as error:
            first = error.errors()[0]
            prefix = () if error.title == "StudyConfig" else (error.title.lower(),)
            key = (*prefix, *map(str, first["loc"]))
            raise self._error(key, expectation(first)) from None
        return config

    def _check_scored(self, name: str, scored: ScoredEnvironment) -> None:
        try:
            Environment.model_validate({"env_id": "", **(scored.model_extra or {})})
        except ValidationError as error:
            first = error.errors()[0]
            raise self._error(("environments", name, *map(str, first["loc"])), expectation(first)) from None

    def _put_in(self, config: DictConfig, space: SearchSpace) -> None:
        """Apply what the search space fixes and deletes, and check that the keys it searches exist."""
        for key in space.distributions:
            if key.lstrip("+").partition(".")[0] not in RunConfig.model_fields:
                accepted = ", ".join(RunConfig.model_fields)
                raise self._error(
                    ("search_space", key), f"found a key that no trial has, accepted: one of {accepted}", key=key
                )
        for key, distribution in space.distributions.items():
            if key.startswith(HELPERS) and not _has(config, key):
                # What reads it must have something to read where a trial does not say.
                OmegaConf.update(
                    config, key, search_space.parse_value(key, search_space.first_value(distribution)), force_add=True
                )
        for key in [*space.distributions, *space.fixed, *space.deleted]:
            if not key.startswith(("+", HELPERS)) and not _has(config, key):
                parent = key.rpartition(".")[0]
                siblings = OmegaConf.select(config, parent) if parent else config
                accepted = ", ".join(map(str, siblings)) if isinstance(siblings, DictConfig) else "a key of the config"
                raise self._error(("search_space", key), f"found an unknown key, accepted: {accepted}", key=key)
        for key, value in space.fixed.items():
            OmegaConf.update(config, key.lstrip("+"), value, force_add=True)
        for key in space.deleted:
            parent, _, last = key.rpartition(".")
            del OmegaConf.select(config, parent)[last]

    def _take_over_sweeper(self, config: DictConfig, sweeper: DictConfig) -> None:
        """Read a `hydra.sweeper` block that was written for hydra-optuna-sweeper."""
        for name, value in {str(key): value for key, value in sweeper.items()}.items():
            if value is None or name in ("_target_", "n_jobs"):
                continue
            here = ("hydra", "sweeper", name)
            if name in ("sampler", "params", "search_space") and not isinstance(value, DictConfig):
                raise self._error(here, f"found {value!r}, accepted: a mapping")
            match name:
                case "direction" | "n_trials" | "max_failure_rate" | "custom_search_space":
                    config.study[name] = value[0] if isinstance(value, ListConfig) and len(value) == 1 else value
                    self.moved["study", name] = here
                case "study_name":
                    config.study.name = value
                    self.moved["study", "name"] = here
                case "sampler":
                    options = {k: v for k, v in value.items() if k not in ("seed", "_partial_")}
                    # Options without a sampler are those of the study's.
                    config.sampler = options if "_target_" in options else {**config.sampler, **options}
                    self.moved["sampler",] = here
                    if value.get("seed") is not None:
                        config.study.seed = value.seed
                        self.moved["study", "seed"] = (*here, "seed")
                case "params":
                    config.search_space = value
                    self.moved["search_space",] = here
                case "search_space":
                    if sweeper.get("params") is None:
                        self.moved["search_space",] = here
                        config.search_space = search_space.from_deprecated(value)
                case _:
                    accepted = "direction, n_trials, max_failure_rate, storage, study_name, sampler, params, "
                    raise self._error(here, f"found {value!r}, accepted: {accepted}custom_search_space, n_jobs")
        if sweeper.get("n_jobs") is not None:
            where = self._source(("hydra", "sweeper", "n_jobs"))
            print(
                f"{where}: hydra.sweeper.n_jobs: found {sweeper.n_jobs}, not used: `snakemake --cores` sets how many "
                "trials run at a time, study.workers for how many the study is made",
                file=sys.stderr,
            )

    def _enqueue(self, config: StudyConfig, entries: Any) -> None:
        if not isinstance(entries, list):
            raise self._error(("study", "enqueue"), f"found {entries!r}, accepted: a list of names and mappings")
        try:
            config.study.enqueue, notes = starting_points(config, entries)
        except SidewinderError as error:
            raise SidewinderError(f"{self._source(('study', 'enqueue'))}: {error}") from None
        for note in notes:
            print(f"study {self.name}: {note}", file=sys.stderr)

    def _check_conditions(self, config: StudyConfig, space: SearchSpace) -> None:
        """Refuse samplers that would waste a conditional space, or stop learning from it."""
        kind = str(config.sampler.get("_target_", "")).rpartition(".")[2]
        for key in space.conditions:
            choice = isinstance(space.distributions[key], CategoricalDistribution)
            if kind == "GridSampler" or (kind == "CmaEsSampler" and not choice):
                what = f"found a condition, accepted for {kind}: none (brute_force, tpe and others take conditions)"
                raise self._error(("search_space", key), what, key=key)

    def _cap_at_grid(self, config: StudyConfig, space: SearchSpace) -> None:
        """End a search of every point with its last one, and say so."""
        kinds = {"GridSampler": "the grid", "BruteForceSampler": "brute force"}
        search = kinds.get(str(config.sampler.get("_target_", "")).rpartition(".")[2])
        if search is None:
            return
        size = 1
        for key, distribution in space.distributions.items():
            try:
                size *= len(search_space.grid_values(distribution))
            except ValueError as error:
                accepted = f"accepted for {search.replace('the', 'a')}: choice or range"
                raise self._error(("search_space", key), f"{error}, {accepted}") from None
        if config.study.custom_search_space or space.conditions:
            return  # its size is not known
        enqueued = config.study.enqueue
        if search == "the grid":
            # GridSampler suggests all points of its own besides, and no parts of points.
            for position, point in enumerate(enqueued):
                if missing := [key for key in space.distributions if key not in point]:
                    what = f"found nothing for {', '.join(missing)}, accepted for a grid: all searched keys"
                    raise self._error(("study", "enqueue"), what, key=f"study.enqueue[{position}]")
            size += len(enqueued)
        if config.study.n_trials > size:
            print(f"study {self.name}: {search} ends the study after {size} trials", file=sys.stderr)
            config.study.n_trials = size

    def _error(self, path: tuple[str, ...], what: str, key: str | None = None) -> SidewinderError:
        for new, old in self.moved.items():
            if path[: len(new)] == new:
                path = (*old, *path[len(new) :])
                break
        return SidewinderError(f"{self._source(path)}: {key or '.'.join(path)}: {what}")

    def _source(self, path: tuple[str, ...]) -> str:
        """The override or the file that set the key at `path`; the study's own file if none did."""
        dotted = ".".join(path)
        for override in reversed(self.overrides):
            if OverridesParser.create().parse_override(override).key_or_group == dotted:
                return f"override {override}"
        loader = GlobalHydra.instance().config_loader()
        defaults = loader.compute_defaults_list(_PRIMARY, self.overrides, RunMode.RUN)
        for default in reversed(defaults.defaults):
            if default.config_path is None or (result := _load(default.config_path)) is None:
                continue
            package = tuple((default.package or "").split(".")) if default.package else ()
            if package == path[: len(package)] and _contains(result[1], path[len(package) :]):
                return result[0]
        return self._study_file()

    def _who_chose(self, group: str, option: str) -> str:
        for override in self.overrides:
            if override.lstrip("+") == f"{group}={option}":
                return f"override {override}"
        return self._study_file()

    def _who_is_in(self, reason: str) -> str:
        """The override or file that one of Hydra's messages is about."""
        for override in self.overrides:
            if f"'{override}'" in reason or f"'{override.partition('=')[0].lstrip('+~')}'" in reason:
                return f"override {override}"
        named = re.search(r"\b[Ii]n '([^']+)'", reason)
        return (_path(named[1]) if named else None) or self._study_file()

    def _study_file(self) -> str:
        chosen = [override.removeprefix("study=") for override in self.overrides if override.startswith("study=")][-1]
        return _path(f"study/{chosen}") or f"study {self.name}"


def _baselines(plain: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings to compare a tuned one with: the algorithm's defaults, and RL Zoo's for this environment if it has
    published any. Their interpolations are kept, to be resolved where a run has them."""
    agent, environment = plain.get("agent"), plain.get("environment")
    if not isinstance(agent, dict) or not isinstance(environment, dict):
        return {}
    # The shipped file: a user's own of that name need not be at SB3's defaults.
    path = CONFIG_DIR / "agent" / f"{agent.get('algorithm')}.yaml"
    if not path.exists():
        return {}
    defaults = OmegaConf.merge(OmegaConf.load(path), {"backend": backend_of(agent)})
    # SB3's defaults are those of one environment: with several, they would update the networks less often.
    baselines: dict[str, dict[str, Any]] = {"defaults": {"agent": _raw(defaults), "environment": {"n_envs": 1}}}
    env_id = str(environment.get("env_id")).rpartition(":")[2]
    if plain["environments"]:
        return baselines  # the Zoo has no setting for several at once
    if zoo := _load(f"zoo/{agent['algorithm']}/{env_id}"):
        merged = _raw(OmegaConf.merge(defaults, zoo[1]["agent"]))
        if lacking := beyond_limits(merged):
            print(f"baselines: zoo: {lacking}; left out", file=sys.stderr)
        else:
            baselines["zoo"] = {"agent": merged, "environment": zoo[1].get("environment", {})}
    return baselines


def _as_written(value: Any, space: SearchSpace, key: str) -> Any:
    """A parameter's text, with what is left of its condition."""
    text = str(value["space"] if isinstance(value, DictConfig) else value)
    return {"space": text, "when": space.conditions[key]} if key in space.conditions else text


def _deferred(search: DictConfig) -> dict[str, str]:
    """Of a search space's values those that read a trial's own sections, such as `${one_minus:${agent.helpers.x}}`:
    they are set as they are, for each trial to resolve."""
    sections = "|".join(RunConfig.model_fields)
    reads = re.compile(rf"\$\{{(.*\$\{{)?({sections})\.")
    raw = {str(key): value for key, value in _raw(search).items()}
    return {key: value for key, value in raw.items() if isinstance(value, str) and reads.match(value)}


def _path(config_path: str) -> str | None:
    """Where in Hydra's search path a config file is, for a reader; it need not be well-formed."""
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.scheme() == "file" and source.is_config(config_path):
            return os.path.relpath(Path(source.path) / f"{config_path.removesuffix('.yaml')}.yaml")
    return None


def _load(config_path: str) -> tuple[str, Any] | None:
    """A config file of Hydra's search path, as (its path for a reader, its content)."""
    path = _path(config_path)
    if path is None:
        return None
    result = GlobalHydra.instance().config_loader().repository.load_config(config_path)  # type: ignore[attr-defined]
    return path, _raw(result.config)


def _contains(node: Any, path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def _has(config: DictConfig, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    return isinstance(node, DictConfig) and last in node


def _without(config: DictConfig, keys: Mapping[str, Any]) -> DictConfig:
    """A copy in which the searched keys have no value yet."""
    copy = config.copy()
    for key in keys:
        OmegaConf.update(copy, key.lstrip("+"), "???", force_add=True)
    return copy


def _resolve(node: Any, probe: Any, keep_all: bool) -> Any:
    """Plain values with every interpolation resolved that no searched key has a part in."""
    if not isinstance(node, DictConfig | ListConfig):
        return node
    keys = list(node) if isinstance(node, DictConfig) else range(len(node))
    values: dict[Any, Any] = {}
    raw = _raw(node)
    for key in keys:
        if OmegaConf.is_missing(probe, key):
            values[key] = _plain(node[key])
        elif OmegaConf.is_interpolation(node, key):
            try:
                values[key] = raw[key] if keep_all else _plain(probe[key])
            except InterpolationToMissingValueError:
                values[key] = raw[key]
        else:
            values[key] = _resolve(node[key], probe[key], keep_all)
    return values if isinstance(node, DictConfig) else list(values.values())


def _raw(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=False)


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
