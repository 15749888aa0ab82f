"""Turns an `agent` section into arguments of the algorithm's constructor, checked against its signature."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.her import HerReplayBuffer
from torch import nn

from sidewinder import SidewinderError
from sidewinder.config.algorithms import ALGORITHMS, NET_ARCHS, backend_of, beyond_limits, limits
from sidewinder.config.import_paths import is_import_path
from sidewinder.paths import installing
from sidewinder.training.conversion import accept, converted, is_whole, options_of, wrong
from sidewinder.training.imported import imported, is_made, made, parameters_of
from sidewinder.training.schedules import check_schedule, schedule

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


GOAL_STRATEGIES = ("future", "episode", "final")


# Keys of the agent that SB3's constructors do not know.
_OWN_KEYS = ("algorithm", "backend", "lr_schedule", "clip_range_schedule", "noise_std", "helpers")


# The constructor's argument that each schedule key controls.
SCHEDULED = {"lr_schedule": "learning_rate", "clip_range_schedule": "clip_range"}


# Keys that have a check of their own below.
_ON_THEIR_OWN = ("policy", "policy_kwargs", "action_noise", "replay_buffer_class", "replay_buffer_kwargs")


# Constructor arguments that other sections of the config or this package set.
_SET_ELSEWHERE = ("self", "env", "seed", "device", "tensorboard_log", "verbose", "_init_setup_model")


# HER's options that a config may have. The shipped agents have all of them, even without HER.
_OF_HER = ("n_sampled_goal", "goal_selection_strategy", "copy_info_dict", "handle_timeout_termination")


# Arguments that SB3 itself passes to a replay buffer, an optimizer (torch's or optax's) or a features extractor.
_GIVEN_BY_SB3 = {
    "replay_buffer": ("buffer_size", "observation_space", "action_space", "device", "n_envs", "optimize_memory_usage"),
    "optimizer": ("params", "lr", "learning_rate"),
    "features_extractor": ("observation_space",),
}


def algorithm_of(agent: dict[str, Any]) -> type[BaseAlgorithm]:
    """Return the class of the algorithm. `agent.algorithm` is its name or its import path.

    Raises:
        SidewinderError: There is no such class, it is no algorithm, or it does not fit `agent.backend`.
    """
    backend, name = backend_of(agent), agent.get("algorithm")
    accept("backend", backend, ALGORITHMS)
    accept("algorithm", name, ALGORITHMS[backend], _with_backend(agent), or_import_path=True)
    try:
        algorithm: Any = imported("agent.algorithm", ALGORITHMS[backend].get(str(name), name))
    except SidewinderError:
        if is_import_path(name):
            raise
        raise SidewinderError(f"agent.backend: found {backend!r}, accepted after `{installing(backend)}`") from None
    if not isinstance(algorithm, type) or not issubclass(algorithm, BaseAlgorithm):
        raise wrong("algorithm", name, "a subclass of an algorithm of Stable-Baselines3, SB3-Contrib or SBX")
    own = "sbx" if any(_package(base) == "sbx" for base in algorithm.__mro__) else "sb3"
    if backend != own:
        raise wrong("backend", backend, f"{own} with agent.algorithm={name}")
    return algorithm


def family_of(agent: dict[str, Any]) -> str | None:
    """Return the name of the shipped algorithm that the agent's algorithm is, or derives from; None if there is none.

    Raises:
        SidewinderError: As in `algorithm_of`.
    """
    if not is_import_path(agent.get("algorithm")):
        return str(agent.get("algorithm"))
    shipped = {path: name for name, path in ALGORITHMS[backend_of(agent)].items()}
    paths = (f"{_package(base)}.{base.__name__}" for base in algorithm_of(agent).__mro__)
    return next((shipped[path] for path in paths if path in shipped), None)


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _with_backend(agent: dict[str, Any]) -> str:
    return " with agent.backend=sbx" if backend_of(agent) == "sbx" else ""


def constructor_arguments(agent: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the algorithm's constructor.

    The constructor can take all of them except `action_noise`, which may still be a name or the function that makes
    the noise: its shape depends on the environment.

    Raises:
        SidewinderError: `agent.<key>: found ..., accepted: ...`.
    """
    algorithm = algorithm_of(agent)
    parameters = parameters_of(algorithm)
    known = [name for name in parameters if name not in _SET_ELSEWHERE]
    as_shipped = {**agent, "algorithm": family_of(agent)}
    if beyond := beyond_limits(as_shipped):
        raise SidewinderError(beyond)
    arguments = {}
    for key, value in agent.items():
        if key in _OWN_KEYS and _has_object(key, known):
            continue
        if key in limits(as_shipped) and key not in known:
            continue  # `beyond_limits` has checked that it has its only accepted value, which has no effect
        if key not in known:
            raise wrong(key, value, f"a key of {agent['algorithm']}: {', '.join(known)}", _with_backend(agent))
        arguments[key] = value if key in _ON_THEIR_OWN else converted(key, value, parameters[key])
    arguments["policy"], arguments["policy_kwargs"] = _policy(algorithm, agent)
    if "action_noise" in agent:
        arguments["action_noise"] = _action_noise(agent["action_noise"])
    if not isinstance(deviation := agent.get("noise_std", 0.1), int | float) or isinstance(deviation, bool):
        raise wrong("noise_std", deviation, "float")
    for name, key in SCHEDULED.items():
        if key in known and (key in arguments or parameters[key].default is not parameters[key].empty):
            found = _scheduled(name, agent, arguments.get(key, parameters[key].default), limits(as_shipped))
            if key in arguments or callable(found):
                arguments[key] = found
    arguments.update(_replay_buffer(agent))
    if backend_of(agent) == "sbx":
        # Imported late: JAX is an extra.
        from sidewinder.training import jax_agents

        jax_agents.complete(family_of(agent), known, arguments)
    return arguments


