"""A study is composed from files, directories and overrides. A mistake in them gives an error of one line."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field

from sidewinder import SidewinderError
from sidewinder.checks import check_study
from sidewinder.config.composition import compose_study
from sidewinder.config.identity import Identity, identifying
from sidewinder.config.run_config import HeldOut
from sidewinder.config.run_sections import Section
from sidewinder.config.study_config import StudyConfig
from sidewinder.paths import CONFIG_DIR

HEADER = "# @package _global_\n"
# Defaults of an environment's file.
ENVIRONMENT = {
    "n_envs": 1,
    "vec_env": "dummy",
    "normalize": None,
    "frame_stack": None,
    "wrappers": [],
    "env_kwargs": {},
    "reproducible": True,
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files of a user's config directory; `study` means study/mine.yaml."""

    def write_files(study: str = "", **files: str) -> Path:
        for name, text in {"study/mine": HEADER + study, **files}.items():
            path = tmp_path / "my configs" / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "my configs"

    return write_files


@pytest.fixture
def compose(write: Write) -> Callable[..., StudyConfig]:
    """Composes the study `mine`, with this text as its file."""

    def compose_mine(study: str = "", *overrides: str, **files: str) -> StudyConfig:
        return compose_study("mine", overrides, [write(study, **files)])

    return compose_mine


Compose = Callable[..., StudyConfig]


def shipped(group: str) -> list[str]:
    return sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))


def section(path: str) -> Any:
    return yaml.safe_load((CONFIG_DIR / path).read_text())


# What is shipped


def test_shipped_study() -> None:
    config = compose_study("pendulum_ddpg")
    assert config.study.name == "pendulum_ddpg"
    assert config.study.direction == "maximize"
    assert config.study.n_trials == 20
    assert config.study.storage is None
    assert config.agent["algorithm"] == "ddpg"
    assert config.agent["policy_kwargs"] == {"net_arch": "s", "activation_fn": "relu", "n_critics": None}
    assert (config.agent["train_freq"], config.agent["gradient_steps"], config.agent["batch_size"]) == (8, -1, 64)
    assert config.environment == ENVIRONMENT | {"env_id": "Pendulum-v1", "n_envs": 8}
    assert config.training["total_timesteps"] == 20000
    searched = {f"agent.{name}" for name in ("learning_rate", "gamma", "tau", "action_noise", "noise_std")}
    space = section("agent/search_spaces/ddpg.yaml")
    noise = {"space": space["agent.noise_std"], "when": {"agent.action_noise": ["normal", "ornstein-uhlenbeck"]}}
    expected = {key: space[key] for key in space if key in searched} | {"agent.noise_std": noise}
    assert config.search_space == expected
    assert config.sampler == section("sampler/tpe.yaml") | {"n_startup_trials": 5}
    assert config.pruner == section("pruner/median.yaml")


def test_another_sampler_than_the_default_studys() -> None:
    """The default study sets an option of its sampler that the other sampler lacks."""
    with pytest.raises(SidewinderError, match=r"accepted: .*; ~sampler\.n_startup_trials leaves it out"):
        check_study(compose_study("pendulum_ddpg", ["sampler=random"]))
    check_study(compose_study("pendulum_ddpg", ["sampler=random", "~sampler.n_startup_trials"]))


def test_a_study_may_be_made_of_overrides_alone() -> None:
    config = compose_study("long", ["study=pendulum_ddpg", "study.n_trials=100", "agent.gamma=0.5", "pruner=median"])
    assert config.study.name == "long"
    assert config.study.n_trials == 100
    assert config.agent["gamma"] == 0.5
    assert config.pruner == section("pruner/median.yaml")


@pytest.mark.parametrize("name", shipped("study"))
def test_every_shipped_study_is_sound(name: str) -> None:
    check_study(compose_study(name))


@pytest.mark.parametrize("name", shipped("agent"))
def test_every_shipped_agent_is_sound_with_its_search_space(name: str) -> None:
    discrete = {"dqn": "CartPole-v1", "qrdqn": "CartPole-v1", "maskable_ppo": "small_environments:Masked-v0"}
    env_id = discrete.get(name, "Pendulum-v1")
    config = compose_study("x", ["study=plain", f"agent={name}", f"environment.env_id={env_id}"])
    written = {key: raw["space"] if isinstance(raw, dict) else raw for key, raw in config.search_space.items()}
    assert written == section(f"agent/search_spaces/{name}.yaml")
    check_study(config)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("group", ["sampler", "pruner"])
def test_every_shipped_sampler_and_pruner_is_sound(group: str, compose: Compose) -> None:
    space = "defaults:\n  - override /agent/search_spaces@search_space: none\n"
    none = "agent.gamma: choice(0.9, 0.99)\nagent.batch_size: range(32, 64, 32)\n"
    # Optuna needs `lower` or `upper`, and has no default for them.
    more = {"threshold": {"lower": -1000}}
    for name in shipped(group):
        overrides = [f"{group}.{key}={value}" for key, value in more.get(name, {}).items()]
        config = compose(space, f"{group}={name}", *overrides, **{"agent/search_spaces/none": none})
        assert getattr(config, group) == section(f"{group}/{name}.yaml") | more.get(name, {})
        check_study(config)


