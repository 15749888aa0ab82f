"""Every shipped sampler and pruner has all of Optuna's options, and gives the same bytes in any order of execution."""

import inspect
import json
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import gymnasium
import optuna
import pytest
import yaml
from hydra.utils import get_class
from made_up_studies import DISCRETE, PRUNERS, SAMPLERS, run_study, run_trial, shipped
from stable_baselines3.common.vec_env import DummyVecEnv

from sidewinder import SidewinderError
from sidewinder.checks import check_study
from sidewinder.config.algorithms import POLICY_DEFAULTS
from sidewinder.config.composition import compose_study
from sidewinder.config.study_config import StudyConfig
from sidewinder.results import Result, result_path
from sidewinder.study.study import Study
from sidewinder.training import agents, arguments
from sidewinder.trials.tables import pareto_set, trials_table

pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore:`restart_strategy` is deprecated:FutureWarning"),
]
MakeConfig = Callable[..., StudyConfig]
# Options that a config cannot hold (functions, arrays, trials), or that the study sets.
NOT_IN_CONFIG = {
    "seed",
    "search_space",
    "gamma",
    "weights",
    "constraints_func",
    "reference_points",
    "source_trials",
    "elite_population_selection_strategy",
    "child_generation_strategy",
    "after_trial_strategy",
}
# Options without a default in Optuna, and their values in the shipped files.
REQUIRED = {"percentile": 25.0, "patience": 1, "wrapped_pruner": {"_target_": "optuna.pruners.MedianPruner"}}


def composed(directory: Path, settings: dict[str, Any], *overrides: str) -> StudyConfig:
    """Compose a study of DDPG on Pendulum-v1 with these settings, without the shipped search space."""
    head: dict[str, Any] = {"defaults": [{"override /agent/search_spaces@search_space": None}]}
    (directory / "study").mkdir(exist_ok=True)
    text = yaml.safe_dump(head | settings, sort_keys=False)
    (directory / "study/mine.yaml").write_text(f"# @package _global_\n{text}")
    return compose_study("mine", overrides, [directory])


@pytest.mark.parametrize("group", ["sampler", "pruner"])
def test_every_option_of_optuna_is_in_its_file(group: str) -> None:
    for name, found in shipped(group).items():
        options = dict(found)
        parameters = inspect.signature(get_class(options.pop("_target_"))).parameters
        expected = {
            key: REQUIRED[key] if parameter.default is parameter.empty else parameter.default
            for key, parameter in parameters.items()
            if key not in NOT_IN_CONFIG
        }
        assert options == expected, name


# Each sampler at least once, each pruner at least once.
@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "pruner"), list(zip(SAMPLERS, cycle(PRUNERS), strict=False)))
def test_nothing_depends_on_execution(sampler: str, pruner: str, study_config: MakeConfig, tmp_path: Path) -> None:
    config = study_config(
        "study.n_trials=12",
        "study.workers=2",
        sampler=SAMPLERS[sampler],
        pruner=PRUNERS[pruner],
        search_space=DISCRETE if sampler in ("grid", "brute_force") else None,
    )
    alone = run_study(tmp_path / "alone", config, cores=1, shuffle=0)
    states = {json.loads(result)["state"] for result in alone.values()}
    assert states == ({"complete"} if pruner == "none" else {"complete", "pruned"})
    assert run_study(tmp_path / "2", config, cores=2, shuffle=1) == alone


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "qmc", "nsgaii", "nsgaiii"])
def test_several_objectives_do_not_depend_on_execution(sampler: str, study_config: MakeConfig, tmp_path: Path) -> None:
    aims = ["study.objectives=[return,spread]", "study.direction=[maximize,minimize]"]
    # In this space the two objectives are in conflict: the optimum of one is at 0.3, of the other at 1.
    space = {"agent.gamma": "interval(0.0, 1.0)", "agent.tau": "interval(0.0, 1.0)"}
    budget = ["study.n_trials=12", "study.workers=2"]
    config = study_config(*budget, *aims, sampler=SAMPLERS[sampler], search_space=space)
    alone = run_study(tmp_path / "alone", config, cores=1, shuffle=0)
    assert run_study(tmp_path / "2", config, cores=2, shuffle=1) == alone
    # Optuna's Pareto set from the database equals the one from the table.
    Study(tmp_path / "2", config).ask(12 + 1)
    known = optuna.load_study(study_name="made_up", storage=f"sqlite:///{tmp_path}/2/study.db")
    results = [Result.model_validate_json(content) for content in alone.values()]
    front = pareto_set(trials_table(results), config.study.objectives, config.study.directions)
    assert front == sorted(front, key=lambda number: -(results[number].objective or 0))
    assert set(front) == {trial.number for trial in known.best_trials}
    assert 1 < len(front) < 12


