"""The confirmation: returns that choose a setting are not reported, seeds are new, statistics are the literature's."""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console
from scipy import stats
from tiny_study import REPOSITORY, run

from sidewinder import SidewinderError
from sidewinder.config.composition import compose_study
from sidewinder.config.run_config import HeldOut
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate, chosen_trials, confirmation_run
from sidewinder.confirmation.comparisons import compare
from sidewinder.confirmation.race import last_two, ranking
from sidewinder.confirmation.results import ConfirmationResult, ConfirmationRun, table
from sidewinder.confirmation.statistics import probability_of_improvement, summarize
from sidewinder.files import to_json, write_atomically
from sidewinder.report.terminal import print_summary
from sidewinder.report.tested import Tested as Figures
from sidewinder.results import EvaluationResult, Result, result_path
from sidewinder.training.run import train

SMALL = ["agent.learning_starts=20", "agent.policy_kwargs.net_arch=[8]", "evaluation.n_eval_episodes=1"]
SCORED = "{env_id: Pendulum-v1, low: -1500, high: -500}"


def study(*overrides: str) -> StudyConfig:
    return compose_study("pendulum_ddpg", [*SMALL, *overrides])


def rows(candidate: str, *returns: float | None) -> pd.DataFrame:
    """Make the part of the table of confirmation results that the statistics read."""
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
    returns: dict[str, list[float | None]] = {"top_1": [-3, -5], "top_2": [-2, -2], "top_3": [-1, -4]}
    assert ranking(validation(**returns), "maximize") == ["top-2", "top-3", "top-1"]
    assert ranking(validation(**returns), "minimize") == ["top-1", "top-3", "top-2"]
    # Of equally good settings the better one in the sweep comes first. A setting that diverges comes last.
    assert ranking(validation(top_1=[1, 3], top_2=[3, 1]), "maximize") == ["top-1", "top-2"]
    assert ranking(validation(top_1=[9, None], top_2=[1, 1]), "maximize") == ["top-2", "top-1"]
    assert ranking(validation(top_1=[None, None], top_2=[None, 1]), "maximize") == ["top-2"]
    with pytest.raises(SidewinderError, match="only failed runs, the last one: diverged"):
        ranking(validation(top_1=[None], top_2=[None]), "maximize")


def test_who_goes_on_in_the_race_is_ahead() -> None:
    """A setting that got further ranks first, even if one that left earlier had higher returns on fewer seeds."""
    returns: dict[str, list[float | None]] = {"defaults": [3, 3, 0, 0], "top_1": [9], "top_2": [4, 4], "top_3": [1]}
    returns["top_4"] = [4, 4, 4, None]
    assert ranking(validation(**returns), "maximize") == ["defaults", "top-4", "top-2", "top-1", "top-3"]


def test_the_rounds_of_the_race() -> None:
    race = ["confirmation.top_k=3", "confirmation.n_validation_seeds=2"]
    first = ["defaults", "zoo", "top-1", "top-2", "top-3"]
    config = study(*race, "confirmation.rounds=[[9,1],[2,3]]")
    places = [f"round-2-{rank}" for rank in range(1, 6)]
    assert config.race() == [(first, range(2)), (places, range(2, 3)), (["round-3-1", "round-3-2"], range(3, 6))]
    validation = config.confirmations()["validation"]
    assert list(validation) == [*first, *places, "round-3-1", "round-3-2"]
    assert list(validation["top-3"]) == ["0", "1"]
    assert list(validation["round-3-1"]) == ["3", "4", "5"]
    assert study(*race, "confirmation.rounds=[]").race() == [(first, range(2))]
    # One setting needs no race.
    alone = study("confirmation.top_k=1", "confirmation.baselines=[]")
    assert alone.race() == [(["top-1"], range(alone.confirmation.n_validation_seeds))]
    with pytest.raises(SidewinderError, match=r"confirmation.rounds: found .* accepted: rounds that keep no more"):
        study("confirmation.rounds=[[2,1],[3,1]]")
    with pytest.raises(SidewinderError, match=r"confirmation.rounds.0"):
        study("confirmation.rounds=[[0,1]]")


