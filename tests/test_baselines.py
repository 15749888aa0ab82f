"""Baselines: they act in the study's environment, and the config says which of them are compared, if any."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from small_agents import GOALS, MASKED
from tiny_study import new_study, run_to_the_end

from sidewinder import SidewinderError
from sidewinder.checks import check_study
from sidewinder.config.composition import compose_study
from sidewinder.config.study_config import StudyConfig

IMAGES = "small_environments:Images-v0"
HINDSIGHT = [
    "agent=sac",
    f"environment.env_id={GOALS}",
    "agent.policy=MultiInputPolicy",
    "agent.replay_buffer_class=her",
    # HER's buffer takes time for each of its places.
    "agent.buffer_size=1000",
    "+environment.env_kwargs.max_episode_steps=150",
]


def study(*overrides: str) -> StudyConfig:
    return compose_study("made_up", ["study=plain", *overrides])


def baseline(config: StudyConfig, name: str = "defaults") -> dict[str, Any]:
    agent: dict[str, Any] = config.baselines[name]["agent"]
    return agent


@pytest.mark.parametrize(
    "overrides",
    [
        ["agent=sac", f"environment.env_id={GOALS}", "agent.policy=MultiInputPolicy"],
        ["agent=ppo", f"environment.env_id={IMAGES}", "agent.policy=CnnPolicy"],
        ["agent=recurrent_ppo", f"environment.env_id={IMAGES}", "agent.policy=CnnLstmPolicy"],
        ["agent=maskable_ppo", f"environment.env_id={MASKED}"],
    ],
)
def test_a_baseline_has_the_policy_that_the_environment_needs(overrides: list[str]) -> None:
    config = study(*overrides)
    assert baseline(config)["policy"] == config.agent["policy"]
    check_study(config)


def test_a_baseline_of_the_same_observations_keeps_its_own_policy() -> None:
    """RL Zoo's ARS on CartPole is linear. It stays linear if the study tunes networks, but not if it has images."""
    assert baseline(study("agent=ars", "environment=cartpole"), "zoo")["policy"] == "LinearPolicy"
    assert baseline(study("agent=ars", "environment=cartpole", "agent.policy=LinearPolicy"))["policy"] == "MlpPolicy"
    images = study("agent=ppo", "environment=cartpole", "agent.policy=CnnPolicy")
    assert [baseline(images, name)["policy"] for name in ("defaults", "zoo")] == ["CnnPolicy", "CnnPolicy"]


def test_a_baseline_replays_in_hindsight_where_the_study_does() -> None:
    config = study(*HINDSIGHT, "agent.learning_starts=150", "agent.replay_buffer_kwargs.n_sampled_goal=2")
    assert baseline(config)["replay_buffer_class"] == "her"
    assert baseline(config)["replay_buffer_kwargs"]["n_sampled_goal"] == 2
    # At least one episode, as HER needs, but not less than SB3's default of 100.
    assert baseline(config)["learning_starts"] == 150
    assert baseline(study(*HINDSIGHT, "agent.learning_starts=50"))["learning_starts"] == 100
    check_study(config)
    assert baseline(study("agent=sac", "agent.learning_starts=150"))["learning_starts"] == 100


def test_a_baseline_sees_observations_as_the_study_does() -> None:
    config = study("agent=ppo", "+agent.policy_kwargs.normalize_images=false", "agent.policy_kwargs.net_arch=s")
    kwargs = baseline(config)["policy_kwargs"]
    assert (kwargs["normalize_images"], kwargs["net_arch"]) == (False, None)
    assert (
        "normalize_images"
        in baseline(study("agent=sac", "+agent.policy_kwargs.normalize_images=false"), "zoo")["policy_kwargs"]
    )
    assert "normalize_images" not in baseline(study("agent=ppo"))["policy_kwargs"]


def test_what_is_computed_from_searched_keys_is_not_the_baselines() -> None:
    """A baseline has no searched keys. It is composed without the values that are computed from them."""
    space = "+search_space={agent.helpers.starts: 'range(150, 300)'}"
    computed = "agent.replay_buffer_kwargs.n_sampled_goal='${quotient:${agent.helpers.starts},50}'"
    kept = "agent.replay_buffer_kwargs.goal_selection_strategy=final"
    config = study(*HINDSIGHT, space, "agent.learning_starts=${agent.helpers.starts}", computed, kept)
    found = config.for_baseline("defaults").agent
    assert found["learning_starts"] == 100
    options = found["replay_buffer_kwargs"]
    assert (options["n_sampled_goal"], options["goal_selection_strategy"]) == (4, "final")


def test_a_baseline_that_cannot_be_built_is_refused_unless_it_is_left_out() -> None:
    """Here the study learns after whole episodes, but the defaults learn before the first episode has ended."""
    overrides = [*HINDSIGHT, "agent.train_freq=[1, episode]"]
    with pytest.raises(SidewinderError) as caught:
        check_study(study(*overrides))
    assert str(caught.value) == (
        "study made_up: confirmation.baselines: found 'defaults', which cannot be built (agent: learning_starts: found "
        "100, accepted with her: at least 150: an episode in each environment), accepted: a baseline that can be built"
        ", or confirmation.baselines without it"
    )
    check_study(study(*overrides, "confirmation.baselines=[zoo]"))


def test_which_baselines_are_compared() -> None:
    assert study().compared() == ["defaults", "zoo"]
    assert study("confirmation.baselines=[zoo]").compared() == ["zoo"]
    assert study("confirmation.baselines=[]").compared() == []
    assert study("environment.env_id=Pendulum-v0").compared() == ["defaults"]
    with pytest.raises(SidewinderError, match=r"confirmation.baselines.0: found 'best', accepted: 'defaults' or 'zoo'"):
        study("confirmation.baselines=[best]")


def test_a_left_out_baseline_is_still_a_starting_point_and_a_default() -> None:
    """The choice of baselines may change at any time, so it is no part of the study's identity."""
    point = study("study.enqueue=[defaults]")
    assert study("study.enqueue=[defaults]", "confirmation.baselines=[]").digest() == point.digest()
    assert len(point.study.enqueue) == 1


def test_a_config_of_before_there_was_a_choice(tmp_path: Path) -> None:
    content = study().model_dump()
    del content["confirmation"]["baselines"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    assert StudyConfig.load(path) == study()


@pytest.mark.slow
def test_a_study_without_baselines(tmp_path: Path) -> None:
    """All its files are made, also if a baseline is added later."""
    changes = ["study.n_trials=2", "study.workers=1", "confirmation.top_k=1"]
    report = ["--report", str(tmp_path / "report.html")]
    run_to_the_end(new_study(tmp_path, *changes, "confirmation.baselines=[]"))
    run_to_the_end(tmp_path, *report)
    directory = tmp_path / "results/tiny"
    best = yaml.safe_load((directory / "best.yaml").read_text())["winner"]
    assert list(best["test"]) == ["winner"]
    markdown = (directory / "best.md").read_text()
    assert "P(tuned is better)" not in markdown
    assert "| agent.learning_rate | tag(log, interval(1e-4, 1e-2)) | 0.001 " in " ".join(markdown.split())
    assert set(pd.read_csv(directory / "confirmation.csv")["candidate"]) == {"top-1", "winner"}
    assert not (directory / "confirmation/candidates/defaults.yaml").exists()

    run_to_the_end(new_study(tmp_path, *changes, "confirmation.baselines=[defaults]"))
    assert list(yaml.safe_load((directory / "best.yaml").read_text())["winner"]["test"]) == ["winner", "defaults"]
    assert "P(tuned is better)" in (directory / "best.md").read_text()
