"""A study in PostgreSQL, MySQL or Optuna's journal gives the same bytes as in SQLite. Its credentials stay secret."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import servers
from asking import ASK_ALL, answers
from filelock import Timeout
from made_once import made_once
from made_up_studies import PRUNERS, SAMPLERS, run_study
from tiny_study import SWEEP, new_study, run, snakemake, sweep

from sidewinder import SidewinderError, locks
from sidewinder.config.study_config import StudyConfig
from sidewinder.locks import file_lock
from sidewinder.results import Result, result_path
from sidewinder.study.databases import database_of
from sidewinder.study.study import Study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
MakeConfig = Callable[..., StudyConfig]


def running(server: str) -> Iterator[str]:
    if reason := servers.missing(server):
        pytest.skip(reason)
    with servers.running(server) as url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("DB_USER", servers.USER)
        environment.setenv("DB_PASSWORD", servers.PASSWORD)
        yield url


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    yield from running("postgresql")


@pytest.fixture(scope="module")
def mysql() -> Iterator[str]:
    yield from running("mysql")


@pytest.fixture(params=["postgresql", "mysql"])
def server(request: pytest.FixtureRequest) -> str:
    """The URL of a database on a server."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture(params=["postgresql", "mysql", "journal", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """`study.storage` for each kind of database except the default."""
    local = {"journal": "journal", "sqlite": f"sqlite:///{tmp_path}/studies.db"}
    url: str = local.get(request.param) or request.getfixturevalue(request.param)
    return url


def in_storage(config: StudyConfig, storage: str | None) -> StudyConfig:
    return StudyConfig.model_validate(
        {**config.model_dump(), "study": {**config.study.model_dump(), "storage": storage}}
    )


def made(directory: Path, config: StudyConfig) -> Path:
    directory.mkdir()
    (directory / "config.yaml").write_text(config.dump())
    return directory


def test_the_same_bytes_as_in_sqlite(
    storage: str, study_config: MakeConfig, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> None:
    config = study_config(
        "study.n_trials=12", "study.workers=3", sampler=SAMPLERS["cmaes"], pruner=PRUNERS["hyperband"]
    )

    def make(directory: Path) -> None:
        run_study(directory, config, cores=1, shuffle=0)

    in_sqlite = made_once("in_sqlite", make, tmp_path_factory, worker_id)
    expected = {number: result_path(in_sqlite, number).read_bytes() for number in range(12)}
    elsewhere = in_storage(config, storage)
    assert run_study(tmp_path / "elsewhere", elsewhere, cores=4, shuffle=1) == expected
    assert not (tmp_path / "elsewhere/study.db").exists()
    # Another study of the same name, in the same database.
    other = in_storage(study_config("study.n_trials=3", "study.seed=1", sampler=SAMPLERS["random"]), storage)
    run_study(tmp_path / "other", other, cores=2, shuffle=0)
    with database_of(tmp_path / "elsewhere", elsewhere).open() as (there, study_id):
        states = [trial.state for trial in there.get_all_trials(study_id)]
    assert len(states) == 12


@pytest.mark.parametrize("storage", ["postgresql", "journal"], indirect=True)
def test_64_processes_ask_at_once(storage: str, study_config: MakeConfig, tmp_path: Path) -> None:
    config = study_config("study.n_trials=64", "study.workers=64", sampler=SAMPLERS["tpe"])
    asked = answers(made(tmp_path / "elsewhere", in_storage(config, storage)), 64)
    alone = Study(made(tmp_path / "alone", config), config)
    assert asked == {number: alone.ask(number).params for number in range(64)}


def test_a_kill_while_asking(storage: str, study_config: MakeConfig, tmp_path: Path) -> None:
    config = study_config("study.n_trials=16", "study.workers=16", sampler=SAMPLERS["qmc"])
    elsewhere, moments = in_storage(config, storage), random.Random(0)
    directory, codes = made(tmp_path / "elsewhere", elsewhere), list[int]()
    # A kill that comes too late, when all have asked, does not count.
    while codes.count(-signal.SIGKILL) < 4:
        assert len(codes) < 12
        with subprocess.Popen(
            [*ASK_ALL, str(directory), "16"], stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moments.uniform(0, 0.1))
            os.killpg(process.pid, signal.SIGKILL)
        codes.append(process.returncode)
    assert set(codes) <= {0, -signal.SIGKILL}
    alone, again = Study(made(tmp_path / "alone", config), config), Study(directory, elsewhere)
    assert [again.ask(number).params for number in range(16)] == [alone.ask(number).params for number in range(16)]


@pytest.mark.parametrize("content", ["", "host"])
def test_a_lease_of_one_who_is_gone(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease ends if its holder was killed before it wrote its name, or was on another machine, where its death
    cannot be seen."""
    monkeypatch.setattr(locks, "_LEASE", 2.0)
    path = tmp_path / "lock"
    with file_lock(path, "journal"):
        record = path.read_text()
        assert socket.gethostname() in record
        with pytest.raises(Timeout):
            locks._Lease(path, lease_duration=2.0).acquire(timeout=3)
    started = time.monotonic()
    path.write_text(record.replace(socket.gethostname(), "elsewhere") if content else "")
    with pytest.raises(Timeout):
        file_lock(path, "journal").acquire(timeout=0)
    with file_lock(path, "journal").acquire(timeout=30):
        assert time.monotonic() - started > 1
        assert socket.gethostname() in path.read_text()


