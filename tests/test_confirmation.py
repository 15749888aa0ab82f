"""The confirmation: what chose is not what is reported, seeds are new, figures are what the literature says."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from sidewinder import SidewinderError
from sidewinder.config.composition import compose_study
from sidewinder.config.run_config import HeldOut
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate, confirmation_run
from sidewinder.confirmation.statistics import gain, probability_of_improvement, summarize, winner
from sidewinder.results import EvaluationResult, Result
from sidewinder.training.run import train

SMALL = ["agent.learning_starts=20", "agent.policy_kwargs.net_arch=[8]", "evaluation.n_eval_episodes=1"]


def study(*overrides: str) -> StudyConfig:
    return compose_study("pendulum_ddpg", [*SMALL, *overrides])


def rows(candidate: str, *returns: float | None) -> pd.DataFrame:
    """Of the table of confirmation results, what the figures read."""
    content = [
        {
            "candidate": candidate,
            "index": index,
            "mean_return": value,
            "n_episodes": 0 if value is None else 5,
            "reason": "diverged",
        }
        for index, value in enumerate(returns)
    ]
    return pd.DataFrame(content).astype({"mean_return": float})


def validation(**returns: list[float | None]) -> pd.DataFrame:
    return pd.concat([rows(name.replace("_", "-"), *values) for name, values in returns.items()])


def test_the_validation_seeds_choose_the_winner() -> None:
    assert winner(validation(top_1=[-3, -5], top_2=[-2, -2], top_3=[-1, -4]), "maximize") == "top-2"
    assert winner(validation(top_1=[-3, -5], top_2=[-2, -2], top_3=[-1, -4]), "minimize") == "top-1"
    # Of equally good ones the one that was better in the sweep; one that diverges comes after those that do not.
    assert winner(validation(top_1=[1, 3], top_2=[3, 1]), "maximize") == "top-1"
    assert winner(validation(top_1=[9, None], top_2=[1, 1]), "maximize") == "top-2"
    assert winner(validation(top_1=[None, None], top_2=[None, 1]), "maximize") == "top-2"
    with pytest.raises(SidewinderError, match="only failed runs, the last one: diverged"):
        winner(validation(top_1=[None], top_2=[None]), "maximize")


def test_figures_are_those_of_the_literature() -> None:
    """Against scipy's own functions, and an interval whose coverage is about what it says."""
    returns = np.random.default_rng(1).normal(size=12)
    found = summarize(rows("winner", *returns))
    assert found is not None
    assert (found.n_seeds, found.n_failed, found.n_episodes) == (12, 0, 5)
    assert found.mean.value == pytest.approx(returns.mean())
    assert found.median.value == pytest.approx(np.median(returns))
    assert found.iqm.value == pytest.approx(np.sort(returns)[3:9].mean())
    for estimate in (found.mean, found.median, found.iqm):
        assert estimate.low < estimate.value < estimate.high
    normal = stats.norm.interval(0.95, returns.mean(), returns.std() / np.sqrt(12))
    assert [found.mean.low, found.mean.high] == pytest.approx(list(normal), abs=0.08)
    assert summarize(rows("winner", *returns)) == found


def test_failed_seeds_are_counted_and_compared_with_nothing() -> None:
    found = summarize(rows("winner", 1.0, 2.0, 3.0, None))
    assert found is not None
    assert (found.n_seeds, found.n_failed, found.mean.value) == (4, 1, 2.0)
    assert summarize(rows("winner", 1.0, None)) is None
    whole, part = rows("winner", 2.0, 3.0), rows("defaults", 1.0, None)
    for one, other in ((whole, part), (part, whole), (whole, rows("defaults", None, None))):
        assert probability_of_improvement(one, other, "maximize") is None
        assert gain(one, other, "maximize") is None


@pytest.mark.parametrize(("direction", "expected"), [("maximize", 0.75), ("minimize", 0.25)])
def test_probability_of_improvement(direction: str, expected: float) -> None:
    """Of the four pairs, the first is greater in two and equal in two."""
    found = probability_of_improvement(rows("winner", 2.0, 3.0), rows("defaults", 2.0, 2.0), direction)
    found_half = probability_of_improvement(rows("winner", 2.0, 2.0), rows("defaults", 2.0, 2.0), direction)
    assert found is not None
    assert found_half is not None
    assert found.value == expected
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert (found_half.value, found_half.low, found_half.high) == (0.5, 0.5, 0.5)


def test_seeds_are_new_and_shared_by_the_candidates() -> None:
    config = study()
    defaults, other = Candidate.of_baseline("defaults"), Candidate.of_baseline("zoo")
    seen = []
    for phase in ("validation", "test"):
        for index in range(3):
            run, held_out = confirmation_run(config, defaults, None, phase, index)
            again, same = confirmation_run(config, other, None, phase, index)
            assert (again.training.seed, again.evaluation.seed, same) == (
                run.training.seed,
                run.evaluation.seed,
                held_out,
            )
            seen += [run.training.seed, run.evaluation.seed, held_out.seed]
    assert len(set(seen)) == len(seen)


