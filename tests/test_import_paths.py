"""The user's classes and functions, by import path wherever SB3 takes one. A mistake gives an error of one line."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from small_agents import agent, build, error_of, run_config
from small_methods import Doubling, HalfSAC, Narrow, Scaled, Sine, Small, falling
from stable_baselines3 import SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from torch import nn

from sidewinder import SidewinderError
from sidewinder.config.composition import compose_study
from sidewinder.training import agents
from sidewinder.training.arguments import family_of
from sidewinder.training.checked import check_run
from sidewinder.training.imported import made
from sidewinder.training.schedules import schedule
from sidewinder.training.sources import sources

OWN = "small_methods"
A_PATH = "the import path of a class or a function (PYTHONPATH says where your own modules are)"


def own(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{OWN}.{name}", **arguments}


def test_an_algorithm_of_ones_own() -> None:
    section = agent("sac", algorithm=f"{OWN}.HalfSAC", reward_share=0.25)
    model = build(section)
    assert type(model) is HalfSAC
    assert (model.reward_share, model.learning_rate, model.batch_size) == (0.25, 3e-4, 256)
    assert family_of(section) == "sac"
    assert error_of({**section, "reward_shares": 1}).startswith("agent.reward_shares: found 1, accepted: a key of ")
    assert error_of({**section, "reward_share": "x"}) == "agent.reward_share: found 'x', accepted: float"


def test_a_policy_of_ones_own() -> None:
    model = build({**agent("sac"), "policy": f"{OWN}.Narrow", "policy_kwargs": {"width": 5, "n_critics": 3}})
    assert type(model.policy) is Narrow
    assert model.policy.actor.latent_pi[0].out_features == 5
    assert len(model.critic.q_networks) == 3
    assert "policy_kwargs.widths: found 5, accepted: a key of small_methods.Narrow: width" in error_of(
        {**agent("sac"), "policy": f"{OWN}.Narrow", "policy_kwargs": {"widths": 5}}
    )


def test_networks_of_ones_own() -> None:
    policy_kwargs = {
        "net_arch": [4],
        "activation_fn": f"{OWN}.Sine",
        "features_extractor_class": f"{OWN}.Scaled",
        "features_extractor_kwargs": {
            "features_dim": 6.0,
            "factor": 3,
            "activation": {"_target_": "torch.nn.LeakyReLU", "_partial_": True, "negative_slope": 0.5},
        },
        "optimizer_class": "torch.optim.RMSprop",
        "optimizer_kwargs": {"alpha": 0.9},
    }
    policy = build(agent("ppo", policy_kwargs=policy_kwargs)).policy
    extractor = policy.features_extractor
    assert isinstance(extractor, Scaled)
    assert (extractor.features_dim, extractor.factor) == (6, 3)
    assert getattr(extractor.layers[1], "negative_slope", None) == 0.5
    assert [type(part) for part in policy.mlp_extractor.policy_net] == [nn.Linear, Sine]
    assert isinstance(policy.optimizer, torch.optim.RMSprop)
    assert policy.optimizer.param_groups[0]["alpha"] == 0.9


def test_a_buffer_and_noise_of_ones_own() -> None:
    section = agent("td3", replay_buffer_class=f"{OWN}.Doubling", action_noise=f"{OWN}.Small", noise_std=0.5)
    section["replay_buffer_kwargs"] |= {"factor": 3.0}  # HER's options stay in the shipped file and have no effect
    model = build(section)
    assert isinstance(model.replay_buffer, Doubling)
    assert model.replay_buffer.factor == 3
    assert isinstance(model.action_noise, Small)
    assert "sigma=[0.05]" in repr(model.action_noise)
    model = build(agent("td3", action_noise=own("Small", mean=[0.0], sigma=[0.4])))
    assert "sigma=[0.04]" in repr(model.action_noise)


def rates(model: BaseAlgorithm) -> list[float]:
    return [model.lr_schedule(remaining) for remaining in (1.0, 0.5, 0.0)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"learning_rate": f"{OWN}.falling"}, [1e-3, 5e-4, 0]),
        ({"learning_rate": own("Falling", start=4)}, [4, 1, 0]),
        ({"lr_schedule": "linear", "learning_rate": 8}, [8, 4, 0]),
        ({"lr_schedule": {"linear": {"final": 0.5, "end_fraction": 0.5}}, "learning_rate": 8}, [8, 4, 4]),
        ({"lr_schedule": "cosine", "learning_rate": 8}, [8, 4, 0]),
        ({"lr_schedule": {"cosine": {"final": 0.25}}, "learning_rate": 8}, [8, 5, 2]),
        ({"lr_schedule": {"cosine": {"end_fraction": 0.5}}, "learning_rate": 8}, [8, 0, 0]),
        ({"lr_schedule": {"piecewise": [[0.5, 0.25], [0.9, 0.125]]}, "learning_rate": 8}, [8, 2, 1]),
    ],
)
def test_schedules(changes: dict[str, Any], expected: list[float]) -> None:
    assert rates(build(agent("sac", **changes))) == pytest.approx(expected)


def test_a_cosine_has_its_shape() -> None:
    falls = schedule("", "cosine", 1.0)
    assert callable(falls)
    for done in np.linspace(0, 1, 21):
        assert falls(1 - done) == pytest.approx(0.5 * (1 + math.cos(math.pi * done)))


def test_a_clip_range_of_ones_own() -> None:
    model = build(agent("ppo", clip_range=f"{OWN}.falling", clip_range_vf=own("Falling", start=0.2)))
    assert model.clip_range(0.5) == pytest.approx(5e-4)
    assert model.clip_range_vf(0.5) == pytest.approx(0.05)
    model = build(agent("ppo", clip_range=0.4, clip_range_schedule={"linear": {"final": 0.5}}))
    assert model.clip_range(0.0) == pytest.approx(0.2)


def test_an_agent_with_a_schedule_loads_without_this_package(tmp_path: Path) -> None:
    import subprocess
    import sys

    build(agent("sac", lr_schedule={"cosine": {"final": 0.5}}, learning_rate=8)).save(tmp_path / "model.zip")
    code = "from stable_baselines3 import SAC; print(SAC.load('model.zip').lr_schedule(0.0))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(4)


NO_EXTRACTOR = {"features_extractor_class": f"{OWN}.Sine"}
EXTRACTOR = {"features_extractor_class": f"{OWN}.Scaled", "features_extractor_kwargs": {"f": 1}}
OF_EXTRACTOR = "features_extractor_kwargs.f: found 1, accepted: a key of Scaled: features_dim, factor, activation"


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("sac", "algorithm", f"{OWN}.Missing", f"(module '{OWN}' has no attribute 'Missing'), accepted: {A_PATH}"),
        ("sac", "algorithm", "nowhere.SAC", f"(No module named 'nowhere'), accepted: {A_PATH}"),
        ("sac", "algorithm", f"{OWN}.Sine", "accepted: a subclass of an algorithm of Stable-Baselines3"),
        ("sac", "policy", f"{OWN}.Sine", "accepted: a subclass of BasePolicy"),
        ("ppo", "policy_kwargs", NO_EXTRACTOR, "accepted: a subclass of BaseFeaturesExtractor"),
        ("ppo", "policy_kwargs", EXTRACTOR, OF_EXTRACTOR),
        (
            "ppo",
            "policy_kwargs",
            {"optimizer_kwargs": {"f": 1}},
            "optimizer_kwargs.f: found 1, accepted: a key of Adam",
        ),
        ("sac", "replay_buffer_class", f"{OWN}.Sine", "accepted: a subclass of ReplayBuffer"),
        ("sac", "learning_rate", f"{OWN}.wordy", "a schedule that fails for 1.0 (could not convert string to float"),
        (
            "sac",
            "learning_rate",
            own("Falling"),
            "(Falling.__init__() missing 1 required positional argument: 'start')",
        ),
    ],
)
def test_mistakes(name: str, key: str, value: Any, message: str) -> None:
    found = error_of(agent(name, **{key: value}))
    assert found.startswith(f"agent.{key}")
    assert message in found


class Tuples:
    """Takes arguments of types that YAML cannot write."""

    def __init__(self, pair: tuple[int, ...] = (), inner: Any = None, plain: Any = None) -> None:
        self.pair, self.inner, self.plain = pair, inner, plain


def test_objects_in_objects_get_what_they_want() -> None:
    target = f"{__name__}.Tuples"
    found = made("x", {"_target_": target, "pair": [1, 2], "inner": {"_target_": target, "pair": [3]}, "plain": [4]})
    assert (found.pair, found.inner.pair, found.plain) == ((1, 2), (3,), [4])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"learning_rate": None, "lr_schedule": "linear"},
            "agent.lr_schedule: found 'linear', accepted: constant where",
        ),
        ({"rate": f"{OWN}.falling"}, None),
        ({"rate": "fast"}, "agent.rate: found 'fast', accepted: int or float, an import path or a mapping"),
        ({"extra": f"{OWN}.Sine"}, None),
        ({"extra": "no.such.text"}, None),
    ],
)
def test_parameters_without_annotations(changes: dict[str, Any], message: str | None) -> None:
    section = agent("sac", algorithm=f"{OWN}.Unannotated", **changes)
    if message is None:
        model = build(section)
        (value,) = changes.values()
        expected: Any = {f"{OWN}.falling": falling, f"{OWN}.Sine": Sine}.get(value, value)
        assert expected in (model.rate, model.extra)
    else:
        assert error_of(section).startswith(message)


def test_a_baseline_has_sb3s_replay_buffer() -> None:
    here = ["study=plain", "agent=td3", "environment=pendulum", f"agent.replay_buffer_class={OWN}.Doubling"]
    assert defaults(compose_study("own", here))["replay_buffer_class"] is None


def test_a_schedule_has_no_other_shape() -> None:
    assert error_of(agent("sac", learning_rate=f"{OWN}.falling", lr_schedule="linear")) == (
        "agent.lr_schedule: found 'linear', accepted: constant where agent.learning_rate is a schedule itself"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithm": f"{OWN}.FailingPPO"}, "agent: no model without luck"),
        (
            {"policy_kwargs": {"activation_fn": {"_target_": "torch.nn.LeakyReLU", "_partial_": True, "slope": 1}}},
            "agent: LeakyReLU.__init__() got an unexpected keyword argument 'slope'",
        ),
        ({"policy_kwargs": {"activation_fn": "torch.nn.MaxPool3d"}}, "agent: _MaxPoolNd.__init__() missing 1 required"),
    ],
)
def test_what_only_building_shows(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SidewinderError, match=r"^agent: ") as caught:
        check_run(run_config(agent("ppo", **changes)))
    assert str(caught.value).startswith(message)


def test_a_generator_that_nobody_seeds() -> None:
    section = agent("td3", action_noise=f"{OWN}.Unseeded")
    with pytest.raises(SidewinderError, match=r"agent: found one that was made twice with the same seed and acts"):
        check_run(run_config(section))
    check_run(run_config(section, reproducible=False))
    check_run(run_config(agent("ppo", algorithm=f"{OWN}.FortunatePPO"), normalize=True, n_envs=2))
    rng = {"_target_": "numpy.random.default_rng", "seed": {"_target_": "numpy.random.randint", "low": 2**31 - 1}}
    seeded = {**section, "action_noise": own("Unseeded", mean=[0.0], sigma=[0.1], rng=rng)}
    check_run(run_config(seeded))
    env = make_vec_env("Pendulum-v1")

    def noise(seed: int) -> Any:
        made: Any = agents.build(seeded, env, seed=seed, device="cpu", tensorboard_log=None)
        return made.action_noise()

    assert noise(1) == noise(1) != noise(2)


def test_the_code_is_part_of_what_is_trained() -> None:
    run = run_config(agent("sac", algorithm=f"{OWN}.HalfSAC", learning_rate=own("Falling", start=1)))
    assert sources(run).keys() == {OWN}
    assert sources(run_config(agent("sac"))) == {}


def defaults(study: Any) -> Any:
    return study.baselines["defaults"]["agent"]


def test_baselines_of_an_algorithm_of_ones_own(tmp_path: Path) -> None:
    here = ["study=plain", "agent=sac", f"agent.algorithm={OWN}.HalfSAC", "environment=pendulum"]
    study = compose_study("own", here)
    assert defaults(study) == {"algorithm": f"{OWN}.HalfSAC", "policy": "MlpPolicy", "backend": "sb3"}
    assert study.baselines.keys() == {"defaults"}
    (tmp_path / "agent").mkdir()
    documented = {"algorithm": f"{OWN}.HalfSAC", "policy": "MlpPolicy", "reward_share": 0.75}
    (tmp_path / "agent" / "half_sac.yaml").write_text(yaml.safe_dump(documented))
    study = compose_study("own", [*here, "+agent.defaults_file=half_sac"], [tmp_path])
    assert defaults(study) == {**documented, "backend": "sb3"}
    # The defaults are the agent's own file, with the keys that it takes from sac.yaml.
    whole = {"defaults": ["sac", "_self_"], **documented, "defaults_file": "whole"}
    (tmp_path / "agent" / "whole.yaml").write_text(yaml.safe_dump(whole))
    plain = ["study=plain", "agent=whole", "environment=pendulum"]
    own_file = compose_study("own", [*plain, "search_space={agent.tau: 'interval(0,1)'}"], [tmp_path])
    assert "defaults_file" not in {**own_file.agent, **defaults(own_file)}
    assert (defaults(own_file)["reward_share"], defaults(own_file)["tau"]) == (0.75, 0.005)
    assert "defaults_file" not in study.agent
    with pytest.raises(SidewinderError, match=r"override \+agent.defaults_file=full_sac: agent.defaults_file: found"):
        compose_study("own", [*here, "+agent.defaults_file=full_sac"], [tmp_path])
    run = study.for_baseline("defaults")
    assert json.loads(run.model_dump_json())["agent"]["reward_share"] == 0.75
    assert issubclass(HalfSAC, SAC)
