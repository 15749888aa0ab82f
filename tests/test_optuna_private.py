"""Optuna's private names that Sidewinder uses still work as it needs them."""

from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from optuna.trial import create_trial

from sidewinder.study.optuna_private import storage_of


def test_a_study_reads_a_trial_that_has_ended_once(tmp_path: Path) -> None:
    """Otherwise thousands of trials would be read, and their seals checked, for each new trial."""
    rdb = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    study = optuna.create_study(storage=rdb, study_name="kept")
    study.add_trial(create_trial(value=1.0))
    storage, study_id = storage_of(study), rdb.get_study_id_from_name("kept")

    def read(storage: optuna.storages.BaseStorage) -> optuna.trial.FrozenTrial:
        (trial,) = storage.get_all_trials(study_id, deepcopy=False)
        return trial

    assert read(storage) is read(storage)
    assert read(rdb) is not read(rdb)
    rdb.engine.dispose()
