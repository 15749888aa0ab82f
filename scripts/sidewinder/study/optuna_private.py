"""What Optuna keeps private and gives no other way to; tests/test_optuna_private.py watches it."""

import optuna
from optuna.storages import BaseStorage


def storage_of(study: optuna.Study) -> BaseStorage:
    """What a study reads from. Around a relational database, it is one of Optuna's that keeps the trials that have
    ended: thousands of them take seconds to read."""
    return study._storage  # noqa: SLF001
