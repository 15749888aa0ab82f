"""Fixtures that several tests share."""

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checked_out import check_out
from made_once import made_once
from tiny_study import BEST, REPOSITORY, new_study, run, run_to_the_end

from sidewinder.config.composition import compose_study
from sidewinder.config.study_config import StudyConfig


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The tiny study, run on one core without disturbance."""

    def make(directory: Path) -> None:
        run_to_the_end(new_study(directory), "--cores", "1", BEST)

    return made_once("undisturbed", make, tmp_path_factory, worker_id)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A directory that holds only the wheel's content, to be put on Python's path."""

    def make(directory: Path) -> None:
        options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(directory / "wheel")]
        built = run([sys.executable, "-m", "pip", "wheel", str(REPOSITORY), *options])
        assert built.returncode == 0, built.stderr
        (wheel,) = (directory / "wheel").iterdir()
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(directory / "installed")

    return made_once("installed", make, tmp_path_factory, worker_id) / "installed"


@pytest.fixture(scope="session")
def checked_out(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A git repository of the project's present files, with the tag v1."""
    return made_once("sidewinder", check_out, tmp_path_factory, worker_id)


@pytest.fixture
def study_config() -> Callable[..., StudyConfig]:
    """Makes a study's config, by default with a search space of three parameters."""

    def make(
        *overrides: str,
        search_space: dict[str, Any] | None = None,
        sampler: dict[str, Any] | None = None,
        pruner: dict[str, Any] | None = None,
    ) -> StudyConfig:
        config = compose_study("made_up", ["study=pendulum_ddpg", *overrides])
        space = search_space or {
            "agent.gamma": "interval(0.0, 1.0)",
            "agent.tau": "tag(log, interval(0.001, 1.0))",
            "agent.batch_size": "choice(1, 2, 3)",
        }
        updates: dict[str, Any] = {"search_space": space}
        if sampler is not None:
            updates["sampler"] = sampler
        if pruner is not None:
            updates["pruner"] = pruner
        return config.model_copy(update=updates)

    return make


@pytest.fixture
def lose_database() -> Callable[[Path], None]:
    """Deletes the database from a study's directory."""

    def lose(directory: Path) -> None:
        for path in directory.iterdir():
            if path.name.startswith("study.db"):
                path.unlink()

    return lose
