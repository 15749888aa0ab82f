"""The wheel: a package that carries configs, workflow and scripts, and plans a study without a clone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tiny_study import REPOSITORY, new_study, run


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with nothing but the wheel's content, to be put on Python's path."""
    directory = tmp_path_factory.mktemp("package")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(directory / "wheel")]
    built = run([sys.executable, "-m", "pip", "wheel", str(REPOSITORY), *options])
    assert built.returncode == 0, built.stderr
    (wheel,) = (directory / "wheel").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory / "installed")
    return directory / "installed"


def test_it_carries_what_a_clone_has(installed: Path) -> None:
    carried = installed / "sidewinder/repository"
    tracked = subprocess.run(["git", "-C", REPOSITORY, "ls-files"], capture_output=True, text=True, check=True)
    wanted = [
        path
        for path in tracked.stdout.splitlines()
        if path.startswith(("configs/", "workflow/", "requirements"))
        or (path.startswith("scripts/") and path.count("/") == 1)
    ]
    assert len(wanted) > 100
    assert [path for path in wanted if not (carried / path).exists()] == []


@pytest.mark.slow
def test_it_composes_a_study_from_its_own_files(installed: Path, tmp_path: Path) -> None:
    snakefile = installed / "sidewinder/repository/workflow/Snakefile"
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(snakefile),
        "--directory",
        str(new_study(tmp_path)),
    ]
    command += ["--configfile", str(tmp_path / "config.yaml"), "--cores", "1", "--", "results/tiny/config.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout + done.stderr  # its scripts, not the clone's
    assert (tmp_path / "results/tiny/config.yaml").exists()
