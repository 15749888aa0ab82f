"""The database is only an index of the files: its study and its rows are checked against them before use."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from made_once import made_once
from made_up_studies import SAMPLERS, run_study, run_trial

from sidewinder import SidewinderError
from sidewinder.config.study_config import StudyConfig
from sidewinder.results import Result, result_path
from sidewinder.study import database_files
from sidewinder.study.study import Study

pytestmark = pytest.mark.slow
MakeConfig = Callable[..., StudyConfig]
SETTINGS = ["study.n_trials=6", "study.workers=2", "pruner=median"]
# SQL that deletes or changes rows.
EDITS = {
    "no params of a trial": "DELETE FROM trial_params WHERE trial_id = 3",
    "one param less": "DELETE FROM trial_params WHERE param_id = 4",
    "another param": "UPDATE trial_params SET param_value = param_value / 2 WHERE param_id = 1",
    "no attributes": "DELETE FROM trial_system_attributes WHERE trial_id = 2",
    "another attribute": "UPDATE trial_system_attributes SET value_json = '[[1]]' WHERE key = 'sidewinder:ends'",
    "no last trial": "DELETE FROM trials WHERE trial_id = (SELECT max(trial_id) FROM trials)",
    "no first trial": "DELETE FROM trials WHERE trial_id = 1",
    "no study": "DELETE FROM studies",
    "another value": "UPDATE trial_values SET value = 0",
    "no values": "DELETE FROM trial_values",
    "another report": "UPDATE trial_intermediate_values SET intermediate_value = 7",
    "a failed trial": "UPDATE trials SET state = 'FAIL' WHERE trial_id = 2",
    "no table": "DROP TABLE trial_values",
    "another direction": "UPDATE study_directions SET direction = 'MINIMIZE'",
}


@pytest.fixture
def study(study_config: MakeConfig, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Study:
    """A study with five of its six trials finished."""
    shorter, config = (
        study_config(*SETTINGS, f"study.n_trials={n_trials}", sampler=SAMPLERS["tpe"]) for n_trials in (5, 6)
    )

    def make(directory: Path) -> None:
        run_study(directory, shorter, cores=1, shuffle=0)

    shutil.copytree(made_once("five_of_six", make, tmp_path_factory, worker_id), tmp_path, dirs_exist_ok=True)
    return Study(tmp_path, config)


def trials_in(directory: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="made_up", storage=f"sqlite:///{directory}/study.db").trials


@pytest.mark.parametrize("edit", EDITS)
def test_rows_that_were_lost_or_changed(edit: str, study: Study) -> None:
    """Another program changes the database while no job runs."""
    expected, before = study.ask(5).params, trials_in(study.directory)
    with closing(sqlite3.connect(study.directory / "study.db")) as file, file:
        assert file.execute(EDITS[edit]).rowcount != 0
    again = Study(study.directory, study.config)
    assert again.ask(5).params == expected
    again.catch_up()
    assert (study.directory / "study.db.set-aside").exists()
    after = trials_in(study.directory)
    for old, new in zip(before[:5], after[:5], strict=True):
        assert (old.params, old.values, old.intermediate_values) == (new.params, new.values, new.intermediate_values)
    assert [trial.state.is_finished() for trial in after] == [True] * 5 + [False]


def test_what_another_program_enqueues_is_not_used(study: Study) -> None:
    """Another program's notes on a trial may stay."""
    expected = Study(study.directory, study.config).ask(5).params
    with closing(sqlite3.connect(study.directory / "study.db")) as file, file:
        file.execute("DELETE FROM trials WHERE trial_id = 6")
        note = "INSERT INTO trial_system_attributes (trial_id, key, value_json) VALUES (1, 'dashboard:note', '1')"
        file.execute(note)
    optuna_study = optuna.load_study(study_name="made_up", storage=f"sqlite:///{study.directory}/study.db")
    optuna_study.set_user_attr("note", "mine")
    assert Study(study.directory, study.config).ask(4).number == 4
    assert not (study.directory / "study.db.set-aside").exists()
    optuna_study.enqueue_trial({"agent.gamma": 0.5, "agent.tau": 0.5, "agent.batch_size": 1})
    assert Study(study.directory, study.config).ask(5).params == expected
    assert [trial.params for trial in trials_in(study.directory)][5:] == [expected]


