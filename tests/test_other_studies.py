"""The best trials of other studies as a study's first ones: Sidewinder's by their files, and Optuna's."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from sidewinder import SidewinderError
from sidewinder.config.composition import compose_study
from sidewinder.config.study_config import StudyConfig

SPACE = [
    "study=plain",
    "agent=ppo",
    "environment=cartpole",
    "search_space={agent.gamma: 'interval(0.9,1)', agent.policy_kwargs.net_arch: 'choice(s,m)', "
    "agent.n_steps: 'range(8,64)'}",
]
TRIALS = [
    ("complete", 10.0, {"agent.gamma": 0.95, "agent.policy_kwargs.net_arch": "m", "agent.n_steps": 16}),
    ("complete", 30.0, {"agent.gamma": 0.99, "agent.policy_kwargs.net_arch": "[64,64]", "+agent.n_steps": 32}),
    ("pruned", None, {"agent.gamma": 0.92}),
    ("complete", 20.0, {"agent.gamma": 0.5, "agent.learning_rate": 0.1}),
]
# The best trials, as values of this search space, from the best on. The second has no value that is in the space.
BEST = [
    {"agent.gamma": 0.99, "agent.policy_kwargs.net_arch": "s", "agent.n_steps": 32},
    {},
    {"agent.gamma": 0.95, "agent.policy_kwargs.net_arch": "m", "agent.n_steps": 16},
]


def enqueued(*entries: object, directory: Path | None = None) -> list[dict[str, Any]]:
    written = ",".join(map(_in_hydras_grammar, entries))
    return compose_study("x", [*SPACE, f"study.enqueue=[{written}]"], directory=directory).study.enqueue


def _in_hydras_grammar(entry: object) -> str:
    if isinstance(entry, dict):
        return f"{{{','.join(f'{key}:{_in_hydras_grammar(value)}' for key, value in entry.items())}}}"
    return f"'{entry}'" if isinstance(entry, str) else str(entry)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The directory of a Sidewinder study."""
    directory = tmp_path / "results/old"
    for number, (state, objective, params) in enumerate(TRIALS):
        path = directory / f"trials/{number}/result.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"number": number, "state": state, "objective": objective, "params": params}))
    (directory / "config.yaml").write_text("study: {direction: maximize, n_trials: 4}\n")
    (directory / "best.yaml").write_text(yaml.safe_dump({"winner": {"trial": 0, "params": TRIALS[0][2]}}))
    return directory


def test_the_best_trials_of_a_study_of_ours(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enqueued({"study": str(old), "best": 5}) == BEST
    assert enqueued({"study": str(old)}) == BEST[:1]
    said = capsys.readouterr().err
    assert f"study.enqueue[0]: trial 3 of {old}: agent.gamma: found 0.5, accepted: interval(0.9,1); left to the" in said
    assert "agent.n_steps: found no value; left to the sampler" in said
    (old / "config.yaml").write_text("study: {direction: [minimize, maximize], n_trials: 4}\n")
    assert enqueued({"study": str(old)}) == BEST[2:]


def test_a_winner(old: Path) -> None:
    assert enqueued(str(old / "best.yaml"), "defaults")[0] == BEST[2]


@pytest.mark.parametrize("journal", [False, True])
def test_a_study_of_optunas(journal: bool, tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    storage: Any = JournalStorage(JournalFileBackend(str(file))) if journal else f"sqlite:///{file}"
    study = optuna.create_study(storage=storage, study_name="theirs", direction="minimize")
    for value, gamma in ((2.0, 0.91), (1.0, 0.98)):
        trial = study.ask()
        trial.suggest_float("gamma", gamma, gamma)
        trial.suggest_categorical("agent.policy_kwargs.net_arch", ["m"])
        study.tell(trial, value)
    study.enqueue_trial({"gamma": 0.97})
    where = str(file) if journal else f"sqlite:///{file}"
    found = enqueued({"optuna": where, "name": "theirs", "best": 2})
    assert found == [{"agent.gamma": gamma, "agent.policy_kwargs.net_arch": "m"} for gamma in (0.98, 0.91)]


def test_what_trials_began_from_stays_so(old: Path, tmp_path: Path) -> None:
    directory = tmp_path / "results/x"
    overrides = [*SPACE, f"study.enqueue=[{{study:'{old}'}}]"]
    first = compose_study("x", overrides, directory=directory)
    assert first.study.enqueue == BEST[:1]
    better = {"number": 2, "state": "complete", "objective": 99.0, "params": {"agent.gamma": 0.91}}
    (old / "trials/2/result.json").write_text(json.dumps(better))
    directory.mkdir()
    (directory / "config.yaml").write_text(first.dump())
    # As long as the study has no trials, the entry is read again.
    assert compose_study("x", overrides, directory=directory).study.enqueue == [{"agent.gamma": 0.91}]
    (directory / "trials/0").mkdir(parents=True)
    (directory / "trials/0/result.json").write_text("{}")
    again = compose_study("x", overrides, directory=directory)
    assert again.study.enqueue == BEST[:1]
    assert again.digest() == first.digest()
    # Another entry makes another study.
    other = compose_study("x", [*SPACE, f"study.enqueue=[{{study:'{old}',best:2}}]"], directory=directory)
    assert other.study.enqueue[0] == {"agent.gamma": 0.91}
    assert StudyConfig.load(directory / "config.yaml").study.enqueued_from == first.study.enqueued_from


def test_no_password_is_on_record() -> None:
    config = compose_study("x", [*SPACE, "study.enqueue=[defaults]"])
    assert config.study.enqueued_from is None
    with pytest.raises(SidewinderError, match=r"study\.enqueue\[0\]: found '.*\*\*\*@nowhere"):
        enqueued({"optuna": "postgresql://me:secret@nowhere/db", "name": "theirs"})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"study": "results/none"},
            "study.enqueue[0]: found 'results/none' without a config.yaml, accepted: ",
        ),
        ({"study": "results/none", "best": 0}, "accepted: {study: results/<study>, best: 5}"),
        ({"study": "results/none", "worst": 1}, "accepted: {study: results/<study>, best: 5}"),
        ("none/best.yaml", "none/best.yaml"),
        (
            {"optuna": "none.log", "name": "x"},
            "study.enqueue[0]: found 'none.log', 'x' (no file none.log), accepted",
        ),
        ({"optuna": "sqlite://", "name": "x"}, "study.enqueue[0]: found 'sqlite://', 'x'"),
    ],
)
def test_mistakes_in_other_studies(entry: object, message: str) -> None:
    with pytest.raises(SidewinderError) as caught:
        enqueued(entry)
    assert message in str(caught.value)


def test_a_study_without_complete_trials(old: Path) -> None:
    for number in (0, 1, 3):
        failed: dict[str, Any] = {"number": number, "state": "failed", "objective": None, "params": {}}
        (old / f"trials/{number}/result.json").write_text(json.dumps(failed))
    with pytest.raises(SidewinderError, match="which has no complete trial"):
        enqueued({"study": str(old)})


def test_a_study_that_has_not_ended(old: Path) -> None:
    (old / "trials/2/result.json").unlink()
    with pytest.raises(SidewinderError, match=r"without 1 of its 4 trials, accepted: a study whose sweep has ended"):
        enqueued({"study": str(old)})
