"""The output in the terminal while Snakemake runs."""

import io
import logging
import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from tiny_study import N_TRIALS, SWEEP, new_study, run, snakemake

from sidewinder.report.live import Watch

pytestmark = pytest.mark.slow
SMALL = ["training.total_timesteps=100", "pruner.n_startup_trials=9"]


def in_a_terminal(command: list[str]) -> str:
    """Run a command in a terminal and return its output."""
    ours, its = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "160"}
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True)
    os.close(its)
    written = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the command has ended
            break
        if not chunk:
            break
        written += chunk
    assert process.wait() == 0, written.decode()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode())


def test_a_line_for_each_training_and_snakemakes_in_its_log(tmp_path: Path) -> None:
    done = run(snakemake(new_study(tmp_path, *SMALL), SWEEP, "results/tiny/timings.csv"))
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("tiny: trial")]
    assert {int(line.split()[2].rstrip(":")) for line in lines} == set(range(N_TRIALS))
    assert re.fullmatch(rf"tiny: trial \d: -[\d.]+; {N_TRIALS} of {N_TRIALS}, best -[\d.]+ \(trial \d\).*", lines[-1])
    assert "rule trial:" not in done.stderr
    assert "steps (100%) done" not in done.stderr
    (log,) = (tmp_path / ".snakemake/log").glob("*.log")
    assert "rule trial:" in log.read_text()
    timings = pd.read_csv(tmp_path / "results/tiny/timings.csv")
    assert (timings["evaluation_seconds"] > 0).all()
    assert (timings["evaluation_seconds"] < timings["seconds"]).all()
    # Trials that were finished before are not shown again.
    (tmp_path / SWEEP).unlink()
    again = run(snakemake(tmp_path, SWEEP))
    assert "tiny: trial" not in again.stderr


def test_what_cannot_be_read_now_is_no_news_later(undisturbed: Path, tmp_path: Path) -> None:
    """A file may be missing or damaged at the moment when it is read. It is not shown as new later."""
    shutil.copytree(undisturbed / "results", tmp_path / "results")
    handler, lines = logging.StreamHandler(io.StringIO()), []
    shown = Watch(handler, tmp_path / "results", ["tiny"])
    shown.start()
    config, result = (tmp_path / "results/tiny" / name for name in ("config.yaml", "trials/3/result.json"))
    for path, damage in ((config, ""), (result, "{}"), (result, "[]")):
        content = path.read_text()
        path.write_text(damage)
        shown.look()
        path.write_text(content)
        shown.look()
        lines.append(handler.stream.getvalue())
    result.unlink()
    shown.stop()
    assert lines == ["", "", ""]
    assert not handler.filters


def test_a_table_in_a_terminal(tmp_path: Path) -> None:
    shown = in_a_terminal(snakemake(new_study(tmp_path, *SMALL), SWEEP))
    assert "best so far" in shown
    assert re.search(rf"tiny +│ race +│ {N_TRIALS} of {N_TRIALS} \({N_TRIALS} complete\)", shown), shown
    assert "rule trial:" not in shown


def test_errors_are_seen(tmp_path: Path) -> None:
    """Errors are shown with the log of the job that failed."""
    done = run(snakemake(new_study(tmp_path, *SMALL, f"study.give_up={list(range(N_TRIALS))}"), SWEEP))
    assert done.returncode == 1
    assert "Error in rule" in done.stderr
    assert "max_failure_rate" in done.stderr


def test_who_asks_for_all_of_snakemake_gets_it(tmp_path: Path) -> None:
    done = run(snakemake(new_study(tmp_path, *SMALL), "results/tiny/config.yaml", "--verbose"))
    assert "rule compose:" in done.stderr