def test_a_lost_database(server: str, study_config: MakeConfig, tmp_path: Path) -> None:
    config = in_storage(study_config("study.n_trials=10", "study.workers=2", sampler=SAMPLERS["tpe"]), server)
    run_study(tmp_path, config, cores=2, shuffle=0)
    lasting = Study(tmp_path, config)
    following = lasting.ask(10).params
    database = database_of(tmp_path, config)
    with database.open() as (storage, study_id):
        storage.delete_study(study_id)
    # One process makes it again. The other, which had read the lost one, finds it.
    assert Study(tmp_path, config).ask(10).params == following
    assert lasting.ask(10).params == following
    Result.load(result_path(tmp_path, 4)).model_copy(update={"number": 3}).save(result_path(tmp_path, 3))
    with database.open() as (storage, study_id):
        storage.delete_study(study_id)
    with pytest.raises(SidewinderError, match=r"trials/3/result.json: params: found .*, accepted: "):
        Study(tmp_path, config).ask(10)


def test_a_damaged_journal_is_rebuilt(study_config: MakeConfig, tmp_path: Path) -> None:
    config = in_storage(study_config("study.n_trials=6", "study.workers=2", sampler=SAMPLERS["tpe"]), "journal")
    run_study(tmp_path, config, cores=1, shuffle=0)
    following = Study(tmp_path, config).ask(6).params
    journal = tmp_path / "study.journal"
    journal.write_bytes(journal.read_bytes()[:-30])
    assert Study(tmp_path, config).ask(6).params == following
    assert (tmp_path / "study.journal.set-aside").exists()


@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_a_whole_sweep_and_its_secret(server: str, undisturbed: Path, tmp_path: Path) -> None:
    """The bytes are the same, and the password is in no file and not in the output."""
    done = run(snakemake(new_study(tmp_path, f'study.storage="{server}"'), "--verbose", SWEEP))
    assert done.returncode == 0, done.stderr
    assert sweep(tmp_path) == sweep(undisturbed)
    assert not (tmp_path / "results/tiny/study.db").exists()
    assert "${oc.env:DB_PASSWORD}" in (tmp_path / "results/tiny/config.yaml").read_text()
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    written[Path("screen")] = (done.stdout + done.stderr).encode()
    assert not [path for path, text in written.items() if servers.PASSWORD.encode() in text]


def test_errors_of_a_server(
    server: str, study_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def error(url: str) -> str:
        with pytest.raises(SidewinderError) as error:
            Study(tmp_path, in_storage(study_config(), url)).ask(0)
        return str(error.value)

    where = server.partition(":")[0]
    closed = error(server.replace("127.0.0.1", "127.0.0.2"))
    monkeypatch.setenv("DB_PASSWORD", "another-secret")
    refused = error(server)
    monkeypatch.delenv("DB_PASSWORD")
    unset = error(server)
    for found in (closed, refused):
        assert f"study.storage: found {where}://tuner:***@127.0.0." in found
        assert "accepted: a database that can be reached" in found
        assert "secret" not in found
        assert "\n" not in found
    assert "accepted: variables that are set" in unset
    assert "DB_PASSWORD" in unset
