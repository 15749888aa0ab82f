"""From an `agent` section to the arguments of an algorithm's constructor, checked against its signature."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.her import HerReplayBuffer
from torch import nn

from sidewinder import SidewinderError
from sidewinder.config.algorithms import ALGORITHMS, NET_ARCHS, as_text, backend_of, beyond_limits, limits
from sidewinder.paths import installing

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "mish": nn.Mish,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


ACTION_NOISES: dict[str, Callable[[np.ndarray, np.ndarray], ActionNoise]] = {
    "normal": NormalActionNoise,
    "ornstein-uhlenbeck": OrnsteinUhlenbeckActionNoise,
}


SCHEDULES = ("constant", "linear")


GOAL_STRATEGIES = ("future", "episode", "final")


# Of the agent's keys, those that SB3's constructors do not know.
_OWN_KEYS = ("algorithm", "backend", "lr_schedule", "clip_range_schedule", "noise_std", "helpers")


# The constructor's argument that each schedule key controls.
SCHEDULED = {"lr_schedule": "learning_rate", "clip_range_schedule": "clip_range"}


# Of the constructors' keys, those whose values have names or are mappings in the config, checked on their own.
_NAMED = (
    "policy",
    "action_noise",
    "policy_kwargs",
    "replay_buffer_class",
    "replay_buffer_kwargs",
    "replay_buffer_kwargs.goal_selection_strategy",
)


# Of the constructors' keys, those that other sections or this package set.
_SET_ELSEWHERE = ("self", "env", "seed", "device", "tensorboard_log", "verbose", "_init_setup_model")


def algorithm_of(agent: dict[str, Any]) -> type[BaseAlgorithm]:
    backend, name = backend_of(agent), agent.get("algorithm")
    _accept("backend", backend, ALGORITHMS)
    _accept("algorithm", name, ALGORITHMS[backend], _with_backend(agent))
    module, _, attribute = ALGORITHMS[backend][str(name)].rpartition(".")
    try:
        algorithm: type[BaseAlgorithm] = getattr(import_module(module), attribute)
    except ModuleNotFoundError:
        raise SidewinderError(f"agent.backend: found {backend!r}, accepted after `{installing(backend)}`") from None
    return algorithm


def _with_backend(agent: dict[str, Any]) -> str:
    return " with agent.backend=sbx" if backend_of(agent) == "sbx" else ""


def constructor_arguments(agent: dict[str, Any]) -> dict[str, Any]:
    algorithm = algorithm_of(agent)
    parameters = inspect.signature(algorithm.__init__).parameters
    known = [name for name in parameters if name not in _SET_ELSEWHERE]
    if beyond := beyond_limits(agent):
        raise SidewinderError(beyond)
    arguments = {}
    for key, value in agent.items():
        if key in _OWN_KEYS and _has_object(key, known):
            continue
        if key in limits(agent) and key not in known:
            continue  # at the value that stands for its absence
        if key not in known:
            raise wrong(key, value, f"a key of {agent['algorithm']}: {', '.join(known)}", _with_backend(agent))
        arguments[key] = _converted(key, value, parameters[key].annotation)
    arguments["policy_kwargs"] = _policy_arguments(algorithm, agent)
    if "action_noise" in agent:
        _accept("action_noise", agent["action_noise"], [None, *ACTION_NOISES])
    _converted("noise_std", agent.get("noise_std", 0.1), float)
    for name, key in SCHEDULED.items():
        _accept(name, agent.get(name, "constant"), SCHEDULES)
        if agent.get(name) == "linear":
            default = parameters[key].default
            arguments[key] = LinearSchedule(float(arguments.get(key, default)), 0.0, 1.0)
    arguments.update(_replay_buffer(agent))
    if backend_of(agent) == "sbx":
        # Imported late: JAX is an extra.
        from sidewinder.training import jax_agents

        jax_agents.complete(agent["algorithm"], known, arguments)
    return arguments


def _has_object(own_key: str, known: list[str]) -> bool:
    """Whether the algorithm has what one of our own keys is about."""
    about = {**SCHEDULED, "noise_std": "action_noise"}.get(own_key)
    return about is None or about in known


def _replay_buffer(agent: dict[str, Any]) -> dict[str, Any]:
    """The constructor's arguments of the replay buffer; none of HER's unless it is chosen."""
    if "replay_buffer_class" not in agent and "replay_buffer_kwargs" not in agent:
        return {}
    name, options = agent.get("replay_buffer_class"), agent.get("replay_buffer_kwargs") or {}
    _accept("replay_buffer_class", name, [None, "her"])
    if not isinstance(options, dict):
        raise wrong("replay_buffer_kwargs", options, "a mapping")
    hints = {key: parameter.annotation for key, parameter in inspect.signature(HerReplayBuffer).parameters.items()}
    known = ("n_sampled_goal", "goal_selection_strategy", "copy_info_dict", "handle_timeout_termination")
    converted = {}
    for option, value in options.items():
        key = f"replay_buffer_kwargs.{option}"
        if option not in known:
            raise wrong(key, value, f"a key of HER: {', '.join(known)}")
        if option == "goal_selection_strategy":
            _accept(key, value, GOAL_STRATEGIES)
        converted[option] = _converted(key, value, hints[option])
    if name is None:
        kept = {key: value for key, value in converted.items() if key == "handle_timeout_termination"}
        return {"replay_buffer_class": None, "replay_buffer_kwargs": kept}
    if (n_steps := agent.get("n_steps", 1)) != 1:
        raise wrong("n_steps", n_steps, "1 with replay_buffer_class her")
    return {"replay_buffer_class": HerReplayBuffer, "replay_buffer_kwargs": converted}


def _policy_arguments(algorithm: type[BaseAlgorithm], agent: dict[str, Any]) -> dict[str, Any]:
    """policy_kwargs with names replaced by what they name; null leaves SB3's own default."""
    _accept("policy", agent.get("policy"), algorithm.policy_aliases, _with_backend(agent))
    policy = algorithm.policy_aliases[agent["policy"]]
    parameters = inspect.signature(policy.__init__).parameters
    known = _policy_keys(policy)
    # A null may be of a key that only the algorithm's other policies have: it means nothing to any of them.
    nullable = {key for other in algorithm.policy_aliases.values() for key in _policy_keys(other)}
    given = agent.get("policy_kwargs") or {}
    if not isinstance(given, dict):
        raise wrong("policy_kwargs", given, "a mapping")
    arguments: dict[str, Any] = {}
    for name, value in given.items():
        key = f"policy_kwargs.{name}"
        if value is None and name in nullable:
            continue
        if name not in known:
            raise wrong(key, value, f"a key of {agent['policy']}: {', '.join(known)}", _with_backend(agent))
        if name == "activation_fn":
            _accept(key, value, ACTIVATIONS)
            arguments[name] = _activations(agent)[value]
        elif name == "net_arch":
            arguments[name] = _net_arch(key, value)
        else:
            arguments[name] = _converted(key, value, _hint(parameters[name]))
    return arguments