@pytest.mark.parametrize("name", shipped("hydra/sweeper/sampler"))
def test_every_sampler_name_of_the_sweeper_is_sound(name: str, compose: Compose) -> None:
    config = compose(
        f"""
defaults:
  - override /hydra/sweeper: optuna
  - override /hydra/sweeper/sampler: {name}
hydra:
  sweeper:
    params:
      agent.gamma: choice(0.9, 0.99)
      agent.batch_size: choice(32, 64)
"""
    )
    assert config.sampler == section(f"hydra/sweeper/sampler/{name}.yaml")
    check_study(config)


# A user's own directory


def test_own_files_come_before_the_shipped_ones(compose: Compose) -> None:
    config = compose(
        "defaults:\n  - override /agent: mine\n  - override /environment: mine\nstudy:\n  n_trials: 3\n",
        **{
            "agent/mine": "defaults: [ppo]\nalgorithm: ppo\ngamma: 0.5\n",
            "agent/search_spaces/mine": "agent.gamma: choice(0.8, 0.9)\n",
            "environment/mine": "env_id: Acrobot-v1\nn_envs: 2\nenv_kwargs: {}\n",
        },
    )
    assert config.study.n_trials == 3
    assert (config.agent["algorithm"], config.agent["gamma"], config.agent["n_steps"]) == ("ppo", 0.5, 2048)
    assert config.environment == ENVIRONMENT | {"env_id": "Acrobot-v1", "n_envs": 2}
    assert config.search_space == {"agent.gamma": "choice(0.8, 0.9)"}
    check_study(config)


def test_own_files_replace_shipped_ones_of_the_same_name(compose: Compose) -> None:
    config = compose(
        "",
        **{
            "agent/ddpg": "algorithm: ddpg\npolicy: MlpPolicy\ngamma: 0.7\n",
            "agent/search_spaces/ddpg": "agent.gamma: interval(0.5, 0.9)\n",
            "environment/pendulum": "env_id: MountainCarContinuous-v0\n",
        },
    )
    assert config.agent == {"algorithm": "ddpg", "policy": "MlpPolicy", "gamma": 0.7}
    assert config.search_space == {"agent.gamma": "interval(0.5, 0.9)"}
    assert config.environment == ENVIRONMENT | {"env_id": "MountainCarContinuous-v0"}
    check_study(config)


def test_the_first_of_several_directories_wins(tmp_path: Path) -> None:
    for name, trials in (("first", 1), ("second", 2)):
        (tmp_path / name / "study").mkdir(parents=True)
        (tmp_path / name / "study" / "mine.yaml").write_text(f"{HEADER}study:\n  n_trials: {trials}\n")
    (tmp_path / "second" / "study" / "other.yaml").write_text(f"{HEADER}study:\n  n_trials: 3\n")
    directories = [tmp_path / "first", tmp_path / "second"]
    assert compose_study("mine", [], directories).study.n_trials == 1
    assert compose_study("other", [], directories).study.n_trials == 3


SECRET = "postgresql+psycopg://me:${oc.env:DB_PASSWORD}@${oc.env:DB_HOST}:5432/studies"