def complete(directory: Path, config: StudyConfig, *params: dict[str, Any]) -> pd.DataFrame:
    """Write a result for each of these settings, each worse than the one before. Returns the table of the trials."""
    for number, own in enumerate(params):
        result = complete_trial(config, number, -number, own)
        write_atomically(result_path(directory, number), to_json(result.model_dump()))
    return pd.DataFrame([{"number": n, "state": "complete", "objective": -n} for n in range(len(params))])


def complete_trial(config: StudyConfig, number: int, objective: float, params: dict[str, Any]) -> Result:
    return Result(
        number=number,
        config=config.digest(),
        state="complete",
        objective=objective,
        reason=None,
        params=params,
        distributions={},
        evaluations=[EvaluationResult(step=1, mean_return=objective, std_return=0.0)],
        pruner_attrs={},
        seeds={},
        bit_exact=True,
        packages={},
    )


def test_the_best_different_settings_are_confirmed(tmp_path: Path) -> None:
    """No setting is confirmed twice, and none that equals a baseline."""
    config = study("agent=ddpg", "confirmation.top_k=3", "search_space={agent.gamma: 'choice(0.9,0.98,0.99)'}")
    own = {"agent.gamma": "0.9"}, {"agent.gamma": "0.9"}, {"agent.gamma": "0.98"}, {"agent.gamma": "0.9"}
    trials = complete(tmp_path, config, *own)
    assert [trial.number for trial in chosen_trials(config, tmp_path, trials)] == [0, 2]
    # A baseline that equals trial 0.
    config.baselines["defaults"] = {"agent": config.agent | {"gamma": 0.9}, "environment": {}}
    assert [trial.number for trial in chosen_trials(config, tmp_path, trials)] == [2]
    # Without any other setting, it is confirmed although it equals the baseline.
    assert [trial.number for trial in chosen_trials(config, tmp_path, trials[:2])] == [0]
    with pytest.raises(SidewinderError, match="found no complete trial"):
        chosen_trials(config, tmp_path, trials[:0])


@pytest.mark.parametrize("algorithm", ["td3", "ppo", "sac", "ddpg"])
def test_enqueued_defaults_are_the_baseline(algorithm: str, tmp_path: Path) -> None:
    """Also if one of the two has null where the other has the name or list that null stands for."""
    overrides = ["study=plain", f"agent={algorithm}", "environment=pendulum", "study.enqueue=[defaults]"]
    config = compose_study("made_up", overrides)
    first = {key: str(value) if isinstance(value, bool) else value for key, value in config.study.enqueue[0].items()}
    other = first | {"agent.gamma": "0.9"}
    trials = complete(tmp_path, config, first, other)
    assert [trial.number for trial in chosen_trials(config, tmp_path, trials)] == [1]


def test_what_has_no_effect_makes_no_other_setting(tmp_path: Path) -> None:
    config = study("sampler=cmaes", "~sampler.n_startup_trials", "agent=ddpg")
    own = [{"agent.action_noise": "null", "agent.noise_std": value} for value in (0.1, 0.2)]
    trials = complete(tmp_path, config, *own, own[0] | {"agent.action_noise": "normal"})
    assert [trial.number for trial in chosen_trials(config, tmp_path, trials)] == [0, 2]


def test_the_last_two_of_a_race() -> None:
    """They are compared on the seeds that both had."""
    found = last_two(validation(top_1=[1, 2, 3, 4], top_2=[0, 1, 2, 3], top_3=[9, 9]), "maximize")
    assert found
    assert (found.first, found.second, found.n_seeds, found.tied) == ("top-1", "top-2", 4, False)
    assert found.gain
    assert found.gain.value == 1
    found = last_two(validation(top_1=[1, 2, 3], top_2=[2, 0]), "maximize")
    assert found
    assert (found.n_seeds, found.tied) == (2, True)
    found = last_two(validation(top_1=[1], top_2=[0]), "maximize")
    assert found
    assert (found.gain, found.tied) == (None, True)
    assert last_two(validation(top_1=[1]), "maximize") is None


def test_figures_are_those_of_the_literature() -> None:
    """Compared with scipy's and numpy's functions; the bootstrap interval is close to the normal one."""
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
        assert compare(one, {"other": other}, "maximize") == {"other": None}


