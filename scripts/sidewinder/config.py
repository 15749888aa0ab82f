"""What a study is: composed by Hydra, checked, and kept as results/<study>/config.yaml. It never trains.

A study's config is that of a training run (agent, environment, training, evaluation) plus how to vary it (study,
search_space, sampler, pruner). A trial is the training run that is left when its parameters are put in.
"""

import hashlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidewinder import SidewinderError, search_space
from sidewinder.search_space import SearchSpace, SearchSpaceError

CONFIG_DIR = Path(__file__).resolve().parents[2] / "configs"
_PRIMARY = "tune"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Environment(_Section):
    """A Gymnasium environment; `env_kwargs` go to `gymnasium.make`."""

    env_id: str
    n_envs: Annotated[int, Field(ge=1)] = 1
    env_kwargs: dict[str, Any] = {}


class Training(_Section):
    """How long and on what to train. `total_timesteps` counts environment steps, as in SB3."""

    total_timesteps: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    device: str = "cpu"
    threads: Annotated[int, Field(ge=1)] = 1
    instruction_set: Literal["avx2", "compatible", "native"] = "avx2"


class Evaluation(_Section):
    """When and how to evaluate; `eval_freq` counts environment steps, unlike SB3's callback, which counts calls."""

    eval_freq: Annotated[int, Field(ge=1)]
    n_eval_episodes: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    deterministic: bool = True
    objective: Literal["best", "last"] = "best"


class RunConfig(_Section):
    """One training run. `agent` is checked against the algorithm's signature by `sidewinder.agents`."""

    agent: dict[str, Any]
    environment: Environment
    training: Training
    evaluation: Evaluation


class StudySettings(_Section):
    """How a study asks and stops; see docs/configuration.md."""

    name: str
    direction: Literal["maximize", "minimize"]
    n_trials: Annotated[int, Field(ge=1)]
    window: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    max_failure_rate: Annotated[float, Field(ge=0, le=1)]
    storage: str | None
    custom_search_space: str | None


# Changing these changes no finished trial.
_FREE = ("n_trials", "max_failure_rate", "storage")


class StudyConfig(RunConfig):
    """A training run and how to vary it.

    Interpolations that depend on a searched parameter are kept as they are in `agent`, `environment`, `training` and
    `evaluation`, and are resolved for each trial by `for_trial`.
    """

    # Interpolated values are checked when a trial resolves them.
    environment: Any
    training: Any
    evaluation: Any
    study: StudySettings
    search_space: dict[str, Any]
    sampler: dict[str, Any]
    pruner: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read results/<study>/config.yaml."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text()))
        except FileNotFoundError:
            raise SidewinderError(f"{path}: no such file; `snakemake` composes it from the study's configs") from None
        except (yaml.YAMLError, ValidationError) as error:
            raise SidewinderError(f"{path}: {_one_line(error)}") from None

    def dump(self) -> str:
        """The text of config.yaml: the same for the same config."""
        body = yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)
        return (
            f"# Study {self.study.name}, fully composed: its trials depend on it. Change the configs instead.\n{body}"
        )

    def space(self) -> SearchSpace:
        """The search space, parsed."""
        return search_space.parse(self.search_space)

    def for_trial(self, params: Mapping[str, Any]) -> RunConfig:
        """The training run of a trial with these Optuna parameters.

        Raises:
            SidewinderError: A value does not fit the config.
        """
        run = {section: getattr(self, section) for section in RunConfig.model_fields}
        config = OmegaConf.create(run)
        for key, value in params.items():
            OmegaConf.update(config, key.lstrip("+"), search_space.parse_value(key, value), force_add=True)
        return run_config(config)

    def digest(self) -> str:
        """A hash of all that makes this study another than others, 16 hexadecimal digits."""
        return hashlib.sha256(repr(sorted(self._identity().items())).encode()).hexdigest()[:16]

    def differences(self, other: Self) -> list[str]:
        """What makes `other` another study than this one, as `key: old -> new`; settings that affect no finished
        trial (the budget, the failure rate, where the database is) do not count."""
        old, new = self._identity(), other._identity()
        return [
            f"{key}: {old.get(key, 'absent')} -> {new.get(key, 'absent')}"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        ]

    def _identity(self) -> dict[str, str]:
        leaves = _flatten(self.model_dump())
        free = {("study", name) for name in _FREE}
        return {".".join(path): repr(leaf) for path, leaf in leaves.items() if path not in free}