@pytest.mark.parametrize("body", ["study:\n  storage: {}\n", "hydra:\n  sweeper:\n    storage: {}\n"])
def test_credentials_are_not_composed(compose: Compose, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference to an environment variable is kept as it is. The variable is needed only to open the database."""
    monkeypatch.setenv("DB_PASSWORD", "secret")
    for url in (SECRET, "${oc.env:DB_URL}"):
        assert compose(body.format(url)).study.storage == url
    assert compose(body.format("sqlite:///${study.seed}.db")).study.storage == "sqlite:///0.db"
    for literal in ("postgresql://me:a@secret/@host:1/studies", "mysql+pymysql://host/studies?user=me&password=secret"):
        with pytest.raises(SidewinderError, match="accepted: its password from the environment") as error:
            compose(body.format(literal))
        assert "secret" not in str(error.value)
        assert "storage: found " in str(error.value)


def test_credentials_in_an_override() -> None:
    assert compose_study("x", ["study=plain", f'study.storage="{SECRET}"']).study.storage == SECRET
    with pytest.raises(SidewinderError, match=r"override study.storage=.*\*\*\*.*: study.storage: found") as error:
        compose_study("x", ["study=plain", 'study.storage="postgresql://me:secret@host/studies"'])
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("found", ["redis://host", "study.db", "3"])
def test_storages_without_a_lock(found: str) -> None:
    with pytest.raises(SidewinderError, match=r"study.storage: found .*, accepted: "):
        compose_study("x", ["study=plain", f'study.storage="{found}"'])


def test_an_agent_needs_no_search_space_of_its_own(compose: Compose) -> None:
    files = {"agent/mine": "defaults: [ppo]\n"}
    config = compose(
        "defaults:\n  - override /agent: mine\nsearch_space:\n  agent.gamma: interval(0.8, 0.9)\n", **files
    )
    assert config.search_space == {"agent.gamma": "interval(0.8, 0.9)"}
    with pytest.raises(SidewinderError, match="search_space: found nothing to search"):
        compose("defaults:\n  - override /agent: mine\n", **files)


# Files written for hydra-optuna-sweeper

NATIVE = """
defaults:
  - override /sampler: mine
study:
  direction: minimize
  name: swept
  storage: sqlite:///swept.db
  n_trials: 33
  max_failure_rate: 0.2
  seed: 7
"""
SPACE = "agent.gamma: choice(0.9, 0.99)\nagent.tau: tag(log, interval(0.001, 0.1))\n"
SWEEPER = """
defaults:
  - override /hydra/sweeper: optuna
  - override /hydra/sweeper/sampler: tpe
hydra:
  sweeper:
    _target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper
    sampler:
      _target_: optuna.samplers.TPESampler
      seed: 7
      n_startup_trials: 3
      multivariate: true
    direction: minimize
    study_name: swept
    storage: sqlite:///swept.db
    n_trials: 33
    n_jobs: 4
    max_failure_rate: 0.2
    params:
      agent.gamma: choice(0.9, 0.99)
      agent.tau: tag(log, interval(0.001, 0.1))
"""


def test_a_sweeper_block_says_what_the_native_sections_say(
    compose: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    native = compose(
        NATIVE,
        **{
            "agent/search_spaces/ddpg": SPACE,
            "sampler/mine": "_target_: optuna.samplers.TPESampler\nn_startup_trials: 3\nmultivariate: true\n",
        },
    )
    assert capsys.readouterr().err == ""
    swept = compose(SWEEPER)
    assert swept == native
    assert (swept.study.n_trials, swept.study.seed, swept.search_space) == (33, 7, yaml.safe_load(SPACE))
    check_study(swept)


def test_an_override_of_the_storage_comes_before_a_sweeper_block(compose: Compose) -> None:
    assert compose(SWEEPER).study.storage == "sqlite:///swept.db"
    assert compose(SWEEPER, "study.storage=journal").study.storage == "journal"
    assert compose(SWEEPER, "study.storage=null").study.storage is None


def test_n_jobs_prints_one_line_that_says_what_takes_its_place(
    compose: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    compose(SWEEPER)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("\n")
    (line,) = captured.err.splitlines()
    assert "my configs/study/mine.yaml: hydra.sweeper.n_jobs: found 4, not used" in line
    assert "--cores" in line
    assert "study.workers" in line


@pytest.mark.parametrize("more", ["", "    n_trials: 5\n"])
def test_a_sweeper_block_needs_no_override_line(more: str, compose: Compose) -> None:
    shipped_one = compose("").model_dump()
    config = compose(f"hydra:\n  sweeper:\n{more}    params:\n      agent.gamma: choice(0.9, 0.99)\n").model_dump()
    shipped_one["search_space"] = {"agent.gamma": "choice(0.9, 0.99)"}
    shipped_one["study"]["n_trials"] = 5 if more else 20
    assert config == shipped_one


def test_options_without_a_sampler_are_those_of_the_studys(compose: Compose) -> None:
    config = compose("hydra:\n  sweeper:\n    sampler:\n      seed: 3\n      n_startup_trials: 4\n")
    assert config.sampler == {**section("sampler/tpe.yaml"), "n_startup_trials": 4}
    assert config.study.seed == 3


def test_overrides_go_before_a_sweeper_block(compose: Compose) -> None:
    block = (
        "hydra:\n  sweeper:\n    n_trials: 5\n    direction: minimize\n    study_name: theirs\n"
        "    sampler: {_target_: optuna.samplers.TPESampler, seed: 3, n_startup_trials: 4}\n"
    )
    ours = ["study=mine", "study.n_trials=7", "study.direction=maximize", "study.seed=1", "sampler.n_startup_trials=2"]
    config = compose(block, *ours)
    assert (config.study.n_trials, config.study.direction, config.study.seed) == (7, "maximize", 1)
    assert config.study.name == "theirs"
    assert config.sampler == {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 2}
    config = compose(block, "study=mine", "sampler=random")
    assert config.sampler == section("sampler/random.yaml")
    assert config.study.seed == 3


def test_deprecated_search_space_of_the_sweeper(compose: Compose) -> None:
    config = compose(
        "hydra:\n  sweeper:\n    search_space:\n      agent.gamma: {type: float, low: 0.5, high: 0.9}\n"
        "      agent.action_noise: {type: categorical, choices: [null, normal]}\n"
    )
    space = config.space().distributions
    assert config.search_space.keys() == {"agent.gamma", "agent.action_noise"}
    assert repr(space["agent.gamma"]) == "FloatDistribution(high=0.9, log=False, low=0.5, step=None)"
    assert config.for_trial({"agent.action_noise": "null"}).agent["action_noise"] is None


@pytest.mark.parametrize("target", ["hydra.sweeper.params", "search_space"])
def test_a_search_space_file_in_a_studys_defaults(target: str, compose: Compose) -> None:
    override = "override " if target == "search_space" else ""
    config = compose(
        f"defaults:\n  - {override}/agent/search_spaces@{target}: narrow\n",
        **{"agent/search_spaces/narrow": SPACE},
    )
    assert config.search_space == yaml.safe_load(SPACE)


def test_the_search_space_follows_the_agent(compose: Compose) -> None:
    """The agent's search space is chosen without `agent/search_spaces@hydra.sweeper.params: ${agent}`. That line cannot
    work in a study's file: Hydra reads it before it knows the agent."""
    config = compose("defaults:\n  - override /agent: td3\n", **{"agent/search_spaces/td3": SPACE})
    assert config.search_space == yaml.safe_load(SPACE)
    with pytest.raises(SidewinderError, match=r"study/mine\.yaml: .*\$\{agent\}.* accepted in .*: a name"):
        compose("defaults:\n  - /agent/search_spaces@hydra.sweeper.params: ${agent}\n")


# What a search space fixes, deletes and adds


def test_fixed_deleted_and_added_keys(compose: Compose) -> None:
    config = compose(
        """
hydra:
  sweeper:
    params:
      agent.gamma: interval(0.9, 0.99)
      agent.tau: 0.02
      agent.train_freq: [2, episode]
      ~agent.noise_std:
      +agent.optimize_memory_usage: false
      +environment.env_kwargs.g: choice(9.8, 10)
"""
    )
    assert list(config.search_space) == ["agent.gamma", "+environment.env_kwargs.g"]
    assert config.agent["tau"] == 0.02
    assert config.agent["train_freq"] == [2, "episode"]
    assert "noise_std" not in config.agent
    assert config.agent["optimize_memory_usage"] is False
    check_study(config)
    run = config.for_trial({"agent.gamma": 0.95, "+environment.env_kwargs.g": 9.8})
    assert run.agent["gamma"] == 0.95
    assert run.environment.env_kwargs == {"g": 9.8}
    assert config.for_trial({}).environment.env_kwargs == {}


def test_categories_reach_a_trial_as_config_values(compose: Compose) -> None:
    config = compose(
        "search_space:\n"
        "  agent.policy_kwargs.net_arch: choice([32,32], s)\n"
        "  agent.train_freq: choice(1, [1,episode])\n"
    )
    check_study(config)
    first, _ = config.space().distributions["agent.policy_kwargs.net_arch"].choices  # type: ignore[attr-defined]
    run = config.for_trial({"agent.policy_kwargs.net_arch": first, "agent.action_noise": "null"})
    assert run.agent["policy_kwargs"]["net_arch"] == [32, 32]
    assert run.agent["action_noise"] is None


# Interpolations


def test_interpolations_wait_for_the_search_only_where_they_depend_on_it(compose: Compose) -> None:
    config = compose(
        """
agent:
  learning_starts: ${agent.batch_size}
  tau: ${agent.noise_std}
  buffer_size: ${training.total_timesteps}
environment:
  wrappers: [gymnasium.wrappers.ClipReward: {max_reward: "${agent.batch_size}"}]
training:
  total_timesteps: 3000
evaluation:
  eval_freq: ${agent.batch_size}
  seed: ${training.seed}
"""
    )
    assert config.agent["learning_starts"] == "${agent.batch_size}"
    assert config.environment["wrappers"] == [{"gymnasium.wrappers.ClipReward": {"max_reward": "${agent.batch_size}"}}]
    assert config.agent["buffer_size"] == 3000
    assert config.evaluation["eval_freq"] == "${agent.batch_size}"
    assert config.evaluation["seed"] == 0
    check_study(config)
    run = StudyConfig.model_validate(yaml.safe_load(config.dump())).for_trial({"agent.batch_size": 64})
    assert run.agent["learning_starts"] == 64
    assert run.environment.wrappers == [{"gymnasium.wrappers.ClipReward": {"max_reward": 64}}]
    assert run.evaluation.eval_freq == 64
    # tau and noise_std are searched: the values set for them apply only without the search.
    assert config.agent["tau"] == 0.1
    assert config.for_trial({"agent.tau": 0.5, "agent.noise_std": 0.2}).agent["tau"] == 0.5


def test_whole_floats_become_integers(compose: Compose) -> None:
    config = compose("training:\n  total_timesteps: 1e5\nevaluation:\n  eval_freq: 2e3\nstudy:\n  n_trials: 1e2\n")
    written = compose("training:\n  total_timesteps: 100000\nevaluation:\n  eval_freq: 2000\nstudy:\n  n_trials: 100\n")
    assert config.dump() == written.dump()
    assert "total_timesteps: 100000\n" in config.dump()
    run = compose("training:\n  total_timesteps: ${agent.batch_size}\n").for_trial({"agent.batch_size": 1e5})
    assert repr(run.training.total_timesteps) == "100000"


# Mistakes

FILE = r"\S*my configs/study/mine\.yaml: "
MISTAKES = {
    # a study's file
    "agent": ("defaults:\n  - override /agent: nope\n", FILE + "agent: found 'nope', accepted: .*crossq, ddpg, dqn, "),
    "environment": (
        "defaults:\n  - override /environment: nope\n",
        FILE + "environment: found 'nope', accepted: .*cartpole, .*pendulum",
    ),
    "sampler": ("defaults:\n  - override /sampler: nope\n", FILE + "sampler: found 'nope', accepted: .*random, tpe"),
    "unknown section": ("trainig:\n  seed: 1\n", FILE + "trainig: found {'seed': 1}, accepted: no such key"),
    "unknown key": ("training:\n  sed: 1\n", FILE + r"training\.sed: found 1, accepted: no such key"),
    "unknown study key": ("study:\n  n_trails: 1\n", FILE + r"study\.n_trails: found 1, accepted: no such key"),
    "search key": (
        "search_space:\n  agent.gama: interval(0, 1)\n",
        FILE + r"agent\.gama: found an unknown key, accepted: .*gamma",
    ),
    "search key of the study": (
        "search_space:\n  study.n_trials: range(1, 5)\n",
        FILE + r"study\.n_trials: found a key that no trial has, accepted: .*agent, environment, training, evaluation",
    ),
    "deleted key": ("search_space:\n  ~agent.gama:\n", FILE + r"agent\.gama: found an unknown key, accepted: .*gamma"),
    "search space": (
        "search_space:\n  agent.gamma: interval(0.9\n",
        FILE + r"agent\.gamma: found 'interval\(0\.9' .*, accepted: choice",
    ),
    "nested search space": (
        "search_space:\n  agent:\n    gamma: interval(0, 1)\n",
        FILE + r"agent: found .*dotted key, agent\.gamma",
    ),
    "no search space": ("search_space: null\n", FILE + "search_space: found None, accepted: a mapping"),
    "sampler is text": ("sampler: tpe\n", FILE + "sampler: found 'tpe', accepted: a mapping"),
    "negative": ("study:\n  n_trials: -1\n", FILE + r"study\.n_trials: found -1, accepted: greater than .* 1"),
    "zero": ("study:\n  n_trials: 0\n", FILE + r"study\.n_trials: found 0, accepted: greater than .* 1"),
    "text": ("study:\n  n_trials: many\n", FILE + r"study\.n_trials: found 'many', accepted: valid integer"),
    "fraction": ("training:\n  total_timesteps: 1.5\n", FILE + r"training\.total_timesteps: found 1\.5, accepted"),
    "direction": (
        "study:\n  direction: up\n",
        FILE + r"study\.direction: found 'up', accepted: 'maximize' or 'minimize'",
    ),
    "two at once": ("study:\n  direction: up\n  n_trials: 0\n", FILE + r"study\.direction: found 'up'"),
    "two files at once": ("agent:\n  gamma: ${nope}\ntraining:\n  seed: -1\n", FILE + r"agent\.gamma: .*'nope'"),
    "interpolation": (
        "evaluation:\n  eval_freq: ${training.nope}\n",
        FILE + r"evaluation\.eval_freq: .*training\.nope",
    ),
    "broken interpolation": ("agent:\n  gamma: ${nope\n", FILE + r"agent\.gamma: .*\${nope"),
    "interpolation in the search space": (
        "search_space:\n  agent.gamma: ${nope}\n",
        FILE + r"search_space\.agent\.gamma: .*'nope'",
    ),
    "not YAML": ("study: {n_trials: [\n", r'.*my configs/study/mine\.yaml", line'),
    "not a mapping": ("- study\n", FILE + ".*'study/mine'.*ListConfig"),
    "defaults": ("defaults: 5\n", FILE + ".*defaults must be a list"),
    # a sweeper block
    "sweeper key": (
        "hydra:\n  sweeper:\n    n_trails: 5\n",
        FILE + r"hydra\.sweeper\.n_trails: found 5, accepted: .*n_trials",
    ),
    "sweeper n_trials": (
        "hydra:\n  sweeper:\n    n_trials: -3\n",
        FILE + r"hydra\.sweeper\.n_trials: found -3, accepted: greater than",
    ),
    "two directions": (
        "hydra:\n  sweeper:\n    direction: [minimize, maximize]\n",
        FILE
        + r"hydra\.sweeper\.direction: found \['minimize', 'maximize'\], accepted: one direction for each of study",
    ),
    "sweeper params": (
        "hydra:\n  sweeper:\n    params:\n      agent.gamma: interval(0.9\n",
        FILE + r"agent\.gamma: found 'interval\(0\.9'",
    ),
    "sweeper params are a list": (
        "hydra:\n  sweeper:\n    params: [agent.gamma]\n",
        FILE + r"hydra\.sweeper\.params: found \['agent\.gamma'\], accepted: a mapping",
    ),
    "sweeper's deprecated space": (
        "hydra:\n  sweeper:\n    search_space:\n      agent.gamma: {type: float, low: 0.5}\n",
        FILE + r"agent\.gamma: found .*'high' is missing",
    ),
    "sweeper sampler": (
        "defaults:\n  - override /hydra/sweeper/sampler: nope\n",
        FILE + "hydra/sweeper/sampler: found 'nope', accepted: .*random, tpe",
    ),
    "grid of a continuous parameter": (
        "defaults:\n  - override /sampler: grid\nhydra:\n  sweeper:\n    params:\n      agent.gamma: interval(0, 1)\n",
        FILE + r"hydra\.sweeper\.params\.agent\.gamma: found FloatDistribution.*, accepted for a grid: choice or range",
    ),
    "brute force of a continuous parameter": (
        "defaults:\n  - override /sampler: brute_force\n",
        r"\S*configs/agent/search_spaces/ddpg\.yaml: search_space\.agent\.learning_rate: "
        r"found FloatDistribution.*, accepted for brute force: choice or range",
    ),
    "grid with text for n_trials": (
        "defaults:\n  - override /sampler: grid\nstudy:\n  n_trials: many\nhydra:\n  sweeper:\n    params:\n"
        "      agent.gamma: choice(0.9, 0.99)\n",
        FILE + r"study\.n_trials: found 'many'",
    ),
}


def error_of(compose: Compose, study: str, *overrides: str, **files: str) -> str:
    with pytest.raises(SidewinderError) as caught:
        compose(study, *overrides, **files)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_a_package_that_is_not_in_the_first_line(compose: Compose) -> None:
    text = f"# A study of mine\n{HEADER}defaults:\n  - override /agent: ppo\n"
    message = error_of(compose, "", **{"study/mine": text})
    assert "study/mine.yaml: " in message
    assert message.endswith("accepted: a study's file whose first line is # @package _global_")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_a_studys_file(mistake: str, compose: Compose) -> None:
    study, expected = MISTAKES[mistake]
    message = error_of(compose, study)
    assert re.match(expected, message), message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("study=nope", "study: found 'nope', accepted: .*mine, pendulum_ddpg"),
        ("agent=nope", "agent: found 'nope', accepted: .*ddpg, dqn"),
        ("pruner=nope", "pruner: found 'nope', accepted: .*hyperband, median"),
        ("study.n_trials=-1", r"study\.n_trials: found -1, accepted: greater than"),
        ("study.n_trials=many", r"study\.n_trials: found 'many', accepted: valid integer"),
        ("study.window=4", r"study\.window: found 4, accepted: null, or a number with study\.schedule=window"),
        ("study.direction=up", r"study\.direction: found 'up', accepted: 'maximize' or 'minimize'"),
        ("agent.gama=0.9", r".*'agent\.gama'.*'gama' is not in struct"),
        ("+training.sed=1", r"training\.sed: found 1, accepted: no such key"),
        ("training.seed='${nope}'", r"training\.seed: .*'nope' not found"),
        ("study.n_trials", r".*'study\.n_trials'"),
        ("study.n_trials=1,2", r".*'study\.n_trials=1,2'"),
        ("hydra.sweeper.n_trials=0", r"hydra\.sweeper\.n_trials: found 0, accepted: greater than"),
    ],
)
def test_mistakes_in_an_override(override: str, expected: str, compose: Compose) -> None:
    message = error_of(compose, "", "study.workers=2", override)
    assert re.match(f"override {re.escape(override)}: {expected}", message), message


