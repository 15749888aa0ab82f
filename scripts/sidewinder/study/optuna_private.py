"""Private parts of Optuna without a public way; tests/test_optuna_private.py fails if they change."""

import optuna
from optuna.storages import BaseStorage


def storage_of(study: optuna.Study) -> BaseStorage:
    """The storage that a study reads from.

    For a relational database, Optuna wraps it in a cache of the trials that have ended: reading thousands of them takes
    seconds.
    """
    return study._storage  # noqa: SLF001
