"""Known trainings are not made again, and any change that could alter a training makes it unknown."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from small_agents import agent
from tiny_study import BEST, N_TRIALS, REPOSITORY, SWEEP, TINY, results, run, run_to_the_end, snakemake

from sidewinder import SidewinderError
from sidewinder.config.composition import compose_study
from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate, confirmation_run
from sidewinder.determinism import processor
from sidewinder.files import to_json
from sidewinder.results import EvaluationResult
from sidewinder.training.archives import SHIPPED, TAR, archived, check_archives, trainings_of, write_trainings
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
    """A study with another name and other settings of sampler and pruner finds the first trials and all baselines."""
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
def test_what_is_on_record_is_verified(undisturbed: Path, archive: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    shutil.copytree(undisturbed, directory)
    config = {"studies": {"tiny": TINY}, "archives": [str(archive)]}
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    for target, made_with in (("verify-tiny", ["the same packages"] * 3), ("verify", ["the same packages", "Z80"] * 3)):
        done = run(snakemake(directory, target))
        assert done.returncode == 0, done.stderr
        same = [line.rpartition("made with ")[2] for line in done.stdout.splitlines() if ": the same (made" in line]
        # The processor of a pruned trial is not on record.
        known = [line.replace("a processor that is not on record", "the same packages") for line in same]
        assert sorted(known) == sorted(f"{name})" for name in made_with)

    def verified(*names: str) -> tuple[int, list[str]]:
        command = [sys.executable, str(REPOSITORY / "scripts/verify.py"), str(directory / "results/tiny")]
        done = run([*command, "--training", *names])
        return done.returncode, done.stdout.splitlines()[1:]

    code, lines = verified("trials", "confirmation/validation")
    assert code == 0, lines
    assert len(lines) == N_TRIALS + 6  # four settings in the first round, two in the second
    path = directory / "results/tiny/confirmation/test/winner/1.json"
    content = json.loads(path.read_text())
    content["run"]["returns"][0] += 1e-6
    path.write_text(json.dumps(content))
    code, lines = verified("confirmation/test/winner")
    assert code == 1
    assert [line.partition(": ")[2].partition(" ")[0] for line in lines] == ["the", "differs"]
    # Other versions of packages may give other bits.
    content["run"]["packages"]["torch"] = "1.0"
    path.write_text(json.dumps(content))
    code, lines = verified("confirmation/test/winner/1")
    assert code == 0
    assert lines[0].endswith("(made with torch 1.0)")
    # Another processor may give other bits, too.
    content["run"]["packages"]["torch"] = version("torch")
    content["run"]["archived"] = {"archive": "theirs", "processor": "Z80"}
    path.write_text(json.dumps(content))
    code, lines = verified("confirmation/test/winner/1")
    assert code == 0
    assert "differs the returns" in lines[0]
    assert lines[0].endswith("(made with Z80)")


@pytest.mark.slow
def test_a_changed_file_is_found_by_its_hash(undisturbed: Path, tmp_path: Path) -> None:
    study = tmp_path / "results/tiny"
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    run_to_the_end(tmp_path, "results/tiny/provenance.json")
    told = json.loads((study / "provenance.json").read_text())
    assert told["config"] == StudyConfig.load(study / "config.yaml").digest()
    assert told["packages"]["torch"] == [version("torch")]
    assert {"trials/0/result.json", "confirmation/test/winner/1.json", "best.yaml"} < told["files"].keys()
    head = subprocess.run(["git", "-C", REPOSITORY, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    assert (told["code"]["revision"] or "").rstrip("+") == head.stdout.strip()
    path = study / "trials/0/result.json"
    path.write_text(path.read_text() + " ")
    (study / "best.yaml").unlink()
    done = script("verify", study, "--training", "nothing")
    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == [
        f"{study}: trials/0/result.json: differs from the file in provenance.json",
        f"{study}: best.yaml: is missing",
    ]


# Archives


def script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, str(REPOSITORY / f"scripts/{name}.py"), *map(str, arguments)])


@pytest.fixture(scope="module")
def archive(undisturbed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that scripts/archive.py makes of a study, as if it was trained on another processor."""
    directory = tmp_path_factory.mktemp("archive")
    shutil.copytree(undisturbed, directory / "made")
    run_to_the_end(directory / "made", "results/tiny/timings.csv")
    for path in (directory / "made/results/.trainings").glob("*.json"):
        path.write_text(to_json(json.loads(path.read_text()) | {"processor": "Z80"}))
    for _ in range(2):  # the second changes nothing
        done = script("archive", directory / "made/results", directory / "archive")
        assert done.returncode == 0, done.stderr
    return directory / "archive"


