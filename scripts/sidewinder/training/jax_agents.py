"""Completes the arguments of SBX's constructors, with JAX objects in place of torch's. Imports JAX."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import jax
import optax
import torch
from flax import linen

from sidewinder import SidewinderError
from sidewinder.config.algorithms import POLICY_DEFAULTS

# The same names and the same functions as in torch. Without approximate=False, flax's gelu is an approximation.
ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "elu": linen.elu,
    "gelu": partial(linen.gelu, approximate=False),
    "leaky_relu": linen.leaky_relu,
    "mish": jax.nn.mish,
    "relu": linen.relu,
    "selu": linen.selu,
    "sigmoid": linen.sigmoid,
    "silu": linen.silu,
    "softplus": linen.softplus,
    "tanh": linen.tanh,
}
# Passes the learning rate to the compiled function as an argument. As a constant, each learning rate would compile the
# function again. SBX's other algorithms do this by themselves.
_ADAM = optax.inject_hyperparams(optax.adam, static_args=("b1", "b2", "eps", "eps_root", "mu_dtype", "nesterov"))


def complete(algorithm: str | None, known: list[str], arguments: dict[str, Any]) -> None:
    """Add SB3's defaults to the arguments of SBX's constructor wherever SBX has other defaults.

    Args:
        algorithm: Name of the shipped algorithm; None for one that derives from no shipped algorithm.
        known: Names of the constructor's parameters.
        arguments: The arguments as SB3's constructor would take them, with `policy_kwargs`; changed in place.
    """
    policy = arguments["policy_kwargs"]
    if algorithm in POLICY_DEFAULTS:
        policy.setdefault("net_arch", POLICY_DEFAULTS[algorithm][0])
    if algorithm in ("ddpg", "td3"):
        policy.setdefault("optimizer_class", _ADAM)
    if "qf_learning_rate" in known:
        arguments.setdefault("qf_learning_rate", None)  # None means the actor's; SBX's DDPG has 1e-3
    if isinstance(arguments.get("ent_coef"), int):
        arguments["ent_coef"] = float(arguments["ent_coef"])


def computing_on(device: torch.device) -> AbstractContextManager[object]:
    """Return a context manager within which JAX computes on a device, given by its torch name.

    Raises:
        SidewinderError: JAX has no such device.
    """
    try:
        found = jax.devices(device.type)[device.index or 0]
    except (RuntimeError, IndexError):
        here = ", ".join(map(str, jax.devices()))
        raise SidewinderError(
            f"training.device: found '{device}' where JAX has {here}, accepted with agent.backend=sbx: a device that "
            "JAX and torch both have"
        ) from None
    computing: AbstractContextManager[object] = jax.default_device(found)
    return computing
