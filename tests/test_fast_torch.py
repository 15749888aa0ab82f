"""The faster optimizers make the same updates."""

from typing import Any

import pytest
import torch
from small_agents import CLASSES, ENVIRONMENTS, agent
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env

from sidewinder.training import arguments
from sidewinder.training.fast_torch import make_fast

# ARS has no gradients, and A2C has another optimizer. All other algorithms have a fused Adam.
NAMES = sorted(CLASSES.keys() - {"a2c", "ars", "maskable_ppo"})


def model(name: str) -> Any:
    small = {"learning_starts": 20, "batch_size": 16} if "buffer_size" in agent(name) else {"n_steps": 32}
    section = agent(name, **small, **({"batch_size": 16} if "n_steps" in small else {}))
    env = make_vec_env(ENVIRONMENTS.get(name, "Pendulum-v1"), seed=0)
    return arguments.algorithm_of(section)(env=env, seed=0, device="cpu", **arguments.constructor_arguments(section))


def parameters(trained: BaseAlgorithm) -> torch.Tensor:
    return torch.cat([value.flatten() for value in trained.policy.state_dict().values() if value.is_floating_point()])


@pytest.mark.parametrize("name", NAMES)
def test_the_same_updates(name: str) -> None:
    own = model(name)
    start = parameters(own)
    own.learn(32)
    fast = model(name)
    make_fast(fast)
    assert torch.equal(start, parameters(fast))
    fast.learn(32)
    moved = (parameters(own) - start).abs().max()
    assert moved > 1e-4
    assert (parameters(own) - parameters(fast)).abs().max() < 0.02 * moved