def _hint(parameter: inspect.Parameter) -> Any:
    """The type of a parameter; its default's where it has no annotation, as SBX's features_extractor_class."""
    return type(parameter.default) if parameter.annotation is inspect.Parameter.empty else parameter.annotation


def _activations(agent: dict[str, Any]) -> Mapping[str, Callable[..., Any]]:
    if backend_of(agent) == "sb3":
        return ACTIVATIONS
    # Imported late: JAX is an extra.
    from sidewinder.training import jax_agents

    return jax_agents.ACTIVATIONS


def _policy_keys(policy: type[BasePolicy]) -> list[str]:
    given = ("self", "observation_space", "action_space", "lr_schedule")
    return [name for name in inspect.signature(policy.__init__).parameters if name not in given]


def _net_arch(key: str, value: Any) -> Any:
    """A list of layer widths, from a name of it or from itself; or a mapping from networks (`pi`, `qf`) to such."""
    if isinstance(value, dict):
        return {network: _net_arch(f"{key}.{network}", widths) for network, widths in value.items()}
    widths = NET_ARCHS.get(value) if isinstance(value, str) else value
    if not isinstance(widths, list) or not all(_is_whole(width) and width >= 1 for width in widths):
        raise wrong(key, value, f"{', '.join(NET_ARCHS)}, a list of layer widths")
    return [int(width) for width in widths]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def _accept(key: str, value: Any, accepted: typing.Iterable[Any], condition: str = "") -> None:
    names = list(accepted)
    if value not in names:
        raise wrong(key, value, ", ".join(map(as_text, names)), condition)


def _converted(key: str, value: Any, hint: Any) -> Any:
    """The value as the constructor wants it: whole floats (`1e5`) as int, lists as tuples.

    Raises:
        SidewinderError: It is of another type.
    """
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    options = typing.get_args(hint) if union else (hint,)
    accepted = [typing.get_origin(option) or option for option in options]
    if any(value in typing.get_args(option) for option in options if typing.get_origin(option) is typing.Literal):
        return value
    if isinstance(value, float) and float not in accepted and int in accepted:
        if not value.is_integer():
            raise wrong(key, value, "a whole number")
        return int(value)
    if isinstance(value, list) and tuple in accepted:
        if len(value) != 2 or not _is_whole(value[0]) or value[1] not in ("step", "episode"):
            raise wrong(key, value, "int, [int, step] or [int, episode]")
        return int(value[0]), value[1]
    fits = type(value) in accepted or (isinstance(value, int) and not isinstance(value, bool) and float in accepted)
    # Classes, callables and objects have a name in the config (noise) or none at all.
    nameable = [kind for kind in accepted if kind in (int, float, str, bool, dict, tuple, types.NoneType)]
    if not fits and key not in _NAMED:
        names = ["null" if kind is types.NoneType else kind.__name__ for kind in nameable]
        if not {*nameable} - {types.NoneType}:
            names = ["null, as classes and functions have no names in a config"]
        raise wrong(key, value, " or ".join(names))
    return value


def wrong(key: str, found: Any, accepted: str, condition: str = "") -> SidewinderError:
    return SidewinderError(f"agent.{key}: found {found!r}, accepted{condition}: {accepted}")
