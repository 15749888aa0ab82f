"""The config of one training run, typed: agent, environment, training, evaluation. It never trains."""

import platform
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from sidewinder import SidewinderError
from sidewinder.config import resolvers
from sidewinder.config.digests import digest
from sidewinder.config.identity import Identity, identifying
from sidewinder.config.metrics import METRIC
from sidewinder.errors import first_line, one_line

resolvers.register()


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Normalize(Section):
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


def _callbacks(value: Any) -> Any:
    """Import paths, each alone, with arguments as RL Zoo has them, or as a mapping with `_target_`: all as the last."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(map(_is_callback, value)):
        raise PydanticCustomError(
            "callbacks", "a list of import paths, each alone or as {_target_: path, argument: value}"
        )
    return [_as_target(entry) for entry in value]


def _is_callback(entry: Any) -> bool:
    by_path = isinstance(entry, dict) and len(entry) == 1 and _fits(entry)
    return isinstance(entry, str) or by_path or (isinstance(entry, dict) and isinstance(entry.get("_target_"), str))


def _as_target(entry: Any) -> Any:
    if isinstance(entry, str):
        return {"_target_": entry}
    if "_target_" in entry:
        return entry
    path, arguments = next(iter(entry.items()))
    return {"_target_": path, **(arguments or {})}


VecEnvKind = Literal["dummy", "subproc"]


class Environment(Section):
    """A Gymnasium environment; `env_kwargs` go to `gymnasium.make`, `wrappers` around each environment, in order.

    Attributes:
        vec_env: Whether the `n_envs` environments step in this process or each in its own.
        normalize: VecNormalize's options; None for none. Evaluation uses the statistics of training.
        frame_stack: How many observations the agent sees at once; None for one.
        reproducible: Whether an episode must be the same again for the same seed and actions.
    """

    env_id: str
    n_envs: Annotated[int, Field(ge=1)] = 1
    vec_env: VecEnvKind = "dummy"
    normalize: Annotated[Normalize | None, BeforeValidator(_normalize)] = None
    frame_stack: Annotated[int, Field(ge=2)] | None = None
    wrappers: Annotated[Wrappers, BeforeValidator(_wrappers)] = []
    env_kwargs: dict[str, Any] = {}
    reproducible: Annotated[bool, Identity.UNLESS_DEFAULT] = True


class EvaluationEnvironment(Section):
    """What evaluation has in place of the training environment's; None is the same. `env_kwargs` are added to it."""

    env_id: str | None = None
    vec_env: VecEnvKind = "dummy"
    wrappers: Annotated[Wrappers | None, BeforeValidator(_wrappers)] = None
    env_kwargs: dict[str, Any] = {}


class Training(Section):
    """How long and on what to train. `total_timesteps` counts environment steps, as in SB3.

    Attributes:
        device: As torch spells it; of `cuda` without a number each training has one of those that are free.
        per_device: How many trainings share one of these.
        checkpoint_every: Seconds from one checkpoint to the next, at least; None for none.
        tensorboard: Whether TensorBoard's files are written.
        callbacks: SB3's or one's own, each as Hydra's `instantiate` takes it.
        trackers: Callbacks that only look, such as those of Weights & Biases: no part of what a training is.
    """

    total_timesteps: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    device: str = "cpu"
    per_device: Annotated[Annotated[int, Field(ge=1)], Identity.NEVER] = 1
    threads: Annotated[int, Field(ge=1)] = 1
    instruction_set: Literal["avx2", "compatible", "native"] = "avx2"
    checkpoint_every: Annotated[Annotated[float, Field(ge=0)] | None, Identity.NEVER] = 1.0
    tensorboard: Annotated[bool, Identity.NEVER] = True
    callbacks: Annotated[list[dict[str, Any]], BeforeValidator(_callbacks), Identity.UNLESS_DEFAULT] = []
    trackers: Annotated[list[dict[str, Any]], BeforeValidator(_callbacks), Identity.NEVER] = []