def test_a_schedule_without_its_number(compose: Compose) -> None:
    message = error_of(compose, "", "study.schedule=window")
    assert message.endswith("study.window: found None, accepted: how many trials, because study.schedule is window")


def test_a_mistake_in_another_file_names_that_file(compose: Compose) -> None:
    message = error_of(compose, "", **{"agent/search_spaces/ddpg": "agent.gamma: interval(1\n"})
    assert re.match(r"\S*my configs/agent/search_spaces/ddpg\.yaml: agent\.gamma: found 'interval\(1'", message)
    own = {"agent/search_spaces/ddpg": SPACE, "environment/pendulum": "env_id: Pendulum-v1\nn_envs: 0\n"}
    message = error_of(compose, "", **own)
    assert re.match(r"\S*my configs/environment/pendulum\.yaml: environment\.n_envs: found 0", message)


def test_a_study_that_there_is_not() -> None:
    with pytest.raises(SidewinderError, match=r"study: found 'nope', accepted: .*pendulum_ddpg"):
        compose_study("nope")


def test_a_config_directory_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(SidewinderError, match=r"config_dirs: .*/nope is not a directory") as caught:
        compose_study("pendulum_ddpg", [], [tmp_path / "nope"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("study", "expected"),
    [
        ("agent:\n  gama: 0.9\n", r"agent\.gama: found 0\.9, accepted: a key of ddpg: .*gamma"),
        ("search_space:\n  agent.batch_size: interval(32, 64)\n", r"agent\.batch_size: found \d+\.\d+, accepted"),
        (
            'search_space:\n  agent.action_noise: choice(normal, "it\'s")\n',
            r"agent\.action_noise: found .*accepted: null",
        ),
        ("search_space:\n  +agent.foo: choice(1, 2)\n", r"agent\.foo: found 1, accepted: a key of ddpg"),
        ("sampler:\n  foo: 1\n", "sampler: found .*'foo': 1.*, accepted: an Optuna sampler"),
        (
            "search_space:\n  +agent.policy_kwargs.optimizer_class: choice(torch.optim.Adam, torch.optim.Adams)\n",
            r"agent\.policy_kwargs\.optimizer_class: found 'torch\.optim\.Adams' \(module 'torch\.optim' has no",
        ),
        ("sampler:\n  gamma: my.gamma\n", r"sampler\.gamma: found 'my\.gamma', accepted: null, as functions"),
        ("sampler:\n  n_ei_candidates: x\n", r"sampler\.n_ei_candidates: found 'x', accepted: int"),
        (
            "defaults:\n  - override /sampler: gp\nsampler:\n  independent_sampler: random\n",
            r"sampler\.independent_sampler: found 'random', accepted: null, or a mapping with _target_ and options",
        ),
        ("pruner:\n  _target_: optuna.pruners.Nope\n", "pruner: found .*Nope.*, accepted: an Optuna pruner"),
        ("study:\n  custom_search_space: no.such\n", r"study\.custom_search_space: found 'no\.such' .*, accepted: "),
    ],
)
def test_mistakes_that_check_finds(study: str, expected: str, compose: Compose) -> None:
    config = compose(study)
    with pytest.raises(SidewinderError) as caught:
        check_study(config)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert re.match(f"study mine: {expected}", message), message


# config.yaml


def test_dump_and_load(tmp_path: Path, compose: Compose) -> None:
    config = compose("agent:\n  learning_starts: ${agent.batch_size}\n  gamma: 1e-7\nstudy:\n  name: dürre\n")
    path = tmp_path / "config.yaml"
    path.write_text(config.dump())
    loaded = StudyConfig.load(path)
    assert loaded == config
    assert loaded.dump() == config.dump()
    assert loaded.digest() == config.digest()
    assert list(loaded.search_space) == list(config.search_space)
    assert compose("agent:\n  gamma: 1e-7\n  learning_starts: ${agent.batch_size}\nstudy:\n  name: dürre\n").dump() == (
        config.dump()
    )


@pytest.mark.parametrize("text", [None, "study: {", "study: 5\n", "- 1\n"])
def test_load_of_a_broken_file(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SidewinderError) as caught:
        StudyConfig.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "override",
    ["study.n_trials=100", "study.storage=sqlite:///x.db", "study.max_failure_rate=0.1", "confirmation.baselines=[]"],
)
def test_what_makes_no_other_study(override: str) -> None:
    old, new = compose_study("pendulum_ddpg"), compose_study("pendulum_ddpg", [override])
    assert new != old
    assert old.differences(new) == []
    assert old.digest() == new.digest()


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("study.seed=1", "study.seed: 0 -> 1"),
        ("study.workers=4", "study.workers: 8 -> 4"),
        ("evaluation.n_eval_episodes=5", "evaluation.n_eval_episodes: 10 -> 5"),
        ("agent.gamma=0.5", "agent.gamma: 0.99 -> 0.5"),
        ("+agent.stats_window_size=5", "agent.stats_window_size: absent -> 5"),
        ("~agent.noise_std", "agent.noise_std: 0.1 -> absent"),
        ("training.total_timesteps=10", "training.total_timesteps: 20000 -> 10"),
        ("evaluation.objective=last", "evaluation.objective: 'best' -> 'last'"),
        ("+environment.env_kwargs.g=9.8", "environment.env_kwargs.g: absent -> 9.8"),
        ("sampler.n_startup_trials=5", "sampler.n_startup_trials: 10 -> 5"),
        ("pruner=median", "pruner._target_: 'optuna.pruners.NopPruner' -> 'optuna.pruners.MedianPruner'"),
    ],
)
def test_what_makes_another_study(override: str, difference: str, compose: Compose) -> None:
    narrow = {"agent/search_spaces/ddpg": "agent.tau: interval(0.1, 0.2)\n"}
    old, new = compose("", **narrow), compose("", override, **narrow)
    assert difference in old.differences(new)
    assert old.digest() != new.digest()
    assert re.fullmatch("[0-9a-f]{16}", old.digest())


