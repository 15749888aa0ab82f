"""An `agent` section gives the SB3 model that it describes. A mistake in it gives an error of one line."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from small_agents import (
    CLASSES,
    DISCRETE_GOALS,
    ENVIRONMENTS,
    GOALS,
    agent,
    build,
    error_of,
    run_config,
    shipped,
)
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.her import HerReplayBuffer
from torch import nn

from sidewinder import SidewinderError
from sidewinder.config.run_config import RunConfig
from sidewinder.paths import CONFIG_DIR
from sidewinder.training import agents, arguments
from sidewinder.training import run as training
from sidewinder.training.checked import check_run
from sidewinder.training.conversion import BY_PATH

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
    "rollout_buffer_class",
    "rollout_buffer_kwargs",
    # saves memory, and breaks the handling of time limits
    "optimize_memory_usage",
}
# Keys that SB3's constructors do not know.
OWN = {"algorithm", "backend", "lr_schedule", "clip_range_schedule", "noise_std"}


def layers(network: nn.Module) -> list[Any]:
    """Widths of the linear layers, and the activations between them."""
    return [part.out_features if isinstance(part, nn.Linear) else type(part) for part in network.children()]


# The shipped files


def test_every_shipped_agent_is_covered() -> None:
    assert set(SHIPPED) == CLASSES.keys()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_file_has_every_argument_with_its_default(name: str) -> None:
    section = shipped(name)
    parameters = inspect.signature(CLASSES[name].__init__).parameters
    # CrossQ has no policy for the observations of environments with goals.
    no_goals = {"replay_buffer_class", "replay_buffer_kwargs"} if name == "crossq" else set()
    assert section.keys() - OWN == parameters.keys() - LEFT_OUT - {"self"} - no_goals
    assert section["algorithm"] == name
    assert section["policy"] == ("MlpLstmPolicy" if name == "recurrent_ppo" else "MlpPolicy")
    assert section["lr_schedule"] == "constant"
    assert section.get("clip_range_schedule") == ("constant" if "clip_range" in parameters else None)
    assert section.get("noise_std") == (0.1 if "action_noise" in parameters else None)
    assert set(section["policy_kwargs"].values()) == {None}
    if "replay_buffer_kwargs" in section:
        buffer = inspect.signature(HerReplayBuffer).parameters
        given = section["replay_buffer_kwargs"]
        assert given == {key: buffer[key].default for key in given}
    others = section.keys() - OWN - {"policy", "policy_kwargs", "replay_buffer_kwargs"}
    assert {key: section[key] for key in others} == {key: parameters[key].default for key in others}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_file_builds_sb3s_own_model(name: str) -> None:
    algorithm: Any = CLASSES[name]
    section, env_id = shipped(name), ENVIRONMENTS.get(name, "Pendulum-v1")
    ours, theirs = build(section, env_id), algorithm(section["policy"], make_vec_env(env_id), seed=0, device="cpu")
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


@pytest.mark.parametrize("name", arguments.ACTIVATIONS)
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
    assert "(mu=[0.], sigma=[0.3])" in repr(noise)


def test_no_action_noise() -> None:
    assert build(agent(action_noise=None)).action_noise is None


@pytest.mark.parametrize(("name", "half_way"), [("constant", 0.002), ("linear", 0.001)])
@pytest.mark.parametrize("algorithm", SHIPPED)
def test_learning_rate_schedule(algorithm: str, name: str, half_way: float) -> None:
    section = agent(algorithm, learning_rate=0.002, lr_schedule=name)
    model = build(section, ENVIRONMENTS.get(algorithm, "Pendulum-v1"))
    assert model.lr_schedule(1.0) == pytest.approx(0.002)
    assert model.lr_schedule(0.5) == pytest.approx(half_way)
    assert model.lr_schedule(0.0) == pytest.approx(0.002 if name == "constant" else 0.0)


@pytest.mark.parametrize(("name", "half_way"), [("constant", 0.2), ("linear", 0.1)])
@pytest.mark.parametrize("algorithm", ["maskable_ppo", "ppo", "recurrent_ppo"])
def test_clip_range_schedule(algorithm: str, name: str, half_way: float) -> None:
    model = build(agent(algorithm, clip_range_schedule=name), ENVIRONMENTS.get(algorithm, "Pendulum-v1"))
    assert model.clip_range(0.5) == pytest.approx(half_way)


def test_null_of_another_policy_of_the_algorithm() -> None:
    model = build(shipped("ars") | {"policy": "LinearPolicy"}, "CartPole-v1")
    assert layers(model.policy.action_net) == [2]
    message = error_of(agent("ars", policy="LinearPolicy"))
    assert (
        message == "agent.policy_kwargs.net_arch: found [8], accepted: a key of LinearPolicy: with_bias, squash_output"
    )


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


SHAPES = (
    "constant, linear, cosine; {linear: {final: 0.1, end_fraction: 0.8}} (the factor at the end, and the fraction of "
    "training at which that is reached); or {piecewise: [[0.5, 0.1], [0.8, 0.01]]} (from a fraction on, a factor)"
)


@pytest.mark.parametrize(
    ("algorithm", "changes", "message"),
    [
        ("ddpg", {"buffer_size": 0.5}, "agent.buffer_size: found 0.5, accepted: a whole number"),
        ("ddpg", {"buffer_size": "large"}, "agent.buffer_size: found 'large', accepted: int"),
        ("ddpg", {"buffer_size": None}, "agent.buffer_size: found None, accepted: int"),
        ("ddpg", {"buffer_size": True}, "agent.buffer_size: found True, accepted: int"),
        ("ddpg", {"gamma": "high"}, "agent.gamma: found 'high', accepted: float"),
        ("ddpg", {"learning_rate": "x"}, f"agent.learning_rate: found 'x', accepted: float, {BY_PATH}"),
        ("ddpg", {"noise_std": "x"}, "agent.noise_std: found 'x', accepted: float"),
        *(
            ("ddpg", {"lr_schedule": shape}, f"agent.lr_schedule: found {shape!r}, accepted: {SHAPES}")
            for shape in (
                "sine",
                {"cosine": {"final": 2}},
                {"linear": {"end": 0.1}},
                {"linear": {"end_fraction": 0}},
                {"piecewise": [[0.5, 0.1], [0.4, 0.1]]},
                {"piecewise": [0.5, 0.1]},
            )
        ),
        (
            "ddpg",
            {"action_noise": "pink"},
            "agent.action_noise: found 'pink', accepted: null, normal, ornstein-uhlenbeck, or an import path",
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
            "agent.algorithm: found 'dgpd', accepted: a2c, ars, crossq, ddpg, dqn, maskable_ppo, ppo, qrdqn, "
            "recurrent_ppo, sac, td3, tqc, trpo, or an import path",
        ),
        ("ppo", {"clip_range_schedule": "l"}, f"agent.clip_range_schedule: found 'l', accepted: {SHAPES}"),
        (
            "sac",
            {"replay_buffer_class": "Her"},
            "agent.replay_buffer_class: found 'Her', accepted: null, her, or an import path",
        ),
        ("sac", {"replay_buffer_kwargs": 4}, "agent.replay_buffer_kwargs: found 4, accepted: a mapping"),
        (
            "sac",
            {"replay_buffer_kwargs": {"n_goals": 4}},
            "agent.replay_buffer_kwargs.n_goals: found 4, accepted: a key of HerReplayBuffer: "
            "handle_timeout_termination, n_sampled_goal, goal_selection_strategy, copy_info_dict",
        ),
        (
            "sac",
            {"replay_buffer_kwargs": {"n_sampled_goal": 0.5}},
            "agent.replay_buffer_kwargs.n_sampled_goal: found 0.5, accepted: a whole number",
        ),
        (
            "sac",
            {"replay_buffer_kwargs": {"goal_selection_strategy": "past"}},
            "agent.replay_buffer_kwargs.goal_selection_strategy: found 'past', accepted: future, episode, final",
        ),
        (
            "sac",
            {"replay_buffer_class": "her", "n_steps": 3},
            "agent.n_steps: found 3, accepted: 1 with replay_buffer_class her",
        ),
        *(
            (
                algorithm,
                {"policy_kwargs": {key: "Thing"}},
                f"agent.policy_kwargs.{key}: found 'Thing', accepted: {BY_PATH}",
            )
            for algorithm in ("ddpg", "ppo")
            for key in ("features_extractor_class", "optimizer_class")
        ),
        (
            "ppo",
            {"rollout_buffer_class": "nowhere.Buffer"},
            "agent.rollout_buffer_class: found 'nowhere.Buffer' (No module named 'nowhere'), accepted: the import path "
            "of a class or a function (PYTHONPATH says where your own modules are)",
        ),
        ("sac", {"policy_kwargs": {"n_critics": "x"}}, "agent.policy_kwargs.n_critics: found 'x', accepted: int"),
        (
            "sac",
            {"policy_kwargs": {"optimizer_kwargs": 1}},
            "agent.policy_kwargs.optimizer_kwargs: found 1, accepted: dict or null",
        ),
        (
            "ddpg",
            {"policy": "Mlp"},
            "agent.policy: found 'Mlp', accepted: MlpPolicy, CnnPolicy, MultiInputPolicy, or an import path",
        ),
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
        ("a2c", "clip_range_schedule", "n_steps"),
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
        check_run(run_config(section, **environment))
    assert len(str(caught.value).splitlines()) == 1


def test_check_finds_an_unknown_device() -> None:
    run = run_config(agent())
    run.training.device = "tpu"
    with pytest.raises(SidewinderError, match=r"training\.device: found 'tpu', accepted: cpu, cuda, cuda:0"):
        check_run(run)


@pytest.mark.filterwarnings("ignore:.*render.*")
def test_check_passes_what_fits() -> None:
    check_run(run_config(agent(), env_kwargs={"g": 9.8}))
    check_run(run_config(agent("ppo"), env_id="CartPole-v1"))
    check_run(run_config({"algorithm": "dqn", "policy": "MlpPolicy", "buffer_size": 10}, env_id="CartPole-v1"))
    check_run(run_config({"algorithm": "a2c", "policy": "MlpPolicy"}))


def test_env_kwargs_reach_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's environment `package.module:Id-v0` refuses its arguments, and the error lists them."""
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
    check_run(run_config(agent(), env_id="my_package.envs:Mine-v0", env_kwargs={"wind": 1}))
    with pytest.raises(SidewinderError, match=r"found {'wind': 5} \(too much wind: 5"):
        check_run(run_config(agent(), env_id="my_package.envs:Mine-v0", env_kwargs={"wind": 5}))