def test_settings_are_compared_seed_by_seed() -> None:
    """Both settings share the luck of a seed, so the interval is computed from the differences per seed."""
    generator = np.random.default_rng(0)
    luck, differences = generator.normal(0, 100, size=10), generator.normal(5, 1, size=10)
    tuned, others = rows("winner", *(luck + differences)), {"defaults": rows("defaults", *luck)}
    found, loss = (compare(tuned, others, direction)["defaults"] for direction in ("maximize", "minimize"))
    assert found is not None
    assert loss is not None
    assert found.n_seeds == 10
    assert found.gain.value == pytest.approx(differences.mean())
    normal = stats.norm.interval(0.95, differences.mean(), differences.std() / np.sqrt(10))
    assert [found.gain.low, found.gain.high] == pytest.approx(list(normal), abs=0.1)
    # All ten differences are positive: only two of the 2^10 permutations are as extreme.
    assert found.p_value == 2 / 2**10
    assert (loss.gain.value, loss.p_value) == (-found.gain.value, found.p_value)


def test_several_baselines_are_no_better_chance() -> None:
    """Holm's method doubles the smaller of two p-values."""
    one = [float(value) for value in range(1, 11)]
    others = {
        "defaults": rows("defaults", *[0.0] * 10),
        "zoo": rows("zoo", *(value + wave for value, wave in zip(one, [1.0, -1.0] * 5, strict=True))),
    }
    found = compare(rows("winner", *one), others, "maximize")
    assert found["defaults"] is not None
    assert found["zoo"] is not None
    assert found["defaults"].p_value == 2 * 2 / 2**10
    assert found["zoo"].p_value == 1
    assert found["zoo"].needed is None


