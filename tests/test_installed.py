"""Installs Sidewinder from git into an empty virtual environment and makes a study, in two commands. Installs
gigabytes, so it has its own target: `make test-installed`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_study import BEST, REPOSITORY, run

pytestmark = pytest.mark.install


def test_an_empty_environment(checked_out: Path, tmp_path: Path) -> None:
    assert run([sys.executable, "-m", "venv", str(tmp_path / "venv")]).returncode == 0
    python, there = tmp_path / "venv/bin/python", tmp_path / "there"
    (there / "config").mkdir(parents=True)
    shutil.copy(REPOSITORY / ".test/config/config.yaml", there / "config")
    lock = str(REPOSITORY / "requirements.lock")
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for command in (
        [str(python), "-m", "pip", "install", "--quiet", "--requirement", lock, f"git+file://{checked_out}"],
        [str(python.with_name("sidewinder")), "run", "--cores", "2"],
    ):
        done = subprocess.run(command, cwd=there, env=alone, capture_output=True, text=True, timeout=1500, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (there / BEST).exists()
    assert (there / "results/tiny/agent/model.zip").exists()
    assert list((there / "results/tiny/figures").glob("*.pdf"))
