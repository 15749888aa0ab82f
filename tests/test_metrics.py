"""Metrics of episodes and the objective computed from them: `evaluation.metric` and `evaluation.objective`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from small_agents import agent
from tiny_study import TINY, new_study, results, run_to_the_end

from sidewinder import SidewinderError
from sidewinder.config.composition import compose_study
from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.results import EvaluationResult, Result
from sidewinder.training.objectives import reached
from sidewinder.training.run import train
from sidewinder.trials.tables import evaluations_table, judged

REACHING = "small_environments:Reaching-v0"
STUDY = Path("results/tiny")


def run_config(**evaluation: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "agent": agent("ppo", n_steps=16, batch_size=16, n_epochs=4, learning_rate=0.01),
            "environment": {"env_id": REACHING},
            "training": {"total_timesteps": 160, "seed": 3},
            "evaluation": {"eval_freq": 32, "n_eval_episodes": 5, **evaluation},
        }
    )


@pytest.mark.parametrize("n_envs", [None, 2, "training"])
def test_metrics_are_of_the_same_episodes(n_envs: Any) -> None:
    plain = train(run_config(n_envs=n_envs), held_out=HeldOut(4, 7))
    metrics = ["success_rate", "length", "info:energy"]
    outcome = train(run_config(n_envs=n_envs, metric=metrics), held_out=HeldOut(4, 7))
    assert outcome.state == "complete", outcome.reason
    for ours, theirs in zip(outcome.evaluations, plain.evaluations, strict=True):
        assert ours.mean_return == theirs.mean_return
        assert list(ours.metrics) == metrics
        # A success ends an episode, which else has ten steps; each step costs energy or none.
        assert (ours.of("length")[0] < 10) == (ours.of("success_rate")[0] > 0)
        assert ours.of("info:energy")[0] <= ours.of("length")[0]
    assert {name: len(values) for name, values in outcome.held_out.items()} == dict.fromkeys(["return", *metrics], 4)
    assert set(outcome.held_out["success_rate"]) <= {0.0, 1.0}
    for length, won in zip(outcome.held_out["length"], outcome.held_out["success_rate"], strict=True):
        assert (length < 10) >= bool(won)


def test_the_first_metric_chooses_the_best() -> None:
    told: list[tuple[int, float]] = []

    def report(step: int, value: float) -> bool:
        told.append((step, value))
        return False

    run = run_config(metric=["length", "success_rate"])
    outcome = train(run, report=report, direction="minimize")
    lengths = [evaluation.of("length")[0] for evaluation in outcome.evaluations]
    assert [value for _, value in told] == lengths
    assert outcome.objective(run, "minimize") == min(lengths)
    assert len(set(lengths)) > 1


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        ("info:fuel", "no fuel"),
        ("info:how", "how='fine'"),
        ("info:distance", "distance=nan"),
    ],
)
def test_no_such_metric(metric: str, found: str) -> None:
    with pytest.raises(SidewinderError) as caught:
        train(run_config(metric=metric))
    accepted = "accepted: return, length, info:is_success, info:energy, info:distance"
    assert (
        str(caught.value) == f"evaluation.metric: found {metric!r} where an episode's last info has {found}, {accepted}"
    )


CURVE = [
    EvaluationResult(step=step, mean_return=mean, std_return=std, metrics={"length": (10 - mean, 0.0)})
    for step, mean, std in ((40, 1.0, 1.0), (80, 4.0, 3.0), (120, 2.0, 1.0), (160, 3.0, 2.0))
]


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("best", (4.0, 3.0)),
        ("last", (3.0, 2.0)),
        ({"mean_of_last": 1}, (3.0, 2.0)),
        # Over all episodes of both: the mean variance, and the variance of the means.
        ({"mean_of_last": 2}, (2.5, np.sqrt((1 + 4) / 2 + 0.25))),
        ({"mean_of_last": 50}, (2.5, np.sqrt((1 + 9 + 1 + 4) / 4 + 1.25))),
        ("auc", ((2.5 + 3.0 + 2.5) / 3, 2.0)),
    ],
)
def test_what_a_training_has_reached(objective: Any, expected: tuple[float, float]) -> None:
    assert reached(CURVE, run_config(objective=objective), "return", "maximize") == pytest.approx(expected)


def test_other_metrics_are_of_the_same_evaluation() -> None:
    run = run_config(metric=["return", "length"])
    assert reached(CURVE, run, "length", "maximize") == (6.0, 0.0)
    assert reached(CURVE, run, "length", "minimize") == (9.0, 0.0)


def test_the_area_of_one_that_ended_early_goes_on() -> None:
    run = run_config(objective="auc")
    assert reached(CURVE[:2], run, "return", "maximize")[0] == pytest.approx((2.5 + 4 + 4) / 3)
    assert reached(CURVE[:1], run, "return", "maximize")[0] == pytest.approx(1)
    run.training.total_timesteps = 40
    assert reached(CURVE[:1], run, "return", "maximize") == (1.0, 1.0)


def test_the_mean_of_the_last_is_of_the_agent_at_the_end() -> None:
    counted: list[int] = []
    run = run_config(objective={"mean_of_last": 2})
    outcome = train(run, counted=lambda model: counted.append(model.num_timesteps))
    assert counted == [160]
    expected = np.mean([evaluation.mean_return for evaluation in outcome.evaluations[-2:]])
    assert outcome.objective(run) == pytest.approx(float(expected))


def compose(*overrides: str) -> Any:
    return compose_study("x", ["study=plain", "agent=ppo", "environment=cartpole", *overrides])


def test_the_objective_is_the_metric() -> None:
    assert compose("evaluation.metric=success_rate").study.objectives == ["success_rate"]
    assert compose("evaluation.metric=[length]").study.objectives == ["length"]
    several = ["evaluation.metric=[success_rate,length]", "study.objectives=[success_rate,length,spread]"]
    study = compose(*several, "study.direction=[maximize,minimize,minimize]")
    assert study.study.objectives == ["success_rate", "length", "spread"]
    assert compose("evaluation.metric=return").digest() == compose().digest()
    assert compose("evaluation.metric=length").digest() != compose().digest()
    assert compose("evaluation.objective={mean_of_last:3}").evaluation["objective"] == {"mean_of_last": 3}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["evaluation.metric=win"],
            "evaluation.metric: found 'win', accepted: return, success_rate, length or info:",
        ),
        (["evaluation.metric=[length,length]"], "evaluation.metric: found ['length', 'length'], accepted: return"),
        (["evaluation.objective=mean"], "found 'mean', accepted: 'best', 'last' or 'auc'"),
        (
            ["study.objectives=[return,length]", "study.direction=[maximize,minimize]"],
            "study.objectives: found ['return', 'length'], accepted: return (evaluation.metric) first, then spread",
        ),
        (
            ["evaluation.metric=length", "study.objectives=[return]"],
            "study.objectives: found ['return'], accepted: length (evaluation.metric) first",
        ),
        (
            ["evaluation.metric=length", "study.objectives=[success_rate]"],
            "study.objectives: found ['success_rate'], accepted: length (evaluation.metric) first",
        ),
    ],
)
def test_mistakes_in_metrics(overrides: list[str], message: str) -> None:
    with pytest.raises(SidewinderError) as caught:
        compose(*overrides)
    assert message in str(caught.value)


def test_the_return_may_be_the_first_of_several() -> None:
    result = Result(
        number=0,
        config="",
        state="complete",
        objective=4.0,
        reason=None,
        params={},
        distributions={},
        evaluations=CURVE,
        pruner_attrs={},
        seeds={},
        bit_exact=True,
        packages={},
    )
    table = evaluations_table([result], ["return", "length"])
    assert judged(table) == "return"
    assert list(table["mean_length"]) == [9.0, 6.0, 8.0, 7.0]
    assert judged(evaluations_table([result], ["length"])) == "length"


# A study

OWN = [
    "agent=ppo",
    "agent.n_steps=16",
    "agent.batch_size=16",
    f"environment.env_id={REACHING}",
    "evaluation.n_eval_episodes=4",
    "evaluation.metric=[success_rate,length]",
]
WITHOUT = ("study=", "agent.learning_starts", "+environment.env_kwargs", "evaluation.n_eval")


def own_study(directory: Path, *more: str, without: str = "~") -> Path:
    kept = [override for override in TINY if not override.startswith((*WITHOUT, without))]
    study = ["study=plain", *kept, *OWN, *more]
    new_study(directory)
    (directory / "config.yaml").write_text(yaml.safe_dump({"studies": {"tiny": study}}))
    return directory


@pytest.mark.slow
def test_a_study_of_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    directory = own_study(tmp_path)
    figures = ["learning_curves", "test_returns", "selection_gap", "optimization_history"]
    targets = [f"{STUDY}/figures/{name}.pdf" for name in figures]
    run_to_the_end(directory, f"{STUDY}/best.yaml", f"{STUDY}/agent/README.md", *targets)
    study = directory / STUDY
    evaluations = pd.read_csv(study / "evaluations.csv")
    columns = ["number", "step", "mean_success_rate", "std_success_rate", "mean_length", "std_length"]
    columns += ["mean_return", "std_return"]
    assert list(evaluations) == columns
    trials = pd.read_csv(study / "trials.csv")
    best = evaluations.groupby("number")["mean_success_rate"].max()
    complete = trials[trials["state"] == "complete"]
    assert list(complete["objective"]) == list(best[complete["number"]])
    confirmation = pd.read_csv(study / "confirmation.csv")
    assert set(columns[2:]) <= set(confirmation)
    assert confirmation["mean_success_rate"].between(0, 1).all()
    said = (study / "best.md").read_text()
    assert "Success rate of 2 episodes a seed on 2 test seeds" in said
    winner = json.loads((study / f"trials/{complete['number'].iloc[0]}/result.json").read_text())
    assert winner["evaluations"][0]["metrics"].keys() == {"success_rate", "length"}
    assert "mean success rate" in (study / "agent/README.md").read_text()
    before = results(directory)
    for path in study.glob("*.sqlite3*"):
        path.unlink()
    run_to_the_end(directory, f"{STUDY}/best.yaml")
    assert results(directory) == before


@pytest.mark.slow
def test_a_study_of_several_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    several = ["study.objectives=[success_rate,length]", "study.direction=[maximize,minimize]", "pruner=none"]
    directory = own_study(tmp_path, *several, "study.n_trials=4", without="pruner")
    run_to_the_end(directory, f"{STUDY}/pareto.md", f"{STUDY}/figures/pareto_front.pdf")
    trials = pd.read_csv(directory / STUDY / "trials.csv")
    assert (trials["length"] <= 10).all()
    assert "length in test" in (directory / STUDY / "pareto.md").read_text()
