"""Overrides of a study: they fix searched keys, change the search space, and set keys of open mappings."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidewinder import SidewinderError
from sidewinder.checks import check_study
from sidewinder.config import matrix
from sidewinder.config.composition import compose_study
from sidewinder.config.study_config import StudyConfig
from sidewinder.planning import Studies

SPACE = {
    "agent.n_steps": "choice(32, 64)",
    "agent.gamma": "interval(0.9, 0.99)",
    "agent.policy_kwargs.net_arch": "choice(s, m)",
}
Compose = Callable[..., StudyConfig]


@pytest.fixture
def compose(tmp_path: Path) -> Compose:
    """Composes PPO's study `mine` with this search space and these overrides."""

    def compose_mine(*overrides: str, space: dict[str, Any] = SPACE, **sections: Any) -> StudyConfig:
        defaults = [{"override /agent": "ppo"}, {"override /environment": "cartpole"}]
        defaults += [{"override /agent/search_spaces@search_space": None}]  # type: ignore[dict-item]
        study = {"defaults": defaults, "search_space": space, **sections}
        (tmp_path / "study").mkdir(exist_ok=True)
        (tmp_path / "study/mine.yaml").write_text(f"# @package _global_\n{yaml.safe_dump(study, sort_keys=False)}")
        return compose_study("mine", overrides, [tmp_path])

    return compose_mine


def error_of(compose: Compose, *overrides: str, **sections: Any) -> str:
    with pytest.raises(SidewinderError) as caught:
        compose(*overrides, **sections)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.removeprefix("study mine: ") for line in capsys.readouterr().err.splitlines()]