def test_another_search_space_makes_another_study(compose: Compose) -> None:
    old = compose("", **{"agent/search_spaces/ddpg": "agent.tau: interval(0.1, 0.2)\n"})
    new = compose("", **{"agent/search_spaces/ddpg": "agent.tau: interval(0.1, 0.3)\n"})
    assert old.differences(new) == ["search_space.agent.tau: 'interval(0.1, 0.2)' -> 'interval(0.1, 0.3)'"]
    assert old.digest() != new.digest()


# What interpolations compute


def test_a_search_space_may_compute(compose: Compose) -> None:
    config = compose(
        "training:\n  total_timesteps: 1000\n"
        "search_space:\n"
        "  agent.helpers.one_minus_gamma: tag(log, interval(0.001, 0.1))\n"
        "  agent.helpers.batch_size_pow: range(3, 5)\n"
        "  agent.helpers.warm_up: interval(0.0, 0.5)\n"
        "  agent.train_freq: choice(2, 8)\n"
        "  agent.gamma: ${one_minus:${agent.helpers.one_minus_gamma}}\n"
        "  agent.batch_size: ${power_of_two:${agent.helpers.batch_size_pow}}\n"
        "  agent.learning_starts: ${share:${agent.helpers.warm_up},${training.total_timesteps}}\n"
        "  agent.gradient_steps: ${quotient:${agent.train_freq},4}\n"
    )
    check_study(config)
    assert "agent.helpers.warm_up" in config.search_space
    assert "agent.gamma" not in config.search_space
    run = config.for_trial(
        {
            "agent.helpers.one_minus_gamma": 0.02,
            "agent.helpers.batch_size_pow": 5,
            "agent.helpers.warm_up": 0.25,
            "agent.train_freq": 8,
        }
    )
    computed = {key: run.agent[key] for key in ("gamma", "batch_size", "learning_starts", "gradient_steps")}
    assert computed == {"gamma": 0.98, "batch_size": 32, "learning_starts": 250, "gradient_steps": 2}
    assert StudyConfig.model_validate(yaml.safe_load(config.dump())).for_trial({}).agent["gamma"] == 0.999