def _n_envs(value: Any) -> Any:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    if value in (None, "training") or (whole and value >= 1):
        return value
    raise PydanticCustomError("n_envs", "null, training, or how many: at least 1")


def _metric(value: Any) -> Any:
    """A name, or several different ones; of one alone the name."""
    found = value if isinstance(value, list) else [value]
    known = all(isinstance(name, str) and re.fullmatch(METRIC, name) for name in found)
    if not found or not known or len(set(found)) < len(found):
        raise PydanticCustomError("metric", "return, success_rate, length or info:<key>, or a list of different ones")
    return found[0] if len(found) == 1 else found


class MeanOfLast(Section):
    """The mean over so many last evaluations."""

    mean_of_last: Annotated[int, Field(ge=1)]


class Evaluation(Section):
    """When and how to evaluate; `eval_freq` counts environment steps, unlike SB3's callback, which counts calls.

    Attributes:
        objective: What a training is worth: its best or last evaluation, the mean of its last, or the area under the
            curve of all, over its length.
        metric: What an episode is worth: its undiscounted return, whether its last info says `is_success`, its steps,
            or a number of its last info. Of several the first; the others are only on record.
        n_envs: How many environments the episodes take turns in; None for one an episode; `training` for those that the
            agent trains in, whose episodes are then truncated.
        max_episode_steps: Where an episode is truncated; None for the environment's own limit.
    """

    eval_freq: Annotated[int, Field(ge=1)]
    n_eval_episodes: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    deterministic: bool = True
    objective: Literal["best", "last", "auc"] | MeanOfLast = "best"
    metric: Annotated[str | list[str], BeforeValidator(_metric), Identity.UNLESS_DEFAULT] = "return"
    n_envs: Annotated[int | Literal["training"] | None, BeforeValidator(_n_envs), Identity.UNLESS_DEFAULT] = None
    max_episode_steps: Annotated[Annotated[int, Field(ge=1)] | None, Identity.UNLESS_DEFAULT] = None
    environment: EvaluationEnvironment = EvaluationEnvironment()

    @property
    def metrics(self) -> list[str]:
        """All metrics, first the one that evaluations are judged by."""
        return self.metric if isinstance(self.metric, list) else [self.metric]


class RunConfig(Section):
    """One training run. `agent` is checked against the algorithm's signature by `sidewinder.training.agents`."""

    agent: dict[str, Any]
    environment: Environment
    training: Training
    evaluation: Evaluation

    @property
    def bit_exact(self) -> bool:
        """Whether the training is the same, bit by bit, on other machines. The pins mean nothing to processors that are
        no x86-64."""
        pinned = self.training.instruction_set != "native" and platform.machine().lower() in ("x86_64", "amd64")
        return pinned and self.training.device == "cpu" and self.environment.reproducible

    def digest(self, *more: object) -> str:
        """A hash of the whole run, and whatever else matters, 16 hexadecimal digits."""
        return digest((identifying(type(self), self.model_dump()), *more))


@dataclass(frozen=True)
class HeldOut:
    """Episodes that choose nothing, for an agent's honest return: how many, and the seed of their initial states."""

    n_episodes: int
    seed: int


def run_config(config: DictConfig) -> RunConfig:
    """Resolve and check the sections of one training run; other sections are ignored.

    Raises:
        SidewinderError: A key is missing, unknown or out of range.
    """
    try:
        sections = {section: config[section] for section in RunConfig.model_fields}
        plain = OmegaConf.to_container(OmegaConf.create(sections), resolve=True)
        if isinstance(plain, dict) and isinstance(agent := plain["agent"], dict):
            agent.pop("defaults_file", None)  # of a study's baselines
        return RunConfig.model_validate(plain)
    except ValidationError as error:
        raise SidewinderError(one_line(error)) from None
    except OmegaConfBaseException as error:
        raise SidewinderError(f"{error.full_key}: {first_line(error)}") from None
