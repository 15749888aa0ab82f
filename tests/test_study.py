"""A study's suggestions depend on its config and its results only, not on how it is executed."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from asking import ASK_EACH, answers
from made_once import made_once
from made_up_studies import DISCRETE, PRUNERS, SAMPLERS, run_study, run_trial, training

from sidewinder import SidewinderError
from sidewinder.config.study_config import StudyConfig
from sidewinder.results import Result, result_path
from sidewinder.study import progress
from sidewinder.study.study import NotYetError, Study

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
MakeConfig = Callable[..., StudyConfig]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [("tpe independent", "successive_halving"), ("cmaes", "hyperband"), ("tpe independent", "none")],
)
def test_the_virtual_clock_does_not_depend_on_execution(
    sampler: str, pruner: str, study_config: MakeConfig, lose_database: Callable[[Path], None], tmp_path: Path
) -> None:
    """There are fewer or more real workers than virtual ones. If all trials have the same work, it equals `window`."""
    virtual = ["study.n_trials=14", "study.workers=3"]
    # Parameters that do not change the cost of a step.
    space = {"agent.gamma": "interval(0.0, 1.0)", "agent.tau": "tag(log, interval(0.001, 1.0))"}
    settings: dict[str, Any] = {"search_space": space, "sampler": SAMPLERS[sampler], "pruner": PRUNERS[pruner]}
    config = study_config(*virtual, **settings)
    alone = run_study(tmp_path / "1", config, cores=1, shuffle=0)
    for cores in (2, 6):
        assert run_study(tmp_path / f"{cores}", config, cores=cores, shuffle=cores) == alone
    # A database that is made again from the files gives the same next trial.
    again = Study(tmp_path / "6", config).ask(14).params
    lose_database(tmp_path / "1")
    assert Study(tmp_path / "1", config).ask(14).params == again
    states = [json.loads(result)["state"] for result in alone.values()]
    assert ("pruned" in states) == (pruner != "none")
    if sampler == "tpe independent":
        window = study_config("study.n_trials=14", "study.schedule=window", "study.window=3", **settings)
        other = run_study(tmp_path / "window 1", window, cores=1, shuffle=0)
        assert run_study(tmp_path / "window 5", window, cores=5, shuffle=1) == other
        differ = [json.loads(alone[n])["params"] != json.loads(other[n])["params"] for n in alone]
        assert any(differ) == (pruner != "none")


def test_a_virtual_view_waits_for_what_it_may_see(study_config: MakeConfig, tmp_path: Path) -> None:
    study = Study(tmp_path, study_config("study.workers=2", "pruner=median", sampler=SAMPLERS["random"]))
    first, second = training(study, 0), training(study, 1)
    next(first)
    next(second)
    with pytest.raises(NotYetError, match=r"waiting for trials \[0, 1\]"):
        study.ask(2)
    # The first trial ends. The second has run less, and may still end before it.
    list(first)
    with pytest.raises(NotYetError, match=r"waiting for trials \[1\]"):
        study.ask(2)
    progress.note_progress(result_path(tmp_path, 1), 9)
    # Now the second cannot end before the first, so trial 2 starts where the first has ended.
    assert study.ask(2).number == 2
    with pytest.raises(NotYetError, match=r"waiting for trials \[1, 2\]"):
        study.ask(3)
    list(second)
    assert study.ask(3).number == 3


def test_a_result_removed_while_it_is_attached(study_config: MakeConfig, tmp_path: Path) -> None:
    """Snakemake removes the outputs of a killed job, even if another process has just made them."""
    config = study_config("study.workers=2", "pruner=median", sampler=SAMPLERS["random"])
    attrs = []
    for name in ("kept", "removed"):
        study = Study(_directory(tmp_path / name), config)
        result = run_trial(study, 0, tell=False)()
        files = [result_path(study.directory, 0), result_path(study.directory, 0).with_name("progress.json")]
        query = "SELECT 1 FROM trial_intermediate_values"

        def remove(
            database: Path = study.directory / "study.db", files: list[Path] = files, query: str = query
        ) -> None:
            with closing(sqlite3.connect(database)) as reader:
                while not reader.execute(query).fetchone():
                    time.sleep(0.0001)
            for path in files:
                path.unlink()

        if name == "removed":
            remover = threading.Thread(target=remove)
            remover.start()
            study.tell(result)
            remover.join()
        else:
            study.tell(result)
        attrs.append(
            optuna.load_study(study_name="made_up", storage=f"sqlite:///{study.directory}/study.db")
            .trials[0]
            .system_attrs
        )
    assert attrs[0] == attrs[1]


@pytest.mark.slow
def test_plain_optuna_does_depend_on_execution(study_config: MakeConfig, tmp_path: Path) -> None:
    """The comparison above can fail: if no trial sees a result, TPE suggests other parameters."""
    narrow = study_config("study.n_trials=16", "study.workers=1", sampler=SAMPLERS["tpe"])
    wide = study_config("study.n_trials=16", "study.workers=16", sampler=SAMPLERS["tpe"])
    params = [
        [json.loads(result)["params"] for result in run_study(tmp_path / name, config, cores=1, shuffle=0).values()]
        for name, config in (("narrow", narrow), ("wide", wide))
    ]
    assert params[0][:3] == params[1][:3]
    assert params[0][4:] != params[1][4:]


@pytest.mark.slow
def test_one_virtual_worker_is_plain_sequential_optuna(study_config: MakeConfig, tmp_path: Path) -> None:
    """Grid and QMC have one seed per study, as in Optuna: no point is made twice, none is left out."""
    config = study_config("study.n_trials=18", "study.workers=4", sampler=SAMPLERS["grid"], search_space=DISCRETE)
    results = run_study(tmp_path / "grid", config, cores=3, shuffle=1)
    points = {json.dumps(json.loads(result)["params"]) for result in results.values()}
    assert len(points) == 3 * 3 * 2

    space = {"agent.gamma": "interval(0.0, 1.0)", "agent.tau": "interval(0.0, 1.0)"}
    config = study_config("study.n_trials=17", "study.workers=1", sampler=SAMPLERS["qmc"], search_space=space)
    ours = [json.loads(r)["params"] for r in run_study(tmp_path / "qmc", config, cores=1, shuffle=1).values()]
    quarters = {(int(p["agent.gamma"] * 4), int(p["agent.tau"] * 4)) for p in ours[1:]}
    # 16 points of a Sobol sequence fall into 16 different cells (the first trial, before any result, is random).
    assert len(quarters) == 16


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "processes"), [("tpe", 14), ("cmaes", 14), ("nsgaii", 14), ("qmc", 14), ("tpe", 2)]
)
def test_a_lost_database_changes_nothing(
    sampler: str,
    processes: int,
    study_config: MakeConfig,
    lose_database: Callable[[Path], None],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
) -> None:
    """Each trial has its own Study object, as in separate processes, or two objects with their caches share all."""
    config = study_config("study.n_trials=14", "study.workers=3", "pruner=median", sampler=SAMPLERS[sampler])

    def make(directory: Path) -> None:
        run_study(directory, config, cores=1, shuffle=0)

    undisturbed = made_once(f"no_database_lost_{sampler}", make, tmp_path_factory, worker_id)
    directory = tmp_path / "disturbed"
    directory.mkdir()
    studies = [Study(directory, config) for _ in range(processes)]
    for number in range(14):
        finish = run_trial(studies[number % processes], number)
        # The database is lost once while a trial trains and once between trials.
        if number == 4:
            lose_database(directory)
        finish()
        # A database that another process has made again is not taken for damaged.
        assert not (directory / "study.db.set-aside").exists()
        if number == 9:
            lose_database(directory)
    made, expected = (
        {number: result_path(study, number).read_bytes() for number in range(14)} for study in (directory, undisturbed)
    )
    assert made == expected


@pytest.mark.slow
def test_a_damaged_database_is_rebuilt_and_kept_aside(study_config: MakeConfig, tmp_path: Path) -> None:
    config = study_config("study.n_trials=6", "study.workers=2", sampler=SAMPLERS["tpe"])
    undisturbed = run_study(tmp_path / "undisturbed", config, cores=1, shuffle=0)
    for name, damage in (("truncated", 20_000), ("garbage", 0)):
        directory = tmp_path / name
        run_study(
            directory, study_config("study.n_trials=4", "study.workers=2", sampler=SAMPLERS["tpe"]), cores=1, shuffle=0
        )
        database = directory / "study.db"
        intact = database.read_bytes()
        database.write_bytes(intact[:damage] + b"not a database" * 100)
        for number in (4, 5):
            run_trial(Study(directory, config), number)()
        assert {number: result_path(directory, number).read_bytes() for number in range(6)} == undisturbed
        assert (directory / "study.db.set-aside").read_bytes().endswith(b"not a database")
        study = optuna.load_study(study_name="made_up", storage=f"sqlite:///{database}")
        assert [trial.state.is_finished() for trial in study.trials] == [True] * 6


def test_a_result_of_another_study_is_refused(
    study_config: MakeConfig, lose_database: Callable[[Path], None], tmp_path: Path
) -> None:
    config = study_config("study.n_trials=4", "study.workers=1", sampler=SAMPLERS["tpe"])
    run_study(tmp_path, config, cores=1, shuffle=0)
    path = result_path(tmp_path, 1)
    result = Result.load(path)
    result.params["agent.gamma"] /= 2
    result.save(path)
    lose_database(tmp_path)
    with pytest.raises(SidewinderError, match=r"trials/1/result.json: params: found .* accepted: .*") as error:
        Study(tmp_path, config).ask(4)
    assert "\n" not in str(error.value)


def test_the_database_is_what_optuna_dashboard_reads(study_config: MakeConfig, tmp_path: Path) -> None:
    window = ["study.schedule=window", "study.window=3"]
    config = study_config("study.n_trials=12", *window, "pruner=median", sampler=SAMPLERS["tpe"])
    results = [json.loads(raw) for raw in run_study(tmp_path, config, cores=2, shuffle=3).values()]
    Study(tmp_path, config).ask(12 + 2)  # its view has all 12, so all are put into the database
    trials = optuna.load_study(study_name="made_up", storage=f"sqlite:///{tmp_path}/study.db").trials[:12]
    assert [trial.params for trial in trials] == [result["params"] for result in results]
    assert [trial.state.name == "COMPLETE" for trial in trials] == [result["state"] == "complete" for result in results]
    for trial, result in zip(trials, results, strict=True):
        assert list(trial.intermediate_values.values()) == [e["mean_return"] for e in result["evaluations"]]
        if result["state"] == "complete":
            assert trial.value == result["objective"]


def test_too_many_failures_stop_the_study(study_config: MakeConfig, tmp_path: Path) -> None:
    config = study_config(
        "study.n_trials=10", "study.workers=1", "study.max_failure_rate=0.2", sampler=SAMPLERS["random"]
    )
    for number in range(3):
        result = run_trial(Study(tmp_path, config), number, tell=False)()
        failed = result.model_copy(update={"state": "failed", "objective": None, "reason": f"nan in trial {number}"})
        failed.save(result_path(tmp_path, number))
        Study(tmp_path, config).tell(failed)
    with pytest.raises(SidewinderError, match=r"max_failure_rate: found 3 failed trials of 10.*nan in trial 2"):
        Study(tmp_path, config).ask(3)
    # A failed trial has no objective. To the sampler it is a pruned one, the worst of all.
    trials = optuna.load_study(study_name="made_up", storage=f"sqlite:///{tmp_path}/study.db").trials
    assert [trial.state.name for trial in trials[:3]] == ["PRUNED"] * 3


@pytest.mark.slow
def test_a_kill_while_asking_leaves_nothing_half_done(study_config: MakeConfig, tmp_path: Path) -> None:
    """Processes are killed at random moments while they ask. Asking again gives what an undisturbed study gives."""
    config = study_config("study.n_trials=6", "study.workers=6", sampler=SAMPLERS["qmc"])
    directory = tmp_path / "killed"
    directory.mkdir()
    (directory / "config.yaml").write_text(config.dump())
    undisturbed = Study(_directory(tmp_path / "undisturbed"), config)
    database, codes = directory / "study.db", set()
    moments = random.Random(0)
    with subprocess.Popen(
        [*ASK_EACH, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as asker:
        assert asker.stdin is not None
        assert asker.stdout is not None
        for number in [number for number in range(6) for _ in range(3)]:
            before = database.stat().st_mtime_ns if database.exists() else 0
            print(number, file=asker.stdin, flush=True)
            process = int(asker.stdout.readline())
            # Wait for its first write to the database.
            while psutil.pid_exists(process) and not (database.exists() and database.stat().st_mtime_ns > before):
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.1))
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            codes.add(int(asker.stdout.readline()))
    assert codes == {0, -signal.SIGKILL}
    for number in range(6):
        assert Study(directory, config).ask(number).params == undisturbed.ask(number).params


@pytest.mark.slow
def test_32_processes_ask_at_once(study_config: MakeConfig, tmp_path: Path) -> None:
    config = study_config("study.n_trials=32", "study.workers=32", sampler=SAMPLERS["tpe"])
    (tmp_path / "config.yaml").write_text(config.dump())
    asked = answers(tmp_path, 32)
    assert sorted(asked) == list(range(32))
    trials = optuna.load_study(study_name="made_up", storage=f"sqlite:///{tmp_path}/study.db").trials
    assert [trial.params for trial in trials] == [asked[number] for number in range(32)]
    alone = Study(_directory(tmp_path / "alone"), config)
    assert alone.ask(31).params == asked[31]
    assert len({json.dumps(params) for params in asked.values()}) == 32


def _directory(path: Path) -> Path:
    path.mkdir()
    return path


def test_result_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with pytest.raises(SidewinderError, match="no such file"):
        Result.load(path)
    path.write_text('{"number": 1')
    with pytest.raises(SidewinderError, match=r"result.json: the whole file: .*") as error:
        Result.load(path)
    assert "\n" not in str(error.value)