def test_width_and_depth_of_networks_are_searched(compose: Compose) -> None:
    config = compose(
        "search_space:\n"
        "  agent.helpers.width: choice(16, 32)\n"
        "  agent.helpers.depth: range(1, 3)\n"
        "  agent.policy_kwargs.net_arch: ${repeat:${agent.helpers.width},${agent.helpers.depth}}\n"
    )
    check_study(config)
    run = config.for_trial({"agent.helpers.width": 32, "agent.helpers.depth": 3})
    assert run.agent["policy_kwargs"]["net_arch"] == [32, 32, 32]


@pytest.mark.parametrize("key", ["agent", "environment"])
def test_a_choice_of_files_is_no_search(key: str, compose: Compose) -> None:
    message = rf"{key}: found a choice of files, accepted: keys of it, .* a study for each file, by {key}=a,b"
    with pytest.raises(SidewinderError, match=message) as caught:
        compose(f"search_space:\n  {key}: choice(ddpg, sac)\n")
    assert "environments" in str(caught.value)


@pytest.mark.parametrize("found", ["my.constraints", "{_target_: my.constraints}"])
def test_constraints_are_refused(found: str, compose: Compose) -> None:
    with pytest.raises(
        SidewinderError, match=r"sampler\.constraints_func: found .*, accepted: null, because results store no"
    ):
        check_study(compose(f"sampler:\n  constraints_func: {found}\n"))