def test_each_pruner_is_among_them() -> None:
    assert len(PRUNERS) <= len(SAMPLERS)


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "search"), [("grid", "the grid"), ("brute_force", "brute force")])
def test_a_search_of_every_point_ends_with_the_last(
    sampler: str, search: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = {"search_space": DISCRETE}
    config = composed(tmp_path, settings, f"sampler={sampler}", "study.n_trials=50", "study.workers=4")
    assert capsys.readouterr().err == f"study mine: {search} ends the study after 18 trials\n"
    results = run_study(tmp_path / "run", config, cores=3, shuffle=1)
    assert len({json.dumps(json.loads(result)["params"]) for result in results.values()}) == len(results) == 18
    composed(tmp_path, settings, f"sampler={sampler}", "study.n_trials=18")
    assert capsys.readouterr().err == ""


# Starting points

ENQUEUE = ["defaults", "zoo", {"agent.gamma": 0.9, "agent.policy_kwargs.net_arch": "m"}]
AGENT_SPACE = {
    "agent.gamma": "choice(0.9, 0.98, 0.99)",
    "agent.learning_rate": "tag(log, interval(1e-4, 1e-2))",
    "agent.policy_kwargs.net_arch": "choice(s, m, l)",
    "agent.policy_kwargs.activation_fn": "choice(tanh, relu)",
    "agent.action_noise": "choice(null, normal)",
    "agent.train_freq": "choice([1, episode], 4)",
    "agent.batch_size": "range(64, 512, 64)",
}
DEFAULTS = {
    "agent.gamma": 0.99,
    "agent.learning_rate": 1e-3,
    "agent.policy_kwargs.net_arch": "l",
    "agent.policy_kwargs.activation_fn": "relu",
    "agent.action_noise": "null",
    "agent.batch_size": 256,
}
ZOO = DEFAULTS | {"agent.gamma": 0.98, "agent.action_noise": "normal"}


def test_baselines_are_what_they_say_in_the_search_space(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = composed(tmp_path, {"study": {"enqueue": ENQUEUE}, "search_space": AGENT_SPACE})
    assert config.study.enqueue == [DEFAULTS, ZOO, ENQUEUE[2]]
    left = "agent.train_freq: found 1, accepted: one of [1,episode], 4; left to the sampler"
    assert capsys.readouterr().err.splitlines() == [
        f"study mine: study.enqueue[{position}]: {name}: {left}" for position, name in enumerate(("defaults", "zoo"))
    ]
    point = {"agent.train_freq": [1, "episode"], "agent.action_noise": None, "agent.batch_size": 64.0}
    config = composed(tmp_path, {"study": {"enqueue": [point]}, "search_space": AGENT_SPACE})
    expected = {"agent.train_freq": "[1,episode]", "agent.action_noise": "null", "agent.batch_size": 64}
    assert repr(config.study.enqueue) == repr([expected])


# All but MaskablePPO, which needs an environment with masks and has the same policy as PPO.
@pytest.mark.parametrize("algorithm", [name for name in POLICY_DEFAULTS if name != "maskable_ppo"])
def test_null_in_policy_kwargs_is_what_stable_baselines3_makes_of_it(algorithm: str) -> None:
    config = compose_study("x", ["study=plain", f"agent={algorithm}", "agent.policy_kwargs.net_arch=null"])
    continuous = algorithm not in ("dqn", "qrdqn")
    env = DummyVecEnv([lambda: gymnasium.make("Pendulum-v1" if continuous else "CartPole-v1")])
    policy = agents.build(config.agent, env, seed=0, device="cpu", tensorboard_log=None).policy
    net_arch, activation_fn = POLICY_DEFAULTS[algorithm]
    found: Any = policy.net_arch
    if isinstance(found, dict) and found.get("pi") == found.get("vf"):
        found = found["pi"]
    assert found == net_arch
    assert policy.activation_fn == arguments.ACTIVATIONS[activation_fn]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("zoos", r"study.enqueue\[1\]: found 'zoos', accepted: defaults, zoo, a mapping from searched keys to values"),
        (
            {"agent.tau": 0.1},
            r"study.enqueue\[1\].agent.tau: found a key that is not searched, accepted: agent.gamma",
        ),
        ({"agent.gamma": 1}, r"study.enqueue\[1\].agent.gamma: found 1, accepted: one of 0.9, 0.98, 0.99"),
        ({"agent.batch_size": 65}, r"study.enqueue\[1\].agent.batch_size: found 65, accepted: range\(64, 512, 64\)"),
        ({"agent.batch_size": True}, r"study.enqueue\[1\].agent.batch_size: found True, accepted: range"),
        ({"agent.learning_rate": 1}, r"study.enqueue\[1\].agent.learning_rate: found 1, accepted: tag\(log, interval"),
    ],
)
def test_a_starting_point_outside_of_the_search_space(entry: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(SidewinderError, match=r"^\S*study/mine.yaml: " + expected) as error:
        composed(tmp_path, {"study": {"enqueue": ["defaults", entry]}, "search_space": AGENT_SPACE})
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsgaii", "brute_force"])
def test_starting_points_come_first_however_a_study_is_run(
    sampler: str, study_config: MakeConfig, lose_database: Callable[[Path], None], tmp_path: Path
) -> None:
    points = [{"agent.gamma": 0.9, "agent.tau": 0.5, "agent.batch_size": 2}, {"agent.gamma": 0.1}]
    space = DISCRETE if sampler == "brute_force" else None
    config = study_config("study.n_trials=9", "study.workers=2", sampler=SAMPLERS[sampler], search_space=space)
    plain = config.digest()
    config.study.enqueue = points
    assert config.digest() != plain
    alone = run_study(tmp_path / "alone", config, cores=1, shuffle=0)
    params = [json.loads(result)["params"] for result in alone.values()]
    assert params[0] == points[0]
    assert params[1] | points[1] == params[1]
    assert set(params[1]) == set(points[0])
    for number in range(9):
        run_trial(Study(_made(tmp_path / "2"), config), number)()
        if number in (0, 5):
            lose_database(tmp_path / "2")
    assert {number: result_path(tmp_path / "2", number).read_bytes() for number in range(9)} == alone
    assert run_study(tmp_path / "3", config, cores=2, shuffle=1) == alone


@pytest.mark.slow
def test_a_grid_comes_after_its_starting_points(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    points: list[dict[str, Any]] = [{"agent.gamma": 0.3, "agent.tau": tau, "agent.batch_size": 2} for tau in (0.5, 0.5)]
    settings = {"study": {"enqueue": points}, "search_space": DISCRETE}
    config = composed(tmp_path, settings, "sampler=grid", "study.n_trials=50", "study.workers=4")
    assert capsys.readouterr().err == "study mine: the grid ends the study after 20 trials\n"
    results = run_study(tmp_path / "run", config, cores=2, shuffle=1)
    params = [json.loads(result)["params"] for result in results.values()]
    assert params[:2] == points
    assert len({json.dumps(point) for point in params[2:]}) == 18
    del points[1]["agent.tau"]
    with pytest.raises(SidewinderError, match=r"study.enqueue\[1\]: found nothing for agent.tau, accepted for a grid"):
        composed(tmp_path, settings, "sampler=grid")


# Conditional search spaces

CONDITIONAL = {
    "agent.noise_std": {"space": "range(0.25, 0.5, 0.25)", "when": {"agent.action_noise": ["normal"]}},
    "agent.action_noise": "choice(null, normal)",
    "agent.gamma": "choice(0.9, 0.99)",
}


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "tpe group", "gp", "qmc", "nsgaii", "brute_force"])
def test_a_conditional_space_does_not_depend_on_execution(
    sampler: str, study_config: MakeConfig, tmp_path: Path
) -> None:
    config = study_config(
        "study.n_trials=10",
        "study.workers=2",
        "study.seed=1",
        sampler=SAMPLERS[sampler],
        search_space=dict(CONDITIONAL),
    )
    config.study.enqueue = [{"agent.action_noise": "normal"}]
    alone = run_study(tmp_path / "alone", config, cores=1, shuffle=0)
    params = [json.loads(result)["params"] for result in alone.values()]
    assert {point["agent.action_noise"] for point in params} == {"null", "normal"}
    for point in params:
        assert ("agent.noise_std" in point) == (point["agent.action_noise"] == "normal")
        run = config.for_trial(point)
        assert run.agent["noise_std"] == point.get("agent.noise_std", config.agent["noise_std"])
    if sampler == "brute_force":
        assert len({json.dumps(point) for point in params[:6]}) == 6
    assert run_study(tmp_path / "2", config, cores=2, shuffle=1) == alone