def test_what_could_have_been_found_is_found() -> None:
    """80 % of studies find a difference of `detectable`, and with `needed` seeds 80 % find the observed difference."""
    generator = np.random.default_rng(0)
    differences = np.array([2.0, -1.0, 3.0, 0.0, 1.0, -2.0, 2.0, 1.0, -1.0, 2.0])
    found = compare(rows("winner", *differences), {"zoo": rows("zoo", *[0.0] * 10)}, "maximize")["zoo"]
    assert found is not None
    assert found.needed is not None
    assert not found.sure
    for n_seeds, difference in ((10, found.detectable), (found.needed, found.gain.value)):
        studies = generator.normal(difference, differences.std(ddof=1), size=(4000, n_seeds))
        assert np.mean(stats.ttest_1samp(studies, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.03)


UP, SAME, DOWN = ([sign * value for value in range(1, 11)] for sign in (1, 0.0, -1))
UNSURE = [1.0, -0.5, 2.0, 0.5, -1.0, 1.5, 0.0, 1.0, -0.5, 1.0]


@pytest.mark.parametrize(
    ("winner", "baselines", "recommended", "sentence"),
    [
        (
            UP,
            {"defaults": SAME},
            "tuned",
            r"Use trial 3: it is better than the defaults by 5\.5 \[.*\] \(p = 0\.002\)\.",
        ),
        (
            [value + wave for value, wave in zip(UP, [1.1, -0.9] * 5, strict=True)],
            {"defaults": SAME, "zoo": UP},
            "tuned",
            r"Use trial 3: it is better than the defaults by .*; and it is better than RL Zoo's setting by 0\.1 \[.*"
            r"which may be luck \(a difference of 1\.\d would have been found with 80 % probability; to find one as "
            r"small as this takes about \d,\d+ seeds\)\.",
        ),
        (
            DOWN,
            {"defaults": SAME},
            "defaults",
            r"Use the defaults: trial 3 is worse, by 5\.5 \[3\.\d, 7\.\d\] \(p = 0\.002\)\.",
        ),
        (DOWN, {"defaults": DOWN[::-1], "zoo": SAME}, "zoo", r"Use RL Zoo's setting: trial 3 is worse, by .*"),
        (
            UNSURE,
            {"defaults": SAME},
            "tuned",
            r"Use trial 3: it is better than the defaults by 0\.5 .* luck \(a difference of 1\.0 would have been found "
            r"with 80 % probability; .* takes about \d\d seeds\)\.",
        ),
        (
            [-value for value in UNSURE],
            {"defaults": SAME, "zoo": DOWN},
            "defaults",
            r"Use the defaults: on test seeds trial 3 is worse than the defaults by 0\.5 .* which may be luck \(.*\)\. "
            r"Trial 3 is better than RL Zoo's setting by 5\.0 .*",
        ),
        (
            UP[:5],
            {"defaults": SAME[:5]},
            "tuned",
            r"Use trial 3: it is better .* luck\. With 5 test seeds nothing is sure: 6 at least are needed\.",
        ),
        (
            [value * 1000 for value in UP[:6]],
            {"defaults": SAME[:6], "zoo": SAME[:6]},
            "tuned",
            r"Use trial 3: .* luck; and it .* luck\. With 6 test seeds nothing is sure: 7 at least are needed\.",
        ),
        (
            [500.0] * 10,
            {"defaults": [500.0] * 10},
            "defaults",
            r"Use the defaults: on test seeds trial 3 has the same results as the defaults, seed by seed\.",
        ),
        ([None, *UP[1:]], {"defaults": SAME}, "defaults", r"Use the defaults: trial 3 failed in 1 of 10 trainings .*"),
        ([None, *UP[1:]], {"defaults": [None, *SAME[1:]]}, "tuned", r"Trial 3 failed in 1 of 10 trainings on test .*"),
        (UP, {}, "tuned", r"Trial 3 has 5\.5 \[.*\] on test seeds\. It was compared with nothing\."),
        (
            UP,
            {"defaults": [None, *SAME[1:]]},
            "tuned",
            r"Trial 3 has 5\.5 \[.*\] on test seeds\. It cannot be compared with the defaults: trainings failed\.",
        ),
    ],
)
def test_the_verdict(winner: list[Any], baselines: dict[str, list[Any]], recommended: str, sentence: str) -> None:
    found = figures(winner=winner, **baselines).verdict()
    assert found.recommended == recommended
    assert re.fullmatch(sentence, found.sentence), found.sentence


def test_a_baseline_that_came_first_is_recommended() -> None:
    """The tuned setting is recommended only if it is surely better on test seeds."""
    race = confirmed(winner=UNSURE, defaults=SAME)
    first: pd.DataFrame = rows("defaults", 9.0, 9.0).assign(phase="validation", trial=None)
    chosen = Candidate(name="winner", exists=True, trial=3, params={}, objective=9.0)
    found = Figures(study(), chosen, pd.concat([race, first]))
    assert found.verdict().recommended == "defaults"
    sentence = (
        "Use the defaults, which came first in the race: on test seeds trial 3 is better than the defaults by 0.5"
    )
    assert found.verdict().sentence.startswith(sentence)
    assert " It ended with defaults before trial 3, by 8.0 [8.0, 8.0] on the 2 seeds that both had." in found.note()
    found = Figures(study(), chosen, pd.concat([confirmed(winner=UP, defaults=SAME), first]))
    assert found.verdict().recommended == "tuned"


@pytest.mark.parametrize(("direction", "expected"), [("maximize", 0.75), ("minimize", 0.25)])
def test_probability_of_improvement(direction: str, expected: float) -> None:
    """Of the four pairs, the first value is greater in two and equal in two."""
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
    """Neither the study's changes nor a user's file of that name has an influence; the budget is the study's."""
    config = study("agent.gamma=0.5", "training.total_timesteps=77")
    defaults, zoo = (Candidate.of_baseline(name).run_in(config, None) for name in ("defaults", "zoo"))
    assert (defaults.agent["gamma"], defaults.agent["batch_size"]) == (0.99, 256)
    assert defaults.agent["policy_kwargs"]["net_arch"] is None
    assert (zoo.agent["gamma"], zoo.agent["learning_starts"], zoo.agent["action_noise"]) == (0.98, 10000, "normal")
    assert defaults.training.total_timesteps == zoo.training.total_timesteps == 77
    # Baselines are no part of the study's identity.
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
    # A training that ends at the best evaluation has the same held-out returns at its end.
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
    result = complete_trial(config, 3, -1.0, {"agent.gamma": "0.95"})
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
    """Checked in the workflow's files: the statistics are from test seeds, and no seed is used twice."""
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

    by_phase = [
        {
            json.loads(path.read_text())["run"]["seeds"]["training"]
            for path in directory.glob(f"confirmation/{phase}/*/*")
        }
        for phase in ("validation", "test")
    ]
    sweep = {json.loads(path.read_text())["seeds"]["training"] for path in directory.glob("trials/*/result.json")}
    assert not sweep & by_phase[0]
    assert not sweep & by_phase[1]
    assert not by_phase[0] & by_phase[1]

    markdown, latex = (directory / "best.md").read_text(), (directory / "best.tex").read_text()
    assert f"tuned (trial {chosen['trial']})" in markdown
    assert f"{test.mean()['winner']:.1f} [" in markdown
    assert re.search(r"\| agent.learning_rate +\| tag\(log, interval\(1e-4, 1e-2\)\) +\| 0.001 +\|", markdown)
    assert r"\toprule" in latex
    assert r"agent.learning\_rate" in latex


# Trainings that failed


def confirmed(**returns: Sequence[float | None]) -> pd.DataFrame:
    """Make rows of confirmation.csv: the test of these settings, and trial 3's validation."""
    test = [rows(name, *values).assign(phase="test") for name, values in returns.items() if name != "validation"]
    own = rows("top-1", *returns.get("validation", [1.0, 1.0])).assign(phase="validation")
    trials = {"winner": 3.0, "top-1": 3.0}
    table = pd.concat([own, *test], ignore_index=True)
    return table.assign(trial=table["candidate"].map(trials))


def figures(**returns: Sequence[float | None]) -> Figures:
    chosen = Candidate(name="winner", exists=True, trial=3, params={}, objective=9.0)
    return Figures(study(), chosen, confirmed(**returns))


def test_a_baseline_that_failed_is_no_victory() -> None:
    """It is not compared if all or some of its trainings failed."""
    found = figures(winner=[2.0, 3.0, 4.0], defaults=[None, None, None], zoo=[1.0, None, 1.0])
    table = found.returns().set_index("setting")
    assert list(table.loc["defaults", ["mean [95% CI]", "IQM [95% CI]"]]) == ["failed in 3 of 3"] * 2
    assert table.loc["zoo", "mean [95% CI]"] == "1.0 [1.0, 1.0]"
    assert list(table["seeds"]) == ["3", "3 (failed in 3 of 3)", "3 (failed in 1 of 3)"]
    for column in ("gain of tuned [95% CI]", "P(tuned is better)"):
        assert list(table[column]) == ["", "not compared", "not compared"]
    data = found.data()
    assert data["defaults"] == {
        "n_seeds": 3,
        "n_failed": 3,
        "failed": "failed in 3 of 3",
        "gain_of_winner": None,
        "probability_that_winner_is_better": None,
    }
    assert (data["zoo"]["failed"], data["zoo"]["probability_that_winner_is_better"]) == ("failed in 1 of 3", None)
    assert "failed" not in data["winner"]
    assert "failed on test seeds: defaults failed in 3 of 3, zoo failed in 1 of 3. These have no" in found.note()
    assert found.selection_gap == 6.0


def test_a_winner_that_failed_says_so() -> None:
    """The mean of its other trainings would be too good, so it has neither a gain nor a selection gap."""
    found = figures(winner=[2.0, None, 4.0], defaults=[1.0, 1.0, 1.0], validation=[None, 5.0])
    table = found.returns().set_index("setting")
    assert table.loc["tuned (trial 3)", "seeds"] == "3 (failed in 1 of 3)"
    assert list(table.loc["defaults", ["gain of tuned [95% CI]", "P(tuned is better)"]]) == ["not compared"] * 2
    assert found.selection_gap is None
    assert "In the sweep" not in found.note()
    assert "Trainings failed on test seeds: tuned failed in 1 of 3." in found.note()
    assert found.note().endswith("Trainings failed on validation seeds: trial 3 failed in 1 of 2.")


def test_where_nothing_failed_there_is_no_word_of_it() -> None:
    found = figures(winner=[2.0, 3.0], defaults=[1.0, 1.0])
    assert "fail" not in found.note() + found.returns().to_csv() + str(found.data()).replace("'n_failed': 0", "")
    assert found.returns()["P(tuned is better)"].iloc[1] == "1.00 [1.00, 1.00]"


def test_a_failure_in_one_of_several_environments() -> None:
    content = [
        {"phase": "test", "candidate": name, "trial": 3.0, "environment": environment, "index": index}
        | {"mean_return": value, "score": value, "n_episodes": 5, "reason": None}
        for name, values in (("winner", [1.0, 2.0, 1.0, 2.0]), ("defaults", [1.0, 1.0, None, None]))
        for (environment, index), value in zip([(e, i) for e in ("x", "y") for i in (0, 1)], values, strict=True)
    ]
    config = compose_study("several", ["study=plain", *(f"+environments.{name}={SCORED}" for name in ("x", "y"))])
    chosen = Candidate(name="winner", exists=True, trial=3, params={}, objective=None)
    found = Figures(config, chosen, pd.DataFrame(content).astype({"mean_return": float, "score": float}))
    table = found.returns().set_index(["setting", "environment"])
    assert table.loc[("defaults", "all (score)"), "mean [95% CI]"] == "failed in 2 of 4"
    assert table.loc[("defaults", "all (score)"), "P(tuned is better)"] == "not compared"
    assert table.loc[("defaults", "x"), "mean [95% CI]"] == "1.0 [1.0, 1.0]"
    assert table.loc[("defaults", "y"), "seeds"] == "2 (failed in 2 of 2)"
    assert found.data()["defaults"]["environments"]["y"] == {"n_seeds": 2, "n_failed": 2, "failed": "failed in 2 of 2"}


def test_a_table_of_failures_alone_has_no_winner() -> None:
    run = ConfirmationRun(
        state="failed", reason="NaN", returns=[], evaluations=[], seeds={}, bit_exact=True, packages={}
    )
    result = ConfirmationResult(
        phase="validation", candidate="top-1", trial=3, index=0, environment=None, made_from="", run=run
    )
    with pytest.raises(SidewinderError, match="only failed runs, the last one: NaN"):
        ranking(table(study(), [result]), "maximize")


@pytest.mark.slow
def test_failures_in_every_file_that_speaks_of_them(undisturbed: Path, tmp_path: Path) -> None:
    """The scripts make the workflow's files again, as if all tests of the defaults and all validation had failed."""
    directory = tmp_path / "tiny"
    shutil.copytree(undisturbed / "results/tiny", directory)
    path = directory / "confirmation.csv"
    confirmation = pd.read_csv(path)
    lost = confirmation["candidate"].isin(["defaults", "top-1", "top-2"])
    confirmation.loc[lost, "state"], confirmation.loc[lost, ["mean_return", "std_return"]] = "failed", np.nan
    confirmation.to_csv(path, index=False)
    config = str(directory / "config.yaml")
    drawn = [str(directory / f"figures/{name}.svg") for name in ("test_returns", "selection_gap")]
    for script, *arguments in (
        (
            "best.py",
            config,
            str(directory / "confirmation/candidates/winner.yaml"),
            str(path),
            str(directory / "trials.csv"),
        ),
        ("timings.py", config, "--output", str(directory / "timings.csv")),
        ("sweep_figures.py", str(directory), "--output", *drawn),
        ("pages.py", config, "--output", str(directory / "pages")),
    ):
        done = run([sys.executable, str(REPOSITORY / "scripts" / script), *arguments])
        assert done.returncode == 0, done.stderr
    words = "failed in 2 of 2"
    for name in ("best.md", "best.tex", "best.yaml", "pages/summary.html"):
        text = (directory / name).read_text()
        assert words in text, name
        assert "not compared" in text or "probability_that_winner_is_better: null" in text, name
    assert f"({lost.sum()} failed)" in (directory / "pages/summary.html").read_text()
    console = Console(file=StringIO(), width=250)
    print_summary([directory], console)
    assert isinstance(console.file, StringIO)
    assert words in console.file.getvalue()
    assert "failed in 1 of 1 in validation" in console.file.getvalue()
    assert "failed in 1 of 1" in (directory / "best.tex").read_text()