@pytest.mark.slow
def test_a_confirmation_from_an_archive(undisturbed: Path, archive: Path, tmp_path: Path) -> None:
    config = {"studies": {"tiny": TINY}, "archives": ["shipped", str(archive)]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    run_to_the_end(tmp_path, BEST, "results/tiny/pages/summary.html")
    expected, found = (
        {
            name: json.loads(content)
            for name, content in results_of(directory / "results/tiny").items()
            if name.endswith(".json")
        }
        for directory in (undisturbed, tmp_path)
    )
    known = {name: content["run"].pop("archived") for name, content in found.items() if "run" in content}
    assert len(known) == len(expected) - N_TRIALS
    assert {frozenset(origin.items()) for origin in known.values()} == {
        frozenset({"archive": str(archive), "processor": "Z80"}.items())
    }
    assert found == expected
    said = f"made with the same versions of packages: {len(known)} from {archive} (Z80)."
    assert said in (tmp_path / "results/tiny/best.md").read_text()
    assert said in (tmp_path / "results/tiny/pages/summary.html").read_text()
    winner = yaml.safe_load((tmp_path / "results/tiny/best.yaml").read_text())["winner"]
    assert winner["archives"] == {f"{archive} (Z80)": len(known)}
    # Trainings of the archive are not copied into the store.
    kept = {path.name for path in (tmp_path / "results/.trainings").glob("*.json")}
    assert kept
    assert not kept & trainings_of(archive / TAR).keys()
    verified = script("verify", tmp_path / "results/tiny", "--training", "confirmation/test/defaults")
    assert ": the same (made with Z80)" in verified.stdout


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_a_colleagues_results(undisturbed: Path, tmp_path: Path, packed: bool) -> None:
    archive = undisturbed / "results"
    if packed:
        archive = tmp_path / "results.tgz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(undisturbed / "results")
    config = {"studies": {"tiny": TINY}, "archives": [str(archive)]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    run_to_the_end(tmp_path, SWEEP)
    assert not list(tmp_path.glob("results/.trainings/*.json"))
    for number in range(N_TRIALS):
        found, expected = (
            json.loads((directory / f"results/tiny/trials/{number}/result.json").read_text())
            for directory in (tmp_path, undisturbed)
        )
        complete = found["state"] == "complete"
        assert found.pop("archived", None) == (
            {"archive": str(archive), "processor": processor()} if complete else None
        )
        assert found == expected
    assert set(pd.read_csv(tmp_path / "results/tiny/trials.csv")["archive"].dropna()) == {f"{archive} ({processor()})"}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _path: None, "which is not there or no tar"),
        (lambda path: path.write_text("text"), "which is not there or no tar"),
        (lambda path: path.mkdir(), "which has no trainings"),
    ],
)
def test_an_archive_that_is_none(make: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    make(tmp_path / "archive")
    with pytest.raises(SidewinderError, match=f"archives: found '.*/archive', {says}, accepted: "):
        check_archives([SHIPPED, str(tmp_path / "archive")])


def test_an_archive_is_no_results_of_this_run(tmp_path: Path) -> None:
    (tmp_path / ".trainings").mkdir()
    check_archives([str(tmp_path)], tmp_path / "other")
    with pytest.raises(SidewinderError, match=r"archives: found '.*', where this run keeps its results"):
        check_archives([str(tmp_path)], tmp_path)


def test_a_broken_archive_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "archive.tar.gz"
    write_trainings(path, {"a.json": b"1" * 100000, "b.json": os.urandom(100000)})
    # One wrong bit: the file may look sound up to it.
    whole = path.read_bytes()
    for position in (200, 1000, len(whole) // 2, len(whole) - 600, len(whole) - 6):
        trainings_of.cache_clear()
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(SidewinderError, match=f"{path}: "):
            archived(str(path), "a.json")
    trainings_of.cache_clear()
    path.write_bytes(whole)
    assert archived(str(path), "a.json") == b"1" * 100000
    assert archived(str(path), "c.json") is None
    trainings_of.cache_clear()
    os.truncate(path, 50000)
    with pytest.raises(SidewinderError, match=f"{path}: .*; delete the file and take it out of `archives`"):
        archived(str(path), "b.json")


def test_the_shipped_archive_fits_its_studies() -> None:
    """The shipped archive has the tests of all baselines of the default study."""
    shipped = trainings_of(REPOSITORY / "results/reference" / TAR)
    config = compose_study("pendulum_ddpg")
    needed = [
        Kept.of(
            config, Path("results/any"), *confirmation_run(config, Candidate.of_baseline(name), None, "test", index)
        )
        for name in config.compared()
        for index in range(config.confirmation.n_test_seeds)
    ]
    assert {kept.path.name for kept in needed} <= shipped.keys()


# What cleaning up removes


@pytest.mark.slow
def test_cleaning_up(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    study, kept = tmp_path / "results/tiny", tmp_path / "results/.trainings"
    before = results(tmp_path)
    used = {path.name for path in kept.glob("*.json")}
    (kept / "0123456789abcdef.json").write_bytes(next(kept.glob("*.json")).read_bytes())
    checkpoints = [study / "trials/0/checkpoint", kept / f"{sorted(used)[0].removesuffix('.json')}.checkpoint"]
    unfinished = [study / "trials/99/checkpoint", kept / "fedcba9876543210.checkpoint"]
    for directory in (*checkpoints, *unfinished):
        directory.mkdir(parents=True)
        (directory / "file").write_bytes(bytes(10**6))
    (tmp_path / "results/.composed").mkdir()
    (tmp_path / "results/.composed/0123456789abcdef.json").touch()
    done = script("clean_up", tmp_path / "results")
    removed = ["compositions: removed 1, 0.0 MB", "checkpoints: removed 2, 2.0 MB"]
    assert done.stdout.splitlines() == [*removed, "trainings of no result: removed 1, 0.0 MB"]
    assert {path.name for path in kept.glob("*.json")} == used
    assert not any(directory.exists() for directory in checkpoints)
    assert all(directory.exists() for directory in unfinished)
    assert results(tmp_path) == before
    newest = max(kept.glob("*.json"), key=lambda path: (path.stat().st_mtime, path.name))
    done = script("clean_up", tmp_path / "results", "--at-most", str(newest.stat().st_size / 10**6))
    assert list(kept.glob("*.json")) == [newest]
    assert f"oldest trainings: removed {len(used) - 1}, " in done.stdout


# Known trainings


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


def test_a_training_under_the_name_of_another_is_not_known(kept: Callable[..., Kept]) -> None:
    run, held_out = run_config(), HeldOut(1, 2)
    other = run.model_copy(deep=True)
    other.training.seed = 4
    kept(run).save(Outcome(evaluations=EVALUATIONS))
    for foreign in (kept(other), kept(run, held_out)):
        shutil.copy(kept(run).path, foreign.path)
        assert foreign.load() is None
    assert kept(run).load()


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
    # Optuna has no influence on a training, so its version does not matter. Results have the version installed now.
    with_packages(optuna="1.0")
    assert kept(run).load() == saved


def test_evaluations_that_are_known_are_reported() -> None:
    told = []

    def report(step: int, mean_return: float) -> bool:
        told.append((step, mean_return))
        return step == 20

    pruned = repeated(EVALUATIONS, "return", report)
    assert told == [(10, -10), (20, -20)]
    assert pruned.state == "pruned"
    assert pruned.evaluations == EVALUATIONS[:2]
    complete = repeated(EVALUATIONS, "return", lambda _step, _mean: False)
    assert complete.state == "complete"
    assert complete.evaluations == EVALUATIONS


# The user's code


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with an environment that imports, in a function, a module beside the package."""
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("import gymnasium\ngymnasium.register('Own-v0', 'my_package.envs:Own')\n")
    (package / "envs.py").write_text("import numpy\nclass Own:\n    def __init__(self): import my_helpers\n")
    (package / "model.xml").write_text("<mujoco/>")
    (tmp_path / "my_helpers.py").write_text("import os\n")
    (tmp_path / "my_wrappers.py").write_text("class Wrapper: pass\n")
    (tmp_path / "unrelated.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    _forget_my_modules()  # other tests may have imported them
    yield tmp_path
    _forget_my_modules()


def _forget_my_modules() -> None:
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
    (package / "more.py").write_text("def f():\n    import my_helpers\n    from my_other.deep import below\n")
    (own_code / "my_other/deep").mkdir(parents=True)
    (own_code / "my_other/deep/below.py").write_text("")
    run = run_config("my_directory.envs:More-v0")
    assert [*sources(run)] == [
        "my_directory.envs",
        "my_directory.more",
        "my_helpers",
        "my_other.deep.below",
    ]
    before = kept(run).path
    (package / "more.py").write_text("import my_helpers  # changed\n")
    assert kept(run).path != before


def test_other_directories_of_installed_packages_are_none_of_ones_own(own_code: Path) -> None:
    """Code in the user's or the system's package directories is not followed: it may import anything."""
    (own_code / "site-packages").mkdir()
    (own_code / "site-packages/my_library.py").write_text("")
    (own_code / "my_helpers.py").write_text("import my_library\n")
    sys.path.insert(0, str(own_code / "site-packages"))  # own_code's fixture puts the path back
    assert "my_helpers" in sources(run_config("my_package:Own-v0"))
    assert "my_library" not in sources(run_config("my_package:Own-v0"))


def test_installed_code_is_known_by_its_version() -> None:
    assert sources(run_config()) == {}
    wrappers = ["gymnasium.wrappers.FlattenObservation", "stable_baselines3.common.atari_wrappers.ClipRewardEnv"]
    assert sources(run_config(wrappers=wrappers)) == {}
    assert [*sources(run_config(wrappers=["pandas.Wrapper"]))] == ["pandas"]
    assert sources(run_config("no_such_module:No-v0")) == {}