def test_masks_are_asked_for() -> None:
    with pytest.raises(
        SidewinderError, match=r"^agent\.algorithm: found 'maskable_ppo', accepted: .* action_masks, or"
    ):
        check_run(run_config(agent("maskable_ppo"), env_id="CartPole-v1"))


def test_her_asks_for_goals_and_a_whole_episode() -> None:
    check_run(run_config(goal_agent("sac"), env_id=GOALS))
    with pytest.raises(SidewinderError, match=r"^agent\.replay_buffer_class: found 'her', accepted: null, or .*_goal"):
        check_run(run_config(goal_agent("sac", policy="MlpPolicy"), env_id="Pendulum-v1"))
    message = r"^agent: learning_starts: found 3, accepted with her: at least 4: an episode in each"
    with pytest.raises(SidewinderError, match=message):
        check_run(run_config(goal_agent("sac", learning_starts=3), env_id=GOALS))
    check_run(run_config(goal_agent("sac", learning_starts=3, train_freq=[1, "episode"]), env_id=GOALS))


# Training


def goal_agent(name: str, **changes: Any) -> dict[str, Any]:
    return agent(name, **{"policy": "MultiInputPolicy", "replay_buffer_class": "her", **changes})


def small(name: str) -> dict[str, Any]:
    """An agent that updates its networks within 128 steps."""
    sizes = {
        "learning_starts": 50,
        "batch_size": 16,
        "n_steps": 1 if "buffer_size" in shipped(name) else 64,
        "n_epochs": 2,
        "n_delta": 1,
        "target_update_interval": 10,
    }
    section = agent(name)
    section["policy_kwargs"] |= {
        key: 8 for key in ("lstm_hidden_size", "n_quantiles") if key in section["policy_kwargs"]
    }
    return section | {key: value for key, value in sizes.items() if key in section}


