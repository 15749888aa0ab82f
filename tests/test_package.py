"""The wheel contains configs, workflow and scripts, and plans a study without a clone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_study import REPOSITORY, TINY, new_study


def test_it_carries_what_a_clone_has(installed: Path) -> None:
    carried = installed / "sidewinder/repository"
    tracked = subprocess.run(["git", "-C", REPOSITORY, "ls-files"], capture_output=True, text=True, check=True)
    wanted = [
        path
        for path in tracked.stdout.splitlines()
        if path.startswith(("config/", "configs/", "workflow/", "requirements"))
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
    assert str(installed) in done.stdout + done.stderr  # the wheel's scripts, not the clone's
    assert (tmp_path / "results/tiny/config.yaml").exists()


def sidewinder(installed: Path, directory: Path, *arguments: str) -> str:
    """Run the installed package's command in a directory without a clone, and return its output."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "sidewinder", *arguments]
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_it_runs_where_there_is_nothing(installed: Path, tmp_path: Path) -> None:
    said = sidewinder(installed, tmp_path, "run", "--cores", "1", "-n", "results/pendulum_ddpg/best.yaml")
    assert str(installed) in said
    assert "rule trial" in said
    tiny = json.dumps({"tiny": TINY})
    sidewinder(
        installed, tmp_path, "run", "--cores", "2", "--config", f"studies={tiny}", "--", "results/tiny/trials.csv"
    )
    assert (tmp_path / "results/tiny/trials.csv").exists()
    assert "tiny" in sidewinder(installed, tmp_path, "how_far", "results")


@pytest.mark.slow
def test_it_takes_a_config_that_is_there(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump({"studies": {"own": TINY}}))
    sidewinder(installed, tmp_path, "run", "--cores", "1", "--", "results/own/config.yaml")
    assert (tmp_path / "results/own/config.yaml").exists()


@pytest.mark.slow
def test_its_scripts(installed: Path, tmp_path: Path) -> None:
    assert "--watch" in sidewinder(installed, tmp_path, "how_far", "--help")
    short = ["training.total_timesteps=60", "evaluation.eval_freq=60", "evaluation.n_eval_episodes=1"]
    sidewinder(
        installed, tmp_path, "train", "agent=ppo", "agent.n_steps=30", "agent.batch_size=30", *short, "hydra.run.dir=t"
    )
    assert (tmp_path / "t/evaluations.json").exists()
