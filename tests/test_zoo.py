"""The shipped settings and search spaces of RL Baselines3 Zoo agree with the Zoo's own package."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import optuna
import pytest
import yaml
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution
from torch import nn

from from_zoo import write_settings
from sidewinder import SidewinderError
from sidewinder.checks import check_study
from sidewinder.config.algorithms import ALGORITHMS
from sidewinder.config.composition import compose_study
from sidewinder.config.run_sections import Normalize
from sidewinder.config.study_config import StudyConfig
from sidewinder.config.zoo_files import algorithm_of, settings_of
from sidewinder.paths import CONFIG_DIR
from sidewinder.training.arguments import constructor_arguments

# The Zoo's names of algorithms, if they differ from ours.
ZOO_NAMES = {"recurrent_ppo": "ppo_lstm"}
ENVIRONMENTS = {"dqn": "CartPole-v1", "qrdqn": "CartPole-v1"}
SPACES = sorted(path.stem for path in (CONFIG_DIR / "agent/search_spaces/zoo").glob("*.yaml"))

OUR_NAMES = {
    "noise_type": "agent.action_noise",
    "net_arch": "agent.policy_kwargs.net_arch",
    "activation_fn": "agent.policy_kwargs.activation_fn",
    **{
        name: f"agent.helpers.{name}"
        for name in (
            "batch_size_pow",
            "n_delta_pow",
            "n_steps_pow",
            "one_minus_gae_lambda",
            "one_minus_gamma",
            "subsample_steps",
            "top_frac_size",
            "top_quantiles_to_drop_per_net",
        )
    },
}
OUR_CHOICES = {"tiny": "[64]", "small": "s", "medium": "m", "big": "l", None: "null"}
# Parameters whose range in the Zoo ends at another parameter's value. Our range is the widest of these.
DYNAMIC = {"agent.helpers.subsample_steps", "agent.helpers.top_quantiles_to_drop_per_net"}


def package() -> Path:
    spec = importlib.util.find_spec("rl_zoo3")
    assert spec is not None, "rl_zoo3 is not installed: make test"
    assert spec.origin is not None
    return Path(spec.origin).parent


def hyperparams_opt() -> ModuleType:
    """Import only the Zoo's module of samplers: the package would import much more."""
    spec = importlib.util.spec_from_file_location("hyperparams_opt", package() / "hyperparams_opt.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compose(name: str) -> StudyConfig:
    env_id = ENVIRONMENTS.get(name, "Pendulum-v1")
    overrides = ["study=plain", f"agent={name}", f"agent/search_spaces@search_space=zoo/{name}"]
    return compose_study("zoo", [*overrides, f"environment.env_id={env_id}"])


def our_key(name: str, algorithm: str) -> str:
    if name == "n_quantiles":
        # In TQC's space it is a helper, which another key reads.
        return f"agent.{'helpers' if algorithm == 'tqc' else 'policy_kwargs'}.n_quantiles"
    return OUR_NAMES.get(name, f"agent.{name}")


def our_choices(distribution: BaseDistribution) -> BaseDistribution:
    """Translate the categories of a distribution to ours, and sort them."""
    if isinstance(distribution, CategoricalDistribution):
        return CategoricalDistribution(sorted({OUR_CHOICES.get(c, c) for c in distribution.choices}, key=str))  # type: ignore[arg-type]
    return distribution


# The search spaces


def test_every_space_of_the_zoo_is_shipped() -> None:
    zoo = hyperparams_opt().HYPERPARAMS_SAMPLER
    assert {ZOO_NAMES.get(name, name) for name in SPACES} == zoo.keys()


@pytest.mark.parametrize("name", SPACES)
def test_a_space_samples_what_the_zoo_samples(name: str) -> None:
    config = compose(name)
    check_study(config)
    ours = config.space().distributions
    sample = hyperparams_opt().HYPERPARAMS_SAMPLER[ZOO_NAMES.get(name, name)]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        made = sample(trial, n_actions=1, n_envs=1, additional_args={"using_her_replay_buffer": False})
        theirs = {our_key(key, name): our_choices(value) for key, value in trial.distributions.items()}
        assert theirs.keys() == ours.keys()
        static = ours.keys() - DYNAMIC
        assert {key: theirs[key] for key in static} == {key: our_choices(ours[key]) for key in static}
        assert all(ours[key].high >= theirs[key].high for key in DYNAMIC & ours.keys())  # type: ignore[attr-defined]
        params = {our_key(key, name): OUR_CHOICES.get(value, value) for key, value in trial.params.items()}
        run = config.for_trial(params)
        # The Zoo makes the same arguments from the same parameters, except for noise, which is an object there.
        arguments = constructor_arguments(run.agent)
        policy = made.pop("policy_kwargs", {})
        noise = made.pop("action_noise", None)
        assert {key: arguments[key] for key in made} == pytest.approx(made)
        networks = policy.pop("net_arch", None)
        if isinstance(networks, dict):
            assert networks["pi"] == networks["vf"] == arguments["policy_kwargs"]["net_arch"]
        elif networks:
            assert networks == arguments["policy_kwargs"]["net_arch"]
        assert {key: arguments["policy_kwargs"][key] for key in policy} == policy
        if noise is not None:
            kind = {"normal": "NormalActionNoise", "ornstein-uhlenbeck": "OrnsteinUhlenbeckActionNoise"}
            assert type(noise).__name__ == kind[run.agent["action_noise"]]
            assert f"sigma={np.array([run.agent['noise_std']])})" in repr(noise)
        elif "action_noise" in run.agent:
            assert run.agent["action_noise"] is None


@pytest.mark.parametrize("name", SPACES)
def test_the_agents_own_space_covers_it(name: str) -> None:
    """Our own space has each key of the agent that the Zoo's space has."""
    keys = []
    for space in (f"zoo/{name}", name):
        raw = yaml.safe_load((CONFIG_DIR / f"agent/search_spaces/{space}.yaml").read_text())
        keys.append({key for key in raw if not key.startswith("agent.helpers.")})
    assert keys[0] <= keys[1]


# The published settings


def shipped_settings() -> list[tuple[str, str]]:
    """Return the algorithm and the environment of each shipped file."""
    return sorted((path.parent.name, path.stem) for path in (CONFIG_DIR / "zoo").glob("*/*.yaml"))


def published(algorithm: str, env_id: str) -> dict[str, Any]:
    path = package() / "hyperparams" / f"{ZOO_NAMES.get(algorithm, algorithm)}.yml"
    settings = yaml.safe_load(path.read_text())[env_id]
    assert isinstance(settings, dict)
    return settings


def test_every_setting_for_these_environments_is_shipped() -> None:
    """For each environment with a shipped setting, the settings of all algorithms in the Zoo are shipped."""
    environments = {env_id for _, env_id in shipped_settings()}
    assert environments >= {"Pendulum-v1", "CartPole-v1", "LunarLander-v3", "BipedalWalker-v3", "HalfCheetah-v4"}
    names = {ZOO_NAMES.get(name, name): name for name in ALGORITHMS["sb3"]}
    theirs = {
        (names[path.stem], env_id)
        for path in (package() / "hyperparams").glob("*.yml")
        if path.stem in names
        for env_id in environments & yaml.safe_load(path.read_text()).keys()
    }
    assert set(shipped_settings()) == theirs


@pytest.mark.parametrize(("algorithm", "env_id"), shipped_settings())
def test_a_setting_is_the_published_one(algorithm: str, env_id: str) -> None:
    overrides = ["study=plain", f"agent={algorithm}", f"environment.env_id={env_id}"]
    config = compose_study("zoo", overrides)
    run = config.for_baseline("zoo")
    arguments = constructor_arguments(run.agent)
    theirs = published(algorithm, env_id)
    assert run.environment.n_envs == theirs.pop("n_envs", 1)
    normalize = theirs.pop("normalize", False)
    if isinstance(normalize, str):
        normalize = eval(normalize)
    expected = Normalize.model_validate(normalize if isinstance(normalize, dict) else {}) if normalize else None
    assert run.environment.normalize == expected
    setting = yaml.safe_load((CONFIG_DIR / "zoo" / algorithm / f"{env_id}.yaml").read_text())
    assert setting["training"]["total_timesteps"] == theirs.pop("n_timesteps")
    policy = eval(theirs.pop("policy_kwargs", "{}"), {"dict": dict, "nn": nn})
    assert arguments["policy_kwargs"] == policy
    if noise := theirs.pop("noise_type", None):
        assert run.agent["action_noise"] == noise
        assert run.agent["noise_std"] == theirs.pop("noise_std")
    for key, value in theirs.items():
        if isinstance(value, str) and value.startswith("lin_"):
            initial = float(value.removeprefix("lin_"))
            assert [arguments[key](remaining) for remaining in (1.0, 0.5, 0.0)] == [initial, initial / 2, 0.0]
        else:
            assert arguments[key] == value
    # All other keys have the algorithm's defaults.
    rest = config.baselines["defaults"]["agent"]
    ours = theirs.keys() | {"action_noise", "noise_std", "lr_schedule", "clip_range_schedule", "policy_kwargs"}
    assert {key: run.agent[key] for key in rest.keys() - ours} == {key: rest[key] for key in rest.keys() - ours}


# The Zoo's own files


def test_the_zoos_own_files_are_read_as_they_were_by_hand() -> None:
    read = {
        (algorithm, env_id): setting
        for path in (package() / "hyperparams").glob("*.yml")
        if (algorithm := algorithm_of(path))
        for env_id, setting, left_out in settings_of(path)
        if not left_out
    }
    assert len(read) > 250
    for algorithm, env_id in shipped_settings():
        written = OmegaConf.load(CONFIG_DIR / "zoo" / algorithm / f"{env_id}.yaml")
        assert read[algorithm, env_id] == OmegaConf.to_container(written), (algorithm, env_id)


HYPERPARAMETERS = """
default: &defaults
  n_timesteps: !!float 2e4
  policy: 'MlpPolicy'
MyCart-v1:
  <<: *defaults
  n_envs: 3
  env_wrapper:
    - my_package.Wrapper:
        size: 2
  normalize: "{'norm_obs': True, 'norm_reward': False}"
  frame_stack: 2
  learning_rate: lin_3e-4
  clip_range: lin_0.3
  n_steps: 32
  vec_env_wrapper: stable_baselines3.common.vec_env.VecMonitor
  policy_kwargs: "dict(net_arch=[dict(pi=[8], vf=[16, 8])], activation_fn=nn.Hardswish,
                       optimizer_class=RMSpropTFLike, optimizer_kwargs=dict(eps=1e-5), log_std_init=-2)"
Steps-v0:
  policy: MlpPolicy
  train_freq: !!python/tuple [1, 'episode']
"""


def test_a_file_of_the_zoos_kind_makes_configs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ppo.yml").write_text(HYPERPARAMETERS)
    write_settings(tmp_path / "ppo.yml", tmp_path / "configs", None)
    said = capsys.readouterr().out
    path = tmp_path / "configs/zoo/ppo/MyCart-v1.yaml"
    assert f"{path} (vec_env_wrapper not used)" in said
    assert yaml.safe_load(path.read_text()) == {
        "agent": {
            "policy": "MlpPolicy",
            "learning_rate": 3e-4,
            "lr_schedule": "linear",
            "clip_range": 0.3,
            "clip_range_schedule": "linear",
            "n_steps": 32,
            "policy_kwargs": {
                "net_arch": {"pi": [8], "vf": [16, 8]},
                "activation_fn": "torch.nn.Hardswish",
                "optimizer_class": "stable_baselines3.common.sb2_compat.rmsprop_tf_like.RMSpropTFLike",
                "optimizer_kwargs": {"eps": 1e-5},
                "log_std_init": -2,
            },
        },
        "environment": {
            "n_envs": 3,
            "normalize": {"norm_obs": True, "norm_reward": False},
            "wrappers": [{"my_package.Wrapper": {"size": 2}}],
            "frame_stack": 2,
        },
        "training": {"total_timesteps": 20000},
    }
    other = yaml.safe_load((tmp_path / "configs/zoo/ppo/Steps-v0.yaml").read_text())
    assert other["agent"]["train_freq"] == [1, "episode"]


def test_such_configs_are_a_baseline_a_starting_point_and_an_agent(tmp_path: Path) -> None:
    file = tmp_path / "ppo.yml"
    file.write_text("CartPole-v1: {policy: MlpPolicy, n_steps: 48, batch_size: 24, gamma: 0.97, normalize: true}")
    write_settings(file, tmp_path, None)
    here = ["study=plain", "agent=ppo", "environment=cartpole"]
    study = compose_study(
        "x", [*here, "study.enqueue=[zoo]", "search_space={agent.gamma: 'interval(0.9,1)'}"], [tmp_path]
    )
    baseline = study.for_baseline("zoo")
    assert (baseline.agent["n_steps"], baseline.agent["gamma"]) == (48, 0.97)
    assert baseline.environment.normalize == Normalize()
    assert study.study.enqueue[0]["agent.gamma"] == 0.97
    (tmp_path / "study").mkdir()
    overrides = ["  - override /agent: ppo", "  - override /environment: cartpole"]
    lines = ["# @package _global_", "defaults:", "  - /zoo/ppo/CartPole-v1@_global_", *overrides, ""]
    (tmp_path / "study/own.yaml").write_text("\n".join(lines))
    run = compose_study("own", [], [tmp_path]).for_trial({})
    assert (run.agent["n_steps"], run.agent["n_epochs"]) == (48, 10)
    assert run.environment.normalize == Normalize()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "A-v0: {policy_kwargs: \"dict(a=__import__('os').system('true'))\"}",
            "A-v0: policy_kwargs: found .*no plain value",
        ),
        ('A-v0: {policy_kwargs: "dict(activation_fn=my.Swish)"}', "my.Swish is no plain value"),
        ("A-v0: {vf_coef: lin_0.5}", "A-v0: vf_coef: found 'lin_0.5', accepted: a number"),
        ("A-v0: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("- 1", "found no environments, accepted: a file of RL Baselines3 Zoo's"),
    ],
)
def test_nothing_in_a_file_is_run(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "ppo.yml"
    path.write_text(text)
    with pytest.raises(SidewinderError, match=message):
        write_settings(path, tmp_path / "configs", None)
    assert not (tmp_path / "configs").exists()


def test_a_file_says_its_algorithm(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("A-v0: {policy: MlpPolicy}")
    with pytest.raises(SidewinderError, match=r"--algorithm: found None for .*mine\.yml, accepted: a2c"):
        write_settings(tmp_path / "mine.yml", tmp_path, None)
    write_settings(tmp_path / "mine.yml", tmp_path, "sac")
    assert (tmp_path / "zoo/sac/A-v0.yaml").exists()
