"""Tables of the known algorithms: their classes, their defaults for null, and what SBX lacks. Imports no algorithm."""

from collections.abc import Mapping
from typing import Any

# Import path of each algorithm's class, by `agent.backend`: Stable-Baselines3 and SB3-Contrib (torch), or SBX (JAX).
ALGORITHMS = {
    "sb3": {
        "a2c": "stable_baselines3.A2C",
        "ars": "sb3_contrib.ARS",
        "crossq": "sb3_contrib.CrossQ",
        "ddpg": "stable_baselines3.DDPG",
        "dqn": "stable_baselines3.DQN",
        "maskable_ppo": "sb3_contrib.MaskablePPO",
        "ppo": "stable_baselines3.PPO",
        "qrdqn": "sb3_contrib.QRDQN",
        "recurrent_ppo": "sb3_contrib.RecurrentPPO",
        "sac": "stable_baselines3.SAC",
        "td3": "stable_baselines3.TD3",
        "tqc": "sb3_contrib.TQC",
        "trpo": "sb3_contrib.TRPO",
    },
    "sbx": {
        "crossq": "sbx.CrossQ",
        "ddpg": "sbx.DDPG",
        "dqn": "sbx.DQN",
        "ppo": "sbx.PPO",
        "sac": "sbx.SAC",
        "td3": "sbx.TD3",
        "tqc": "sbx.TQC",
    },
}
# Layer widths of named networks. RL Baselines3 Zoo calls them small, medium and big.
NET_ARCHS = {"s": [64, 64], "m": [256, 256], "l": [400, 300]}
# (net_arch, activation_fn) that null in policy_kwargs stands for: SB3's defaults, whatever the backend.
POLICY_DEFAULTS: dict[str, tuple[Any, str]] = {
    "a2c": ([64, 64], "tanh"),
    "ars": ([64, 64], "relu"),
    "crossq": ({"pi": [256, 256], "qf": [1024, 1024]}, "relu"),
    "ddpg": ([400, 300], "relu"),
    "dqn": ([64, 64], "relu"),
    "maskable_ppo": ([64, 64], "tanh"),
    "ppo": ([64, 64], "tanh"),
    "qrdqn": ([64, 64], "relu"),
    "recurrent_ppo": ([64, 64], "tanh"),
    "sac": ([256, 256], "relu"),
    "td3": ([400, 300], "relu"),
    "tqc": ([256, 256], "relu"),
    "trpo": ([64, 64], "tanh"),
}
# Agent keys that have an effect only while another agent key is set: from the former to the latter.
SWITCHES = {
    "noise_std": "action_noise",
    "sde_sample_freq": "use_sde",
    "use_sde_at_warmup": "use_sde",
    "replay_buffer_kwargs.n_sampled_goal": "replay_buffer_class",
    "replay_buffer_kwargs.goal_selection_strategy": "replay_buffer_class",
}
# Keys that SBX 0.28 lacks, ignores or reads differently, each with the only value accepted with SBX: SB3's default.
# SBX keeps the learning rate of DDPG, TD3, DQN and CrossQ constant, has no gSDE, never clips DQN's gradients, and
# adapts PPO's learning rate to target_kl. Its batch_norm_momentum is one minus SB3-Contrib's.
_ONLY_WITH_SBX: dict[str, dict[str, Any]] = {
    "crossq": {"lr_schedule": "constant", "use_sde": False, "policy_kwargs.batch_norm_momentum": None},
    "ddpg": {"lr_schedule": "constant"},
    "dqn": {"lr_schedule": "constant", "max_grad_norm": 10},
    "ppo": {"use_sde": False, "clip_range_vf": None, "target_kl": None},
    "sac": {"use_sde": False, "target_update_interval": 1},
    "td3": {"lr_schedule": "constant"},
    "tqc": {"use_sde": False, "target_update_interval": 1},
}


def backend_of(agent: dict[str, Any]) -> str:
    """`agent.backend` of an agent section; `sb3` if it is absent."""
    return str(agent.get("backend", "sb3"))


def limits(agent: dict[str, Any]) -> dict[str, Any]:
    """Agent keys that accept one value only with this algorithm and backend, each with that value."""
    return _ONLY_WITH_SBX.get(str(agent.get("algorithm")), {}) if backend_of(agent) == "sbx" else {}


def beyond_limits(agent: dict[str, Any]) -> str | None:
    """Error line about the first agent key whose value `limits` excludes; None if there is no such key."""
    for key, only in limits(agent).items():
        section, _, name = key.rpartition(".")
        found = ((agent.get(section) or {}) if section else agent).get(name, only)
        if found != only:
            return f"agent.{key}: found {found!r}, accepted with agent.backend=sbx: {as_text(only)}"
    return None


def as_text(value: Any) -> str:
    """A value as YAML writes it: `null`, `true`, `0.1`."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def meant(agent: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical form of an agent section, by dotted key: two agents with equal forms train the same.

    Names of networks and null are replaced by the values that they stand for. Keys without effect are left out.
    """
    policy_kwargs = {"net_arch": None, "activation_fn": None, **(agent.get("policy_kwargs") or {})}
    if agent.get("policy") in ("MlpPolicy", "MlpLstmPolicy") and (known := POLICY_DEFAULTS.get(agent["algorithm"])):
        for key, default in zip(("net_arch", "activation_fn"), known, strict=True):
            policy_kwargs[key] = default if policy_kwargs[key] is None else policy_kwargs[key]
    if isinstance(policy_kwargs["net_arch"], str):
        policy_kwargs["net_arch"] = NET_ARCHS.get(policy_kwargs["net_arch"], policy_kwargs["net_arch"])
    found = _flat({**agent, "policy_kwargs": policy_kwargs, "helpers": None})
    off = [key for key, switch in SWITCHES.items() if agent.get(switch) in (None, False)]
    return {key: value for key, value in sorted(found.items()) if value is not None and key not in off}


def _flat(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves of a mapping by dotted key. Integers become floats, because 1 and 1.0 are the same setting."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": leaf for inner, leaf in _flat(value).items()}
        else:
            flat[str(key)] = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    return flat
