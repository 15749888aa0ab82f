"""The sections of one training run's config but `agent`: environment, training, evaluation.

docs/configuration.md has the descriptions of their keys from here (tools/option_tables.py).
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from sidewinder.config.identity import Identity
from sidewinder.config.metrics import METRIC


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=(), use_attribute_docstrings=True)


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
    """A Gymnasium environment."""

    env_id: str
    """As Gymnasium registers it, or `package.module:Id-v0`."""
    n_envs: Annotated[int, Field(ge=1)] = 1
    """Environments that step together."""
    vec_env: VecEnvKind = "dummy"
    """`dummy`: all in one process; `subproc`: each in its own. The one gives other bits than the other, but always the
    same."""
    normalize: Annotated[Normalize | None, BeforeValidator(_normalize)] = None
    """`true`, or options of SB3's `VecNormalize`, such as `{norm_reward: false, clip_obs: 5}`; its `gamma` is the
    agent's unless given. Evaluation uses the statistics of training, and its returns are not normalised."""
    frame_stack: Annotated[int, Field(ge=2)] | None = None
    """How many observations the agent sees at once; `null` is one."""
    wrappers: Annotated[Wrappers, BeforeValidator(_wrappers)] = []
    """Import paths of Gymnasium wrappers, each alone or with its arguments: `[gymnasium.wrappers.FlattenObservation,
    my_package.MyWrapper: {argument: 1}]`. They are around SB3's Monitor: returns are the environment's own,
    whatever a wrapper does to rewards."""
    env_kwargs: dict[str, Any] = {}
    """Arguments of `gymnasium.make`, such as `{max_episode_steps: 500}`."""
    reproducible: Annotated[bool, Identity.UNLESS_DEFAULT] = True
    """An episode is the same again for the same seed and actions, which is tried when a study is composed. `false`
    accepts one that is not, and marks results as `bit_exact: false`."""


class EvaluationEnvironment(Section):
    """What evaluation has in place of training's environment; `null` is the same."""

    env_id: str | None = None
    """As Gymnasium registers it."""
    vec_env: VecEnvKind = "dummy"
    """`dummy` or `subproc`."""
    wrappers: Annotated[Wrappers | None, BeforeValidator(_wrappers)] = None
    """In place of those of `environment.wrappers`."""
    env_kwargs: dict[str, Any] = {}
    """In addition to `environment.env_kwargs`."""


class Training(Section):
    """How long and on what to train."""

    total_timesteps: Annotated[int, Field(ge=1)]
    """Environment steps, as in SB3."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of the agent and its environments. A study derives its trainings' seeds from `study.seed` instead."""
    device: str = "cpu"
    """`cpu`, or `cuda`: each training has a GPU that no other has; see [performance.md](performance.md)."""
    per_device: Annotated[Annotated[int, Field(ge=1)], Identity.NEVER] = 1
    """Trainings that share a GPU."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of one training. PPO and A2C give other bits for other numbers."""
    instruction_set: Literal["avx2", "compatible", "native"] = "avx2"
    """`avx2`; `compatible`: the same bits on each x86-64, slower; `native`: this processor's fastest. See
    [determinism.md](determinism.md)."""
    checkpoint_every: Annotated[Annotated[float, Field(ge=0)] | None, Identity.NEVER] = 1.0
    """Seconds from one checkpoint of a training to the next, at least; `null` writes none. A killed training goes on
    from its last one, with the same result: see [determinism.md](determinism.md)."""
    tensorboard: Annotated[bool, Identity.NEVER] = True
    """SB3's learning curves as TensorBoard's files, in each trial's directory. With `false` a trial has three small
    files."""
    callbacks: Annotated[list[dict[str, Any]], BeforeValidator(_callbacks), Identity.UNLESS_DEFAULT] = []
    """SB3's or your own; see [your_own_code.md](your_own_code.md#callbacks)."""
    trackers: Annotated[list[dict[str, Any]], BeforeValidator(_callbacks), Identity.NEVER] = []
    """Callbacks that only look, such as those of Weights & Biases; see
    [your_own_code.md](your_own_code.md#trackers)."""


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
    """The mean over the last evaluations."""

    mean_of_last: Annotated[int, Field(ge=1)]
    """How many of them."""


class Evaluation(Section):
    """When and how to evaluate."""

    eval_freq: Annotated[int, Field(ge=1)]
    """Environment steps from one evaluation to the next; SB3's callback counts calls instead."""
    n_eval_episodes: Annotated[int, Field(ge=1)]
    """Episodes of each evaluation."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """Of the episodes' initial states, the same at each evaluation; `null` derives it."""
    deterministic: bool = True
    """Act without exploration noise."""
    objective: Literal["best", "last", "auc"] | MeanOfLast = "best"
    """What a training is worth: its `best` or `last` evaluation, `{mean_of_last: 5}`, or `auc`, the area under the
    curve of its evaluations over its length. With `best`, the agent of the best evaluation is tested; else the
    agent at the end of training."""
    metric: Annotated[str | list[str], BeforeValidator(_metric), Identity.UNLESS_DEFAULT] = "return"
    """What an episode is worth: its undiscounted `return`; `success_rate` (whether its last info says `is_success`);
    `length` (its steps); `info:<key>` (a number of its last info). In a list, the first one is optimised; the
    others are on record, and may be further objectives. Tables have `mean_` and `std_` of each, in this order."""
    n_envs: Annotated[int | Literal["training"] | None, BeforeValidator(_n_envs), Identity.UNLESS_DEFAULT] = None
    """Environments that an evaluation's episodes take turns in. `null` is one an episode, which is fastest; a number
    saves memory; `training` is those that the agent trains in, whose episodes are then truncated, for a simulator
    of which only one can exist. An episode's initial state is the same for all of these."""
    max_episode_steps: Annotated[Annotated[int, Field(ge=1)] | None, Identity.UNLESS_DEFAULT] = None
    """After how many steps an evaluation ends an episode; `null` is the environment's own limit, or 100000 where it
    has none."""
    environment: EvaluationEnvironment = EvaluationEnvironment()
    """What evaluation has in place of training's environment."""

    @property
    def metrics(self) -> list[str]:
        """All metrics, first the one that evaluations are judged by."""
        return self.metric if isinstance(self.metric, list) else [self.metric]
