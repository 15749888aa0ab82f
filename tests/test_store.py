"""Trainings that are known are not trained again, and whatever might make them others makes them unknown."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_agents import agent
from tiny_study import BEST, N_TRIALS, REPOSITORY, SWEEP, TINY, results, run, run_to_the_end, snakemake

from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.config.study_config import StudyConfig
from sidewinder.results import EvaluationResult
from sidewinder.training.outcome import Outcome, repeated
from sidewinder.training.sources import sources
from sidewinder.training.store import Kept

EVALUATIONS = [EvaluationResult(step=step, mean_return=-step, std_return=0) for step in (10, 20, 30)]


def run_config(env_id: str = "Pendulum-v1", **environment: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "agent": agent("ddpg"),
            "environment": {"env_id": env_id, **environment},
            "training": {"total_timesteps": 10, "seed": 3},
            "evaluation": {"eval_freq": 5, "n_eval_episodes": 1},
        }
    )


# In a workflow


@pytest.mark.slow
def test_a_study_takes_what_others_have_trained(undisturbed: Path, tmp_path: Path) -> None:
    """A study of another name, and with other settings of its sampler, knows the first trials and all baselines."""
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    other = [*TINY, "sampler.n_startup_trials=2", "pruner.n_startup_trials=3"]
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for directory in (tmp_path, fresh):
        (directory / "config.yaml").write_text(yaml.safe_dump({"studies": {"other": other}}))
        run_to_the_end(directory, "results/other/best.yaml")
    found, expected = (results_of(directory / "results/other") for directory in (tmp_path, fresh))
    assert found == expected
    logs = {path: path.read_text() for path in (tmp_path / "results/other/logs").rglob("*.log")}
    known = [path for path, text in logs.items() if "trained already" in text]
    assert {"defaults", "zoo"} <= {path.parent.name for path in known if "test" in path.parts}
    assert "trial" in {path.parent.name for path in known}
    assert not [path for path in fresh.rglob("logs/trial/*.log") if "trained already" in path.read_text()]


def results_of(study: Path) -> dict[str, bytes]:
    paths = [*study.glob("trials/*/result.json"), *study.glob("confirmation/**/*.json"), *study.glob("best.*")]
    return {str(path.relative_to(study)): path.read_bytes() for path in paths}


@pytest.mark.slow
def test_what_is_kept_may_be_lost_or_damaged(undisturbed: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    shutil.copytree(undisturbed, directory)
    kept = sorted((directory / "results/.trainings").glob("*.json"))
    assert len(kept) > 6
    for number, path in enumerate(kept):
        if number % 2:
            path.unlink()
        else:
            os.truncate(path, 100)
    shutil.rmtree(directory / "results/tiny/trials")
    shutil.rmtree(directory / "results/tiny/confirmation")
    run_to_the_end(directory, SWEEP, BEST)
    assert results(directory) == results(undisturbed)
    assert sorted((directory / "results/.trainings").glob("*.json")) == kept
    assert all(json.loads(path.read_text())["state"] == "complete" for path in kept)


@pytest.mark.slow
def test_what_is_on_record_is_verified(undisturbed: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    shutil.copytree(undisturbed, directory)
    done = run(snakemake(directory, "verify"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": the same (made with the same packages)") == 3

    def verified(*names: str) -> tuple[int, list[str]]:
        command = [sys.executable, str(REPOSITORY / "scripts/verify.py"), str(directory / "results/tiny")]
        done = run([*command, "--training", *names])
        return done.returncode, done.stdout.splitlines()[1:]

    code, lines = verified("trials", "confirmation/validation")
    assert code == 0, lines
    assert len(lines) == N_TRIALS + 2
    path = directory / "results/tiny/confirmation/test/winner/1.json"
    content = json.loads(path.read_text())
    content["run"]["returns"][0] += 1e-6
    path.write_text(json.dumps(content))
    code, lines = verified("confirmation/test/winner")
    assert code == 1
    assert [line.partition(": ")[2].partition(" ")[0] for line in lines] == ["the", "differs"]
    # Other versions may give other bits.
    content["run"]["packages"]["torch"] = "1.0"
    path.write_text(json.dumps(content))
    code, lines = verified("confirmation/test/winner/1")
    assert code == 0
    assert lines[0].endswith("(made with torch 1.0)")


# What is known


@pytest.fixture
def kept(study_config: Callable[..., StudyConfig], tmp_path: Path) -> Callable[..., Kept]:
    """Makes the place of a training in a study's directory."""

    def make(run: RunConfig, held_out: HeldOut | None = None, study: str = "one", *overrides: str) -> Kept:
        return Kept.of(study_config(*overrides), tmp_path / "results" / study, run, held_out)

    return make


