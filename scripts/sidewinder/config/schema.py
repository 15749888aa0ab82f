"""What a study and a training run are: their config, typed, as results/<study>/config.yaml keeps it. It never trains.

A study's config is that of a training run (agent, environment, training, evaluation) plus how to vary it (study,
search_space, sampler, pruner). A trial is the training run that is left when its parameters are put in.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import parse_qsl, urlsplit

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from sidewinder import SidewinderError
from sidewinder.config import resolvers, search_space
from sidewinder.config.search_space import SearchSpace

resolvers.register()


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Normalize(_Section):
    """Options of SB3's VecNormalize, with its defaults. `gamma` null is the agent's."""

    norm_obs: bool = True
    norm_reward: bool = True
    clip_obs: Annotated[float, Field(gt=0)] = 10.0
    clip_reward: Annotated[float, Field(gt=0)] = 10.0
    gamma: Annotated[float, Field(ge=0, le=1)] | None = None
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    norm_obs_keys: list[str] | None = None


def _normalize(value: Any) -> Any:
    """`false`, `true` or options, as options or None."""
    if value is None or isinstance(value, dict | Normalize):
        return value
    if isinstance(value, bool):
        return {} if value else None
    raise PydanticCustomError("normalize", "true, false or a mapping of VecNormalize's options")


def _wrappers(value: Any) -> Any:
    """Import paths, each alone or with arguments, all as `{path: arguments}`."""
    if value is None:
        return None
    entries = (
        [{entry: {}} if isinstance(entry, str) else entry for entry in value] if isinstance(value, list) else [value]
    )
    if not all(isinstance(entry, dict) and _fits(entry) for entry in entries):
        raise PydanticCustomError("wrappers", "a list of import paths, each alone or as path: {argument: value}")
    return [{path: arguments or {} for path, arguments in entry.items()} for entry in entries]


def _fits(wrapper: dict[Any, Any]) -> bool:
    return all(isinstance(path, str) and isinstance(arguments, dict | None) for path, arguments in wrapper.items())


Wrappers = list[dict[str, dict[str, Any]]]
VecEnvKind = Literal["dummy", "subproc"]


class Environment(_Section):
    """A Gymnasium environment; `env_kwargs` go to `gymnasium.make`, `wrappers` around each environment, in order.

    Attributes:
        vec_env: Whether the `n_envs` environments step in this process or each in its own.
        normalize: VecNormalize's options; None for none. Evaluation uses the statistics of training.
        frame_stack: How many observations the agent sees at once; None for one.
    """

    env_id: str
    n_envs: Annotated[int, Field(ge=1)] = 1
    vec_env: VecEnvKind = "dummy"
    normalize: Annotated[Normalize | None, BeforeValidator(_normalize)] = None
    frame_stack: Annotated[int, Field(ge=2)] | None = None
    wrappers: Annotated[Wrappers, BeforeValidator(_wrappers)] = []
    env_kwargs: dict[str, Any] = {}


class EvaluationEnvironment(_Section):
    """What evaluation has in place of the training environment's; None is the same. `env_kwargs` are added to it."""

    env_id: str | None = None
    vec_env: VecEnvKind = "dummy"
    wrappers: Annotated[Wrappers | None, BeforeValidator(_wrappers)] = None
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
    environment: EvaluationEnvironment = EvaluationEnvironment()


class RunConfig(_Section):
    """One training run. `agent` is checked against the algorithm's signature by `sidewinder.training.agents`."""

    agent: dict[str, Any]
    environment: Environment
    training: Training
    evaluation: Evaluation

    @property
    def bit_exact(self) -> bool:
        """Whether the training is the same, bit by bit, on other machines."""
        return self.training.device == "cpu" and self.training.instruction_set != "native"

    def digest(self, *more: object) -> str:
        """A hash of the whole run, and whatever else matters, 16 hexadecimal digits."""
        return _digest((self.model_dump(), *more))


@dataclass(frozen=True)
class HeldOut:
    """Episodes that choose nothing, for an agent's honest return: how many, and the seed of their initial states."""

    n_episodes: int
    seed: int


