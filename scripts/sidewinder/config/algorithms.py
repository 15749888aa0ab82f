"""Which algorithms there are, what null means to them, and what SBX lacks: tables of names, which import none of it."""

from collections.abc import Mapping
from typing import Any

# By `agent.backend`: Stable-Baselines3 with SB3-Contrib, on torch; and SBX, the same in JAX.
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
# RL Baselines3 Zoo's small, medium and big.
NET_ARCHS = {"s": [64, 64], "m": [256, 256], "l": [400, 300]}
# What null in policy_kwargs is for each algorithm: (net_arch, activation_fn). SB3's, and so with any backend.
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
# Keys of the agent that have an effect only while another one is set.
SWITCHES = {
    "noise_std": "action_noise",
    "sde_sample_freq": "use_sde",
    "use_sde_at_warmup": "use_sde",
    "replay_buffer_kwargs.n_sampled_goal": "replay_buffer_class",
    "replay_buffer_kwargs.goal_selection_strategy": "replay_buffer_class",
}
# Keys that SBX 0.28 lacks, ignores or reads otherwise: the one value with which it does what SB3 does by default. (It
# keeps DDPG's, TD3's, DQN's and CrossQ's learning rate as it is; has no gSDE; never clips DQN's gradients; adapts PPO's
# learning rate to target_kl; and its batch_norm_momentum is one minus SB3-Contrib's.)
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
    """`agent.backend`; SB3 where a file does not say."""
    return str(agent.get("backend", "sb3"))


def limits(agent: dict[str, Any]) -> dict[str, Any]:
    """Keys that may have one value only with this agent's algorithm and backend, and that value."""
    return _ONLY_WITH_SBX.get(str(agent.get("algorithm")), {}) if backend_of(agent) == "sbx" else {}


def beyond_limits(agent: dict[str, Any]) -> str | None:
    """A line on the first key of an agent that is beyond `limits`; None if none is."""
    for key, only in limits(agent).items():
        section, _, name = key.rpartition(".")
        found = ((agent.get(section) or {}) if section else agent).get(name, only)
        if found != only:
            return f"agent.{key}: found {found!r}, accepted with agent.backend=sbx: {as_text(only)}"
    return None


def as_text(value: Any) -> str:
    """A value as YAML has it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def meant(agent: Mapping[str, Any]) -> dict[str, Any]:
    """An agent as what it means, to tell whether two are the same: names and null are replaced by what they stand for,
    and what has no effect is left out."""
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
    """Its leaves by dotted key; a whole number is the same with and without a point."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": leaf for inner, leaf in _flat(value).items()}
        else:
            flat[str(key)] = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    return flat
