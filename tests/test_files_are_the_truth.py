"""Files are the truth: whatever is lost, damaged or changed, the same command ends with the same bytes.

Given once more, the command has nothing to do.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tiny_study import (
    BEST,
    N_TRIALS,
    REPOSITORY,
    SWEEP,
    confirmation_runs,
    new_study,
    results,
    run,
    run_to_the_end,
    snakemake,
    started,
    wait_until,
)

pytestmark = pytest.mark.slow
BLOCK, LAST = 4, N_TRIALS - 1


@pytest.fixture
def finished(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, without Snakemake's own files."""
    shutil.copytree(undisturbed / "results", tmp_path / "results")
    return new_study(tmp_path)


def planned(directory: Path, *targets: str) -> dict[str, int]:
    """Return the number of jobs that Snakemake would run, for each rule."""
    done = run(snakemake(directory, "--dry-run", *targets))
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    if "Nothing to be done" in output:
        return {}
    table = output.split("Job stats:")[1].split("total")[0].splitlines()[3:]
    return {rule: int(count) for rule, count in (line.split() for line in table if line.strip())}


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """Check that a call failed with one error line and no traceback, and return the line."""
    assert done.returncode != 0
    output = (done.stdout + done.stderr).splitlines()
    assert not [line for line in output if line.startswith("Traceback")], "\n".join(output)
    (line,) = {line for line in output if line.startswith("error:")}
    return line


def test_nothing_to_be_done_without_snakemakes_memory(finished: Path) -> None:
    assert planned(finished, BEST) == {}


def test_what_is_lost_or_damaged_is_made_again(finished: Path, undisturbed: Path) -> None:
    study = finished / "results/tiny"
    for name in ("best.md", "evaluations.csv", ".records/winner.json", "confirmation/test/zoo/1.json"):
        (study / name).unlink()
    (study / "confirmation/candidates/top-1.yaml").write_text("")
    (study / "config.yaml").write_bytes(b"\xff garbage: [")
    (study / "confirmation.csv").write_bytes((study / "confirmation.csv").read_bytes()[:100])
    (study / "confirmation/validation/top-2/0.json").write_text("{")
    for name in ("trials/3/result.json", "trials.csv"):
        os.utime(study / name, (time.time() + 10**7,) * 2)
    jobs = planned(finished, BEST)
    assert jobs.keys() >= {"compose", "tables", "candidate", "confirmation", "winner", "best"}
    assert "trial" not in jobs
    # Planning makes nothing.
    assert not (study / "best.md").exists()
    run_to_the_end(finished, BEST)
    assert results(finished) == results(undisturbed)
    assert planned(finished, BEST) == {}


@pytest.mark.parametrize("name", ["trials.csv", "confirmation/candidates/winner.yaml", "best.yaml", "config.yaml"])
def test_one_lost_file(name: str, finished: Path) -> None:
    (finished / "results/tiny" / name).unlink()
    assert "trial" not in planned(finished, BEST)
    if name == "config.yaml":
        assert planned(finished, BEST) == {}  # no other file needs it
    else:
        assert planned(finished, BEST)["best"] == 1


def test_settings_that_were_changed_while_another_target_was_made(finished: Path) -> None:
    """Also if the results came from elsewhere and a job was killed before it wrote the record of what it had made."""
    new_study(finished, "confirmation.n_test_seeds=3")
    run_to_the_end(finished, SWEEP)
    study = finished / "results/tiny"
    # As a killed rule leaves it: the table is for the new settings, and the record for the old ones.
    table = (study / "confirmation.csv").read_text()
    (study / "confirmation.csv").write_text(table + table.splitlines()[-1] + "\n")
    shutil.rmtree(finished / ".snakemake")
    run_to_the_end(finished, BEST)
    best = yaml.safe_load((study / "best.yaml").read_text())["winner"]["test"]
    assert {name: figures["n_seeds"] for name, figures in best.items()} == {"winner": 3, "defaults": 3, "zoo": 3}
    assert planned(finished, BEST) == {}
    # Back to the old settings: only the file's content shows that it is stale, no record does.
    new_study(finished)
    run_to_the_end(finished, BEST)
    best = yaml.safe_load((study / "best.yaml").read_text())["winner"]["test"]
    assert {figures["n_seeds"] for figures in best.values()} == {2}


