"""The workflow as a module of another Snakemake workflow, as in docs/module.md, with its files under a prefix."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_study import REPOSITORY, TINY, run

pytestmark = pytest.mark.slow


def blocks(language: str) -> list[str]:
    """Return the code in docs/module.md, with a tiny study and this repository's path filled in."""
    text = (REPOSITORY / "docs" / "module.md").read_text()
    return [block.partition("\n```")[0] for block in text.split(f"```{language}\n")[1:]]


def snakemake(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--directory", str(directory), "--cores", "2"]
    return run([*command, "--snakefile", str(directory / "Snakefile"), *arguments])


def write_config(directory: Path, *overrides: str) -> None:
    config = yaml.safe_load(blocks("yaml")[0])
    assert list(config["tuning"]["studies"]) == ["my_study"]
    config["tuning"]["studies"]["my_study"] = [
        *TINY,
        "confirmation.top_k=1",
        "confirmation.baselines=[defaults]",
        *overrides,
    ]
    (directory / "config.yaml").write_text(yaml.safe_dump(config))


def test_a_module_with_a_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # here Snakemake finds no profile
    (snakefile,) = blocks("python")
    assert "path/to/sidewinder" in snakefile
    (tmp_path / "Snakefile").write_text(snakefile.replace("path/to/sidewinder", str(REPOSITORY)))
    write_config(tmp_path, "study.n_trials=1")
    triggers = ("--rerun-triggers", "mtime", "params")
    first = snakemake(tmp_path, *triggers)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "probability" in (tmp_path / "paper.txt").read_text()
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {
        "Snakefile",
        "config.yaml",
        "paper.txt",
        "tuning",
    }
    # It finds its finished trials under the prefix: a raised budget adds trials, and another study is refused.
    sweep = "tuning/results/my_study/trials.csv"
    write_config(tmp_path, "study.n_trials=2")
    again = snakemake(tmp_path, *triggers, "--", sweep)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (again.stdout + again.stderr).count("rule sidewinder_trial:") == 1
    # With Snakemake's default rerun triggers, finished trials would be deleted and trained again.
    refused = snakemake(tmp_path, "--", sweep)
    assert refused.returncode != 0
    assert "error: rerun-triggers: found code, input, mtime, params, software-env, accepted: " in refused.stderr
    write_config(tmp_path, "study.n_trials=2", "study.seed=5")
    refused = snakemake(tmp_path, *triggers)
    assert refused.returncode != 0
    assert "tuning/results/my_study/config.yaml: study.seed: 0 -> 5" in refused.stdout + refused.stderr
