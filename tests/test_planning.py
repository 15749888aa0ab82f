"""The cost of planning depends on what is left to do. The tests count jobs, since seconds depend on other load."""

import re
from pathlib import Path

import pytest
import yaml
from tiny_study import run, snakemake

from sidewinder.config import compositions
from sidewinder.config.composition import compose_study
from sidewinder.planning import Studies
from sidewinder.results import Result, result_path

STUDY = ["study=plain", "agent=ppo", "environment=cartpole", "study.n_trials=30"]


def finish(directory: Path, numbers: range) -> None:
    """Write made-up results of these trials."""
    config = compose_study(directory.name, STUDY, directory=directory)
    for number in numbers:
        result = Result(
            number=number,
            config=config.digest(),
            state="failed",
            objective=None,
            reason="made up",
            params={},
            distributions={},
            evaluations=[],
            pruner_attrs={},
            seeds={},
            bit_exact=True,
            packages={},
        )
        result.save(result_path(directory, number))


@pytest.mark.slow
def test_finished_trials_are_no_jobs(tmp_path: Path) -> None:
    """As jobs, thousands of finished trials would take milliseconds each, and each job that depends on them, too."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"studies": {"one": STUDY}}))
    command = snakemake(tmp_path, "--dry-run", "--quiet", "rules", "--", "results/one/trials.csv")

    def n_jobs() -> dict[str, int]:
        done = run(command)
        assert done.returncode == 0, done.stdout + done.stderr
        return {rule: int(number) for rule, number in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)}

    assert n_jobs() == {"compose": 1, "tables": 1, "trial": 30, "total": 32}
    finish(tmp_path / "results/one", range(27))
    assert n_jobs() == {"compose": 1, "tables": 1, "trial": 3, "total": 5}
    # A trial whose result was lost is made again, and no other.
    result_path(tmp_path / "results/one", 5).unlink()
    assert n_jobs() == {"compose": 1, "tables": 1, "trial": 4, "total": 6}
    finish(tmp_path / "results/one", range(30))
    assert n_jobs() == {"compose": 1, "tables": 1, "total": 2}


def test_a_jobs_process_composes_its_study_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not look for the trials of other studies either."""
    entries = {"compare": [*STUDY, "sampler=tpe,random", "study.seed=range(3)"]}
    for name in ("compare-tpe-1", "compare-random-1"):
        (tmp_path / name).mkdir(parents=True)
    composed: list[str] = []
    compose = compositions.Compositions.compose

    def counted(self: compositions.Compositions, name: str, overrides: list[str], directory: Path) -> object:
        composed.append(name)
        return compose(self, name, overrides, directory)

    monkeypatch.setattr(compositions.Compositions, "compose", counted)
    studies = Studies(entries, [], [], tmp_path, main=False)
    assert len(studies.of("compare")) == 6
    assert studies["compare-tpe-1"].config.study.seed == 1
    assert composed == ["compare-tpe-1"]
