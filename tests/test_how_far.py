"""The progress of a study, read from its files."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from tiny_study import N_TRIALS, REPOSITORY, run

from sidewinder.report.how_far import how_far

pytestmark = pytest.mark.slow


@pytest.fixture
def study(undisturbed: Path, tmp_path: Path) -> Path:
    shutil.copytree(undisturbed / "results", tmp_path / "results")
    return tmp_path / "results/tiny"


def checkpoint(directory: Path, step: int, age: float = 0) -> None:
    directory.mkdir(parents=True)
    state = directory / "state"
    state.write_bytes(json.dumps({"facts": {"step": step}}).encode() + b"\nthe agent")
    os.utime(state, (time.time() - age,) * 2)


def test_a_study_that_is_done(study: Path) -> None:
    assert how_far(study).stage == "agent"
    (study / "agent").mkdir()
    (study / "agent/README.md").touch()
    found = how_far(study)
    assert (found.stage, found.running, found.seconds_left) == ("done", [], 0)
    assert found.phases == {"validation": (6, 6), "test": (6, 6)}
    assert len(found.finished) == N_TRIALS + 12
    assert sum(found.states.values()) == found.n_trials == N_TRIALS


def test_a_study_in_its_sweep(study: Path) -> None:
    shutil.rmtree(study / "confirmation")
    shutil.rmtree(study.parent / ".trainings")
    objectives = {}
    for number in range(N_TRIALS):
        result = json.loads((study / f"trials/{number}/result.json").read_text())
        if number < 5 and result["state"] == "complete":
            objectives[result["objective"]] = number
        elif number >= 5:
            shutil.rmtree(study / f"trials/{number}")
    checkpoint(study / "trials/5/checkpoint", 75)
    checkpoint(study / "trials/6/checkpoint", 30, age=10_000)  # no process trains it
    checkpoint(study.parent / ".trainings/0123456789abcdef.checkpoint", 10)  # another study's
    found = how_far(study)
    assert (found.stage, found.phases) == ("sweep", {"validation": (0, 6), "test": (0, 6)})
    assert [(one.name, one.share) for one in found.running] == [("trial 5", 0.5)]
    assert found.best == (objectives[max(objectives)], max(objectives))
    assert found.seconds_left is not None
    # With a second trial running, the rest takes half as long.
    checkpoint(study / "trials/7/checkpoint", 75)
    with_two = how_far(study)
    assert with_two.seconds_left == pytest.approx(found.seconds_left / 2, rel=0.2)


def test_what_is_known_takes_no_time(study: Path) -> None:
    """The time left is short while the test's trainings are in the store, and long once the store is lost."""
    shutil.rmtree(study / "confirmation/test")
    known = how_far(study).seconds_left
    shutil.rmtree(study.parent / ".trainings")
    unknown = how_far(study).seconds_left
    assert known is not None
    assert unknown is not None
    assert 0 < known < unknown / 3
    checkpoint(study.parent / ".trainings/0123456789abcdef.checkpoint", 30)
    assert [one.name for one in how_far(study).running] == ["a training"]


def test_the_table(study: Path) -> None:
    (study / "agent").mkdir()
    (study / "agent/README.md").touch()
    script = [sys.executable, str(REPOSITORY / "scripts/how_far.py")]
    done = run([*script, str(study.parent)])
    assert f"{N_TRIALS} of" in done.stdout
    assert "8 of 8" in done.stdout
    assert "done" in done.stdout
    other = run([*script, str(study / "trials")])
    assert other.returncode == 1
    assert "trials: found no study, accepted: the directory of a study's config.yaml, or above it" in other.stderr