def test_what_cannot_be_computed_is_said(compose: Compose) -> None:
    with pytest.raises(SidewinderError, match=r"agent\.batch_size: ValueError .*power_of_two: found 2\.5, accepted: "):
        check_study(compose("agent:\n  batch_size: ${power_of_two:2.5}\n"))


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("agent.noise_std", "agent.action_noise=normal"),
        ("agent.replay_buffer_kwargs.n_sampled_goal", None),
        ("agent.helpers.x", "agent.tau='${agent.helpers.x}'"),
    ],
)
def test_searches_without_effect(compose: Compose, key: str, remedy: str | None) -> None:
    none = {"agent/search_spaces/none": "{}\n"}
    space = f"defaults:\n  - override /agent/search_spaces@search_space: none\nsearch_space:\n  {key}: range(1, 2)\n"
    with pytest.raises(SidewinderError, match=rf"search_space: {key}: found a search without effect, accepted: with"):
        check_study(compose(space, **none))
    if remedy:
        check_study(compose(space, remedy, **none))


# Studies of earlier versions


@pytest.mark.parametrize(
    ("name", "study", "trial", "baseline"),
    [
        ("pendulum_ddpg", "b5360fa8d29c8fce", "e65faae9872f2495", "d67ca40427c653fe"),
        ("cartpole_ppo", "c2b35f7b545734f7", "3752d4bd44c5cd07", "09c8151028a02bb9"),
    ],
)
def test_a_study_of_an_earlier_version_keeps_its_identity(name: str, study: str, trial: str, baseline: str) -> None:
    config = StudyConfig.load(Path(__file__).parent / "older" / f"{name}.yaml")
    assert config.digest() == study
    assert config.for_trial({}).digest() == trial
    assert config.for_baseline("defaults").digest(HeldOut(3, 5)) == baseline


def test_what_a_mark_says() -> None:
    class Inner(Section):
        old: int = 1
        new: Annotated[list[int], Identity.UNLESS_DEFAULT] = Field(default_factory=list)

    class Outer(Section):
        inner: Inner = Inner()
        never: Annotated[int, Identity.NEVER] = 1

    plain = Outer().model_dump()
    assert identifying(Outer, plain) == {"inner": {"old": 1}}
    assert identifying(Outer, plain | {"never": 2}) == {"inner": {"old": 1}}
    assert identifying(Outer, {"inner": {"old": 1}}) == {"inner": {"old": 1}}
    assert identifying(Outer, {"inner": {"old": 1, "new": [3]}}) == {"inner": {"old": 1, "new": [3]}}
    assert identifying(Outer, {"inner": {"old": 1, "new": "${agent.x}"}}) == {"inner": {"old": 1, "new": "${agent.x}"}}
