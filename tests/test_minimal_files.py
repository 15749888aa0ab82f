"""A user's files need to name no more than the algorithm, the policy and the environment."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tiny_study import run, snakemake

from sidewinder import SidewinderError
from sidewinder.checks import check_study
from sidewinder.config.algorithms import ALGORITHMS
from sidewinder.config.composition import compose_study
from sidewinder.config.study_config import StudyConfig
from sidewinder.planning import Studies
from sidewinder.study.clock import step_price

STUDY = """# @package _global_
defaults: [override /agent: mine, override /environment: mine]
search_space: {+agent.learning_rate: "tag(log, interval(1e-4, 1e-2))", +agent.policy_kwargs.net_arch: "choice(s, m)"}
study: {n_trials: 2, trials_per_job: 2, workers: 1, enqueue: [defaults]}
pruner: {_target_: optuna.pruners.MedianPruner, n_startup_trials: 1}
training: {total_timesteps: 64}
evaluation: {eval_freq: 32, n_eval_episodes: 1}
confirmation: {top_k: 1, n_validation_seeds: 1, n_test_seeds: 2, n_eval_episodes: 1}
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the study `mine`, its agent and its environment, and other files, into a directory of configs."""

    def write_files(agent: str = "algorithm: ppo\npolicy: MlpPolicy\n", **others: str) -> Path:
        files = {"study/mine": STUDY, "agent/mine": agent, "environment/mine": "env_id: CartPole-v1\n", **others}
        for name, text in files.items():
            path = tmp_path / "configs" / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "configs"

    return write_files


def composed(configs: Path, *overrides: str) -> StudyConfig:
    return compose_study("mine", overrides, [configs])


@pytest.mark.parametrize("algorithm", ALGORITHMS["sb3"])
def test_an_agent_of_algorithm_and_policy_alone(algorithm: str, write: Write, tmp_path: Path) -> None:
    policy = "MlpLstmPolicy" if algorithm == "recurrent_ppo" else "MlpPolicy"
    configs = write(f"algorithm: {algorithm}\npolicy: {policy}\n")
    discrete = algorithm in ("a2c", "ars", "dqn", "ppo", "qrdqn", "recurrent_ppo", "trpo")
    overrides = [] if discrete else ["environment.env_id=Pendulum-v1"]
    config = composed(configs, *overrides)
    assert config.agent == {"algorithm": algorithm, "policy": policy}
    if algorithm == "ppo":
        assert config.study.enqueue == [{"+agent.learning_rate": 3e-4, "+agent.policy_kwargs.net_arch": "s"}]
    if algorithm != "maskable_ppo":  # it needs an environment with masks
        check_study(config)
    assert step_price(config.for_trial({})) > 0
    planned = Studies({"mine": overrides}, [str(configs)], [], tmp_path / "results", main=True)["mine"]
    assert planned.settings.startswith(f"{algorithm.upper()} of Stable-Baselines3 on ")


def test_an_agent_of_sbx_alone(write: Write) -> None:
    pytest.importorskip("sbx")
    check_study(composed(write("algorithm: ppo\npolicy: MlpPolicy\nbackend: sbx\n")))


@pytest.mark.parametrize(
    ("files", "overrides", "expected"),
    [
        ({"agent": "policy: MlpPolicy\n"}, [], "mine.yaml: agent.algorithm: found nothing, accepted: a2c, ars"),
        ({"agent": "{}"}, [], "mine.yaml: agent.algorithm: found nothing, accepted: a2c, ars"),
        ({"agent": "algorithm: [ppo]\n"}, [], "mine.yaml: agent.algorithm: found ['ppo'], accepted: a2c, ars"),
        ({"sampler/mine": "multivariate: true\n"}, ["sampler=mine"], "sampler._target_: found nothing, accepted: the"),
        ({}, ["~pruner._target_"], "mine.yaml: pruner._target_: found nothing, accepted: the class of a pruner"),
        ({"environment/mine": "n_envs: 2\n"}, [], "environment.env_id: found nothing, accepted: a value"),
    ],
)
def test_what_has_no_default_is_asked_for(
    files: dict[str, str], overrides: list[str], expected: str, write: Write
) -> None:
    study = {"study/mine": STUDY.replace("enqueue: [defaults]", "enqueue: []")}
    with pytest.raises(SidewinderError) as caught:
        composed(write(**study, **files), *overrides)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{}", "agent: {n_steps: 8}\n", "environment: {n_envs: 2}\n"])
def test_a_zoo_setting_may_lack_a_section(text: str, write: Write) -> None:
    config = composed(write(**{"zoo/ppo/CartPole-v1": text}))
    assert list(config.baselines) == ["defaults", "zoo"]
    content = yaml.safe_load(text)
    assert config.baselines["zoo"]["environment"] == content.get("environment", {})
    assert config.for_baseline("zoo").agent["n_steps"] == content.get("agent", {}).get("n_steps", 2048)


@pytest.mark.slow
def test_a_study_of_minimal_files_comes_to_its_end(write: Write, tmp_path: Path) -> None:
    configs = write()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"studies": ["mine"], "config_dirs": [str(configs)]}))
    done = run(snakemake(tmp_path, "results/mine/pages/summary.html", "results/mine/best.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    best = yaml.safe_load((tmp_path / "results/mine/best.yaml").read_text())
    assert best["agent"].items() >= {"algorithm": "ppo", "policy": "MlpPolicy"}.items()
    assert set(best["winner"]["test"]) >= {"winner", "defaults"}