def test_baselines_are_the_algorithms_defaults_and_the_zoos() -> None:
    """Whatever the study changes or a user's file of that name says, at the study's budget."""
    config = study("agent.gamma=0.5", "training.total_timesteps=77")
    defaults, zoo = (Candidate.of_baseline(name).run_in(config, None) for name in ("defaults", "zoo"))
    assert (defaults.agent["gamma"], defaults.agent["batch_size"]) == (0.99, 256)
    assert defaults.agent["policy_kwargs"]["net_arch"] is None
    assert (zoo.agent["gamma"], zoo.agent["learning_starts"], zoo.agent["action_noise"]) == (0.98, 10000, "normal")
    assert defaults.training.total_timesteps == zoo.training.total_timesteps == 77
    # Neither is part of what makes a study's trials.
    assert config.model_copy(update={"baselines": {}}).digest() == config.digest()
    # The Zoo has nothing for this environment.
    assert list(study("environment.env_id=Pendulum-v0").baselines) == ["defaults"]


def test_held_out_episodes_change_nothing_and_belong_to_the_best_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    config = study("training.total_timesteps=90", "evaluation.eval_freq=30", "agent.learning_rate=0.05")
    run = config.for_trial({})
    plain, confirmed = train(run), train(run, held_out=HeldOut(n_episodes=3, seed=5))
    assert confirmed.evaluations == plain.evaluations
    assert len(confirmed.held_out_returns) == 3
    # Trained only as long as until the best evaluation, and evaluated at its end: the same returns.
    returns = [evaluation.mean_return for evaluation in plain.evaluations]
    best = plain.evaluations[int(np.argmax(returns))].step
    shorter = run.model_copy(deep=True)
    shorter.training.total_timesteps, shorter.evaluation.objective = best, "last"
    assert train(shorter, held_out=HeldOut(n_episodes=3, seed=5)).held_out_returns == confirmed.held_out_returns
    worst = plain.evaluations[int(np.argmin(returns))].step
    assert worst != best
    minimized = train(run, held_out=HeldOut(n_episodes=3, seed=5), direction="minimize")
    assert minimized.held_out_returns != confirmed.held_out_returns
    assert list(tmp_path.iterdir()) == []  # SB3 logs to nowhere


def test_a_candidate_survives_its_file(tmp_path: Path) -> None:
    config = study()
    result = Result(
        number=3,
        config=config.digest(),
        state="complete",
        objective=-1.0,
        reason=None,
        params={"agent.gamma": 0.95},
        distributions={},
        evaluations=[EvaluationResult(step=1, mean_return=-1.0, std_return=0.0)],
        pruner_attrs={},
        seeds={},
        bit_exact=True,
        packages={},
    )
    candidate = Candidate.of_trial("top-1", result)
    path = tmp_path / "top-1.yaml"
    path.write_text(candidate.dump())
    assert Candidate.load(path) == candidate
    assert candidate.run_in(config, None).agent["gamma"] == 0.95
    path.write_text(Candidate.absent("top-1").dump())
    assert not Candidate.load(path).exists
    for nothing in ("", "# There are only 1 of them.\n"):
        path.write_text(nothing)
        with pytest.raises(SidewinderError, match=r"top-1.yaml: the whole file: found None, .*; delete the file"):
            Candidate.load(path)
    path.write_text("name: top-1\n")
    with pytest.raises(SidewinderError, match=r"top-1.yaml: exists: found nothing, accepted: a value"):
        Candidate.load(path)


@pytest.mark.slow
def test_best_yaml_and_tables_say_what_was_found(undisturbed: Path) -> None:
    """The workflow's own files: the figures are those of the test seeds, and no seed is used twice."""
    directory = undisturbed / "results" / "tiny"
    best: dict[str, Any] = yaml.safe_load((directory / "best.yaml").read_text())
    chosen, table = best["winner"], pd.read_csv(directory / "confirmation.csv")
    assert set(table["phase"]) == {"validation", "test"}
    test = table[table["phase"] == "test"].groupby("candidate")["mean_return"]
    for name in ("winner", "defaults", "zoo"):
        assert chosen["test"][name]["n_seeds"] == 2
        assert chosen["test"][name]["mean"]["value"] == pytest.approx(test.mean()[name])
    assert chosen["selection_gap"] == pytest.approx(chosen["objective"] - test.mean()["winner"])
    assert chosen["config"] == StudyConfig.load(directory / "config.yaml").digest()
    validation_means = table[table["phase"] == "validation"].groupby("trial")["mean_return"].mean()
    assert chosen["trial"] == validation_means.idxmax()
    assert set(chosen["overrides"]) == {f"{name}={value}" for name, value in chosen["params"].items()}

    trained = [
        json.loads(path.read_text())["seeds"]
        for path in [*directory.glob("trials/*/result.json"), *directory.glob("confirmation/runs/*.json")]
    ]
    by_phase = [
        {
            json.loads(path.read_text())["run"]["seeds"]["training"]
            for path in directory.glob(f"confirmation/{phase}/*/*")
        }
        for phase in ("validation", "test")
    ]
    sweep = {seeds["training"] for seeds in trained if "episodes" not in seeds}
    assert not sweep & by_phase[0]
    assert not sweep & by_phase[1]
    assert not by_phase[0] & by_phase[1]

    markdown, latex = (directory / "best.md").read_text(), (directory / "best.tex").read_text()
    assert f"tuned (trial {chosen['trial']})" in markdown
    assert f"{test.mean()['winner']:.1f} [" in markdown
    assert re.search(r"\| agent.learning_rate +\| tag\(log, interval\(1e-4, 1e-2\)\) +\| 0.001 +\|", markdown)
    assert r"\toprule" in latex
    assert r"agent.learning\_rate" in latex