def test_other_rounds_of_the_race_and_back(finished: Path, undisturbed: Path, tmp_path: Path) -> None:
    """The results are those of a directory that never had other rounds, and no training is made twice."""
    rounds = "confirmation.rounds=[[3,1],[1,2]]"
    new_study(finished, rounds)
    run_to_the_end(finished, BEST)
    alone = tmp_path / "alone"
    shutil.copytree(undisturbed / "results/tiny/trials", alone / "results/tiny/trials")
    run_to_the_end(new_study(alone, rounds), BEST)
    names = {path: content for path, content in results(alone).items() if not path.startswith("confirmation/")}
    assert {path: results(finished)[path] for path in names} == names
    race = yaml.safe_load((finished / BEST).read_text())["winner"]["race"]
    table = pd.read_csv(finished / "results/tiny/confirmation.csv")
    seeds = table[table["phase"] == "validation"].groupby("candidate").size()
    # The setting that came first had the seeds of all rounds.
    assert sorted(seeds) == [1, 2, 2, 4]
    assert seeds[race["first"]] == 4
    trained = confirmation_runs(finished)
    new_study(finished)
    run_to_the_end(finished, BEST)
    own = results(undisturbed)
    assert {path: results(finished)[path] for path in own} == own
    assert confirmation_runs(finished) == trained


def test_a_raised_budget_of_moved_results(finished: Path) -> None:
    new_study(finished, f"study.n_trials={N_TRIALS + 1}")
    assert planned(finished, SWEEP) == {"compose": 1, "tables": 1, "trial": 1}
    new_study(finished, f"study.n_trials={N_TRIALS - 1}")
    run_to_the_end(finished, SWEEP)
    assert len((finished / SWEEP).read_text().splitlines()) == N_TRIALS
    assert planned(finished, SWEEP) == {}


def test_the_timings_of_a_budget_that_is_lowered_and_raised_again(tmp_path: Path) -> None:
    """Also if another target was made in between, and the old files have new time stamps."""
    study, made = tmp_path / "results/tiny", []
    targets = ("results/tiny/timings.csv", "results/tiny/figures/timeline.svg")
    for n_trials in (4, 2, 4):
        new_study(tmp_path, f"study.n_trials={n_trials}")
        run_to_the_end(tmp_path, SWEEP)
        for path in (*study.glob("timings.csv"), *study.glob("figures/*"), *study.glob(".records/*.json")):
            os.utime(path)
        run_to_the_end(tmp_path, *targets)
        table, figure = ((tmp_path / target).read_bytes() for target in targets)
        assert [line.split(",")[0] for line in table.decode().splitlines()[1:]] == list(map(str, range(n_trials)))
        made.append((table, figure))
    assert planned(tmp_path, *targets) == {}
    assert made[0] == made[2]
    assert made[0][1] != made[1][1]


def test_a_single_trial_with_a_stale_config(finished: Path) -> None:
    """Snakemake does not check `ancient` inputs of a job that depends on a job to run."""
    target = "results/tiny/trials/2/result.json"
    (finished / target).unlink()
    (finished / "results/tiny/config.yaml").write_text("{}")
    assert planned(finished, target) == {"compose": 1, "trial": 1}


def test_a_job_whose_own_results_are_removed_goes_on(undisturbed: Path, finished: Path) -> None:
    """A result is removed while the job trains the last trial of its block."""
    study = finished / "results/tiny"
    last = study / f"trials/{BLOCK - 1}"
    for made in (last, finished / "results/.trainings"):
        shutil.rmtree(made)
    command = [sys.executable, str(REPOSITORY / "scripts/trial.py"), str(last / "result.json")]
    with started(command) as process:
        wait_until(lambda: (last / "tensorboard").exists())
        (study / "trials/1/result.json").unlink()
        assert process.wait(timeout=120) == 0
    assert results(finished) == results(undisturbed)


def test_lost_timings_are_no_loss_of_results(undisturbed: Path, finished: Path) -> None:
    (finished / "results/tiny/trials/3/timing.json").unlink()
    target = "results/tiny/trials/3/result.json"
    run_to_the_end(finished, target, "--forcerun", "trial")
    run_to_the_end(finished, "results/tiny/timings.csv", BEST)
    assert results(finished) == results(undisturbed)
    assert "\n3," not in (finished / "results/tiny/timings.csv").read_text()
    assert planned(finished, BEST) == {}


def test_the_database_is_whole_at_the_end(finished: Path) -> None:
    target = "results/tiny/.records/database.json"
    run_to_the_end(finished, target)
    assert planned(finished, target) == {}
    (finished / "results/tiny/study.db").unlink()
    assert planned(finished, target) == {"database": 1}
    run_to_the_end(finished, target)
    (finished / "results/tiny/study.db").write_bytes(b"garbage")
    run_to_the_end(finished, target)
    assert planned(finished, target) == {}
    assert b"garbage" in (finished / "results/tiny/study.db.set-aside").read_bytes()


