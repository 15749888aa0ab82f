"""Makes the shipped agents with small networks, and their constructor arguments and models."""

from typing import Any

import pytest
from omegaconf import OmegaConf
from sb3_contrib import ARS, QRDQN, TQC, TRPO, CrossQ, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env

from sidewinder import SidewinderError
from sidewinder.config.run_config import RunConfig
from sidewinder.paths import CONFIG_DIR
from sidewinder.training import agents

CLASSES: dict[str, type[BaseAlgorithm]] = {
    "a2c": A2C,
    "ars": ARS,
    "crossq": CrossQ,
    "ddpg": DDPG,
    "dqn": DQN,
    "maskable_ppo": MaskablePPO,
    "ppo": PPO,
    "qrdqn": QRDQN,
    "recurrent_ppo": RecurrentPPO,
    "sac": SAC,
    "td3": TD3,
    "tqc": TQC,
    "trpo": TRPO,
}
MASKED, GOALS, DISCRETE_GOALS = (f"small_environments:{name}-v0" for name in ("Masked", "Goals", "DiscreteGoals"))
# Environments for algorithms that cannot act in Pendulum.
ENVIRONMENTS = {"ars": "CartPole-v1", "dqn": "CartPole-v1", "maskable_ppo": MASKED, "qrdqn": "CartPole-v1"}


def shipped(name: str) -> dict[str, Any]:
    section = OmegaConf.to_container(OmegaConf.load(CONFIG_DIR / "agent" / f"{name}.yaml"))
    assert isinstance(section, dict)
    return {str(key): value for key, value in section.items()}


def agent(name: str = "ddpg", /, **changes: Any) -> dict[str, Any]:
    """A shipped agent with small networks and some changes."""
    section = shipped(name)
    section["policy_kwargs"]["net_arch"] = [8]
    return {**section, "buffer_size": 1000, **changes} if "buffer_size" in section else {**section, **changes}


def build(section: dict[str, Any], env_id: str = "Pendulum-v1") -> Any:
    env = make_vec_env(env_id)
    return agents.build(section, env, seed=0, device="cpu", tensorboard_log=None)


def run_config(section: dict[str, Any], **environment: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "agent": section,
            "environment": {"env_id": "Pendulum-v1", **environment},
            "training": {"total_timesteps": 10},
            "evaluation": {"eval_freq": 5, "n_eval_episodes": 1},
        }
    )


def error_of(section: dict[str, Any]) -> str:
    with pytest.raises(SidewinderError) as caught:
        agents.check_agent(section)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)
