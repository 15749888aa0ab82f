"""A directory of configs as in the tutorial on Hydra's Optuna sweeper is tuned without changes to it."""

import json
import re
from pathlib import Path

import pytest
import yaml
from tiny_study import run_to_the_end

from sidewinder import SidewinderError
from sidewinder.checks import check_study
from sidewinder.config.composition import compose_study
from sidewinder.config.matrix import expanded

FILES = {
    "default.yaml": """
        defaults:
          - agent: ddpg
          - environment: swing
          - agent/search_spaces@hydra.sweeper.params: ${agent}
          - _self_
          - override hydra/sweeper: optuna
          - override hydra/sweeper/sampler: tpe
        hydra:
          sweeper: {direction: maximize, study_name: swinging, n_trials: 7, n_jobs: 2, sampler: {seed: 11}}
        experiment:
          device: cpu
          verbose: 1
          max_timesteps: 120
          n_envs: 2
          optuna_eval_freq: 30
          eval_freq: 500
          n_eval_episodes: 1
          save_freq: 1000
          seed: ${hydra:sweeper.sampler.seed}
          log_folder: logs
    """,
    "agent/ddpg.yaml": """
        trained_agent_path: ""
        learning_algo: ddpg
        policy: MlpPolicy
        learning_rate: 2e-3
        buffer_size: 1e4
        batch_size: 16
        noise_type: normal
        noise_std: 0.05
        net_arch: s
        activation: relu
    """,
    "agent/ppo.yaml": """
        learning_algo: ppo
        policy: MlpPolicy
        n_steps: 20
        batch_size: 20
        net_arch: [8]
        activation: tanh
    """,
    "agent/search_spaces/ddpg.yaml": """
        agent.learning_rate: tag(log, interval(1e-4, 1e-2))
        agent.noise_type: choice("ornstein-uhlenbeck", "normal")
        agent.noise_std: interval(0.01, 0.3)
        agent.net_arch: choice("s", 'm', l)
        agent.activation: choice("tanh", "relu")
        agent.trained_agent_path: choice(a, b)
        environment.g: choice(5.0, 9.0)
    """,
    "agent/search_spaces/ppo.yaml": """
        agent.gamma: choice(0.9, 0.99)
        experiment.n_envs: choice(1, 2)
    """,
    "environment/swing.yaml": """
        env_id: Pendulum-v1
        g: 9.0
    """,
}
PRIMARY = "primary=theirs/default"


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes such a directory, `theirs`, and returns its parent, which becomes the working directory."""
    for name, text in FILES.items():
        path = tmp_path / "theirs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("theirs")
def test_what_means_ours_is_taken_over(capsys: pytest.CaptureFixture[str]) -> None:
    study = compose_study("seed", [PRIMARY])
    agent = study.agent
    assert (agent["algorithm"], agent["learning_rate"], agent["action_noise"], agent["noise_std"]) == (
        "ddpg",
        0.002,
        "normal",
        0.05,
    )
    assert agent["policy_kwargs"]["net_arch"] == [32, 16]
    assert agent["policy_kwargs"]["activation_fn"] == "relu"
    assert agent["tau"] == 0.005  # SB3's default: the tutorial does not set it
    assert study.environment["env_id"] == "Pendulum-v1"
    assert (study.environment["n_envs"], study.environment["env_kwargs"]) == (2, {"g": 9.0})
    assert study.training["total_timesteps"] == 120
    assert (study.evaluation["eval_freq"], study.evaluation["objective"]) == (60, "last")
    assert (study.study.n_trials, study.study.seed, study.study.name) == (7, 11, "swinging")
    assert study.sampler == {"_target_": "optuna.samplers.TPESampler"}
    assert study.search_space == {
        "agent.learning_rate": "tag(log, interval(1e-4, 1e-2))",
        "agent.action_noise": 'choice("ornstein-uhlenbeck", "normal")',
        "agent.noise_std": "interval(0.01, 0.3)",
        "agent.policy_kwargs.net_arch": "choice([32, 16], [64, 32], [64, 32, 16])",
        "agent.policy_kwargs.activation_fn": 'choice("tanh", "relu")',
        "environment.env_kwargs.g": "choice(5.0, 9.0)",
    }
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(set(said))
    for line in (
        "agent.trained_agent_path: not used",
        "agent.learning_algo: taken as agent.algorithm",
        "agent.noise_type: taken as agent.action_noise",
        "agent.net_arch: s, m and l are the tutorial's [32, 16], [64, 32], [64, 32, 16]",
        "agent.activation: taken as agent.policy_kwargs.activation_fn",
        "environment.g: taken as environment.env_kwargs.g",
        "experiment.optuna_eval_freq: taken as evaluation.eval_freq: 30 calls of 2 environments are 60 environment "
        "steps",
        "experiment.max_timesteps: taken as training.total_timesteps",
        "experiment.verbose, experiment.save_freq, experiment.log_folder: not used",
        "hydra.sweeper.params.agent.trained_agent_path: not used",
        "hydra.sweeper.n_jobs: not used: `snakemake --cores` says how many trials run at a time",
    ):
        assert f"study seed: {line}" in said
    check_study(study)


@pytest.mark.usefixtures("theirs")
def test_overrides_are_for_theirs_or_for_ours() -> None:
    study = compose_study("seed", [PRIMARY, "agent=ppo", "experiment.max_timesteps=80", "study.n_trials=3"])
    assert study.agent["algorithm"] == "ppo"
    assert study.training["total_timesteps"] == 80
    assert study.study.n_trials == 3
    assert study.agent["policy_kwargs"]["net_arch"] == [8]
    assert study.search_space == {"agent.gamma": "choice(0.9, 0.99)", "environment.n_envs": "choice(1, 2)"}
    check_study(study)


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["primary=theirs/defaults"],
            "override primary=theirs/defaults: found no theirs/defaults.yaml, accepted: primary=",
        ),
        ([PRIMARY, "agent=none"], "theirs/default.yaml: In 'default': Could not find 'agent/none'"),
        ([PRIMARY, "study=plain"], "override study=plain: found beside primary=theirs/default, accepted: one of them"),
        ([PRIMARY, "agent.tauu=1"], "override agent.tauu=1: Could not override 'agent.tauu'"),
        ([PRIMARY, "study.direction=up"], "study.direction: found 'up', accepted"),
    ],
)
def test_mistakes_in_such_a_directory(overrides: list[str], message: str) -> None:
    with pytest.raises(SidewinderError) as caught:
        compose_study("seed", overrides)
    assert message in str(caught.value)


def test_a_mistake_names_their_file(theirs: Path) -> None:
    path = theirs / "theirs/default.yaml"
    path.write_text(path.read_text().replace("n_trials: 7", "n_trials: many"))
    with pytest.raises(
        SidewinderError, match=r"theirs/default\.yaml: hydra\.sweeper\.n_trials|study\.n_trials"
    ) as caught:
        compose_study("seed", [PRIMARY])
    assert str(caught.value).startswith("theirs/default.yaml")
    agent = theirs / "theirs/agent/ddpg.yaml"
    agent.write_text(agent.read_text().replace("learning_algo: ddpg", "learning_algo: dggp"))
    with pytest.raises(
        SidewinderError, match=r"theirs/default\.yaml: agent\.learning_algo: found 'dggp', accepted: a2c"
    ):
        compose_study("seed", [PRIMARY])


def test_sections_of_ours_are_merged(theirs: Path) -> None:
    for name, more in (
        ("agent/ddpg.yaml", {"policy_kwargs": {"n_critics": 2}}),
        ("environment/swing.yaml", {"env_kwargs": {"max_episode_steps": 9}}),
    ):
        path = theirs / "theirs" / name
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | more, sort_keys=False))
    study = compose_study("seed", [PRIMARY, "~search_space.environment.env_kwargs.g"])
    assert study.agent["policy_kwargs"] == {"net_arch": [32, 16], "activation_fn": "relu", "n_critics": 2}
    assert study.environment["env_kwargs"] == {"g": 9.0, "max_episode_steps": 9}


def test_a_password_stays_in_the_environment(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = theirs / "theirs/default.yaml"
    path.write_text(
        path.read_text().replace("direction: maximize", "direction: maximize, storage: '${oc.env:THEIR_DB}'")
    )
    monkeypatch.setenv("THEIR_DB", "postgresql://me:secret@somewhere/db")
    study = compose_study("seed", [PRIMARY])
    assert study.study.storage == "${oc.env:THEIR_DB}"
    assert "secret" not in study.dump()


def test_why_such_a_directory_cannot_be_composed(theirs: Path) -> None:
    path = theirs / "theirs/default.yaml"
    path.write_text(path.read_text().replace("n_trials: 7", "n_trial: 7"))
    with pytest.raises(SidewinderError, match=r"theirs/default\.yaml: .*n_trial"):
        compose_study("seed", [PRIMARY])


def test_an_entry_says_where_it_is() -> None:
    entry = {"config_dir": "theirs", "config": "default", "overrides": ["agent=ddpg,ppo"]}
    assert expanded({"seed": entry}) == {f"seed-{name}": [PRIMARY, f"agent={name}"] for name in ("ddpg", "ppo")}
    assert expanded({"seed": {"config_dir": "theirs"}}) == {"seed": [PRIMARY]}


@pytest.mark.slow
def test_it_is_tuned_by_an_entry_of_one_line(theirs: Path) -> None:
    study = {"config_dir": str(theirs / "theirs"), "config": "default", "overrides": ["study.n_trials=3"]}
    (theirs / "config.yaml").write_text(yaml.safe_dump({"studies": {"seed": study}}))
    said = run_to_the_end(theirs, "results/seed/trials.csv")
    assert "study seed: agent.learning_algo: taken as agent.algorithm" in said
    for number in range(3):
        result = json.loads((theirs / f"results/seed/trials/{number}/result.json").read_text())
        assert result["state"] == "complete"
        assert [evaluation["step"] for evaluation in result["evaluations"]] == [60, 120]
    config = (theirs / "results/seed/config.yaml").read_text()
    assert re.search(r"objective: last", config)
    assert "nothing to be done" in run_to_the_end(theirs, "results/seed/trials.csv").lower()
