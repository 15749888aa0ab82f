"""docs/your_own_code.md, followed to the letter in a directory of one's own, with a tiny budget."""

import json
from pathlib import Path

import pytest
import yaml
from followed_docs import Document, follow
from tiny_study import TINY

pytestmark = pytest.mark.slow

DOCUMENT = Document("your_own_code.md")
STUDY = "results/tiny"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the document's files, as they are there, and a tiny study of them."""
    directory = tmp_path_factory.mktemp("project")
    DOCUMENT.write_files(directory)
    tiny = [override for override in TINY if not override.startswith("study=")]
    study = {"tiny": ["study=quiet", *tiny, "study.n_trials=3"]}
    targets = [f"{STUDY}/agent/README.md", f"{STUDY}/provenance.json"]
    follow(directory, DOCUMENT.commands()[1], "--config", f"studies={json.dumps(study)}", "--", *targets)
    return directory


def test_a_training_by_hand(project: Path) -> None:
    short = ["training.total_timesteps=150", "evaluation.eval_freq=50", "evaluation.n_eval_episodes=1"]
    follow(project, DOCUMENT.commands()[0], "hydra.run.dir=trained", *short)
    assert json.loads((project / "trained/evaluations.json").read_text())["state"] == "complete"


def test_the_study_searches_arguments_of_ones_own(project: Path) -> None:
    trials = [json.loads((project / STUDY / f"trials/{number}/result.json").read_text()) for number in range(3)]
    for trial in trials:
        assert trial["state"] in ("complete", "pruned")
        assert {"agent.entropy_factor", "agent.learning_rate.peak", "training.callbacks.0.start"} <= trial[
            "params"
        ].keys()


def test_the_code_is_on_record(project: Path) -> None:
    result = json.loads((project / STUDY / "trials/0/result.json").read_text())
    told = json.loads((project / STUDY / "provenance.json").read_text())
    assert result["sources"].keys() == {"my_methods"}
    assert told["sources"] == {"my_methods": [result["sources"]["my_methods"]]}


def test_the_defaults_are_the_constructors(project: Path) -> None:
    defaults = yaml.safe_load((project / STUDY / "config.yaml").read_text())["baselines"]["defaults"]["agent"]
    assert defaults["algorithm"] == "my_methods.QuietSAC"
    assert defaults["policy_kwargs"]["features_extractor_class"] == "my_methods.Embedding"
    assert "learning_rate" not in defaults


def test_the_agent_is_one_of_ones_own(project: Path) -> None:
    card = (project / STUDY / "agent/README.md").read_text()
    assert "from my_methods import QuietSAC\n\nenv = gymnasium.make(" in card
    said = (project / STUDY / "agent/hyperparams.yml").read_text()
    assert "cannot train this setting: its files have no way to say my_methods.QuietSAC" in said
    follow(project, "PYTHONPATH=. python path/to/sidewinder/scripts/enjoy.py results/tiny/agent --no-render")


@pytest.mark.parametrize(
    ("package", "tracker"),
    [
        ("wandb", "{_target_:wandb_tracker.Wandb,project:quiet}"),
        ("mlflow", "{_target_:mlflow_tracker.Mlflow,experiment:quiet}"),
    ],
)
def test_trackers_offline(package: str, tracker: str, project: Path) -> None:
    pytest.importorskip(package)  # pip install wandb mlflow-skinny
    short = ["training.total_timesteps=150", "evaluation.eval_freq=50", "evaluation.n_eval_episodes=1"]
    offline = "WANDB_MODE=offline MLFLOW_TRACKING_URI=sqlite:///mlflow.db "
    command, directory = offline + DOCUMENT.commands()[0], f"hydra.run.dir=tracked_{package}"
    follow(project, command, directory, *short, f"training.trackers=[{tracker}]")
    written = {"wandb": "wandb/offline-run-*/*.wandb", "mlflow": "mlflow.db"}
    assert list(project.glob(written[package]))