def short_run(section: dict[str, Any], env_id: str) -> RunConfig:
    run = run_config(section, env_id=env_id)
    run.training.total_timesteps = 128
    run.evaluation.eval_freq = 64
    return run


@pytest.mark.parametrize("name", SHIPPED)
def test_training_repeats_itself(name: str) -> None:
    run = short_run(small(name), ENVIRONMENTS.get(name, "Pendulum-v1"))
    first, second = training.train(run), training.train(run)
    assert first.state == "complete", first.reason
    assert len(first.evaluations) >= 2
    assert first.evaluations == second.evaluations
    assert first.model is not None
    assert second.model is not None
    untrained = build(small(name), run.environment.env_id).policy.state_dict()
    again = second.model.policy.state_dict()
    learned = first.model.policy.state_dict()
    assert all(torch.equal(learned[key], again[key]) for key in learned)
    assert any(not torch.equal(learned[key], untrained[key]) for key in learned)


@pytest.mark.parametrize(("name", "env_id"), [("ddpg", GOALS), ("dqn", DISCRETE_GOALS), ("tqc", GOALS)])
def test_training_with_hindsight(name: str, env_id: str) -> None:
    section = small(name) | goal_agent(name) | {"learning_starts": 50, "batch_size": 16}
    section["replay_buffer_kwargs"] = {"n_sampled_goal": 3, "goal_selection_strategy": "final"}
    outcome = training.train(short_run(section, env_id))
    assert outcome.state == "complete", outcome.reason
    model: Any = outcome.model
    assert isinstance(model.replay_buffer, HerReplayBuffer)
    assert model.replay_buffer.her_ratio == pytest.approx(0.75)
    assert outcome.evaluations == training.train(short_run(section, env_id)).evaluations


@pytest.mark.parametrize("name", SHIPPED)
def test_pruning_ends_every_algorithm(name: str) -> None:
    run = short_run(small(name), ENVIRONMENTS.get(name, "Pendulum-v1"))
    outcome = training.train(run, report=lambda _step, _mean_return: True)
    assert outcome.state == "pruned"
    assert [evaluation.step for evaluation in outcome.evaluations] == [64]
    assert outcome.model is not None
    assert outcome.model.num_timesteps == 64
