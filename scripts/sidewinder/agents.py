"""From the `agent` section of a config to a Stable-Baselines3 model. Knows SB3's signatures, never trains."""

import inspect
import types
import typing
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from sidewinder import SidewinderError

ALGORITHMS = {name: f"stable_baselines3.{name.upper()}" for name in ("a2c", "ddpg", "dqn", "ppo", "sac", "td3")}
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
# RL Baselines3 Zoo's small, medium and big.
NET_ARCHS = {"s": [64, 64], "m": [256, 256], "l": [400, 300]}
ACTION_NOISES: dict[str, Callable[[np.ndarray, np.ndarray], ActionNoise]] = {
    "normal": NormalActionNoise,
    "ornstein-uhlenbeck": OrnsteinUhlenbeckActionNoise,
}
LR_SCHEDULES = ("constant", "linear")

# Of the agent's keys, those that SB3's constructors do not know.
_OWN_KEYS = ("algorithm", "lr_schedule", "noise_std")
# Of the constructors' keys, those that other sections or this package set.
_SET_ELSEWHERE = ("self", "env", "seed", "device", "tensorboard_log", "verbose", "_init_setup_model")


def check(agent: dict[str, Any]) -> None:
    """Check every key and value of an agent, without an environment.

    Raises:
        SidewinderError: `agent.<key>: found ..., accepted: ...`.
    """
    _constructor_arguments(agent)


def build(agent: dict[str, Any], env: VecEnv, *, seed: int, device: str, tensorboard_log: str | None) -> BaseAlgorithm:
    """Make the model that an `agent` section describes.

    Args:
        agent: The section, resolved; keys are the SB3 constructor's plus `algorithm`, `lr_schedule` (`constant` or
            `linear`, to zero) and `noise_std` (standard deviation of `action_noise`, in units of the action).
        env: What it trains on.
        seed: For its networks, exploration, replay buffer, and `env`.
        device: As torch spells it.
        tensorboard_log: Directory, or None for no log.

    Raises:
        SidewinderError: As `check`; or the algorithm cannot act in this environment.
    """
    arguments = _constructor_arguments(agent)
    if (noise := arguments.get("action_noise")) is not None:
        # The noise shape is that of the action, so it waits for the environment.
        size = env.action_space.shape or ()
        arguments["action_noise"] = ACTION_NOISES[noise](np.zeros(size), np.full(size, agent.get("noise_std", 0.1)))
    model: BaseAlgorithm = _algorithm(agent)(
        env=env, seed=seed, device=device, tensorboard_log=tensorboard_log, **arguments
    )
    return model


def _algorithm(agent: dict[str, Any]) -> type[BaseAlgorithm]:
    name = agent.get("algorithm")
    _accept("algorithm", name, ALGORITHMS)
    module, _, attribute = ALGORITHMS[str(name)].rpartition(".")
    algorithm: type[BaseAlgorithm] = getattr(import_module(module), attribute)
    return algorithm


def _constructor_arguments(agent: dict[str, Any]) -> dict[str, Any]:
    algorithm = _algorithm(agent)
    parameters = inspect.signature(algorithm.__init__).parameters
    known = [name for name in parameters if name not in _SET_ELSEWHERE]
    arguments = {}
    for key, value in agent.items():
        if key in _OWN_KEYS and (key != "noise_std" or "action_noise" in known):
            continue
        if key not in known:
            raise _error(key, value, f"a key of {agent['algorithm']}: {', '.join(known)}")
        arguments[key] = _converted(key, value, parameters[key].annotation)
    arguments["policy_kwargs"] = _policy_arguments(algorithm, agent)
    if "action_noise" in agent:
        _accept("action_noise", agent["action_noise"], [None, *ACTION_NOISES])
    _converted("noise_std", agent.get("noise_std", 0.1), float)
    schedule = agent.get("lr_schedule", "constant")
    _accept("lr_schedule", schedule, LR_SCHEDULES)
    if schedule == "linear":
        arguments["learning_rate"] = LinearSchedule(float(arguments["learning_rate"]), 0.0, 1.0)
    return arguments


def _policy_arguments(algorithm: type[BaseAlgorithm], agent: dict[str, Any]) -> dict[str, Any]:
    """policy_kwargs with names replaced by what they name; null leaves SB3's own default."""
    _accept("policy", agent.get("policy"), algorithm.policy_aliases)
    policy = algorithm.policy_aliases[agent["policy"]]
    known = list(inspect.signature(policy.__init__).parameters)[4:]
    given = agent.get("policy_kwargs") or {}
    if not isinstance(given, dict):
        raise _error("policy_kwargs", given, "a mapping")
    arguments: dict[str, Any] = {}
    for name, value in given.items():
        key = f"policy_kwargs.{name}"
        if name not in known:
            raise _error(key, value, f"a key of {agent['policy']}: {', '.join(known)}")
        if value is None:
            continue
        arguments[name] = value
        if name == "activation_fn":
            _accept(key, value, ACTIVATIONS)
            arguments[name] = ACTIVATIONS[value]
        elif name == "net_arch":
            arguments[name] = _net_arch(key, value)
    return arguments


def _net_arch(key: str, value: Any) -> Any:
    """A list of layer widths, from a name of it or from itself; or a mapping from networks (`pi`, `qf`) to such."""
    if isinstance(value, dict):
        return {network: _net_arch(f"{key}.{network}", widths) for network, widths in value.items()}
    widths = NET_ARCHS.get(value) if isinstance(value, str) else value
    if not isinstance(widths, list) or not all(_is_whole(width) and width >= 1 for width in widths):
        raise _error(key, value, f"{', '.join(NET_ARCHS)}, a list of layer widths")
    return [int(width) for width in widths]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def _accept(key: str, value: Any, accepted: typing.Iterable[Any]) -> None:
    names = list(accepted)
    if value not in names:
        raise _error(key, value, ", ".join("null" if name is None else str(name) for name in names))


def _converted(key: str, value: Any, hint: Any) -> Any:
    """The value as the constructor wants it: whole floats (`1e5`) as int, lists as tuples.

    Raises:
        SidewinderError: It is of another type.
    """
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    options = typing.get_args(hint) if union else (hint,)
    accepted = [typing.get_origin(option) or option for option in options]
    if isinstance(value, float) and float not in accepted and int in accepted:
        if not value.is_integer():
            raise _error(key, value, "a whole number")
        return int(value)
    if isinstance(value, list) and tuple in accepted:
        if len(value) != 2 or not _is_whole(value[0]) or value[1] not in ("step", "episode"):
            raise _error(key, value, "int, [int, step] or [int, episode]")
        return int(value[0]), value[1]
    fits = type(value) in accepted or (isinstance(value, int) and not isinstance(value, bool) and float in accepted)
    # Classes, callables and objects have a name in the config (noise) or none at all.
    nameable = [kind for kind in accepted if kind in (int, float, str, bool, dict, tuple, types.NoneType)]
    if not fits and key not in ("policy", "action_noise", "policy_kwargs"):
        raise _error(key, value, " or ".join("null" if kind is types.NoneType else kind.__name__ for kind in nameable))
    return value


def _error(key: str, found: Any, accepted: str) -> SidewinderError:
    return SidewinderError(f"agent.{key}: found {found!r}, accepted: {accepted}")
