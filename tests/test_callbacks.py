"""The user's callbacks in a training: what they see, what they change, and how they end it."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_agents import agent
from small_methods import StopAt
from stable_baselines3.common.base_class import BaseAlgorithm

from sidewinder import SidewinderError
from sidewinder.checks import check_study
from sidewinder.config.composition import compose_study
from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.training.callbacks import OwnCallbacks
from sidewinder.training.checked import check_run
from sidewinder.training.run import train
from sidewinder.training.sources import sources

WINDY = "small_environments:Windy-v0"
SB3 = "stable_baselines3.common.callbacks"
ENOUGH = {"_target_": f"{SB3}.StopTrainingOnRewardThreshold", "reward_threshold": -1e6}
NO_BETTER = {"_target_": f"{SB3}.StopTrainingOnNoModelImprovement", "max_no_improvement_evals": 1}


def run_config(*callbacks: Any, section: dict[str, Any] | None = None, **evaluation: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "agent": section or agent("ppo", n_steps=16, batch_size=16, n_epochs=1),
            "environment": {"env_id": WINDY},
            "training": {"total_timesteps": 160, "seed": 3, "callbacks": list(callbacks)},
            "evaluation": {"eval_freq": 32, "n_eval_episodes": 3, **evaluation},
        }
    )


def stop_at(step: int) -> dict[str, Any]:
    return {"small_methods.StopAt": {"step": step}}


def steps(run: RunConfig) -> list[int]:
    """Train to the end and return the steps of the evaluations."""
    outcome = train(run)
    assert outcome.state == "complete", outcome.reason
    return [evaluation.step for evaluation in outcome.evaluations]


@pytest.mark.parametrize(
    ("callbacks", "expected"),
    [
        ([], [32, 64, 96, 128, 160]),
        ([stop_at(70)], [32, 64, 70]),
        ([stop_at(64)], [32, 64]),
        ([stop_at(5)], [5]),
        ([ENOUGH], [32]),
        ([{**ENOUGH, "reward_threshold": 0}], [32, 64, 96, 128, 160]),
        ([stop_at(70), {**ENOUGH, "reward_threshold": 0}], [32, 64, 70]),
        ([{**NO_BETTER, "max_no_improvement_evals": 0}], [32, 64]),
    ],
)
@pytest.mark.parametrize("objective", ["best", "last"])
def test_a_callback_ends_a_complete_training(callbacks: list[Any], expected: list[int], objective: str) -> None:
    learning_rate = 0.0 if "NoModelImprovement" in str(callbacks) else 3e-4
    section = agent("ppo", n_steps=16, batch_size=16, n_epochs=1, learning_rate=learning_rate)
    run = run_config(*callbacks, section=section, objective=objective)
    counted: list[int] = []

    def count(model: BaseAlgorithm) -> None:
        counted.append(model.num_timesteps)

    outcome = train(run, held_out=HeldOut(2, 7), counted=count)
    assert outcome.state == "complete", outcome.reason
    assert [evaluation.step for evaluation in outcome.evaluations] == expected
    assert len(outcome.held_out_returns) == 2
    # The last agent that counted is the agent of the objective.
    best = max(outcome.evaluations, key=lambda evaluation: evaluation.mean_return)
    assert counted[-1] == (best.step if objective == "best" else expected[-1])


@pytest.mark.parametrize(
    "section",
    [
        agent("ars", n_delta=2),
        agent("dqn", learning_starts=16),
        agent("recurrent_ppo", n_steps=16, batch_size=16, n_epochs=1),
    ],
    ids=["ars", "dqn", "recurrent_ppo"],
)
def test_whatever_the_algorithm(section: dict[str, Any]) -> None:
    assert steps(run_config(stop_at(70), section=section)) == [32, 64, 70]


def test_where_evaluation_takes_turns() -> None:
    assert steps(run_config(stop_at(70), n_envs="training")) == [32, 64, 70]
    assert steps(run_config(stop_at(64), n_envs="training", objective="last")) == [32, 64]
    assert steps(run_config(ENOUGH, n_envs="training")) == [32]


@pytest.mark.parametrize("callbacks", [[stop_at(70)], [stop_at(1000)], [stop_at(1000), ENOUGH]])
def test_each_training_ends_for_a_callback(callbacks: list[Any]) -> None:
    StopAt.said.clear()
    found = steps(run_config(*callbacks))
    assert StopAt.said == [f"ended at {found[-1]}"]


def test_a_pruned_training_ends_for_a_callback() -> None:
    StopAt.said.clear()
    assert train(run_config(stop_at(1000)), report=lambda step, _: step == 64).state == "pruned"
    assert StopAt.said == ["ended at 64"]


def test_a_callback_that_fails_fails_the_training() -> None:
    # CartPole lacks the method that this callback calls.
    run = run_config("small_methods.Curriculum")
    run.environment.env_id = "CartPole-v1"
    outcome = train(run)
    assert outcome.state == "failed"
    assert outcome.reason is not None
    assert "set_wind" in outcome.reason


def test_a_curriculum_makes_another_training() -> None:
    section = agent("ppo", n_steps=16, batch_size=16, n_epochs=1, learning_rate=0.1)
    plain, windy = run_config(section=section), run_config("small_methods.Curriculum", section=section)
    assert train(windy).evaluations == train(windy).evaluations != train(plain).evaluations
    assert windy.digest() != plain.digest()
    assert sources(windy).keys() == {"small_environments", "small_methods"}


def test_no_callbacks_are_what_was_before() -> None:
    run = run_config()
    assert "callbacks" not in run_config_text(run)
    assert run.digest() == RunConfig.model_validate({**run.model_dump(), "training": before(run)}).digest()


def before(run: RunConfig) -> dict[str, Any]:
    return {key: value for key, value in run.training.model_dump().items() if key != "callbacks"}


def run_config_text(run: RunConfig) -> str:
    from sidewinder.config.identity import identifying

    return str(identifying(RunConfig, run.model_dump()))


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (["small_methods.Missing"], "training.callbacks[0]._target_: found 'small_methods.Missing' (module"),
        (
            ["small_methods.Sine"],
            "training.callbacks[0]: found 'small_methods.Sine', accepted: a subclass of SB3's Base",
        ),
        (
            [stop_at(3), "small_methods.StopAt"],
            "training.callbacks[1]: found {'_target_': 'small_methods.StopAt'} (StopAt",
        ),
    ],
)
def test_mistakes_in_callbacks(callbacks: list[Any], message: str) -> None:
    with pytest.raises(SidewinderError, match=r"^training\.callbacks") as caught:
        check_run(run_config(*callbacks))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("found", ["1", "[1]", "[{a: 1}]"])
def test_what_is_no_list_of_callbacks(found: str) -> None:
    with pytest.raises(SidewinderError, match=r"training\.callbacks: found .* accepted: list of import paths"):
        compose_study("x", ["study=plain", "agent=ppo", "environment=cartpole", f"training.callbacks={found}"])


def test_judges_want_more(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    lines = ["# @package _global_", "defaults: [override /agent: ppo, override /environment: cartpole]"]
    lines.append(f"training: {{callbacks: [{ENOUGH}]}}".replace("'", ""))
    (tmp_path / "study" / "judged.yaml").write_text("\n".join(lines))
    check_study(compose_study("judged", [], [tmp_path]))
    with pytest.raises(SidewinderError, match=r"training\.callbacks: found StopTrainingOnRewardThreshold, accepted: "):
        check_study(compose_study("judged", ["study=judged", "study.direction=minimize"], [tmp_path]))


# Trackers


def tracked(*trackers: Any, **options: Any) -> RunConfig:
    content = run_config(**options).model_dump()
    return RunConfig.model_validate({**content, "training": {**content["training"], "trackers": list(trackers)}})


def test_a_tracker_sees_all_and_changes_nothing(tmp_path: Path) -> None:
    table = tmp_path / "table.jsonl"
    run = tracked({"_target_": "small_methods.Tracker", "path": str(table)})
    assert train(run).evaluations == train(run_config()).evaluations
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    assert [row["step"] for row in rows if "eval/mean_return" in row] == [32, 64, 96, 128, 160]
    assert rows[-1] == {"ended": 160}
    assert run.digest() == run_config().digest()
    assert sources(run) == sources(run_config())


def test_a_tracker_that_fails_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    run = tracked({"_target_": "small_methods.Tracker", "path": "/nowhere/table.jsonl"})
    assert train(run).evaluations == train(run_config()).evaluations
    assert "a tracker could not write the log of step 32" in caplog.text
    assert "a tracker failed, and is left out from here on" in caplog.text


def test_arguments_are_searched_by_their_place(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    study = tmp_path / "study" / "windy.yaml"

    def written(entry: str) -> str:
        lines = ["# @package _global_", "defaults: [override /agent: ppo, override /environment: pendulum]"]
        lines += ["training: {callbacks: [{_target_: small_methods.Curriculum, step: 0.2}]}"]
        study.write_text("\n".join([*lines, "search_space:", f"  training.callbacks.{entry}", ""]))
        return "windy"

    config = compose_study(written("0.step: interval(0.0,1.0)"), [], [tmp_path])
    (callback,) = config.for_trial({"training.callbacks.0.step": 0.7}).training.callbacks
    assert callback == {"_target_": "small_methods.Curriculum", "step": 0.7}
    assert config.for_baseline("defaults").training.callbacks[0]["step"] == 0.2
    for entry, message in (
        ("1.step: interval(0.0,1.0)", r"training\.callbacks\.1\.step: found an unknown key"),
        ("0.stop: interval(0.0,1.0)", r"training\.callbacks\.0\.stop: found an unknown key, accepted: _target_, step"),
        ("0._target_: choice(small_methods.Curriculum,small_methods.Nothing)", r"found 'small_methods\.Nothing'"),
    ):
        with pytest.raises(SidewinderError, match=message):
            check_study(compose_study(written(entry), [], [tmp_path]))


def test_the_end_comes_after_the_last_evaluation() -> None:
    """Also if the budget is no multiple of `eval_freq`, so SB3 itself ends the training."""
    StopAt.said.clear()
    run = run_config(stop_at(1000))
    run.training.total_timesteps = 150
    assert steps(run)[-1] >= 150
    assert len(StopAt.said) == 1


@pytest.mark.parametrize("found", ["[{a.b: {x: 1}, c.d: {}}]", "[{}]", "[{_target_: 1}]"])
def test_an_entry_names_one_callback(found: str) -> None:
    with pytest.raises(SidewinderError, match=r"training\.callbacks: found .* accepted: list of import paths"):
        compose_study("x", ["study=plain", "agent=ppo", "environment=cartpole", f"training.callbacks={found}"])


def test_a_tracker_may_not_even_be_made() -> None:
    run = tracked({"_target_": "small_methods.Reseeding"}, {"_target_": "small_methods.Missing"})
    assert train(run).evaluations == train(run_config()).evaluations


def test_a_tracker_may_sample_actions(caplog: pytest.LogCaptureFixture) -> None:
    section = agent("dqn", learning_starts=40, learning_rate=0.01)
    plain = train(run_config(section=section)).evaluations
    assert len({evaluation.mean_return for evaluation in plain}) > 1
    assert train(tracked("small_methods.Sampling", section=section)).evaluations == plain
    assert "trackers could not be made" not in caplog.text


def test_callbacks_may_refer_to_each_other() -> None:
    one, other = StopAt(3), StopAt(4)
    one.other, other.other = other, one  # type: ignore[attr-defined]
    evaluator = StopAt(1)
    assert OwnCallbacks([one], evaluator, lambda step: pytest.fail(f"ended at {step}")).everyone() == [one, other]