def _has_object(own_key: str, known: list[str]) -> bool:
    """Whether the algorithm has the argument that one of `_OWN_KEYS` modifies; true for keys that modify none."""
    about = {**SCHEDULED, "noise_std": "action_noise"}.get(own_key)
    return about is None or about in known


def _scheduled(name: str, agent: dict[str, Any], value: Any, only: Mapping[str, Any]) -> Any:
    """Return the constructor argument that a schedule key controls, with the schedule applied.

    Args:
        name: The schedule key, one of `SCHEDULED`.
        agent: The section.
        value: The argument without the schedule: a number, or the user's own schedule.
        only: The result of `limits`.

    Raises:
        SidewinderError: The key and the argument exclude each other, or the schedule is malformed.
    """
    shape, key = agent.get(name, "constant"), SCHEDULED[name]
    if value is None and shape != "constant":
        raise wrong(name, shape, f"constant where agent.{key} is null")
    if not callable(value):
        return schedule(f"agent.{name}", shape, value)
    if shape != "constant":
        raise wrong(name, shape, f"constant where agent.{key} is a schedule itself")
    if name in only:
        raise wrong(key, agent[key], f"float, as agent.lr_schedule must be {only[name]}", _with_backend(agent))
    check_schedule(f"agent.{key}", value)
    return value


def _action_noise(value: Any) -> Any:
    """Return the noise: its name, the class or function of an import path, or an object that is made already."""
    if is_made(value):
        value = made("agent.action_noise", value)
    elif is_import_path(value):
        return imported("agent.action_noise", value)
    if not isinstance(value, ActionNoise):
        accept("action_noise", value, [None, *ACTION_NOISES], or_import_path=True)
    return value


def _replay_buffer(agent: dict[str, Any]) -> dict[str, Any]:
    """Return the constructor's arguments for the replay buffer; options of HER are left out unless HER is chosen."""
    if "replay_buffer_class" not in agent and "replay_buffer_kwargs" not in agent:
        return {}
    name, given = agent.get("replay_buffer_class"), agent.get("replay_buffer_kwargs") or {}
    accept("replay_buffer_class", name, [None, "her"], or_import_path=True)
    if not isinstance(given, dict):
        raise wrong("replay_buffer_kwargs", given, "a mapping")
    made_of: Any = HerReplayBuffer if name in (None, "her") else imported("agent.replay_buffer_class", name)
    if not isinstance(made_of, type) or not issubclass(made_of, ReplayBuffer):
        raise wrong("replay_buffer_class", name, "a subclass of ReplayBuffer")
    key, elsewhere = "replay_buffer_kwargs", _GIVEN_BY_SB3["replay_buffer"]
    if made_of is HerReplayBuffer:
        others = [option for option in parameters_of(made_of) if option not in _OF_HER]
        options = options_of(key, made_of, given, others)
        if (strategy := options.get("goal_selection_strategy", GOAL_STRATEGIES[0])) not in GOAL_STRATEGIES:
            raise wrong(f"{key}.goal_selection_strategy", strategy, ", ".join(GOAL_STRATEGIES))
    else:
        own = parameters_of(made_of)
        given = {option: value for option, value in given.items() if option in own or option not in _OF_HER}
        options = options_of(key, made_of, given, elsewhere)
    if name is None:
        kept = {option: value for option, value in options.items() if option == "handle_timeout_termination"}
        return {"replay_buffer_class": None, "replay_buffer_kwargs": kept}
    if issubclass(made_of, HerReplayBuffer) and (n_steps := agent.get("n_steps", 1)) != 1:
        raise wrong("n_steps", n_steps, "1 with replay_buffer_class her")
    return {"replay_buffer_class": made_of, "replay_buffer_kwargs": options}


