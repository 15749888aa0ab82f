"""A study's composition is kept, and used again only while nothing that it depends on has changed."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_study import REPOSITORY

from sidewinder.config import composition, compositions
from sidewinder.config.composition import compose_study
from sidewinder.config.compositions import DIRECTORY, Compositions
from sidewinder.config.matrix import expanded
from sidewinder.config.study_config import StudyConfig
from sidewinder.planning import Studies

Compose = Callable[..., StudyConfig]
PLAIN = ["study=plain", "agent=ppo", "environment=cartpole"]


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects the names of the studies that are composed, not read from what is kept."""
    names: list[str] = []
    compose = composition.composed

    def counted(name: str, *given: Any) -> Any:
        names.append(name)
        return compose(name, *given)

    monkeypatch.setattr(compositions, "composed", counted)
    return names


@pytest.fixture
def again(tmp_path: Path) -> Compose:
    """Composes a study as a new process does, and checks that a fresh composition gives the same."""

    def compose(name: str, overrides: list[str], config_dirs: tuple[Path, ...] = (), results: str = "") -> StudyConfig:
        results_directory = tmp_path / (results or "results")
        (results_directory / name).mkdir(parents=True, exist_ok=True)
        kept = Compositions(results_directory, config_dirs, ["shipped"])
        found = kept.compose(name, overrides, results_directory / name)
        fresh = compose_study(name, overrides, config_dirs, ["shipped"], results_directory / name)
        assert repr(found.model_dump()) == repr(fresh.model_dump())
        assert (found.dump(), found.digest()) == (fresh.dump(), fresh.digest())
        return found

    return compose


def test_planning_a_matrix_composes_what_differs_alone(tmp_path: Path, composed: list[str]) -> None:
    """Otherwise a thousand studies take minutes at each start of Snakemake."""
    entries = {"compare": [*PLAIN, "sampler=tpe,random", "study.seed=range(50)"]}

    for name in expanded(entries):
        (tmp_path / name).mkdir()

    def plan() -> list[str]:
        studies = Studies(entries, [], [], tmp_path, main=True)
        return [studies[name].config.dump() for name in studies.of("compare")]

    first = plan()
    assert composed == ["compare-tpe-0", "compare-random-0"]
    assert plan() == first
    assert len(composed) == 2, "a second process composed again"
    for (name, overrides), text in list(zip(expanded(entries).items(), first, strict=True))[::33]:
        assert text == compose_study(name, overrides).dump()


def test_planning_studies_that_nobody_began_reads_nothing_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing out a config takes milliseconds, and each study has twenty rules."""
    studies = Studies({"new": PLAIN}, [], [], tmp_path, main=True)
    assert studies["new"].config.study.name == "new"
    monkeypatch.setattr(StudyConfig, "dump", lambda _: pytest.fail("a config was written out"))
    assert not studies.config_is_stale("new")
    assert not studies.is_stale("new", "tables", ["trials.csv"], lambda: pytest.fail("settings were reckoned"))


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_studies_of_one_composition(sampler: str, again: Compose, composed: list[str]) -> None:
    """Studies that share a composition keep their own names and seeds. A study that sets no seed is composed anew."""
    overrides = [*PLAIN, f"sampler={sampler}", "agent.learning_rate=0.001"]
    for seed in (3, 0, 12345):
        found = again(f"a-{seed}", [*overrides, f"study.seed={seed}"])
        assert (found.study.name, found.study.seed) == (f"a-{seed}", seed)
    again("b", overrides)
    assert composed == ["a-3", "b"]
    assert again("c", [*overrides, "study.seed=3", "study.n_trials=7"]).study.n_trials == 7


def test_what_is_said_of_a_study_is_said_of_each(again: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for name in ("one", "two", "two"):
        capsys.readouterr()
        again(name, [*PLAIN, "agent.gamma=0.9"])
        first, *others = capsys.readouterr().err.splitlines()
        assert others == [first]  # the kept and the fresh composition
        said.append(first)
    assert said == [
        f"study {name}: agent.gamma is not searched: override agent.gamma=0.9" for name in ("one", "two", "two")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "training: {total_timesteps: '${study.seed}'}",
        "training: {total_timesteps: '${share:0.5,${study.seed}}'}",
        "agent: {helpers: {one: '${study}'}}",
        "study: {n_trials: '${.seed}'}",
        "study: {n_trials: '${oc.select:study.seed,9}'}",
        "agent: {helpers: {key: study.seed, value: '${${agent.helpers.key}}'}}",
        "study: {storage: 'sqlite:///${study.name}.db', name: own}",
        "hydra: {sweeper: {study_name: named, sampler: {seed: 4}}}",
    ],
)
def test_configs_that_read_a_studys_seed_or_name(text: str, again: Compose, tmp_path: Path) -> None:
    (tmp_path / "mine/study").mkdir(parents=True)
    (tmp_path / "mine/study/mine.yaml").write_text(f"# @package _global_\n{text}\n")
    for seed in (30, 40, 30):
        again(f"a-{seed}", ["study=mine", f"study.seed={seed}"], (tmp_path / "mine",))


def test_a_changed_config_file(again: Compose, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "study").mkdir(parents=True)
    for value in (0.9, 0.95):
        (mine / "study/mine.yaml").write_text(f"# @package _global_\nagent: {{gamma: {value}}}\nsearch_space: {{}}\n")
        assert again("mine", [], (mine,)).agent["gamma"] == value
    (mine / "environment").mkdir()
    # A file that is now found before the shipped one.
    for env_id in ("Acrobot-v1", "MountainCar-v0"):
        (mine / "environment/pendulum.yaml").write_text(f"env_id: {env_id}\n")
        assert again("mine", [], (mine,)).environment["env_id"] == env_id
    shutil.rmtree(mine / "environment")
    assert again("mine", [], (mine,)).environment["env_id"] == "Pendulum-v1"


def test_a_variable_of_the_environment(again: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine/study").mkdir(parents=True)
    (tmp_path / "mine/study/mine.yaml").write_text("# @package _global_\nstudy: {n_trials: '${oc.env:TRIALS}'}\n")
    for number in (5, 6):
        monkeypatch.setenv("TRIALS", str(number))
        assert again("mine", [], (tmp_path / "mine",)).study.n_trials == number
        assert again("a", [*PLAIN, "study.n_trials=${oc.env:TRIALS}"]).study.n_trials == number


def test_a_changed_package(
    again: Compose, composed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any installed package counts, and so does a user's Hydra plugin, which may change the composition."""
    monkeypatch.syspath_prepend(tmp_path)
    for version in ("1.0", "1.1", "1.1"):
        for old in tmp_path.glob("*.dist-info"):
            old.rmdir()
        (tmp_path / f"package-{version}.dist-info").mkdir()
        again("a", PLAIN)
    assert len(composed) == 2
    (tmp_path / "hydra_plugins").mkdir()
    for text in ("X = 1", "X = 2", "X = 2"):
        (tmp_path / "hydra_plugins/mine.py").write_text(text)
        again("a", PLAIN)
    assert len(composed) == 4