class ScoredEnvironment(BaseModel):
    """One of several environments that a study looks for one setting for: what it has in place of the keys of
    `environment`, as further keys, and the returns that score 0 (`low`) and 1 (`high`) there."""

    model_config = ConfigDict(extra="allow")

    low: float
    high: float

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: float, info: ValidationInfo) -> float:
        if high <= info.data.get("low", -math.inf):
            raise PydanticCustomError("high", "a return above low")
        return high


Direction = Literal["maximize", "minimize"]
Objective = Literal["return", "spread", "steps_per_second"]


FROM_ENVIRONMENT = re.compile(r"\$\{oc\.env:[^}]*\}")


class StudySettings(_Section):
    """How a study asks and stops; see docs/configuration.md.

    Attributes:
        objectives: What the study optimises: the return (always the first), and beside it `spread` (the return's
            standard deviation over episodes), `steps_per_second` (of the training).
        direction: Of the return; or a list with one for each objective.
        window: None where the schedule is the virtual clock.
        storage: As it was written, with what it takes from the environment not put in.
        trials_per_job: How many a job makes.
        enqueue: Optuna parameters of the first trials.
    """

    name: str
    objectives: list[Objective] = ["return"]
    direction: Direction | list[Direction]
    n_trials: Annotated[int, Field(ge=1)]
    schedule: Literal["virtual", "window"]
    workers: Annotated[int, Field(ge=1)]
    window: Annotated[int, Field(ge=1)] | None
    seed: Annotated[int, Field(ge=0)]
    max_failure_rate: Annotated[float, Field(ge=0, le=1)]
    storage: str | None
    custom_search_space: str | None
    replicates: Annotated[int, Field(ge=1)]
    replicates_in: Literal["jobs", "sequence"]
    trials_per_job: Annotated[int, Field(ge=1)]
    aggregate: Literal["mean", "median", "iqm"] | Annotated[float, Field(gt=0, lt=1)]
    enqueue: list[dict[str, Any]] = []

    @field_validator("window")
    @classmethod
    def _of_its_schedule(cls, window: int | None, info: ValidationInfo) -> int | None:
        schedule = info.data.get("schedule")
        if schedule == "virtual" and window is not None:
            raise PydanticCustomError("window", "null, or a number with study.schedule=window")
        if schedule == "window" and window is None:
            raise PydanticCustomError("window", "how many trials, as study.schedule is window")
        return window

    @field_validator("objectives")
    @classmethod
    def _return_first(cls, objectives: list[Objective]) -> list[Objective]:
        if objectives[:1] != ["return"] or len(set(objectives)) < len(objectives):
            raise PydanticCustomError("objectives", "a list of different ones, the first of which is return")
        return objectives

    @field_validator("direction", mode="before")
    @classmethod
    def _one_each(cls, direction: Any, info: ValidationInfo) -> Any:
        found, objectives = direction if isinstance(direction, list) else [direction], info.data.get("objectives", [])
        if not all(one in get_args(Direction) for one in found):
            raise PydanticCustomError("direction", "'maximize' or 'minimize'")
        if objectives and len(found) != len(objectives):
            several = f"one direction for each of study.objectives, {', '.join(objectives)}"
            raise PydanticCustomError("direction", "{several}", {"several": several})
        return direction

    @field_validator("storage")
    @classmethod
    def _without_password(cls, storage: str | None) -> str | None:
        if storage is None or storage == "journal" or FROM_ENVIRONMENT.fullmatch(storage):
            return storage
        url = urlsplit(FROM_ENVIRONMENT.sub("0", storage))
        if url.scheme.partition("+")[0] not in ("sqlite", "postgresql", "mysql", "mariadb"):
            raise PydanticCustomError("storage", "null, journal, or a URL of SQLite, PostgreSQL or MySQL")
        options = [value for name, value in parse_qsl(url.query) if name.startswith("pass")]
        if not {url.password or "0", *options} <= {"0"}:
            accepted = "its password from the environment, such as ://user:${oc.env:PASSWORD}@host/database"
            raise PydanticCustomError("storage", "{accepted}", {"accepted": accepted})
        return storage

    @property
    def directions(self) -> list[Direction]:
        """One for each objective."""
        return self.direction if isinstance(self.direction, list) else [self.direction]

    @property
    def timed(self) -> bool:
        """Whether a measurement of time is an objective, so that results are not the same bit by bit."""
        return "steps_per_second" in self.objectives

    @property
    def return_direction(self) -> Direction:
        """Of the first objective."""
        return self.directions[0]


