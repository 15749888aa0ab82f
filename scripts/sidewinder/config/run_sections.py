"""The sections of a training run's config, except `agent`: environment, training, evaluation.

tools/option_lists.py copies the descriptions of their keys into docs/configuration.md.
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
    """Options of SB3's VecNormalize, with its defaults. If `gamma` is null, it is the agent's `gamma`."""

    norm_obs: bool = True
    norm_reward: bool = True
    clip_obs: Annotated[float, Field(gt=0)] = 10.0
    clip_reward: Annotated[float, Field(gt=0)] = 10.0
    gamma: Annotated[float, Field(ge=0, le=1)] | None = None
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    norm_obs_keys: list[str] | None = None


def _normalize(value: Any) -> Any:
    """Convert `false` to None and `true` to no options. Options stay as they are."""
    if value is None or isinstance(value, dict | Normalize):
        return value
    if isinstance(value, bool):
        return {} if value else None
    raise PydanticCustomError("normalize", "true, false or a mapping of VecNormalize's options")


def _wrappers(value: Any) -> Any:
    """Convert import paths, each alone or with arguments, to `{path: arguments}`."""
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
    """Convert import paths, alone or with arguments as in RL Zoo (`{path: arguments}`), to mappings with `_target_`."""
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
    """The id that Gymnasium knows, or `package.module:Id-v0`."""
    n_envs: Annotated[int, Field(ge=1)] = 1
    """Environments that step together."""
    vec_env: VecEnvKind = "dummy"
    """`dummy`: all environments in one process; `subproc`: each in a process of its own. The two give different bits,
    but each gives the same bits every time."""
    normalize: Annotated[Normalize | None, BeforeValidator(_normalize)] = None
    """`true`, or options of SB3's `VecNormalize`, such as `{norm_reward: false, clip_obs: 5}`. Its `gamma` is the
    agent's unless given. Evaluation uses the statistics of training, and its returns are not normalised."""
    frame_stack: Annotated[int, Field(ge=2)] | None = None
    """How many observations the agent sees at once; `null`: one."""
    wrappers: Annotated[Wrappers, BeforeValidator(_wrappers)] = []
    """Import paths of Gymnasium wrappers, each alone or with its arguments: `[gymnasium.wrappers.FlattenObservation,
    my_package.MyWrapper: {argument: 1}]`. They wrap SB3's Monitor, so the returns are the environment's even if a
    wrapper changes rewards."""
    env_kwargs: dict[str, Any] = {}
    """Arguments of `gymnasium.make`, such as `{max_episode_steps: 500}`."""
    reproducible: Annotated[bool, Identity.UNLESS_DEFAULT] = True
    """Whether the same seed and actions give the same episode again. Composing a study tests this. `false` accepts an
    environment that gives other episodes, and marks results as `bit_exact: false`."""


class EvaluationEnvironment(Section):
    """How the evaluation environment differs from the training environment; `null`: it does not."""

    env_id: str | None = None
    """The id that Gymnasium knows, in place of `environment.env_id`."""
    vec_env: VecEnvKind = "dummy"
    """`dummy` or `subproc`, whatever `environment.vec_env` is."""
    wrappers: Annotated[Wrappers | None, BeforeValidator(_wrappers)] = None
    """Wrappers in place of `environment.wrappers`."""
    env_kwargs: dict[str, Any] = {}
    """Arguments in addition to `environment.env_kwargs`; they replace arguments of the same name."""