def test_a_changed_sidewinder(tmp_path: Path) -> None:
    """A change of Sidewinder's code or configs counts. Each composition is in a new process."""
    clone = tmp_path / "clone"
    for part in ("scripts", "configs"):
        shutil.copytree(REPOSITORY / part, clone / part, ignore=shutil.ignore_patterns("__pycache__"))
    script = (
        "import sys; from pathlib import Path; from sidewinder.config.compositions import Compositions;"
        f"c = Compositions(Path({str(tmp_path / 'results')!r}), [], []);"
        f"print(c.compose('a', {PLAIN!r}, Path()).study.n_trials)"
    )

    def n_trials() -> int:
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=clone / "scripts", capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert [n_trials(), n_trials()] == [20, 20]
    assert len(list((tmp_path / "results" / DIRECTORY).iterdir())) == 1
    end = "        cap_at_grid("
    for file, old, new, expected in (
        ("configs/tune.yaml", "n_trials: 20", "n_trials: 21", 21),
        ("scripts/sidewinder/config/composition.py", end, f"        study.study.n_trials = 22\n{end}", 22),
    ):
        path = clone / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        assert n_trials() == expected


def test_damaged_and_swapped_files(again: Compose, composed: list[str], tmp_path: Path) -> None:
    again("a", PLAIN)
    again("b", [*PLAIN, "study.n_trials=7"])
    one, other = sorted((tmp_path / "results" / DIRECTORY).iterdir())
    whole, swapped = one.read_bytes(), other.read_bytes()
    damaged = [b"", whole[:-20], b"\xff\xfe", swapped]
    damaged += [whole.replace(b"0.99", b"0.98"), whole.replace(b'"named"', b'"nomen"')]
    for content in damaged:
        assert content != whole
        one.write_bytes(content)
        composed.clear()
        again("a", PLAIN)
        again("b", [*PLAIN, "study.n_trials=7"])
        assert len(composed) == 1
        assert one.read_bytes() == whole
    one.unlink()
    one.mkdir()  # no file can be written in its place
    again("a", PLAIN)
    again("b", [*PLAIN, "study.n_trials=7"])


def test_what_cleaning_up_removes(again: Compose, composed: list[str], tmp_path: Path) -> None:
    again("a", PLAIN)
    command = [sys.executable, str(REPOSITORY / "scripts/clean_up.py"), str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "compositions: removed 1, 0.0 MB\n" in done.stdout
    assert not list((tmp_path / "results" / DIRECTORY).iterdir())
    again("a", PLAIN)
    assert composed == ["a", "a"]


def test_a_study_that_has_not_begun_leaves_nothing(composed: list[str], tmp_path: Path) -> None:
    """Its config may still be refused."""
    for _ in range(2):
        Compositions(tmp_path, [], []).compose("a", PLAIN, tmp_path / "a")
    assert composed == ["a", "a"]
    assert not list(tmp_path.iterdir())