def _policy(algorithm: type[BaseAlgorithm], agent: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the policy, as a name or a class, and its arguments, with names replaced by the objects that they name.

    An argument that is null is left out: SB3's default applies.
    """
    name, named = agent.get("policy"), agent.get("policy")
    if is_import_path(name):
        policy = named = imported("agent.policy", name)
        if not isinstance(policy, type) or not issubclass(policy, BasePolicy):
            raise wrong("policy", name, "a subclass of BasePolicy")
    else:
        accept("policy", name, algorithm.policy_aliases, _with_backend(agent), or_import_path=True)
        policy = algorithm.policy_aliases[str(name)]
    parameters, known = parameters_of(policy), _policy_keys(policy)
    # A null is also accepted for keys that only the algorithm's other policies have.
    nullable = {key for other in algorithm.policy_aliases.values() for key in _policy_keys(other)}
    given = agent.get("policy_kwargs") or {}
    if not isinstance(given, dict):
        raise wrong("policy_kwargs", given, "a mapping")
    arguments: dict[str, Any] = {}
    for option, value in given.items():
        key = f"policy_kwargs.{option}"
        if value is None and option in nullable:
            continue
        if option not in known:
            raise wrong(key, value, f"a key of {name}: {', '.join(known)}", _with_backend(agent))
        if option == "activation_fn":
            arguments[option] = _activation(key, value, agent)
        elif option == "net_arch":
            arguments[option] = _net_arch(key, value)
        else:
            arguments[option] = converted(key, value, parameters[option])
    for what in ("features_extractor", "optimizer"):
        if arguments.get(f"{what}_kwargs"):
            made_of = arguments.get(f"{what}_class") or parameters[f"{what}_class"].default
            key = f"policy_kwargs.{what}_kwargs"
            arguments[f"{what}_kwargs"] = options_of(key, made_of, arguments[f"{what}_kwargs"], _GIVEN_BY_SB3[what])
    return named, arguments


def _activation(key: str, value: Any, agent: dict[str, Any]) -> Any:
    if is_made(value):
        return made(f"agent.{key}", value)
    if is_import_path(value):
        return imported(f"agent.{key}", value)
    accept(key, value, ACTIVATIONS, or_import_path=True)
    return _activations(agent)[value]


def _activations(agent: dict[str, Any]) -> Mapping[str, Callable[..., Any]]:
    if backend_of(agent) == "sb3":
        return ACTIVATIONS
    # Imported late: JAX is an extra.
    from sidewinder.training import jax_agents

    return jax_agents.ACTIVATIONS


def _policy_keys(policy: type[BasePolicy]) -> list[str]:
    given = ("self", "observation_space", "action_space", "lr_schedule")
    return [name for name in parameters_of(policy) if name not in given]


def _net_arch(key: str, value: Any) -> Any:
    """Return a list of layer widths, given the list or its name; or a mapping from networks (`pi`, `qf`) to lists."""
    if isinstance(value, dict):
        return {network: _net_arch(f"{key}.{network}", widths) for network, widths in value.items()}
    widths = NET_ARCHS.get(value) if isinstance(value, str) else value
    if not isinstance(widths, list) or not all(is_whole(width) and width >= 1 for width in widths):
        raise wrong(key, value, f"{', '.join(NET_ARCHS)}, a list of layer widths")
    return [int(width) for width in widths]