class Confirmation(_Section):
    """How the sweep's best trials are trained again, on seeds that it never saw; see docs/confirmation.md."""

    top_k: Annotated[int, Field(ge=1)]
    n_validation_seeds: Annotated[int, Field(ge=1)]
    # An interval needs two.
    n_test_seeds: Annotated[int, Field(ge=2)]
    n_eval_episodes: Annotated[int, Field(ge=1)]


# Changing these changes no finished trial.
_FREE = (
    ("study", "n_trials"),
    ("study", "max_failure_rate"),
    ("study", "storage"),
    ("study", "trials_per_job"),
    ("confirmation",),
    ("baselines",),
)


class StudyConfig(RunConfig):
    """A training run and how to vary it.

    Interpolations that depend on a searched parameter are kept as they are in `agent`, `environment`, `training` and
    `evaluation`, and are resolved for each trial by `for_trial`. `baselines` are settings that nobody tuned here, by
    name (`defaults`, `zoo`): what they have in place of the study's `agent`, and over its `environment`. Where there
    are `environments`, each trial is trained in all of them.
    """

    # Interpolated values are checked when a trial resolves them.
    environment: Any
    training: Any
    evaluation: Any
    study: StudySettings
    search_space: dict[str, Any]
    sampler: dict[str, Any]
    pruner: dict[str, Any]
    confirmation: Confirmation
    baselines: dict[str, dict[str, dict[str, Any]]] = {}
    environments: dict[Annotated[str, Field(pattern=r"^\w+$")], ScoredEnvironment] = {}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read results/<study>/config.yaml."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text()))
        except FileNotFoundError:
            raise SidewinderError(f"{path}: no such file; `snakemake` composes it from the study's configs") from None
        except (yaml.YAMLError, ValidationError) as error:
            raise SidewinderError(f"{path}: {one_line(error)}") from None

    def dump(self) -> str:
        """The text of config.yaml: the same for the same config."""
        body = yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)
        return (
            f"# Study {self.study.name}, fully composed: its trials depend on it. Change the configs instead.\n{body}"
        )

    def space(self) -> SearchSpace:
        """The search space, parsed."""
        return search_space.parse(self.search_space)

    def for_trial(self, params: Mapping[str, Any], environment: str | None = None) -> RunConfig:
        """The training run of a trial with these Optuna parameters, in one of `environments` if there are any.

        Raises:
            SidewinderError: A value does not fit the config.
        """
        config = OmegaConf.create({section: getattr(self, section) for section in RunConfig.model_fields})
        for key, value in params.items():
            OmegaConf.update(config, key.lstrip("+"), search_space.parse_value(key, value), force_add=True)
        return self._run_in(config, environment)

    def for_baseline(self, name: str, environment: str | None = None) -> RunConfig:
        """The training run of a baseline: as long, and evaluated, as the study's trials are.

        Raises:
            SidewinderError: A value does not fit the config.
        """
        baseline = self.baselines[name]
        config = OmegaConf.create({section: getattr(self, section) for section in RunConfig.model_fields})
        config.agent = baseline["agent"]
        config.environment = OmegaConf.merge(config.environment, baseline.get("environment", {}))
        return self._run_in(config, environment)

    def _run_in(self, config: DictConfig, environment: str | None) -> RunConfig:
        if environment is not None:
            config.environment = OmegaConf.merge(config.environment, self.environments[environment].model_extra or {})
        return run_config(config)

    def environment_names(self) -> list[str | None]:
        """The environments that each trial is trained in; None is the only one of a study that has no names for it."""
        return [*self.environments] or [None]

    def scale(self, environment: str | None) -> tuple[float, float]:
        """The return that counts 0, and by how much one that counts 1 is above it: scores, where there are several
        environments, else returns as they are."""
        if environment is None:
            return 0.0, 1.0
        scored = self.environments[environment]
        return scored.low, scored.high - scored.low

    def score(self, mean_return: float, environment: str | None) -> float:
        """A return as the study counts it."""
        zero, unit = self.scale(environment)
        return (mean_return - zero) / unit

    def trainings(self, n_seeds: int) -> dict[str, tuple[str | None, int]]:
        """One setting trained in each environment with each of so many seeds: the environment and the seed's index, by
        the name that files have (`0`, or `pendulum-0`), in the order of training."""
        return {
            f"{index}" if environment is None else f"{environment}-{index}": (environment, index)
            for index in range(n_seeds)
            for environment in self.environment_names()
        }

    def replicates(self) -> dict[str, tuple[str | None, int]]:
        """The trainings of a trial, as `trainings` has them."""
        return self.trainings(self.study.replicates)

    def replicate_jobs(self) -> list[str]:
        """The replicates of a trial that are jobs of their own; none if the trial trains itself."""
        names = list(self.replicates())
        return names if len(names) > 1 and self.study.replicates_in == "jobs" else []

    @property
    def trials_of_a_job(self) -> int:
        """How many trials one job makes."""
        return 1 if self.replicate_jobs() else self.study.trials_per_job

    def block_of(self, number: int) -> range:
        """The trials that one job makes, of which this is one."""
        first = number - number % self.trials_of_a_job
        return range(first, max(number + 1, min(first + self.trials_of_a_job, self.study.n_trials)))

    def candidates(self) -> list[str]:
        """Names of the trials that are confirmed, by rank in the sweep: `top-1` is its best."""
        return [f"top-{rank}" for rank in range(1, min(self.confirmation.top_k, self.study.n_trials) + 1)]

    def digest(self, *more: object) -> str:  # noqa: ARG002
        """A hash of all that makes this study another than others, 16 hexadecimal digits."""
        return _digest(sorted(self._identity().items()))

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
        return {
            ".".join(path): repr(leaf)
            for path, leaf in leaves.items()
            if not any(path[: len(free)] == free for free in _FREE)
        }


