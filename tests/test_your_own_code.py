"""Follows docs/your_own_code.md to the letter in an empty directory, with a tiny budget."""

import json
from pathlib import Path

import pytest
import yaml
from followed_docs import Document, follow
from tiny_study import TINY

pytestmark = pytest.mark.slow

DOCUMENT = Document("your_own_code.md")
STUDY = "results/tiny"
SHORT = ["training.total_timesteps=150", "evaluation.eval_freq=50", "evaluation.n_eval_episodes=1"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with the files that the document shows."""
    DOCUMENT.write_files(tmp_path)
    return tmp_path


def test_the_documents_study(project: Path) -> None:
    tiny = [override for override in TINY if not override.startswith("study=")]
    study = {"tiny": ["study=quiet", *tiny, "study.n_trials=3"]}
    targets = [f"{STUDY}/agent/README.md", f"{STUDY}/provenance.json"]
    follow(project, DOCUMENT.commands()[1], "--config", f"studies={json.dumps(study)}", "--", *targets)
    trials = [json.loads((project / STUDY / f"trials/{number}/result.json").read_text()) for number in range(3)]
    for trial in trials:
        assert trial["state"] in ("complete", "pruned")
        searched = {"agent.entropy_factor", "agent.learning_rate.peak", "training.callbacks.0.start"}
        assert searched <= trial["params"].keys()

    # The code is on record.
    told = json.loads((project / STUDY / "provenance.json").read_text())
    assert trials[0]["sources"].keys() == {"my_methods"}
    assert told["sources"] == {"my_methods": [trials[0]["sources"]["my_methods"]]}

    # The defaults are the constructor's.
    defaults = yaml.safe_load((project / STUDY / "config.yaml").read_text())["baselines"]["defaults"]["agent"]
    assert defaults["algorithm"] == "my_methods.QuietSAC"
    assert defaults["policy_kwargs"]["features_extractor_class"] == "my_methods.Embedding"
    assert "learning_rate" not in defaults

    # The kept agent is of the user's class.
    card = (project / STUDY / "agent/README.md").read_text()
    assert "from my_methods import QuietSAC\n\nenv = gymnasium.make(" in card
    said = (project / STUDY / "agent/hyperparams.yml").read_text()
    assert "cannot train this setting: its files have no way to say my_methods.QuietSAC" in said
    follow(project, "PYTHONPATH=. python path/to/sidewinder/scripts/enjoy.py results/tiny/agent --no-render")


def test_a_training_by_hand(project: Path) -> None:
    follow(project, DOCUMENT.commands()[0], "hydra.run.dir=trained", *SHORT)
    assert json.loads((project / "trained/evaluations.json").read_text())["state"] == "complete"


@pytest.mark.parametrize(
    ("package", "tracker"),
    [
        ("wandb", "{_target_:wandb_tracker.Wandb,project:quiet}"),
        ("mlflow", "{_target_:mlflow_tracker.Mlflow,experiment:quiet}"),
    ],
)
def test_trackers_offline(package: str, tracker: str, project: Path) -> None:
    pytest.importorskip(package)  # pip install wandb mlflow-skinny
    offline = "WANDB_MODE=offline MLFLOW_TRACKING_URI=sqlite:///mlflow.db "
    command, directory = offline + DOCUMENT.commands()[0], f"hydra.run.dir=tracked_{package}"
    follow(project, command, directory, *SHORT, f"training.trackers=[{tracker}]")
    written = {"wandb": "wandb/offline-run-*/*.wandb", "mlflow": "mlflow.db"}
    assert list(project.glob(written[package]))
