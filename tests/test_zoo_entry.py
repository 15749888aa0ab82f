"""Writes settings as RL Zoo's files have them: a baseline from the Zoo gives the Zoo's own entry again."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import nn

from sidewinder.config.composition import compose_study
from sidewinder.config.run_config import RunConfig
from sidewinder.paths import CONFIG_DIR
from sidewinder.report.zoo_entry import zoo_entry
from sidewinder.training.arguments import constructor_arguments

ENVIRONMENTS = {"cartpole": "CartPole-v1", "pendulum": "Pendulum-v1", "bipedal_walker": "BipedalWalker-v3"}


def entry_of(run: RunConfig) -> dict[str, Any]:
    (entry,) = yaml.safe_load(zoo_entry(run)).values()
    assert isinstance(entry, dict)
    return entry


@pytest.mark.parametrize(
    ("algorithm", "environment"),
    [("ppo", "cartpole"), ("ddpg", "pendulum"), ("ppo", "bipedal_walker"), ("sac", "pendulum"), ("a2c", "cartpole")],
)
def test_a_zoo_setting_survives(algorithm: str, environment: str) -> None:
    config = compose_study("made_up", ["study=plain", f"agent={algorithm}", f"environment={environment}"])
    path: Path = CONFIG_DIR / "zoo" / algorithm / f"{ENVIRONMENTS[environment]}.yaml"
    shipped = yaml.safe_load(path.read_text())
    run = config.for_baseline("zoo")
    entry = entry_of(run)
    assert entry["n_envs"] == shipped["environment"]["n_envs"]
    assert entry.get("normalize", False) == shipped["environment"]["normalize"]
    for key, value in shipped["agent"].items():
        if key == "action_noise":
            assert entry["noise_type"] == value
        elif key == "policy_kwargs":
            found = eval(entry[key], {"nn": nn})  # as the Zoo does
            assert found == constructor_arguments(run.agent)["policy_kwargs"]
        elif not key.endswith("_schedule"):
            linear = shipped["agent"].get({"learning_rate": "lr_schedule"}.get(key, f"{key}_schedule")) == "linear"
            assert entry[key] == (f"lin_{value}" if linear else value)


def test_what_the_zoo_writes_otherwise() -> None:
    overrides = ["study=pendulum_ddpg", "agent.backend=sbx", "environment.normalize={norm_reward: false}"]
    overrides += ["environment.frame_stack=2", "environment.env_kwargs={g: 9.0}"]
    overrides += ["environment.wrappers=[gymnasium.wrappers.ClipAction]"]
    config = compose_study("made_up", [*overrides, "agent.lr_schedule=linear", "agent.learning_rate=0.5"])
    params = {"agent.action_noise": "normal", "agent.noise_std": 0.2, "agent.learning_rate": 0.25}
    run = config.for_trial(params)
    assert "found with SBX" in zoo_entry(run)
    entry = entry_of(run)
    assert (entry["noise_type"], entry["noise_std"], entry["learning_rate"]) == ("normal", 0.2, "lin_0.25")
    assert (entry["normalize"], entry["frame_stack"]) == ("dict(norm_reward=False)", 2)
    assert (entry["env_kwargs"], entry["env_wrapper"]) == ({"g": 9.0}, ["gymnasium.wrappers.ClipAction"])
    assert entry["policy_kwargs"] == "dict(net_arch=[64, 64], activation_fn=nn.ReLU)"
    assert not {"action_noise", "lr_schedule", "backend", "algorithm"} & entry.keys()
    assert not {"noise_type", "noise_std"} & entry_of(config.for_trial({"agent.noise_std": 0.2})).keys()


def test_numbers_are_those_of_the_constructor() -> None:
    """The Zoo passes numbers on as they are written."""
    overrides = ["study=plain", "agent=dqn", "environment=cartpole", "agent.buffer_size=1e4", "agent.train_freq=4.0"]
    entry = entry_of(compose_study("made_up", overrides).for_trial({}))
    assert (entry["buffer_size"], entry["train_freq"]) == (10000, 4)
    assert {type(entry[key]) for key in ("buffer_size", "train_freq")} == {int}
    own = ["environment.env_id=small_environments:Wild-v0", "environment.normalize={gamma: 0.5}"]
    text = zoo_entry(compose_study("made_up", ["study=plain", "agent=ppo", *own]).for_trial({}))
    assert "--env Wild-v0 --gym-packages small_environments --conf-file" in text
    assert "VecNormalize had gamma=0.5; the Zoo takes the agent's." in text
    assert "\nWild-v0:\n" in text
