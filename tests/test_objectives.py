"""Studies with several environments and several objectives, also through the workflow."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny_study import REPOSITORY, TINY, run, run_to_the_end

from sidewinder import SidewinderError
from sidewinder.checks import check_study
from sidewinder.config.composition import compose_study
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.race import ranking
from sidewinder.confirmation.results import read_table
from sidewinder.confirmation.statistics import objective_estimates, probability_of_improvement, summarize
from sidewinder.report.figures import pareto_front, style
from sidewinder.report.figures.study_tables import Tables
from sidewinder.results import EvaluationResult, Result
from sidewinder.training.objectives import objectives, spread
from sidewinder.trials.replicates import gather
from sidewinder.trials.tables import undominated

BOTH = [
    "+environments.pendulum={env_id: Pendulum-v1, low: -1500, high: -500}",
    "+environments.car={env_id: MountainCarContinuous-v0, n_envs: 2, low: -100, high: 100}",
]
SEVERAL = ["study.objectives=[return,spread]", "study.direction=[maximize,minimize]"]


def study(*overrides: str) -> StudyConfig:
    return compose_study("pendulum_ddpg", overrides)


def training(environment: str | None, *returns: float, std: float = 0.0, **more: Any) -> Result:
    content: dict[str, Any] = {
        "number": 0,
        "config": "x",
        "state": "complete",
        "objective": max(returns),
        "reason": None,
        "params": {},
        "distributions": {},
        "evaluations": [
            EvaluationResult(step=10 * (index + 1), mean_return=value, std_return=std)
            for index, value in enumerate(returns)
        ],
        "pruner_attrs": {},
        "seeds": {},
        "bit_exact": True,
        "packages": {},
        "environment": environment,
    }
    return Result(**{**content, **more})


# Several environments


def test_a_trial_in_several_environments_is_worth_its_mean_score() -> None:
    config = study(*BOTH, "study.replicates=2")
    assert list(config.replicates()) == ["pendulum-0", "car-0", "pendulum-1", "car-1"]
    trainings = [
        training("pendulum", -1500, -1000),
        training("car", -100, 0),
        training("pendulum", -1500, -500),
        training("car", 100, -100),
    ]
    # The scores are 0.5 and 1 in each environment.
    assert objectives(config, trainings) == {"return": 0.75}
    result = gather(config, trainings)
    assert (result.objective, result.environment) == (0.75, None)
    assert [evaluation.mean_return for evaluation in result.evaluations] == [0.25, 0.5]
    assert [one.environment for one in result.replicates] == ["pendulum", "car"] * 2
    assert [one.objective for one in result.replicates] == [-1000, 0, -500, 100]
    # Aggregated per environment: a quantile over all trainings could hide one of the environments.
    assert objectives(study(*BOTH, "study.replicates=2", "study.aggregate=0.5"), trainings) == {"return": 0.75}


def test_each_environment_has_its_own_keys() -> None:
    config = study(*BOTH, "+environment.env_kwargs.render_mode=rgb_array", "environment.normalize=true")
    pendulum, car = (config.for_trial({"agent.gamma": 0.5}, name) for name in ("pendulum", "car"))
    assert (pendulum.environment.env_id, car.environment.env_id) == ("Pendulum-v1", "MountainCarContinuous-v0")
    assert (pendulum.environment.n_envs, car.environment.n_envs) == (8, 2)
    assert car.environment.env_kwargs == {"render_mode": "rgb_array"}
    assert car.environment.normalize is not None
    assert pendulum.agent == car.agent
    assert config.for_baseline("defaults", "car").environment.n_envs == 2
    assert list(config.baselines) == ["defaults"]
    assert StudyConfig.model_validate(yaml.safe_load(config.dump())) == config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+environments.a={env_id: X, low: 2, high: 1}"], "environments.a.high: found 1, accepted: return above low"),
        (["+environments.a={env_id: X, high: 1}"], "environments.a.low: found nothing, accepted: a value"),
        (["+environments.a={n_env: 2, low: 0, high: 1}"], "environments.a.n_env: found 2, accepted: no such key"),
        ([*BOTH, "pruner=median"], "pruner: found MedianPruner, accepted for several environments: none; or any with"),
        (
            [*BOTH, "evaluation.environment.env_id=Pendulum-v1"],
            "evaluation.environment.env_id: found 'Pendulum-v1', accepted: null where the study has several",
        ),
        (
            [*BOTH, "+search_space={environment.env_id: 'choice(a, b)'}"],
            "environment.env_id: found a search without effect, accepted: without environment.env_id in each of",
        ),
        (["study.objectives=[spread]"], "study.objectives: found ['spread'], accepted: different names, first one of"),
        (["study.objectives=[return,cost]"], "study.objectives: found ['return', 'cost'], accepted: different names"),
        (
            ["study.objectives=[return,spread]"],
            "found 'maximize', accepted: one direction for each of study.objectives, return, spread",
        ),
        (
            ["study.direction=[maximize,minimize]"],
            "found ['maximize', 'minimize'], accepted: one direction for each of study.objectives, return",
        ),
        ([*SEVERAL, "sampler=cmaes"], "sampler: found CmaEsSampler, accepted for several objectives: tpe, nsgaii"),
        ([*SEVERAL, "pruner=median"], "pruner: found MedianPruner, accepted for several objectives: none"),
    ],
)
def test_mistakes_are_said_in_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(SidewinderError) as caught:
        check_study(study(*overrides))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_sequences_in_several_environments_may_be_pruned() -> None:
    check_study(study(*BOTH, "study.replicates_in=sequence", "pruner=wilcoxon"))


def confirmed(candidate: str, **scores: list[float | None]) -> pd.DataFrame:
    """Make rows of confirmation.csv whose mean returns are ten times the scores."""
    rows = [
        {
            "candidate": candidate,
            "environment": environment,
            "index": index,
            "mean_return": None if score is None else 10 * score,
            "score": score,
            "n_episodes": 5,
            "reason": "diverged",
        }
        for environment, values in scores.items()
        for index, score in enumerate(values)
    ]
    return pd.DataFrame(rows).astype({"mean_return": float, "score": float})


def test_estimates_of_several_environments() -> None:
    one, other = confirmed("a", x=[0.1, 0.3], y=[1.0, 1.2]), confirmed("b", x=[0.2, 0.2], y=[0.5, 0.7])
    found = summarize(one)
    assert found is not None
    assert found.n_seeds == 2
    assert [found.mean.value, found.median.value] == pytest.approx([0.65, 0.65])
    # Seeds are resampled within each environment: each resample has both environments in it.
    assert [found.mean.low, found.mean.high] == pytest.approx([0.55, 0.75])
    better = probability_of_improvement(one, other, "maximize")
    assert better is not None
    assert better.value == 0.75
    assert ranking(pd.concat([other, one]), "maximize")[0] == "a"
    assert ranking(pd.concat([other, one]), "minimize")[0] == "b"
    # A failure in either environment counts. The other trainings of that environment do not make up for it.
    unsteady = pd.concat([confirmed("a", x=[9, None], y=[9, 9]), confirmed("b", x=[1, 1], y=[1, 1])])
    assert ranking(unsteady, "maximize") == ["b", "a"]
    assert summarize(confirmed("a", x=[1, None], y=[1, 1])) is None


# Several objectives


def test_spread_is_over_all_episodes() -> None:
    episodes = np.random.default_rng(0).normal([[1.0], [5.0]], 2.0, size=(2, 10))
    means, stds = episodes.mean(axis=1), episodes.std(axis=1)
    assert float(spread(means, stds)) == pytest.approx(episodes.std())
    config = study(*SEVERAL, "study.replicates=2", "evaluation.objective=last")
    trainings = [training(None, 0.0, mean, std=std) for mean, std in zip(means, stds, strict=True)]
    found = objectives(config, trainings)
    assert found == {"return": pytest.approx(episodes.mean()), "spread": pytest.approx(episodes.std())}
    assert gather(config, trainings).further_objectives == {"spread": found["spread"]}
    # With several environments, spread is in units of the score.
    scaled = study(*SEVERAL, *BOTH)
    found = objectives(scaled, [training("pendulum", -500.0, std=100.0), training("car", 0.0, std=30.0)])
    assert found == {"return": pytest.approx(0.75), "spread": pytest.approx((0.1 + 0.15) / 2)}


def test_speed_is_an_objective_and_not_exact() -> None:
    config = study("study.objectives=[return,steps_per_second]", "study.direction=[maximize,maximize]")
    result = gather(config, [training(None, 1.0, further_objectives={"steps_per_second": 300.0})])
    assert (result.objective, result.further_objectives) == (1.0, {"steps_per_second": 300.0})


def test_what_is_not_dominated() -> None:
    values = [[1.0, 5.0], [2.0, 5.0], [3.0, 9.0], [0.0, 1.0], [2.0, 5.0]]
    assert undominated(values, ["maximize", "minimize"]) == [1, 2, 3, 4]
    assert undominated(values, ["minimize", "minimize"]) == [3]
    assert undominated([], ["minimize", "minimize"]) == []


# Through the workflow


def write_studies(directory: Path, **studies: list[str]) -> None:
    tiny = [override for override in TINY if not override.startswith("pruner")]
    short = [*tiny, "pruner=none", "study.n_trials=2", "study.workers=1", "confirmation.top_k=1"]
    entries = {name: [*short, *overrides] for name, overrides in studies.items()}
    (directory / "config.yaml").write_text(yaml.safe_dump({"studies": entries}))


@pytest.mark.slow
def test_several_environments_in_the_workflow(tmp_path: Path) -> None:
    """Environments as parallel jobs or in sequence give the same trials. The winner is reported in each of them."""
    write_studies(tmp_path, jobs=BOTH, sequence=[*BOTH, "study.replicates_in=sequence"])
    run_to_the_end(
        tmp_path, "results/jobs/figures/test_returns.pdf", "results/jobs/best.yaml", "results/sequence/trials.csv"
    )
    results = tmp_path / "results"
    for name in ("trials.csv", "evaluations.csv"):
        assert (results / "jobs" / name).read_bytes() == (results / "sequence" / name).read_bytes()
    trial = json.loads((results / "jobs/trials/0/result.json").read_text())
    pendulum, car = (one["objective"] for one in trial["replicates"])
    assert trial["objective"] == pytest.approx(((pendulum + 1500) / 1000 + (car + 100) / 200) / 2)
    assert {path.name for path in (results / "jobs/trials/0/replicates").iterdir()} == {"pendulum-0", "car-0"}

    best = yaml.safe_load((results / "jobs/best.yaml").read_text())
    found = best["winner"]["test"]
    table = read_table(results / "jobs/confirmation.csv")
    rows = table[(table["phase"] == "test") & (table["candidate"] == "winner")]
    assert found["winner"]["mean"]["value"] == pytest.approx(rows["score"].mean())
    in_car = rows.loc[rows["environment"] == "car", "mean_return"]
    assert found["winner"]["environments"]["car"]["mean"]["value"] == pytest.approx(in_car.mean())
    assert list(found) == ["winner", "defaults"]
    # The sweep's estimate of how much the shared setting loses against the best one of each environment.
    trials = pd.read_csv(results / "jobs/trials.csv")
    assert trials["return_pendulum"].iloc[0] == pytest.approx(pendulum)
    assert trials["return_car"].iloc[0] == pytest.approx(car)
    lost = best["winner"]["sensitivity"]
    assert lost["alone"]["car"] == trials["return_car"].idxmax()
    assert lost["shared"] == trials["objective"].idxmax()
    assert lost["value"] == pytest.approx(
        ((trials["return_pendulum"].max() + 1500) / 1000 + (trials["return_car"].max() + 100) / 200) / 2
        - trials["objective"].max()
    )
    markdown = (results / "jobs/best.md").read_text()
    assert f"hyperparameter sensitivity of Adkins et al. (2024): {lost['value']:.3f}" in markdown
    assert "| all (score)" in markdown
    assert f"| {in_car.mean():.1f} [" in markdown

    # best.yaml can be trained in each environment, with the same return.
    command = [sys.executable, str(REPOSITORY / "scripts/train.py"), "--config-path", str(results / "jobs")]
    command += ["--config-name", "best", "environment=${environments.car}", f"hydra.run.dir={tmp_path}/again"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "again/evaluations.json").read_text())
    number = best["winner"]["trial"]
    trial = json.loads((results / f"jobs/trials/{number}/result.json").read_text())
    assert again["objective"] == trial["replicates"][1]["objective"]


@pytest.mark.slow
def test_a_pareto_set_in_the_workflow(tmp_path: Path) -> None:
    write_studies(
        tmp_path, several=[*SEVERAL, "study.n_trials=4", "confirmation.top_k=2", "evaluation.n_eval_episodes=3"]
    )
    names = ("pareto.md", "figures/pareto_front.pdf", "figures/contrast.pdf", "pages/summary.html")
    run_to_the_end(tmp_path, *(f"results/several/{name}" for name in names))
    results = tmp_path / "results/several"
    config = StudyConfig.load(results / "config.yaml")
    table, trials = read_table(results / "confirmation.csv"), pd.read_csv(results / "trials.csv")
    assert set(table["phase"]) == {"test"}
    frame = pd.read_csv(results / "pareto.csv").set_index("setting")
    confirmed = sorted(int(path.stem) for path in (results / "pareto").glob("*.yaml"))
    assert set(frame.index) == {*(f"trial {number}" for number in confirmed), "defaults", "zoo"}
    for number in confirmed:
        row, swept = frame.loc[f"trial {number}"], trials.set_index("number").loc[number]
        assert (row["return in sweep"], row["spread in sweep"]) == (swept["objective"], swept["spread"])
        test = table[table["trial"] == number]
        assert row["return in test"] == pytest.approx(test["mean_return"].mean())
        assert row["spread in test"] == pytest.approx(float(spread(test["mean_return"], test["std_return"])))
        assert row["spread low"] <= row["spread in test"] <= row["spread high"]
        estimates = objective_estimates(config, test)
        best = yaml.safe_load((results / f"pareto/{number}.yaml").read_text())
        assert estimates is not None
        assert best["winner"]["test"]["spread"] == estimates["spread"].model_dump()
        assert best["winner"]["undominated_in_test"] == row["undominated in test"]
    means = frame[["return in test", "spread in test"]].to_numpy().tolist()
    kept = undominated(means, config.study.directions)
    assert list(frame["undominated in test"]) == [position in kept for position in range(len(frame))]
    assert "| trial" in (results / "pareto.md").read_text()
    assert "undominated" in (results / "pages/summary.html").read_text()
    with style.styled():
        axes = pareto_front.draw(Tables.read(results)).axes
    assert [one.get_ylabel() for one in axes] == ["spread of the return"]

    # A setting with failed trainings is marked, and is not among the undominated ones.
    path, number = results / "confirmation.csv", confirmed[0]
    lost = (table["trial"] == number) & (table["index"] == 0)
    table.loc[lost | (table["candidate"] == "defaults"), ["mean_return", "std_return"]] = np.nan
    table.to_csv(path, index=False)
    arguments = [str(results / "config.yaml"), str(path), "--output", str(tmp_path / "failed")]
    done = run([sys.executable, str(REPOSITORY / "scripts/pareto.py"), *arguments])
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(tmp_path / "failed/pareto.csv").set_index("setting")
    assert frame.loc[[f"trial {number}", "defaults"], "failed"].tolist() == ["failed in 1 of 2", "failed in 2 of 2"]
    assert not frame.loc[[f"trial {number}", "defaults"], "undominated in test"].any()
    assert f"| trial {number} (failed in 1 of 2) " in (tmp_path / "failed/pareto.md").read_text()
    assert "failed: failed in 1 of 2" in (tmp_path / f"failed/pareto/{number}.yaml").read_text()
    with style.styled():
        words = pareto_front.draw(Tables.read(results)).get_supxlabel()
    assert "defaults failed in 2 of 2" in " ".join(words.split())
