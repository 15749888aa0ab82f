"""The virtual clock: a trial's work, from its parameters and files; and idle replicates, which other jobs take on."""

from pathlib import Path

import pytest
from filelock import FileLock

from sidewinder.config.composition import compose_study
from sidewinder.config.study_config import StudyConfig
from sidewinder.results import EvaluationResult, Replicate, Result, State, replicate_path, result_path
from sidewinder.study import clock, progress
from sidewinder.study.study import Study
from sidewinder.trials import jobs

BUDGET = ["training.total_timesteps=100", "evaluation.eval_freq=40", "pruner=none"]


def study(*overrides: str) -> StudyConfig:
    return compose_study("pendulum_ddpg", [*BUDGET, *overrides])


def save(path: Path, n_evaluations: int, state: State, n_replicates: int = 0, config: str = "") -> None:
    evaluations = [EvaluationResult(step=index, mean_return=0.0, std_return=0.0) for index in range(n_evaluations)]
    one = Replicate(state=state, objective=None, reason=None, evaluations=evaluations, seeds={})
    Result(
        number=0,
        config=config,
        state=state,
        objective=None,
        reason=None,
        params={},
        distributions={},
        evaluations=evaluations,
        pruner_attrs={},
        seeds={},
        bit_exact=True,
        packages={},
        replicates=[one] * n_replicates,
    ).save(path)


def possible_ends(config: StudyConfig, params: dict[str, int]) -> list[list[float]]:
    """Call `clock.possible_ends`, with the result in environment steps."""
    price = clock.step_price(config.for_trial(params))
    return [[end / price for end in part] for part in clock.possible_ends(config, params)]


def work_so_far(directory: Path, config: StudyConfig) -> float:
    """Call `progress.work_so_far`, with the result in environment steps."""
    ends = clock.possible_ends(config, {})
    return progress.work_so_far(directory, config, 0, ends) / clock.step_price(config.for_trial({}))


def work_done(path: Path, config: StudyConfig) -> float:
    """Call `clock.work_done`, with the result in environment steps."""
    return clock.work_done(config, Result.load(path), clock.possible_ends(config, {})) / clock.step_price(
        config.for_trial({})
    )


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], [[100]]),
        (["pruner=median"], [[40, 80, 100]]),
        (["training.callbacks=[small_methods.StopAt]"], [[40, 80, 100]]),
        (["study.replicates=2"], [[200]]),
        (["study.replicates=2", "pruner=median"], [[40, 80, 100], [40, 80, 100]]),
        (["study.replicates=3", "study.replicates_in=sequence", "pruner=median"], [[100, 200, 300]]),
    ],
)
def test_where_a_trial_may_end(overrides: list[str], expected: list[list[int]]) -> None:
    assert possible_ends(study(*overrides), {}) == expected


def test_the_budget_may_be_searched() -> None:
    config = study("pruner=median")
    assert possible_ends(config, {"training.total_timesteps": 50}) == [[40, 50]]


@pytest.mark.parametrize("algorithm", ["ddpg", "ppo"])
@pytest.mark.parametrize("backend", ["sb3", "sbx"])
def test_what_a_step_costs(algorithm: str, backend: str) -> None:
    """A step costs more with larger networks and more updates, and less with several environments at a time."""
    config = compose_study("x", ["study=plain", f"agent={algorithm}", f"agent.backend={backend}"])

    def price(**params: object) -> int:
        return clock.step_price(config.for_trial(params))

    assert price(**{"agent.policy_kwargs.net_arch": "s"}) < price(**{"agent.policy_kwargs.net_arch": "m"})
    assert price(**{"agent.policy_kwargs.net_arch": "l"}) == price(**{"agent.policy_kwargs.net_arch": "[400,300]"})
    assert price(**{"environment.n_envs": 8}) < price()
    if algorithm == "ddpg":
        assert price(**{"agent.train_freq": 4}) < price() < price(**{"agent.gradient_steps": 2})
        assert price(**{"agent.train_freq": 4, "agent.gradient_steps": -1}) == price()
        assert price(**{"agent.batch_size": 64}) < price()
        assert price(**{"agent.train_freq": "[1,episode]"}) < price()
        assert price(**{"agent.policy_kwargs.net_arch": None}) == price(**{"agent.policy_kwargs.net_arch": "l"})
    else:
        assert price(**{"agent.n_epochs": 5}) < price()
        assert price(**{"agent.batch_size": 32}) > price()


def test_a_trial_that_may_be_pruned(tmp_path: Path) -> None:
    config, path = study("pruner=median"), result_path(tmp_path, 0)
    assert work_so_far(tmp_path, config) == 40
    progress.note_progress(path, 1)
    assert work_so_far(tmp_path, config) == 80
    progress.note_progress(path, 3)
    assert work_so_far(tmp_path, config) == 100
    for n_evaluations, state, expected in ((2, "pruned", 80), (3, "complete", 100), (0, "failed", 100)):
        save(path, n_evaluations, state)  # type: ignore[arg-type]
        assert work_done(path, config) == expected
    progress.forget_progress(path)
    progress.forget_progress(path)
    assert not path.with_name("progress.json").exists()


def test_a_trial_that_callbacks_may_end(tmp_path: Path) -> None:
    config, path = study("training.callbacks=[small_methods.StopAt]"), result_path(tmp_path, 0)
    assert work_so_far(tmp_path, config) == 40
    progress.note_progress(path, 1)
    assert work_so_far(tmp_path, config) == 80
    for n_evaluations, state, expected in ((1, "complete", 40), (3, "complete", 100), (1, "failed", 100)):
        save(path, n_evaluations, state)  # type: ignore[arg-type]
        assert work_done(path, config) == expected


def test_replicates(tmp_path: Path) -> None:
    jobs = study("pruner=median", "study.replicates=2")
    save(replicate_path(tmp_path, 0, "0"), 1, "pruned")
    progress.note_progress(replicate_path(tmp_path, 0, "1"), 1)
    assert work_so_far(tmp_path, jobs) == 40 + 80
    save(result_path(tmp_path, 0), 3, "pruned", n_replicates=2)
    assert work_done(result_path(tmp_path, 0), jobs) == 100 + 100
    sequence = study("pruner=median", "study.replicates=3", "study.replicates_in=sequence")
    progress.note_progress(result_path(tmp_path, 0), 1)
    assert work_so_far(tmp_path, sequence) == 200
    save(result_path(tmp_path, 0), 3, "pruned", n_replicates=2)
    assert work_done(result_path(tmp_path, 0), sequence) == 200


def test_what_is_in_nobodys_hands(tmp_path: Path) -> None:
    """A trial is idle if one of its replicates has no result and no process trains it, or if all its replicates have
    results and only the trial's own result is missing."""
    study_of_two = Study(tmp_path, study("pruner=median", "study.replicates=2"))
    first, second = (replicate_path(tmp_path, 0, name) for name in ("0", "1"))
    assert jobs._is_free(study_of_two, 0)
    digest = study_of_two.config.digest()
    save(first, 3, "complete", config=digest)
    with FileLock(second.parent / ".lock"):
        assert not jobs._is_free(study_of_two, 0)
        # Nothing is idle: the replicate is locked, so the trial cannot be gathered yet.
        jobs._take_on(study_of_two, 0)
        assert not result_path(tmp_path, 0).exists()
    save(second, 3, "complete", config=digest)
    assert jobs._is_free(study_of_two, 0)
    jobs._take_on(study_of_two, 0)
    assert len(Result.load(result_path(tmp_path, 0)).replicates) == 2
