"""What SBX's constructors want where SB3's want something of torch. Imports JAX."""

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

# Of the same names as torch's, and the same functions: flax's own gelu is an approximation.
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
# As an argument of what is compiled, not a constant in it, which would be compiled anew for each learning rate. SBX's
# other algorithms do so by themselves.
_ADAM = optax.inject_hyperparams(optax.adam, static_args=("b1", "b2", "eps", "eps_root", "mu_dtype", "nesterov"))


def complete(algorithm: str | None, known: list[str], arguments: dict[str, Any]) -> None:
    """Add to a constructor's arguments what makes SBX's algorithm that which SB3's is by default.

    Args:
        algorithm: Its name; None for one that is no subclass of SBX's.
        known: The constructor's parameters.
        arguments: Its arguments for SB3, `policy_kwargs` among them; changed in place.
    """
    policy = arguments["policy_kwargs"]
    if algorithm in POLICY_DEFAULTS:
        policy.setdefault("net_arch", POLICY_DEFAULTS[algorithm][0])
    if algorithm in ("ddpg", "td3"):
        policy.setdefault("optimizer_class", _ADAM)
    if "qf_learning_rate" in known:
        arguments.setdefault("qf_learning_rate", None)  # which is the actor's; SBX's DDPG would have 1e-3
    if isinstance(arguments.get("ent_coef"), int):
        arguments["ent_coef"] = float(arguments["ent_coef"])


def computing_on(device: torch.device) -> AbstractContextManager[object]:
    """Within it, JAX computes on the device that torch calls so.

    Raises:
        SidewinderError: JAX has no such device.
    """
    try:
        found = jax.devices(device.type)[device.index or 0]
    except (RuntimeError, IndexError):
        here = ", ".join(map(str, jax.devices()))
        raise SidewinderError(
            f"training.device: found '{device}' where JAX has {here}, accepted with agent.backend=sbx: what JAX and "
            "torch both have"
        ) from None
    computing: AbstractContextManager[object] = jax.default_device(found)
    return computing
