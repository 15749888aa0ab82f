"""An agent's section becomes the SB3 model that it describes, and a mistake in it is said in one line."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from stable_baselines3 import DDPG, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from torch import nn

from sidewinder import SidewinderError, agents, training
from sidewinder.composition import CONFIG_DIR
from sidewinder.config import RunConfig

CLASSES: dict[str, type[BaseAlgorithm]] = {"ddpg": DDPG, "ppo": PPO, "sac": SAC, "td3": TD3}
SHIPPED = sorted(path.stem for path in (CONFIG_DIR / "agent").glob("*.yaml"))

# Constructor arguments that the shipped files leave out.
LEFT_OUT = {
    # other sections of the config say them
    "env",
    "seed",
    "device",
    "tensorboard_log",
    # about logging and internals: no hyperparameters
    "verbose",
    "_init_setup_model",
    "stats_window_size",
    # classes, which a config cannot name, and what belongs to them
    "replay_buffer_class",
    "replay_buffer_kwargs",
    "rollout_buffer_class",
    "rollout_buffer_kwargs",
    # saves memory, and breaks the handling of time limits
    "optimize_memory_usage",
}
# Keys that SB3's constructors do not know.
OWN = {"algorithm", "lr_schedule", "noise_std"}


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


def layers(network: nn.Module) -> list[Any]:
    """Widths of the linear layers, and the activations between them."""
    return [part.out_features if isinstance(part, nn.Linear) else type(part) for part in network.children()]


def error_of(section: dict[str, Any]) -> str:
    with pytest.raises(SidewinderError) as caught:
        agents.check(section)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# The shipped files


def test_every_shipped_agent_is_covered() -> None:
    assert set(SHIPPED) == CLASSES.keys()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_file_has_every_argument_with_its_default(name: str) -> None:
    section = shipped(name)
    parameters = inspect.signature(CLASSES[name].__init__).parameters
    assert section.keys() - OWN == parameters.keys() - LEFT_OUT - {"self"}
    assert section["algorithm"] == name
    assert section["policy"] == "MlpPolicy"
    assert section["lr_schedule"] == "constant"
    assert set(section["policy_kwargs"].values()) == {None}
    others = section.keys() - OWN - {"policy", "policy_kwargs"}
    assert {key: section[key] for key in others} == {key: parameters[key].default for key in others}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_file_builds_sb3s_own_model(name: str) -> None:
    algorithm: Any = CLASSES[name]
    ours, theirs = build(shipped(name)), algorithm("MlpPolicy", make_vec_env("Pendulum-v1"), seed=0, device="cpu")
    assert type(ours) is CLASSES[name]
    assert str(ours.policy) == str(theirs.policy)
    for mine, other in zip(ours.policy.parameters(), theirs.policy.parameters(), strict=True):
        assert torch.equal(mine, other)


# Names


@pytest.mark.parametrize(
    ("name", "widths"), [("s", [64, 64]), ("m", [256, 256]), ("l", [400, 300]), ([16], [16]), ([16.0, 8], [16, 8])]
)
def test_net_arch(name: Any, widths: list[int]) -> None:
    model = build(agent(policy_kwargs={"net_arch": name}))
    inner = [part for width in widths for part in (width, nn.ReLU)]
    assert layers(model.policy.actor.mu) == [*inner, 1, nn.Tanh]
    assert layers(model.policy.critic.qf0) == [*inner, 1]


def test_net_arch_by_network() -> None:
    model = build(agent("ppo", policy_kwargs={"net_arch": {"pi": [16], "vf": "s"}}))
    assert layers(model.policy.mlp_extractor.policy_net) == [16, nn.Tanh]
    assert layers(model.policy.mlp_extractor.value_net) == [64, nn.Tanh, 64, nn.Tanh]


@pytest.mark.parametrize("name", agents.ACTIVATIONS)
def test_activation(name: str) -> None:
    model = build(agent(policy_kwargs={"net_arch": [8], "activation_fn": name}))
    first, activation, *_ = model.policy.critic.qf0.children()
    assert first.out_features == 8
    assert type(activation).__name__.lower() == name.replace("_", "")


def test_null_leaves_sb3s_own_networks() -> None:
    model = build(agent("sac", policy_kwargs={"net_arch": None, "activation_fn": None}))
    assert layers(model.policy.actor.latent_pi) == [256, nn.ReLU, 256, nn.ReLU]


@pytest.mark.parametrize(
    ("name", "kind"), [("normal", NormalActionNoise), ("ornstein-uhlenbeck", OrnsteinUhlenbeckActionNoise)]
)
def test_action_noise(name: str, kind: type[NormalActionNoise | OrnsteinUhlenbeckActionNoise]) -> None:
    noise = build(agent("td3", action_noise=name, noise_std=0.3)).action_noise
    assert isinstance(noise, kind)
    assert np.array_equal(noise._mu, [0.0])
    assert np.array_equal(noise._sigma, [0.3])


def test_no_action_noise() -> None:
    assert build(agent(action_noise=None)).action_noise is None


@pytest.mark.parametrize(("name", "half_way"), [("constant", 0.002), ("linear", 0.001)])
@pytest.mark.parametrize("algorithm", SHIPPED)
def test_learning_rate_schedule(algorithm: str, name: str, half_way: float) -> None:
    model = build(agent(algorithm, learning_rate=0.002, lr_schedule=name))
    assert model.lr_schedule(1.0) == pytest.approx(0.002)
    assert model.lr_schedule(0.5) == pytest.approx(half_way)
    assert model.lr_schedule(0.0) == pytest.approx(0.002 if name == "constant" else 0.0)


# Values


def test_whole_floats_become_integers() -> None:
    model = build(agent(buffer_size=1e5, batch_size=32.0, train_freq=[2.0, "episode"], learning_rate=1))
    assert repr(model.buffer_size) == "100000"
    assert repr(model.batch_size) == "32"
    assert model.train_freq == TrainFreq(2, TrainFrequencyUnit.EPISODE)
    assert model.learning_rate == 1


@pytest.mark.parametrize("frequency", [4, [4, "step"]])
def test_train_freq_in_steps(frequency: Any) -> None:
    assert build(agent(train_freq=frequency)).train_freq == TrainFreq(4, TrainFrequencyUnit.STEP)


def test_the_seed_decides_the_networks() -> None:
    env = make_vec_env("Pendulum-v1")
    first, again, other = (
        agents.build(agent(), env, seed=seed, device="cpu", tensorboard_log=None).policy.state_dict()["actor.mu.0.bias"]
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("algorithm", "changes", "message"),
    [
        ("ddpg", {"buffer_size": 0.5}, "agent.buffer_size: found 0.5, accepted: a whole number"),
        ("ddpg", {"buffer_size": "large"}, "agent.buffer_size: found 'large', accepted: int"),
        ("ddpg", {"buffer_size": None}, "agent.buffer_size: found None, accepted: int"),
        ("ddpg", {"buffer_size": True}, "agent.buffer_size: found True, accepted: int"),
        ("ddpg", {"gamma": "high"}, "agent.gamma: found 'high', accepted: float"),
        ("ddpg", {"learning_rate": "x"}, "agent.learning_rate: found 'x', accepted: float"),
        ("ddpg", {"noise_std": "x"}, "agent.noise_std: found 'x', accepted: float"),
        ("ddpg", {"lr_schedule": "cosine"}, "agent.lr_schedule: found 'cosine', accepted: constant, linear"),
        (
            "ddpg",
            {"action_noise": "pink"},
            "agent.action_noise: found 'pink', accepted: null, normal, ornstein-uhlenbeck",
        ),
        (
            "ddpg",
            {"train_freq": [1, "epoch"]},
            "agent.train_freq: found [1, 'epoch'], accepted: int, [int, step] or [int, episode]",
        ),
        ("ddpg", {"train_freq": [1]}, "agent.train_freq: found [1], accepted: int, [int, step] or [int, episode]"),
        ("ppo", {"use_sde": 1}, "agent.use_sde: found 1, accepted: bool"),
        ("ppo", {"target_kl": "x"}, "agent.target_kl: found 'x', accepted: float or null"),
        ("sac", {"ent_coef": None}, "agent.ent_coef: found None, accepted: str or float"),
        ("ddpg", {"policy_kwargs": 5}, "agent.policy_kwargs: found 5, accepted: a mapping"),
        (
            "ddpg",
            {"policy_kwargs": {"net_arch": "xl"}},
            "agent.policy_kwargs.net_arch: found 'xl', accepted: s, m, l, a list of layer widths",
        ),
        (
            "ddpg",
            {"policy_kwargs": {"net_arch": [16.5]}},
            "agent.policy_kwargs.net_arch: found [16.5], accepted: s, m, l, a list of layer widths",
        ),
        (
            "ddpg",
            {"policy_kwargs": {"net_arch": {"pi": [8], "qf": [0]}}},
            "agent.policy_kwargs.net_arch.qf: found [0], accepted: s, m, l, a list of layer widths",
        ),
        (
            "ddpg",
            {"algorithm": "dgpd"},
            "agent.algorithm: found 'dgpd', accepted: a2c, ddpg, dqn, ppo, sac, td3",
        ),
        ("ddpg", {"policy": "Mlp"}, "agent.policy: found 'Mlp', accepted: MlpPolicy, CnnPolicy, MultiInputPolicy"),
    ],
)
def test_bad_values(algorithm: str, changes: dict[str, Any], message: str) -> None:
    assert error_of(agent(algorithm, **changes)) == message


@pytest.mark.parametrize(
    ("algorithm", "key", "accepted"),
    [
        ("ddpg", "gama", "gamma"),
        ("ddpg", "seed", "tau"),
        ("ppo", "action_noise", "clip_range"),
        ("ppo", "noise_std", "clip_range"),
    ],
)
def test_unknown_keys(algorithm: str, key: str, accepted: str) -> None:
    message = error_of(agent(algorithm, **{key: 0.5}))
    assert message.startswith(f"agent.{key}: found 0.5, accepted: a key of {algorithm}: policy, learning_rate, ")
    assert f", {accepted}," in message


def test_unknown_activation() -> None:
    message = error_of(agent(policy_kwargs={"activation_fn": "relux"}))
    assert message.startswith("agent.policy_kwargs.activation_fn: found 'relux', accepted: elu, ")
    assert ", relu, " in message


def test_unknown_policy_argument() -> None:
    message = error_of(agent(policy_kwargs={"net_arc": [8]}))
    assert message.startswith("agent.policy_kwargs.net_arc: found [8], accepted: a key of MlpPolicy: net_arch, ")


# With an environment


@pytest.mark.parametrize(
    ("section", "environment", "message"),
    [
        (agent(), {"env_id": "CartPole-v1"}, r"agent: .* only supports .*Box.* as action spaces but Discrete\(2\)"),
        (agent(policy="MultiInputPolicy"), {}, r"agent: .*"),
        (agent(learning_rate=-1.0), {}, r"agent: Invalid learning rate: -1\.0"),
        (agent(), {"env_id": "Nope-v0"}, r"environment\.env_id: found 'Nope-v0' \(.*\), accepted: an id registered"),
        (agent(), {"env_id": "Pendulum-v99"}, r"environment\.env_id: found 'Pendulum-v99' \(.*v1.*\), accepted: "),
        (
            agent(),
            {"env_id": "no.such:Id-v0"},
            r"environment\.env_id: found 'no\.such:Id-v0' \(.*\), accepted: .*:Id-v0",
        ),
        (agent(), {"env_id": "no id"}, r"environment\.env_id: found 'no id' \(Malformed.*\), accepted: "),
        (
            agent(),
            {"env_kwargs": {"gravity": 9.8}},
            r"environment\.env_kwargs: found {'gravity': 9\.8} \(.*'gravity'.*\), accepted: what Pendulum-v1 takes",
        ),
    ],
)
def test_check_finds_what_does_not_fit_the_environment(
    section: dict[str, Any], environment: dict[str, Any], message: str
) -> None:
    with pytest.raises(SidewinderError, match=message) as caught:
        training.check(run_config(section, **environment))
    assert len(str(caught.value).splitlines()) == 1


def test_check_finds_an_unknown_device() -> None:
    run = run_config(agent())
    run.training.device = "tpu"
    with pytest.raises(SidewinderError, match=r"training\.device: found 'tpu', accepted: cpu, cuda, cuda:0"):
        training.check(run)


@pytest.mark.filterwarnings("ignore:.*render.*")
def test_check_passes_what_fits() -> None:
    training.check(run_config(agent(), env_kwargs={"g": 9.8}))
    training.check(run_config(agent("ppo"), env_id="CartPole-v1"))
    training.check(run_config({"algorithm": "dqn", "policy": "MlpPolicy", "buffer_size": 10}, env_id="CartPole-v1"))
    training.check(run_config({"algorithm": "a2c", "policy": "MlpPolicy"}))


def test_env_kwargs_reach_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of one's own, by `package.module:Id-v0`, which tells what it was given by refusing it."""
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "envs.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control import PendulumEnv\n"
        "class Mine(PendulumEnv):\n"
        "    def __init__(self, wind, render_mode=None):\n"
        "        super().__init__()\n"
        "        if wind > 1:\n"
        "            raise TypeError(f'too much wind: {wind}')\n"
        "gymnasium.register('Mine-v0', Mine)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    training.check(run_config(agent(), env_id="my_package.envs:Mine-v0", env_kwargs={"wind": 1}))
    with pytest.raises(SidewinderError, match=r"found {'wind': 5} \(too much wind: 5"):
        training.check(run_config(agent(), env_id="my_package.envs:Mine-v0", env_kwargs={"wind": 5}))
