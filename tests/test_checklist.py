"""The field's reproducibility checklists, answered from the study's files."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tiny_study import run_to_the_end

pytestmark = pytest.mark.slow


def test_the_answers_are_those_of_the_files(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    study = tmp_path / "results/tiny"
    run_to_the_end(tmp_path, "results/tiny/checklist.md")
    text = (study / "checklist.md").read_text()
    best = yaml.safe_load((study / "best.yaml").read_text())["winner"]
    steps = pd.read_csv(study / "trials.csv")["steps"].sum()
    assert f"of 150 environment steps; {steps:,} steps in all." in text
    assert "with Optuna" in text
    assert "TPESampler with MedianPruner" in text
    assert best["verdict"] in text
    for name, value in best["params"].items():
        assert name in text
        assert isinstance(value, float) or f" {value} " in text
    # The checklist names the seeds of the trainings.
    for phase in ("validation", "test"):
        paths = (study / "confirmation" / phase).glob("*/*.json")
        runs = [run for path in paths if (run := json.loads(path.read_text())["run"])]
        for seed in {run["seeds"]["training"] for run in runs}:
            assert f"{seed}" in text