def test_a_training_is_known_to_all_studies(kept: Callable[..., Kept]) -> None:
    run = run_config()
    assert kept(run).load() is None
    saved = kept(run).save(Outcome(evaluations=EVALUATIONS))
    assert kept(run).load() == kept(run, study="two").load() == saved
    assert saved.packages["torch"]
    other = run.model_copy(deep=True)
    other.training.seed = 4
    assert kept(other).load() is None
    assert kept(run, HeldOut(1, 2)).load() is None


@pytest.mark.parametrize(
    ("change", "overrides"),
    [("device", []), ("native", []), ("timed", ["study.objectives=[return, steps_per_second]"])],
)
def test_what_may_differ_elsewhere_is_its_studys_own(
    change: str, overrides: list[str], kept: Callable[..., Kept]
) -> None:
    run = run_config()
    if change == "device":
        run.training.device = "cuda"
    elif change == "native":
        run.training.instruction_set = "native"
    else:
        overrides = [*overrides, "study.direction=[maximize, maximize]"]
    kept(run, None, "one", *overrides).save(Outcome(evaluations=EVALUATIONS))
    assert kept(run, None, "one", *overrides).load()
    assert kept(run, None, "two", *overrides).load() is None


def test_a_failure_is_its_studys_own(kept: Callable[..., Kept]) -> None:
    run = run_config()
    kept(run).save(Outcome(state="failed", reason="x"))
    assert kept(run, study="two").load() is None
    found = kept(run).load()
    assert found
    assert found.reason == "x"


def test_other_packages_make_it_unknown(kept: Callable[..., Kept]) -> None:
    run = run_config()
    saved = kept(run).save(Outcome(evaluations=EVALUATIONS))
    path = kept(run).path

    def with_packages(**packages: str) -> None:
        path.write_text(json.dumps(saved.model_dump() | {"packages": saved.packages | packages}))

    with_packages(torch="1.0")
    assert kept(run).load() is None
    with_packages(no_such_package="1.0")
    assert kept(run).load() is None
    # Which trains nothing, and is in the results as it is now.
    with_packages(optuna="1.0")
    assert kept(run).load() == saved


def test_evaluations_that_are_known_are_reported() -> None:
    told = []

    def report(step: int, mean_return: float) -> bool:
        told.append((step, mean_return))
        return step == 20

    pruned = repeated(EVALUATIONS, report)
    assert told == [(10, -10), (20, -20)]
    assert pruned.state == "pruned"
    assert pruned.evaluations == EVALUATIONS[:2]
    complete = repeated(EVALUATIONS, lambda _step, _mean: False)
    assert complete.state == "complete"
    assert complete.evaluations == EVALUATIONS


# Whose code it is


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with an environment, which imports a module beside it, somewhere in a function."""
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("import gymnasium\ngymnasium.register('Own-v0', 'my_package.envs:Own')\n")
    (package / "envs.py").write_text("import numpy\nclass Own:\n    def __init__(self): import my_helpers\n")
    (package / "model.xml").write_text("<mujoco/>")
    (tmp_path / "my_helpers.py").write_text("import os\n")
    (tmp_path / "my_wrappers.py").write_text("class Wrapper: pass\n")
    (tmp_path / "unrelated.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "changed",
    ["my_package/__init__.py", "my_package/envs.py", "my_package/model.xml", "my_helpers.py", "my_wrappers.py"],
)
def test_changed_code_makes_another_training(changed: str, own_code: Path, kept: Callable[..., Kept]) -> None:
    run = run_config("my_package:Own-v0", wrappers=["my_wrappers.Wrapper"])
    before = kept(run).path
    assert kept(run).path == before
    (own_code / "unrelated.py").write_text("# changed")
    assert kept(run).path == before
    with (own_code / changed).open("a") as file:
        file.write("\n")
    assert kept(run).path != before


def test_a_package_needs_no_init_file(own_code: Path, kept: Callable[..., Kept]) -> None:
    package = own_code / "my_directory"
    package.mkdir()
    (package / "envs.py").write_text("from . import more\nimport gymnasium\ngymnasium.register('More-v0', 'more:Env')")
    (package / "more.py").write_text("import my_helpers\n")
    run = run_config("my_directory.envs:More-v0")
    assert [*sources(run)] == ["my_directory.envs", "my_directory.more", "my_helpers"]
    before = kept(run).path
    (package / "more.py").write_text("import my_helpers  # changed\n")
    assert kept(run).path != before


def test_installed_code_is_known_by_its_version() -> None:
    assert sources(run_config()) == {}
    wrappers = ["gymnasium.wrappers.FlattenObservation", "stable_baselines3.common.atari_wrappers.ClipRewardEnv"]
    assert sources(run_config(wrappers=wrappers)) == {}
    assert [*sources(run_config(wrappers=["pandas.Wrapper"]))] == ["pandas"]
    assert sources(run_config("no_such_module:No-v0")) == {}
