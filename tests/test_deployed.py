"""The workflow used from git, without a clone: by `github()`, by `gitfile()`, and as snakedeploy deploys it.

Git maps https://github.com/owner/sidewinder to a repository on this machine with the workflow's present files.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checked_out import commit
from tiny_study import BEST, REPOSITORY, TINY, new_study, results, run_to_the_end

pytestmark = pytest.mark.slow
URL = "https://github.com/owner/sidewinder"
SMALL = [*TINY, "study.n_trials=2", "confirmation.top_k=1", "confirmation.baselines=[defaults]"]


@pytest.fixture
def environment(checked_out: Path, installed: Path, tmp_path: Path) -> dict[str, str]:
    """Environment variables of a user who has installed the package and has never used the repository before."""
    git = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{checked_out}.insteadOf", "GIT_CONFIG_VALUE_0": URL}
    return os.environ | git | {"PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def snakemake(at: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True, timeout=500, check=False)


def test_a_deployed_workflow(environment: dict[str, str], tmp_path: Path) -> None:
    """Its profile is found, so Snakemake needs no options. A clone gives the same bytes."""
    there = tmp_path / "deployed"
    deploy = [sys.executable, "-m", "snakedeploy.client", "deploy-workflow", URL, str(there), "--tag", "v1"]
    subprocess.run(deploy, env=environment, check=True)
    assert (
        'github("owner/sidewinder", path="workflow/Snakefile", tag="v1")' in (there / "workflow/Snakefile").read_text()
    )
    assert (there / "LICENSE").exists()
    config = there / "config/config.yaml"
    assert yaml.safe_load(config.read_text())["studies"] == ["pendulum_ddpg"]
    tiny = shutil.copytree(
        REPOSITORY / ".test", tmp_path / "tiny", ignore=shutil.ignore_patterns("results", ".snakemake")
    )
    shutil.copy(tiny / "config/config.yaml", config)
    done = snakemake(there, environment, BEST)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "profiles/default" in done.stdout + done.stderr
    done = snakemake(REPOSITORY, dict(os.environ), "--directory", str(tiny), BEST)
    assert done.returncode == 0, done.stdout + done.stderr
    assert results(there) == results(tiny)
    assert "winner" in (there / BEST).read_text()


TWICE = """
module first:
    snakefile: github("owner/sidewinder", path="workflow/Snakefile", tag="v1")
    config: config["first"]
    prefix: "one"

use rule * from first as first_*

module second:
    snakefile: gitfile("{checked_out}", path="workflow/Snakefile", tag="v1")
    config: config["second"]
    prefix: "two"

use rule * from second as second_*

rule both:
    default_target: True
    input: "one/results/tiny/trials.csv", "two/results/other/trials.csv"
"""


def test_twice_in_one_workflow(checked_out: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """A workflow uses it twice, from two sources, each with its own config and prefix. A clone gives the same bytes."""
    (tmp_path / "Snakefile").write_text(f'configfile: "config.yaml"\n{TWICE.format(checked_out=checked_out)}')
    studies = {"first": {"tiny": SMALL}, "second": {"other": [*SMALL, "study.seed=5"]}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({name: {"studies": own} for name, own in studies.items()}))
    done = snakemake(tmp_path, environment, "--rerun-triggers", "mtime", "params")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "results").exists()
    for prefix, name, seed in (("one", "tiny", 0), ("two", "other", 5)):
        alone = new_study(tmp_path / f"alone-{seed}", *SMALL[len(TINY) :], f"study.seed={seed}")
        run_to_the_end(alone, "results/tiny/trials.csv")
        found = tmp_path / prefix / "results" / name / "trials.csv"
        assert found.read_bytes() == (alone / "results/tiny/trials.csv").read_bytes()


MODULE = """
module own:
    snakefile: {where}
    config: {{"studies": ["plain"]}}

use rule * from own as own_*
"""


def test_another_commit_than_the_packages(checked_out: Path, environment: dict[str, str], tmp_path: Path) -> None:
    newer = shutil.copytree(checked_out, tmp_path / "newer", symlinks=True)
    rules = newer / "workflow/rules/trials.smk"
    rules.write_text(f"{rules.read_text()}\n# changed\n")
    where = f'gitfile("{newer}", path="workflow/Snakefile", commit="{commit(newer)}")'
    (tmp_path / "Snakefile").write_text(MODULE.format(where=where))
    done = snakemake(tmp_path, environment, "-n")
    assert done.returncode != 0
    assert "found a workflow/rules/trials.smk that differs from the installed package's" in done.stdout + done.stderr


def test_without_the_package(environment: dict[str, str], checked_out: Path, tmp_path: Path) -> None:
    where = f'gitfile("{checked_out}", path="workflow/Snakefile", tag="v1")'
    (tmp_path / "Snakefile").write_text(MODULE.format(where=where))
    alone = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    done = snakemake(tmp_path, alone, "-n")
    assert done.returncode != 0
    assert "error: Sidewinder as a module from git needs its package too" in done.stdout + done.stderr
