"""Trials with replicates: how the replicates are combined, and that the order of execution does not matter."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from tiny_study import SWEEP, new_study, run_to_the_end

from sidewinder import SidewinderError
from sidewinder.config.composition import compose_study
from sidewinder.config.study_config import StudyConfig
from sidewinder.results import EvaluationResult, Result, State
from sidewinder.study.study import Study
from sidewinder.training.objectives import aggregate
from sidewinder.trials.replicates import gather

REPLICATED = [
    "study.workers=1",
    "study.replicates=2",
    "pruner=median",
    "pruner.n_startup_trials=1",
]


def study(*overrides: str) -> StudyConfig:
    return compose_study("pendulum_ddpg", ["study.replicates=3", *overrides])


def replicate(*returns: float, state: State = "complete", **more: Any) -> Result:
    """Make the result of a training with these mean returns at steps 10, 20 and so on."""
    content: dict[str, Any] = {
        "number": 5,
        "config": "x",
        "state": state,
        "objective": max(returns) if state == "complete" else None,
        "reason": "diverged" if state == "failed" else None,
        "params": {"agent.gamma": 0.9},
        "distributions": {},
        "evaluations": [
            EvaluationResult(step=10 * (index + 1), mean_return=value, std_return=0.0)
            for index, value in enumerate(returns)
        ],
        "pruner_attrs": {},
        "seeds": {"training": len(returns)},
        "bit_exact": True,
        "packages": {},
    }
    return Result(**{**content, **more})


@pytest.mark.parametrize(
    ("how", "direction", "expected"),
    [
        ("mean", "maximize", 4.0),
        ("median", "maximize", 3.0),
        ("iqm", "maximize", 3.0),
        (0.25, "maximize", 2.0),
        (0.25, "minimize", 4.0),
    ],
)
def test_aggregate(how: str | float, direction: str, expected: float) -> None:
    assert aggregate([1.0, 10.0, 3.0, 2.0, 4.0], how, direction) == expected


def test_a_trial_is_the_mean_of_its_replicates() -> None:
    replicates = [
        replicate(1.0, 4.0, pruner_attrs={"completed_rung_0": 1.0}),
        replicate(3.0, 2.0, pruner_attrs={"completed_rung_0": 3.0, "completed_rung_1": 2.0}),
    ]
    result = gather(study(), replicates)
    assert (result.state, result.objective, result.reason) == ("complete", 3.5, None)
    assert [(e.step, e.mean_return, e.std_return) for e in result.evaluations] == [(10, 2.0, 1.0), (20, 3.0, 1.0)]
    assert result.pruner_attrs == {"completed_rung_0": 2.0, "completed_rung_1": 2.0}
    assert [one.objective for one in result.replicates] == [4.0, 3.0]
    assert gather(study("evaluation.objective=last"), replicates).objective == 3.0
    assert gather(study("study.direction=minimize"), replicates).objective == 1.5


def test_pruned_and_failed_replicates() -> None:
    """A pruned replicate counts with its last value. A failed replicate fails the trial."""
    result = gather(study(), [replicate(1.0, 5.0), replicate(3.0, state="pruned")])
    assert (result.state, result.objective) == ("complete", 4.0)
    # Its last value stays in the mean of later steps.
    assert [evaluation.mean_return for evaluation in result.evaluations] == [2.0, 4.0]
    all_pruned = gather(study(), [replicate(1.0, state="pruned"), replicate(3.0, state="pruned")])
    assert (all_pruned.state, all_pruned.objective) == ("pruned", None)
    between = gather(study(), [replicate(1.0), replicate(3.0)], pruned=True)
    assert (between.state, between.objective) == ("pruned", None)
    failed = gather(study(), [replicate(1.0), replicate(3.0, state="failed")])
    assert (failed.state, failed.objective, failed.reason) == ("failed", None, "replicate 1: diverged")


def test_replicates_of_different_trials_are_refused() -> None:
    with pytest.raises(SidewinderError, match="trials/5/replicates: found results of different trials"):
        gather(study(), [replicate(1.0), replicate(1.0, params={"agent.gamma": 0.8})])


@pytest.mark.slow
@pytest.mark.parametrize(("where", "n_trials"), [("jobs", 2), ("sequence", 4)])
def test_replicates_do_not_depend_on_execution(where: str, n_trials: int, tmp_path: Path) -> None:
    """One core and two give the same bytes. Each replicate has different seeds, and the pruner prunes some."""
    found = []
    for cores in (1, 2):
        directory = new_study(
            tmp_path / f"{cores}", *REPLICATED, f"study.replicates_in={where}", f"study.n_trials={n_trials}"
        )
        run_to_the_end(directory, "--cores", f"{cores}", SWEEP)
        base = directory / "results/tiny/trials"
        found.append({path.relative_to(base): path.read_bytes() for path in base.glob("**/result.json")})
    assert found[0] == found[1]
    results = {path: json.loads(content) for path, content in found[0].items()}
    trials = [results[Path(f"{number}/result.json")] for number in range(n_trials)]
    first = trials[0]
    assert first["state"] == "complete"
    assert first["objective"] == pytest.approx(sum(one["objective"] for one in first["replicates"]) / 2)
    seeds = [seed for trial in trials for one in trial["replicates"] for seed in [one["seeds"]["training"]]]
    assert len(set(seeds)) == len(seeds)
    episodes = [[one["seeds"]["evaluation"] for one in trial["replicates"]] for trial in trials]
    assert len(set(episodes[0])) == 2
    assert all(seeds == episodes[0][: len(seeds)] for seeds in episodes)
    assert len(results) == (3 * n_trials if where == "jobs" else n_trials)
    if where == "jobs":
        for number, trial in enumerate(trials):
            alone = [results[Path(f"{number}/replicates/{index}/result.json")] for index in (0, 1)]
            assert [one["evaluations"] for one in alone] == [one["evaluations"] for one in trial["replicates"]]
    assert any("pruned" in (trial["state"], *(one["state"] for one in trial["replicates"])) for trial in trials)
    # The database has the values as Optuna would: one per step, or in sequence one per replicate.
    study_dir = tmp_path / "1" / "results" / "tiny"
    Study(study_dir, StudyConfig.load(study_dir / "config.yaml")).ask(n_trials)
    kept = optuna.load_study(study_name="tiny", storage=f"sqlite:///{study_dir}/study.db").trials[0]
    assert list(kept.intermediate_values) == ([0, 1] if where == "sequence" else [56, 104, 152])
    assert kept.value == first["objective"]
