"""Reading all trials at once gives the trials that Optuna reads, on each kind of database."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import pytest
import servers
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from sidewinder.study.fast_reading import FastStorage
from sidewinder.study.optuna_private import storage_of


def with_all_kinds_of_rows(storage: RDBStorage) -> int:
    """Make a study with a trial of each state, and with values and reports that are no numbers; and another study."""
    choices: dict[str, BaseDistribution] = {"agent.net": CategoricalDistribution(["s", None, 2, True, 0.5])}
    space = choices | {"agent.gamma": FloatDistribution(0.1, 1.0, log=True), "agent.n": IntDistribution(2, 8, step=2)}
    study = optuna.create_study(storage=storage, study_name="one", directions=["maximize", "minimize"])
    for value in (1.5, float("inf"), float("-inf")):
        params = {"agent.gamma": 0.3, "agent.n": 4, "agent.net": None}
        attrs = {"state": "complete", "reason": None, "deep": {"a": [1, 2.5, "ä"]}}
        reports = {3: value, 1: float("nan"), 2: -1.0}
        made = create_trial(
            values=[value, 0.0],
            params=params,
            distributions=space,
            user_attrs=attrs,
            system_attrs=attrs,
            intermediate_values=reports,
        )
        study.add_trial(made)
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.ask(choices)
    study.enqueue_trial({"agent.n": 2})
    optuna.create_study(storage=storage, study_name="other").add_trial(create_trial(value=7.0))
    return storage.get_study_id_from_name("one")


def assert_reads_as_optuna(url: str) -> None:
    own, fast = RDBStorage(url), FastStorage(url)
    study_id = with_all_kinds_of_rows(own)
    expected, found = (list(map(vars, storage.get_all_trials(study_id))) for storage in (own, fast))
    assert len(found) == 6
    # Compared as texts: NaN does not equal itself, and types count too. Reports have no order.
    for trial in (*expected, *found):
        trial["intermediate_values"] = dict(sorted(trial["intermediate_values"].items()))
    assert list(map(repr, found)) == list(map(repr, expected))
    for storage in (own, fast):
        storage.engine.dispose()


def test_sqlite(tmp_path: Path) -> None:
    assert_reads_as_optuna(f"sqlite:///{tmp_path / 'study.db'}")


@pytest.mark.slow
@pytest.mark.parametrize("server", ["postgresql", "mysql"])
def test_servers(server: str) -> None:
    if reason := servers.missing(server):
        pytest.skip(reason)
    with servers.running(server) as url:
        written = url.replace("${oc.env:DB_USER}", servers.USER)
        assert_reads_as_optuna(written.replace("${oc.env:DB_PASSWORD}", quote(servers.PASSWORD, safe="")))


def test_optuna_reads_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first read takes all trials at once. Later reads of new trials are Optuna's own."""
    calls: list[int] = []
    read = RDBStorage._get_trials  # noqa: SLF001

    def counted(*given: Any) -> Any:
        calls.append(given[-1])
        return read(*given)

    monkeypatch.setattr(RDBStorage, "_get_trials", counted)
    study = optuna.create_study(storage=FastStorage(f"sqlite:///{tmp_path / 'study.db'}"))
    for value in (1.0, 2.0):
        study.add_trial(create_trial(value=value))
    storage = storage_of(study)
    assert [len(storage.get_all_trials(1)) for _ in range(2)] == [2, 2]
    assert calls == [2], "Optuna read all trials itself"
    study.add_trial(create_trial(value=3.0))
    assert len(storage.get_all_trials(1)) == 3