def test_a_database_that_cannot_be_written(finished: Path) -> None:
    study = finished / "results/tiny"
    (study / "study.db").unlink()
    (study / "study.db").mkdir()
    shutil.rmtree(study / f"trials/{LAST}")
    (study / "trials.csv").unlink()
    line = error_line(
        run([sys.executable, str(REPOSITORY / "scripts/trial.py"), str(study / f"trials/{LAST}/result.json")])
    )
    assert "study.db: cannot be written (unable to open database file); accepted: a writable file" in line


def test_a_changed_config_is_refused_without_the_old_config(finished: Path) -> None:
    """Each result has the digest of its study's config, which another study's config.yaml cannot change."""
    path = finished / "results/tiny/config.yaml"
    path.write_text(path.read_text().replace("tau: 0.005", "tau: 0.5"))
    assert planned(finished, SWEEP).keys() >= {"compose"}
    new_study(finished, "agent.tau=0.5")
    line = error_line(run(snakemake(finished, BEST)))
    assert "config.yaml: digest: " in line
    assert "this study has trials of the old config" in line
    path.unlink()
    assert "config.yaml: digest: " in error_line(run(snakemake(finished, BEST)))


def test_a_result_copied_over_anothers(finished: Path) -> None:
    study = finished / "results/tiny"
    shutil.copy(study / "trials/4/result.json", study / "trials/5/result.json")
    line = error_line(run(snakemake(finished, BEST)))
    assert "trials/5/result.json: number: found 4, accepted: 5; the file belongs to another trial; delete it" in line
    (study / "trials/5/result.json").write_text("")
    line = error_line(run(snakemake(finished, BEST)))
    assert "trials/5/result.json: the whole file: found " in line
    assert line.endswith("; delete the file to train that trial again")


def test_broken_files_in_the_hand_of_a_script(finished: Path) -> None:
    """Each script ends with one line that says what helps."""
    study = finished / "results/tiny"
    config = str(study / "config.yaml")
    (study / "trials/3/timing.json").write_text("[{")
    line = error_line(run(script("timings.py", config, "--output", str(finished / "timings.csv"))))
    assert "trials/3/timing.json: " in line
    assert "delete the file to go on without these times" in line
    (study / "trials.csv").write_text("")
    line = error_line(run(script("candidate.py", config, str(study / "trials.csv"), str(finished / "top-1.yaml"))))
    assert "trials.csv: No columns to parse from file; delete the file to make it again" in line
    (study / "confirmation/candidates/winner.yaml").write_text("")
    winner, table = str(study / "confirmation/candidates/winner.yaml"), str(study / "confirmation.csv")
    line = error_line(run(script("best.py", config, winner, table, str(study / "trials.csv"))))
    assert "winner.yaml: the whole file: found None, accepted: " in line
    (study / "config.yaml").write_bytes(b"\xff\xfe")
    line = error_line(run(script("tables.py", config)))
    assert "config.yaml: " in line
    assert "; delete the file to make it again" in line


def script(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(REPOSITORY / "scripts" / name), *arguments]


def test_a_file_where_a_directory_should_be(finished: Path) -> None:
    study = finished / "results/tiny"
    shutil.rmtree(study / f"trials/{LAST}")
    (study / f"trials/{LAST}").touch()
    line = error_line(run(script("trial.py", str(study / f"trials/{LAST}/result.json"))))
    assert f"trials/{LAST}: File exists" in line


def test_a_malformed_override(tmp_path: Path) -> None:
    new_study(tmp_path, "agent.gamma=[1")
    line = error_line(run(snakemake(tmp_path, "--dry-run")))
    assert line.startswith("error: studies: override agent.gamma=[1: ")


def test_the_database_of_a_config_that_was_changed_before_the_first_result(tmp_path: Path) -> None:
    """Snakemake is killed once a trial is suggested. Then the seed changes, and trial 0 gets the new seed's
    parameters."""
    new_study(tmp_path, "study.seed=5")
    target = "results/tiny/trials/0/result.json"
    with started(snakemake(tmp_path, target)) as process:
        wait_until(lambda: (tmp_path / "results/tiny/trials/0/tensorboard").exists())
        os.killpg(process.pid, signal.SIGKILL)
    assert not (tmp_path / target).exists()
    new_study(tmp_path, "study.seed=6")
    fresh = new_study(tmp_path / "fresh", "study.seed=6")
    for directory in (tmp_path, fresh):
        run_to_the_end(directory, target)
    found, expected = (json.loads((directory / target).read_text()) for directory in (tmp_path, fresh))
    assert found["params"] == expected["params"]
