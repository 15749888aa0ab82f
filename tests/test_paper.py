"""A paper's studies: all that there is of them, and their figures again from an archive."""

import shutil
import sys
from pathlib import Path

import pandas as pd
import yaml
from tiny_study import REPOSITORY, TINY, run, run_to_the_end

from sidewinder.figures import COMPARISON_FIGURES, SWEEP_FIGURES, WINNER_FIGURES


def test_figures_of_a_paper_again_from_its_archive(tmp_path: Path) -> None:
    entry = [*TINY, "study.seed=range(2)", "study.n_trials=4", "confirmation.top_k=1", "sampler.n_startup_trials=2"]
    paper = {"studies": {"seeds": entry}, "in_full": ["seeds-1"]}
    # Not of the paper: it is neither run nor drawn.
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"studies": {"other": TINY}, "paper": paper}))
    output = run_to_the_end(tmp_path, "paper")
    assert "seeds-0" in output  # the summary
    made, archive = tmp_path / "results/paper", tmp_path / "results/reference"
    figures = [
        f"{directory}/figures/{name}.{suffix}"
        for directory, names in (("seeds", COMPARISON_FIGURES), ("seeds-1", (*SWEEP_FIGURES, *WINNER_FIGURES)))
        for name in names
        for suffix in ("svg", "pdf", "png")
    ]
    before = {name: (made / name).read_bytes() for name in figures if "timeline" not in name}
    done = run([sys.executable, str(REPOSITORY / "scripts/archive.py"), str(made), str(archive)])
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in archive.iterdir()) == ["seeds-0", "seeds-1"]
    assert (archive / "seeds-0/best.yaml").read_bytes() == (made / "seeds-0/best.yaml").read_bytes()
    assert set(pd.read_csv(archive / "seeds-0/timings.csv")["host"]) == {"machine 1"}
    shutil.rmtree(made)
    output = run_to_the_end(tmp_path, "figures")
    assert "rule trial" not in output
    assert not made.exists()
    assert not (tmp_path / "results/other").exists()
    assert {name: (archive / name).read_bytes() for name in before} == before
    assert all((archive / name).exists() for name in figures)