def run_config(config: DictConfig) -> RunConfig:
    """Resolve and check the sections of one training run; other sections are ignored.

    Raises:
        SidewinderError: A key is missing, unknown or out of range.
    """
    try:
        sections = {section: config[section] for section in RunConfig.model_fields}
        return RunConfig.model_validate(OmegaConf.to_container(OmegaConf.create(sections), resolve=True))
    except ValidationError as error:
        raise SidewinderError(_one_line(error)) from None
    except OmegaConfBaseException as error:
        raise SidewinderError(f"{error.full_key}: {_first_line(error)}") from None


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
            raise self._error(tuple(key.split(".")), _first_line(error), key=key) from None

    def _study_config(self, config: DictConfig) -> StudyConfig:
        sweeper = config.hydra.sweeper
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        for section in ("study", "search_space", "sampler", "pruner"):
            if not isinstance(config[section], DictConfig) or OmegaConf.is_missing(config, section):
                raise self._error((section,), f"found {config[section]!r}, accepted: a mapping")
        try:
            self._take_over_sweeper(config, sweeper)
            space = search_space.parse(config.search_space)
        except SearchSpaceError as error:
            raise self._error(("search_space", error.key), str(error), key=error.key) from None
        config.study.setdefault("name", self.name)
        self._put_in(config, space)
        config.search_space = {key: str(config.search_space[key]) for key in space.distributions}
        self._cap_at_grid(config, space)
        probe = _without(config, space.distributions)
        return self._validated(_resolve(config, probe, keep_all=bool(config.study.custom_search_space)))

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
            raise SidewinderError(_one_line(error)) from None
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            reason = _first_line(error)
            if reason.endswith(":"):
                reason = f"{reason} {str(error).splitlines()[1]}"
            if isinstance(cause := error.__cause__, OmegaConfBaseException):
                reason = f"{reason} ({_first_line(cause)})" if reason else f"{cause.full_key}: {_first_line(cause)}"
            if "resolving interpolation" in reason:
                reason += "; accepted in a study's defaults list: a name, such as ddpg"
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
        except ValidationError as error:
            first = error.errors()[0]
            prefix = () if error.title == "StudyConfig" else (error.title.lower(),)
            key = (*prefix, *map(str, first["loc"]))
            raise self._error(key, _expectation(first)) from None
        return config

    def _put_in(self, config: DictConfig, space: SearchSpace) -> None:
        """Apply what the search space fixes and deletes, and check that the keys it searches exist."""
        for key in space.distributions:
            if key.lstrip("+").partition(".")[0] not in RunConfig.model_fields:
                accepted = ", ".join(RunConfig.model_fields)
                raise self._error(
                    ("search_space", key), f"found a key that no trial has, accepted: one of {accepted}", key=key
                )
        for key in [*space.distributions, *space.fixed, *space.deleted]:
            if not key.startswith("+") and not _has(config, key):
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
                case "direction" | "n_trials" | "max_failure_rate" | "storage" | "custom_search_space":
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
                "trials run at a time, study.window how many may be in flight",
                file=sys.stderr,
            )

    def _cap_at_grid(self, config: DictConfig, space: SearchSpace) -> None:
        if not str(config.sampler.get("_target_", "")).endswith(".GridSampler"):
            return
        size = 1
        for key, distribution in space.distributions.items():
            try:
                size *= len(search_space.grid_values(distribution))
            except ValueError as error:
                raise self._error(("search_space", key), f"{error}, accepted for a grid: choice or range") from None
        if isinstance(config.study.n_trials, int | float) and config.study.n_trials > size:
            print(f"study {self.name}: the grid ends the study after {size} trials", file=sys.stderr)
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
    return path, OmegaConf.to_container(result.config, resolve=False)


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
    raw: Any = OmegaConf.to_container(node, resolve=False)
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


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _flatten(node: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(node, dict) or not node:
        return {path: node}
    return {key: leaf for name, child in node.items() for key, leaf in _flatten(child, (*path, str(name))).items()}


def _expectation(error: Any) -> str:
    """One finding of pydantic as `found ..., accepted: ...`."""
    found = repr(error["input"])
    if error["type"] == "extra_forbidden":
        return f"found {found}, accepted: no such key"
    if error["type"] == "missing":
        return "found nothing, accepted: a value"
    return f"found {found}, accepted: {error['msg'].removeprefix('Input should be ').removeprefix('a ')}"


def _one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {_expectation(first)}"
    return " ".join(str(error).split())


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".")