class Training(Section):
    """How long and on what to train."""

    total_timesteps: Annotated[int, Field(ge=1)]
    """Environment steps, as in SB3."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the agent and its environments. A study derives the seeds of its trainings from `study.seed` instead."""
    device: str = "cpu"
    """`cpu`, or `cuda`: then a training has a GPU to itself, unless `training.per_device` is larger than 1. See
    [performance.md](performance.md)."""
    per_device: Annotated[Annotated[int, Field(ge=1)], Identity.NEVER] = 1
    """How many trainings share a GPU."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of one training. With PPO and A2C, another number gives other bits."""
    instruction_set: Literal["avx2", "compatible", "native"] = "avx2"
    """The CPU instructions that the numerical libraries use. `avx2`: up to AVX2; `compatible`: the same bits on each
    x86-64, but slower; `native`: the fastest of this processor. See [determinism.md](determinism.md)."""
    checkpoint_every: Annotated[Annotated[float, Field(ge=0)] | None, Identity.NEVER] = 1.0
    """Least number of seconds between two checkpoints of a training; `null` writes none. A killed training resumes
    from its last checkpoint, with the same result: see [determinism.md](determinism.md)."""
    tensorboard: Annotated[bool, Identity.NEVER] = True
    """Whether SB3 writes learning curves for TensorBoard into each trial's directory. With `false` a trial has three
    small files."""
    callbacks: Annotated[list[dict[str, Any]], BeforeValidator(_callbacks), Identity.UNLESS_DEFAULT] = []
    """Callbacks of SB3 or your own; see [your_own_code.md](your_own_code.md#callbacks)."""
    trackers: Annotated[list[dict[str, Any]], BeforeValidator(_callbacks), Identity.NEVER] = []
    """Callbacks that only observe the training, such as the callback of Weights & Biases; see
    [your_own_code.md](your_own_code.md#trackers)."""


def _n_envs(value: Any) -> Any:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    if value in (None, "training") or (whole and value >= 1):
        return value
    raise PydanticCustomError("n_envs", "null, training, or how many: at least 1")


def _metric(value: Any) -> Any:
    """Check that the value is the name of a metric, or a list of different ones. A list of one becomes the name."""
    found = value if isinstance(value, list) else [value]
    known = all(isinstance(name, str) and re.fullmatch(METRIC, name) for name in found)
    if not found or not known or len(set(found)) < len(found):
        raise PydanticCustomError("metric", "return, success_rate, length or info:<key>, or a list of different ones")
    return found[0] if len(found) == 1 else found


class MeanOfLast(Section):
    """The mean over the last evaluations."""

    mean_of_last: Annotated[int, Field(ge=1)]
    """Number of evaluations."""


class Evaluation(Section):
    """When and how to evaluate."""

    eval_freq: Annotated[int, Field(ge=1)]
    """Environment steps from one evaluation to the next. (SB3's `EvalCallback` counts one step for all parallel
    environments together.)"""
    n_eval_episodes: Annotated[int, Field(ge=1)]
    """Episodes of each evaluation."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """Seed of the episodes' initial states, which are the same at each evaluation. `null` derives it: in a study from
    `study.seed`, in a training run from `training.seed`."""
    deterministic: bool = True
    """Act without exploration noise."""
    objective: Literal["best", "last", "auc"] | MeanOfLast = "best"
    """What a training is judged by: its `best` or `last` evaluation; `{mean_of_last: 5}`, the mean of its last five
    evaluations; or `auc`, the area under the curve of its evaluations, divided by its length. With `best`, the test
    takes the agent of the best evaluation; otherwise it takes the agent at the end of training."""
    metric: Annotated[str | list[str], BeforeValidator(_metric), Identity.UNLESS_DEFAULT] = "return"
    """What an episode is judged by: its undiscounted `return`; `success_rate` (whether its last info says
    `is_success`); `length` (its steps); `info:<key>` (a number of its last info). In a list, the first metric is
    optimised. The others are recorded, and can be further objectives. Tables have `mean_` and `std_` of each metric,
    in this order."""
    n_envs: Annotated[int | Literal["training"] | None, BeforeValidator(_n_envs), Identity.UNLESS_DEFAULT] = None
    """Environments in which an evaluation runs its episodes. `null`: one for each episode, which is fastest. A number:
    so many, which saves memory; the episodes take turns. `training`: the environments of the training, whose episodes
    are truncated for it; this is for simulators of which only one can exist. The initial states of the episodes are
    the same in all three cases."""
    max_episode_steps: Annotated[Annotated[int, Field(ge=1)] | None, Identity.UNLESS_DEFAULT] = None
    """Number of steps after which an evaluation ends an episode. `null`: the environment's limit, or 100000 if it has
    none."""
    environment: EvaluationEnvironment = EvaluationEnvironment()
    """How the evaluation environment differs from the training environment."""

    @property
    def metrics(self) -> list[str]:
        """All metrics. Evaluations are judged by the first one."""
        return self.metric if isinstance(self.metric, list) else [self.metric]