# An override of a searched key


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("agent.n_steps=128", "agent.n_steps", 128),
        ("+agent.n_steps=[128]", "agent.n_steps", [128]),
        ("++agent.n_steps=128", "agent.n_steps", 128),
        ("agent.policy_kwargs={net_arch: l}", "agent.policy_kwargs.net_arch", "l"),
        ("agent.policy_kwargs.net_arch=[8, 8]", "agent.policy_kwargs.net_arch", [8, 8]),
        ("agent.policy_kwargs.net_arch=null", "agent.policy_kwargs.net_arch", None),
    ],
)
def test_an_override_fixes_what_is_searched(
    override: str, key: str, value: Any, compose: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    config = compose(override)
    assert list(config.search_space) == [other for other in SPACE if other != key]
    assert told(capsys) == [f"{key} is not searched: override {override}"]
    agent = config.for_trial({"agent.gamma": 0.9}).agent
    assert (agent["policy_kwargs"] if "policy_kwargs" in key else agent)[key.rpartition(".")[2]] == value


def test_of_several_overrides_the_last_is_named(compose: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    assert compose("agent.n_steps=16", "agent.n_steps=8").agent["n_steps"] == 8
    assert told(capsys) == ["agent.n_steps is not searched: override agent.n_steps=8"]


def test_planning_composes_the_same(compose: Compose, tmp_path: Path) -> None:
    overrides = ["agent.n_steps=128", "~search_space.agent.gamma"]
    composed = compose(*overrides)
    planned = Studies({"mine": overrides}, [str(tmp_path)], [], tmp_path / "results", main=True)["mine"]
    assert planned.config.dump() == composed.dump()
    assert list(composed.search_space) == ["agent.policy_kwargs.net_arch"]


def test_a_mapping_that_lacks_the_searched_key_leaves_it(compose: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    config = compose("agent.policy_kwargs={ortho_init: false}", "training={total_timesteps: 100}")
    assert list(config.search_space) == list(SPACE)
    assert config.agent["policy_kwargs"]["ortho_init"] is False
    assert told(capsys) == []


@pytest.mark.parametrize("override", ["agent.policy_kwargs=null", "~agent.policy_kwargs"])
def test_what_has_lost_its_place_is_not_searched(
    override: str, compose: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    config = compose(override)
    assert list(config.search_space) == ["agent.n_steps", "agent.gamma"]
    assert not config.agent.get("policy_kwargs")
    assert told(capsys) == [f"agent.policy_kwargs.net_arch is not searched: override {override}"]
    check_study(config)


def test_a_deleted_key_is_not_searched(compose: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    config = compose("~agent.gamma")
    assert "agent.gamma" not in config.search_space
    assert "gamma" not in config.agent
    assert told(capsys) == ["agent.gamma is not searched: override ~agent.gamma"]


def test_a_plus_on_either_side_is_no_other_key(compose: Compose) -> None:
    space = SPACE | {"+environment.env_kwargs.max_episode_steps": "choice(10, 20)"}
    for override in ("environment.env_kwargs.max_episode_steps=30", "+environment.env_kwargs={max_episode_steps: 30}"):
        config = compose(override, space=space)
        assert list(config.search_space) == list(SPACE)
        assert config.environment["env_kwargs"] == {"max_episode_steps": 30}


def test_an_override_goes_before_what_the_search_space_sets_or_deletes(
    compose: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    space = SPACE | {"agent.batch_size": 16, "~agent.gae_lambda": None}
    config = compose("agent.batch_size=32", "agent.gae_lambda=0.5", space=space)
    assert (config.agent["batch_size"], config.agent["gae_lambda"]) == (32, 0.5)
    assert told(capsys) == []


def test_a_value_in_a_studys_file_fixes_nothing(compose: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    config = compose(agent={"n_steps": 128})
    assert list(config.search_space) == list(SPACE)
    assert told(capsys) == []


CONDITIONAL = {
    "agent.target_kl": {"space": "choice(0.1, 0.2)", "when": {"agent.use_sde": True}},
    "agent.use_sde": {"space": "choice(true, false)", "when": {"agent.n_steps": 64}},
    **SPACE,
}


@pytest.mark.parametrize(
    ("override", "searched", "unmet"),
    [
        ("agent.n_steps=64", ["agent.use_sde", "agent.target_kl"], []),
        ("agent.n_steps=32", [], ["agent.target_kl", "agent.use_sde"]),
        ("~search_space.agent.n_steps", [], ["agent.target_kl", "agent.use_sde"]),
        ("agent.use_sde=true", ["agent.target_kl", "agent.n_steps"], []),
        ("agent.use_sde=false", ["agent.n_steps"], ["agent.target_kl"]),
    ],
)
def test_a_fixed_key_decides_conditions(
    override: str, searched: list[str], unmet: list[str], compose: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    config = compose(override, space=CONDITIONAL)
    assert [key for key in config.search_space if key not in ("agent.gamma", "agent.policy_kwargs.net_arch")] == (
        searched
    )
    assert told(capsys)[1:] == [f"{key} is not searched: its condition does not hold" for key in unmet]
    assert list(config.space().distributions) == list(config.search_space)


def test_an_override_of_a_key_that_the_search_space_sets_decides_conditions(compose: Compose) -> None:
    space = CONDITIONAL | {"agent.n_steps": 64}
    assert "agent.use_sde" in compose(space=space).search_space
    assert "agent.use_sde" not in compose("agent.n_steps=32", space=space).search_space


def test_a_condition_on_a_deleted_key_is_refused(compose: Compose) -> None:
    message = error_of(compose, "~agent.n_steps", space=CONDITIONAL)
    assert "study/mine.yaml: agent.use_sde: found 'when agent.n_steps' (agent.n_steps is not searched)" in message


def test_starting_points_lose_a_fixed_key(compose: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    points = [{"agent.n_steps": 32, "agent.gamma": 0.95}, {"agent.n_steps": 64}, {"agent.gamma": 0.9}]
    config = compose("agent.n_steps=128", study={"enqueue": points})
    assert config.study.enqueue == [{"agent.gamma": 0.95}, {"agent.gamma": 0.9}]
    fixed = "override agent.n_steps=128"
    assert told(capsys) == [
        f"agent.n_steps is not searched: {fixed}",
        f"study.enqueue[0].agent.n_steps: found 32, not used: {fixed}",
        f"study.enqueue[1].agent.n_steps: found 64, not used: {fixed}",
    ]


def test_helpers_go_with_the_key_that_read_them(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["study=plain", "agent=ppo", "environment=cartpole", "agent/search_spaces@search_space=zoo/ppo"]
    config = compose_study("mine", [*overrides, "agent.gamma=0.5"])
    assert config.agent["gamma"] == 0.5
    assert "agent.helpers.one_minus_gamma" not in config.search_space
    assert "agent.helpers.one_minus_gae_lambda" in config.search_space
    assert told(capsys) == ["agent.helpers.one_minus_gamma is not searched: override agent.gamma=0.5"]
    check_study(config)


def test_what_a_fixed_key_switches_off_is_not_searched(capsys: pytest.CaptureFixture[str]) -> None:
    config = compose_study("mine", ["study=pendulum_ddpg", "agent.action_noise=null"])
    assert list(config.search_space) == ["agent.learning_rate", "agent.gamma", "agent.tau"]
    keys = ("agent.action_noise", "agent.noise_std")
    assert told(capsys) == [f"{key} is not searched: override agent.action_noise=null" for key in keys]
    check_study(config)
    assert "agent.noise_std" in compose_study("x", ["study=pendulum_ddpg", "agent.action_noise=normal"]).search_space


# An override of the search space


@pytest.mark.parametrize(
    ("override", "entry"),
    [
        ("search_space.agent.n_steps=choice(128, 256)", {"agent.n_steps": "choice(128, 256)"}),
        ("search_space.agent.n_steps='choice(128, 256)'", {"agent.n_steps": "choice(128, 256)"}),
        ("+search_space.agent.n_steps=choice(128, null)", {"agent.n_steps": "choice(128, null)"}),
        ("search_space={agent.n_steps: 'choice(128, 256)'}", {"agent.n_steps": "choice(128, 256)"}),
        ("hydra.sweeper.params.agent.n_steps=choice(128, 256)", {"agent.n_steps": "choice(128, 256)"}),
        ("search_space.agent.n_epochs=range(1, 3)", {"agent.n_epochs": "range(1, 3)"}),
        (
            "search_space.agent.clip_range='tag(log, interval(0.1, 1))'",
            {"agent.clip_range": "tag(log, interval(0.1, 1))"},
        ),
        (
            "search_space.agent.n_epochs={space: 'range(1, 3)', when: {agent.n_steps: 64}}",
            {"agent.n_epochs": {"space": "range(1, 3)", "when": {"agent.n_steps": [64]}}},
        ),
        ("search_space.agent.helpers.x=choice(1, 2)", {"agent.helpers.x": "choice(1, 2)"}),
        ("+search_space.environment.env_kwargs.x=choice(1, 2)", {"+environment.env_kwargs.x": "choice(1, 2)"}),
        ("search_space.environment.env_kwargs.x=choice(1, 2)", {"+environment.env_kwargs.x": "choice(1, 2)"}),
    ],
)
def test_a_search_may_be_an_override(override: str, entry: dict[str, Any], compose: Compose) -> None:
    assert compose(override).search_space == SPACE | entry


def test_a_search_may_be_taken_out(compose: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    config = compose("~search_space.agent.n_steps")
    assert "agent.n_steps" not in config.search_space
    assert config.agent["n_steps"] == 2048
    assert told(capsys) == ["agent.n_steps is not searched: override ~search_space.agent.n_steps"]
    only = compose("~search_space", "search_space.agent.gamma=interval(0, 1)")
    assert only.search_space == {"agent.gamma": "interval(0, 1)"}
    assert {line.partition(" ")[0] for line in told(capsys)} == set(SPACE) - {"agent.gamma"}


def test_a_search_may_take_the_place_of_a_deletion(compose: Compose) -> None:
    config = compose("search_space.agent.gae_lambda=interval(0, 1)", space=SPACE | {"~agent.gae_lambda": None})
    assert config.search_space == SPACE | {"agent.gae_lambda": "interval(0, 1)"}


def test_a_search_may_be_a_value(compose: Compose) -> None:
    config = compose("search_space.agent.n_steps=128")
    assert config.agent["n_steps"] == 128
    assert "agent.n_steps" not in config.search_space


def test_an_override_of_the_search_is_one_study_unless_it_lists_values() -> None:
    studies = matrix.expanded({"a": ["search_space.agent.gamma=choice(0.9,0.99)", "search_space.agent.tau=0.1,0.2"]})
    common = ["study=a", "search_space.agent.gamma=choice(0.9,0.99)"]
    assert studies == {f"a-{tau}": [*common, f"search_space.agent.tau={tau}"] for tau in (0.1, 0.2)}


@pytest.mark.parametrize(
    ("overrides", "at_fault", "expected"),
    [
        (
            ["agent.n_steps=64", "search_space.agent.n_steps=choice(8, 16)"],
            0,
            "agent.n_steps: found a key that another override sets in search_space, accepted: only one of this and "
            "override search_space.agent",
        ),
        (
            ["search_space.agent.n_steps=8", "~agent.n_steps"],
            1,
            "agent.n_steps: found a key that another override sets in search_space, accepted: only one of this and "
            "override search_space.agent",
        ),
        (
            ["agent.policy_kwargs.net_arch.pi=[8]"],
            0,
            "agent.policy_kwargs.net_arch.pi: found a part of agent.policy_kwargs.net_arch, which search_space has as "
            "a whole, accepted: together with ~search_space.agent.policy_kwargs.net_arch",
        ),
        (
            ["agent.gamma=0.9", "search_space.agent.nope=choice(1, 2)"],
            1,
            "agent.nope: found an unknown key, accepted: ",
        ),
        (["study.seed=1", "search_space={agent.nope: 'choice(1, 2)'}"], 1, "agent.nope: found an unknown key"),
        (["+search_space.study.seed=choice(1, 2)"], 0, "study.seed: found a key that no trial has, accepted: one of "),
        (
            ["~search_space.agent.tau"],
            0,
            "search_space.agent.tau: found nothing to take out, accepted: agent.n_",
        ),
        (["search_space.agent.gamma=interval(2, 1)"], 0, r"agent.gamma: found 'interval(2, 1)' ("),
        (["search_space.agent.gamma=interval(2"], 0, "found 'search_space.agent.gamma=interval(2' ("),
        (["agent=ppo", "environment.agent=1"], 1, "Could not override 'environment.agent'"),
        (["environment.env_kwargs=1"], 0, "environment.env_kwargs: found 1, accepted: "),
        (["training={seed: -1}"], 0, "training.seed: found -1, accepted: "),
    ],
)
def test_errors_name_the_override_at_fault(
    overrides: list[str], at_fault: int, expected: str, compose: Compose
) -> None:
    message = error_of(compose, *overrides)
    assert re.match(re.escape(f"override {overrides[at_fault]}: {expected}"), message), message


# Open mappings


@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_keys_of_open_mappings_need_no_plus(plus: str, compose: Compose) -> None:
    config = compose(
        f"{plus}environment.env_kwargs={{max_episode_steps: 10}}",
        f"{plus}environment.env_kwargs.x=1",
        f"{plus}evaluation.environment.env_kwargs={{y: 2}}",
        f"{plus}agent.policy_kwargs={{share_features_extractor: false}}",
        f"{plus}agent.policy_kwargs.full_std=false",
        f"{plus}agent.replay_buffer_kwargs={{z: 3}}",
        f"{plus}agent.helpers.h=4",
        f"{plus}environments.car={{env_id: CartPole-v1, low: 0, high: 1}}",
    )
    assert config.environment["env_kwargs"] == {"max_episode_steps": 10, "x": 1}
    assert config.evaluation["environment"]["env_kwargs"] == {"y": 2}
    assert config.agent["policy_kwargs"].items() >= {"share_features_extractor": False, "full_std": False}.items()
    assert config.agent["replay_buffer_kwargs"] == {"z": 3}
    assert config.agent["helpers"] == {"h": 4}
    assert list(config.environments) == ["car"]


def test_other_mappings_need_a_plus(compose: Compose) -> None:
    assert "'env_kwarg' is not in struct" in error_of(compose, "environment.env_kwarg.x=1")