@pytest.mark.parametrize("change", [["study.seed=9"], ["agent.learning_rate=0.5"]])
def test_the_database_of_another_config(change: list[str], study_config: MakeConfig, tmp_path: Path) -> None:
    """The database of the old config has trials, but there are no results any more."""
    old, new = (study_config(*SETTINGS, *more, sampler=SAMPLERS["random"]) for more in ([], change))
    (tmp_path / "fresh").mkdir()
    expected = Study(tmp_path / "fresh", new).ask(1)
    run_trial(Study(tmp_path, old), 0)()
    result_path(tmp_path, 0).unlink()
    study = Study(tmp_path, new)
    assert study.ask(1).params == expected.params
    assert len(trials_in(tmp_path)) == 2
    assert not trials_in(tmp_path)[0].state.is_finished()


@pytest.mark.parametrize("line", [0, 1, 7, 20, -1])
def test_a_journal_that_lacks_a_line(line: int, study_config: MakeConfig, tmp_path: Path) -> None:
    config = study_config(*SETTINGS, "study.storage=journal", sampler=SAMPLERS["tpe"])
    run_study(tmp_path, config, cores=1, shuffle=0)
    expected = Study(tmp_path, config).ask(6).params
    journal = tmp_path / "study.journal"
    lines = journal.read_text().splitlines(keepends=True)
    del lines[line]
    journal.write_text("".join(lines))
    assert Study(tmp_path, config).ask(6).params == expected


def test_a_database_that_is_locked_for_a_while(
    study: Study, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A process waits for it and does not take it for damaged. After too long, the error names the file."""
    code = (
        "import sqlite3, sys, time\n"
        "file = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "file.execute('BEGIN EXCLUSIVE')\n"
        "print('locked', flush=True)\n"
        "time.sleep(float(sys.argv[2]))\n"
    )
    expected = study.ask(5).params
    for seconds, patience in ((3, 60), (30, 2)):
        command = [sys.executable, "-c", code, str(study.directory / "study.db"), str(seconds)]
        monkeypatch.setattr(database_files, "_A_LONG_WAIT", patience)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "locked\n"
            if seconds < patience:
                assert Study(study.directory, study.config).ask(5).params == expected
            else:
                with pytest.raises(SidewinderError, match=r"study.db: locked by another program for 2 s; close"):
                    Study(study.directory, study.config).ask(5)
            holder.kill()
    assert "study.db is locked by another program; waiting" in caplog.text
    assert not (study.directory / "study.db.set-aside").exists()


def test_a_database_that_was_lost_near_the_end(study: Study) -> None:
    """No trial stays RUNNING in the database that is made again."""
    run_trial(study, 5)()
    (study.directory / "study.db").unlink()
    Study(study.directory, study.config).catch_up()
    assert [trial.state.is_finished() for trial in trials_in(study.directory)] == [True] * 6


def test_a_result_of_another_trial_is_not_seen(study: Study) -> None:
    (study.directory / "study.db").unlink()
    other = Result.load(result_path(study.directory, 2))
    other.save(result_path(study.directory, 1))
    with pytest.raises(SidewinderError, match=r"trials/1/result.json: number: found 2, accepted: 1; .* delete it"):
        study.ask(5)


def test_a_progress_that_nobody_can_read(study_config: MakeConfig, tmp_path: Path) -> None:
    """It counts as no progress: the trial may end at any moment."""
    study = Study(tmp_path, study_config(*SETTINGS, sampler=SAMPLERS["random"]))
    study.ask(1)
    for content in ("", "{", '{"reports": "x"}', "[]"):
        path = result_path(tmp_path, 0).with_name("progress.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        with pytest.raises(Exception, match=r"waiting for trials \[0, 1\]"):
            study.ask(2)
