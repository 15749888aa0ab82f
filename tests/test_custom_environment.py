"""docs/custom_environment.md, followed to the letter in a directory of one's own, with a tiny budget."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_study import REPOSITORY, SWEEP, TINY, sweep

pytestmark = pytest.mark.slow

DOCUMENT = (REPOSITORY / "docs" / "custom_environment.md").read_text()


def blocks(language: str) -> list[str]:
    return [block.partition("```")[0] for block in DOCUMENT.split(f"```{language}\n")[1:]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with the document's files, as they are there."""
    for text in [*blocks("python"), *blocks("yaml")]:
        path = tmp_path / re.findall(r"^# (\S+\.(?:py|yaml))", text, flags=re.MULTILINE)[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(project: Path, command: str, *arguments: str) -> None:
    """Run a command of the document there, with more arguments."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f'{command.replace("path/to/sidewinder", str(REPOSITORY))} "$@"', "bash", *arguments],
        cwd=project,
        env={**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_document_works(project: Path) -> None:
    train, tune = (line.removeprefix("$ ") for line in blocks("console")[0].splitlines())
    tiny = [override for override in TINY if not override.startswith(("study=", "+environment"))]
    run(project, train, "hydra.run.dir=trained", *(o for o in tiny if o.startswith(("agent.", "training.", "evalu"))))
    assert json.loads((project / "trained/evaluations.json").read_text())["state"] == "complete"

    overrides = ["study=reach", *tiny, "study.n_trials=2"]
    run(project, tune, "--config", f"studies={json.dumps({'tiny': overrides})}", "--", SWEEP)
    trials = [json.loads(content) for name, content in sweep(project).items() if name.endswith("result.json")]
    assert [trial["state"] for trial in trials] == ["complete"] * 2
    # At worst from the edge of its width outwards.
    assert all(-100 * 12 < trial["objective"] < 0 for trial in trials)
    config = yaml.safe_load((project / "results/tiny/config.yaml").read_text())
    assert config["environment"]["env_id"] == "my_package.envs:Reach-v0"
    assert config["environment"]["env_kwargs"] == {"width": 2.0}


def test_the_documents_study_composes(project: Path) -> None:
    run(project, blocks("console")[0].splitlines()[1].removeprefix("$ "), "results/reach/config.yaml")
    assert "name: reach" in (project / "results/reach/config.yaml").read_text()
