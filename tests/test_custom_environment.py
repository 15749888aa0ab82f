"""Follows docs/custom_environment.md to the letter in an empty directory, with a tiny budget."""

import json
from pathlib import Path

import pytest
import yaml
from followed_docs import Document, follow
from tiny_study import SWEEP, TINY, sweep

pytestmark = pytest.mark.slow

DOCUMENT = Document("custom_environment.md")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with the files that the document shows."""
    DOCUMENT.write_files(tmp_path)
    return tmp_path


def test_the_document_works(project: Path) -> None:
    train, tune = DOCUMENT.commands()
    tiny = [override for override in TINY if not override.startswith(("study=", "+environment"))]
    short = [o for o in tiny if o.startswith(("agent.", "training.", "evalu"))]
    follow(project, train, "hydra.run.dir=trained", *short)
    assert json.loads((project / "trained/evaluations.json").read_text())["state"] == "complete"

    overrides = ["study=reach", *tiny, "study.n_trials=2"]
    follow(project, tune, "--config", f"studies={json.dumps({'tiny': overrides})}", "--", SWEEP)
    trials = [json.loads(content) for name, content in sweep(project).items() if name.endswith("result.json")]
    assert [trial["state"] for trial in trials] == ["complete"] * 2
    # The worst episode starts at the edge and moves outwards.
    assert all(-100 * 12 < trial["objective"] < 0 for trial in trials)
    config = yaml.safe_load((project / "results/tiny/config.yaml").read_text())
    assert config["environment"]["env_id"] == "my_package.envs:Reach-v0"
    assert config["environment"]["env_kwargs"] == {"width": 2.0}


def test_the_documents_study_composes(project: Path) -> None:
    follow(project, DOCUMENT.commands()[1], "results/reach/config.yaml")
    assert "name: reach" in (project / "results/reach/config.yaml").read_text()
