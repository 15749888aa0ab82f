"""Reads the best trials of other studies, Sidewinder's or Optuna's, which entries of `study.enqueue` name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sidewinder import SidewinderError
from sidewinder.errors import first_line
from sidewinder.files import reading

_ACCEPTED = "{study: results/<study>, best: 5}, {optuna: sqlite:///study.db, name: my_study, best: 5} or a best.yaml"


def is_of_another(entry: object) -> bool:
    """Whether an entry of `study.enqueue` names another study, or the best.yaml of one."""
    return (isinstance(entry, Mapping) and not {"study", "optuna"}.isdisjoint(entry)) or (
        isinstance(entry, str) and entry.endswith((".yaml", ".yml"))
    )


def best_of(where: str, entry: Any) -> list[tuple[str, dict[str, Any]]]:
    """Read the parameters of another study's best trials, the best trial first.

    Args:
        where: The entry's key, for errors.
        entry: An entry for which `is_of_another` is true. Its `best` says how many trials, by default 1.

    Returns:
        A readable name and the Optuna parameters of each trial.

    Raises:
        SidewinderError: The entry is malformed, the study cannot be read, or it has no complete trial.
    """
    if isinstance(entry, str):
        return [(entry, _of_winner(where, Path(entry)))]
    source = "study" if "study" in entry else "optuna"
    extra = entry.keys() - {source, "best", *(["name"] if source == "optuna" else [])}
    number = entry.get("best", 1)
    if extra or not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise SidewinderError(f"{where}: found {dict(entry)}, accepted: {_ACCEPTED}")
    found = (
        _of_study(where, Path(str(entry["study"])))
        if source == "study"
        else _of_optuna(where, str(entry["optuna"]), entry.get("name"))
    )
    if not found:
        raise SidewinderError(f"{where}: found {dict(entry)}, which has no complete trial, accepted: {_ACCEPTED}")
    return found[:number]


def _of_winner(where: str, path: Path) -> dict[str, Any]:
    with reading(path, "`snakemake` makes a study's best.yaml"):
        content = yaml.safe_load(path.read_text())
        params: Any = content["winner"]["params"]
    if not isinstance(params, dict):
        raise SidewinderError(f"{where}: found {str(path)!r}, accepted: a study's best.yaml")
    return params


def _of_study(where: str, directory: Path) -> list[tuple[str, dict[str, Any]]]:
    """Complete trials of a Sidewinder study, from its files. The first objective says which trial is better."""
    config = directory / "config.yaml"
    if not config.is_file():
        raise SidewinderError(f"{where}: found {str(directory)!r} without a config.yaml, accepted: results/<study>")
    with reading(config, "`snakemake` makes it"):
        settings = yaml.safe_load(config.read_text())["study"]
        direction, n_trials = settings["direction"], int(settings["n_trials"])
    paths = [directory / f"trials/{number}/result.json" for number in range(n_trials)]
    if missing := [path for path in paths if not path.is_file()]:
        # While the sweep runs, the best trials change, and with them the starting points.
        found = f"found {str(directory)!r} without {len(missing)} of its {n_trials} trials"
        raise SidewinderError(f"{where}: {found}, accepted: a study whose sweep has ended")
    sign = -1 if "maximize" in (direction, direction[0]) else 1
    complete = []
    for path in paths:
        with reading(path, "`snakemake` makes it"):
            result = json.loads(path.read_bytes())
            if result["state"] == "complete":
                complete.append((sign * result["objective"], result["number"], result["params"]))
    return [
        (f"trial {number} of {directory}", params) for _, number, params in sorted(complete, key=lambda one: one[:2])
    ]


def _of_optuna(where: str, storage: str, name: Any) -> list[tuple[str, dict[str, Any]]]:
    """Complete trials of an Optuna study. `storage` is a URL or the file of a journal."""
    # Imported late, because it takes a second and most studies do not need it.
    import optuna
    from optuna.storages import BaseStorage, JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        if "://" in storage:
            found: str | BaseStorage = storage
        elif Path(storage).is_file():
            found = JournalStorage(JournalFileBackend(storage))
        else:
            raise FileNotFoundError(f"no file {storage}")
        study = optuna.load_study(study_name=name, storage=found)
        minimized = study.directions[0] is optuna.study.StudyDirection.MINIMIZE
        trials = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    except Exception as error:  # each database raises exceptions of its own
        accepted = "a URL or the file of a journal, and the name of a study in it"
        raise SidewinderError(
            f"{where}: found {storage!r}, {name!r} ({first_line(error)}), accepted: {accepted}"
        ) from None
    trials.sort(key=lambda trial: trial.values[0] if minimized else -trial.values[0])
    return [(f"trial {trial.number} of {study.study_name}", dict(trial.params)) for trial in trials]