def test_a_conditional_space_in_a_config(tmp_path: Path) -> None:
    settings = {"search_space": CONDITIONAL, "study": {"enqueue": ["defaults", "zoo"]}}
    config = composed(tmp_path, settings | {"agent": {"noise_std": 0.3}})
    assert config.search_space["agent.noise_std"] == CONDITIONAL["agent.noise_std"]
    assert StudyConfig.model_validate(yaml.safe_load(config.dump())).space() == config.space()
    assert config.study.enqueue[0] == {"agent.action_noise": "null", "agent.gamma": 0.99}
    check_study(config)
    wrong = CONDITIONAL | {"agent.noise_std": {"space": "choice(a, 1)", "when": {"agent.action_noise": "normal"}}}
    with pytest.raises(SidewinderError, match=r"agent\.noise_std: found 'a'"):
        check_study(composed(tmp_path, {"search_space": wrong}))
    for sampler, kind in (("grid", "GridSampler"), ("cmaes", "CmaEsSampler")):
        own = CONDITIONAL | {"agent.tau": {"space": "interval(0.1, 0.2)", "when": {"agent.action_noise": "normal"}}}
        with pytest.raises(SidewinderError, match=f"agent.tau: found a condition, accepted for {kind}: none"):
            composed(tmp_path, {"search_space": own}, f"sampler={sampler}")


def _made(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    return directory