def run_config(config: DictConfig) -> RunConfig:
    """Resolve and check the sections of one training run; other sections are ignored.

    Raises:
        SidewinderError: A key is missing, unknown or out of range.
    """
    try:
        sections = {section: config[section] for section in RunConfig.model_fields}
        return RunConfig.model_validate(OmegaConf.to_container(OmegaConf.create(sections), resolve=True))
    except ValidationError as error:
        raise SidewinderError(one_line(error)) from None
    except OmegaConfBaseException as error:
        raise SidewinderError(f"{error.full_key}: {first_line(error)}") from None


def _digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def _flatten(node: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(node, dict) or not node:
        return {path: node}
    return {key: leaf for name, child in node.items() for key, leaf in _flatten(child, (*path, str(name))).items()}


def expectation(error: Any) -> str:
    """One finding of pydantic as `found ..., accepted: ...`."""
    found = repr(error["input"])
    if error["type"] == "extra_forbidden":
        return f"found {found}, accepted: no such key"
    if error["type"] == "missing":
        return "found nothing, accepted: a value"
    return f"found {found}, accepted: {error['msg'].removeprefix('Input should be ').removeprefix('a ')}"


def one_line(error: Exception) -> str:
    """All that an error says, of pydantic's findings the first, without a line break."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {expectation(first)}"
    return " ".join(str(error).split())


def first_line(error: Exception) -> str:
    """What an error says first, where the rest is for another reader."""
    return (str(error).splitlines() or [""])[0].rstrip(".")
