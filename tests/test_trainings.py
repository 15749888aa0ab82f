"""One training run: when it ends, what makes it fail, and what raises an error instead."""

import errno
import platform
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_agents import GOALS, agent
from stable_baselines3.common.base_class import BaseAlgorithm

from sidewinder import SidewinderError
from sidewinder.attempts import VanishedError
from sidewinder.checks import check_study
from sidewinder.config.composition import compose_study
from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.training.checked import check_run, last_step, notes_on
from sidewinder.training.environments import (
    LONGEST,
    evaluation_settings,
    make_env,
    make_evaluation_env,
    make_training_env,
)
from sidewinder.training.episodes import Episodes
from sidewinder.training.outcome import Outcome
from sidewinder.training.run import train

WILD, ALONE, DRAWN, UNSEEDED, ENDLESS = (
    f"small_environments:{name}-v0" for name in ("Wild", "Alone", "Drawn", "Unseeded", "Endless")
)


def ppo(**changes: Any) -> dict[str, Any]:
    return agent("ppo", n_steps=16, batch_size=16, n_epochs=1, **changes)


def run_config(
    section: dict[str, Any] | None = None,
    budget: int = 64,
    eval_freq: int = 32,
    evaluation: dict[str, Any] | None = None,
    device: str = "cpu",
    **environment: Any,
) -> RunConfig:
    return RunConfig.model_validate(
        {
            "agent": section or ppo(),
            "environment": {"env_id": WILD, **environment},
            "training": {"total_timesteps": budget, "seed": 3, "device": device},
            "evaluation": {"eval_freq": eval_freq, "n_eval_episodes": 3, **(evaluation or {})},
        }
    )


def test_without_tensorboard(tmp_path: Path) -> None:
    """The training and its digest are the same as with TensorBoard."""
    run = run_config()
    quiet = run.model_copy(deep=True)
    quiet.training.tensorboard = False
    log, none = tmp_path / "log", tmp_path / "none"
    assert train(run, tensorboard_log=log).evaluations == train(quiet, tensorboard_log=none).evaluations
    assert list(log.rglob("events.*"))
    assert not none.exists()
    assert quiet.digest() == run.digest()


# How long


@pytest.mark.parametrize(
    ("budget", "eval_freq", "expected"),
    [
        (60, 20, [20, 40, 60]),  # within a rollout of 128 steps
        (62, 31, [32, 62]),  # two environments step together
        (256, 100, [100, 200, 256]),  # a rollout ends at the budget
        (200, 80, [80, 160, 240]),  # the budget is no multiple of eval_freq: ends within the last rollout
        (200, 150, [150, 256]),  # the budget is no multiple: ends at the end of the rollout
        (4, 1, [2, 4]),  # an evaluation is due more often than the environments step
        (60, 100, [100]),
    ],
)
def test_nothing_is_evaluated_beyond_the_budget(budget: int, eval_freq: int, expected: list[int]) -> None:
    run = run_config(agent("ppo", n_steps=64, n_epochs=1), budget, eval_freq, n_envs=2)
    outcome = train(run)
    assert outcome.state == "complete"
    assert [evaluation.step for evaluation in outcome.evaluations] == expected
    assert len(expected) <= -(-budget // eval_freq)
    assert outcome.model is not None
    assert outcome.model.num_timesteps == expected[-1] <= last_step(run) + 1


@pytest.mark.parametrize("name", ["sac", "ppo", "ars"])
def test_the_last_evaluation_may_prune(name: str) -> None:
    run = run_config(agent("sac") if name == "sac" else agent("ars") if name == "ars" else ppo(), env_id="CartPole-v1")
    run = run_config(agent("sac"), env_id="Pendulum-v1") if name == "sac" else run
    outcome = train(run, report=lambda step, _value: step >= 64)
    assert (outcome.state, [evaluation.step for evaluation in outcome.evaluations]) == ("pruned", [32, 64])


def test_rollouts_that_go_on_past_the_budget_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    study = ["study=plain", "agent=ppo", "environment=cartpole", "search_space={agent.n_steps: 'choice(64, 600)'}"]
    for budget, told in ((1000, False), (900, True)):
        overrides = [f"training.total_timesteps={budget}", "evaluation.eval_freq=500"]
        check_study(compose_study("x", [*study, *overrides, "environment.n_envs=2", "confirmation.baselines=[]"]))
        assert ("no multiple of evaluation.eval_freq" in capsys.readouterr().out) == told


# What fails it, and what does not


@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raises", "RuntimeError: the simulation has become unstable"),
        ("no_reset", "RuntimeError: no way back"),
        ("no_start", "ConnectionError: the simulator does not answer"),
        ("system_exit", "SystemExit: 0"),
    ],
)
def test_what_an_environment_raises_fails_the_run(
    how: str, reason: str, vec_env: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = train(run_config(vec_env=vec_env, env_kwargs={"how": how}))
    assert (outcome.state, outcome.reason, outcome.evaluations) == ("failed", reason, [])
    # The traceback leads to the environment.
    line = {"raises": "in happen", "no_reset": "in reset", "no_start": "in __init__", "system_exit": "in happen"}[how]
    assert re.search(rf'small_environments\.py", line \d+, {line}', caplog.text)


@pytest.mark.parametrize(("how", "error"), [("full_disk", OSError), ("no_memory", MemoryError)])
def test_what_the_machine_lacks_fails_no_run(how: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        train(run_config(env_kwargs={"how": how}))


@pytest.mark.parametrize("how", ["full_disk", "no_memory"])
def test_what_the_machine_lacks_in_another_process_fails_no_run(how: str) -> None:
    with pytest.raises(SidewinderError, match=r"environment\.vec_env: found a process of subproc that cannot go on"):
        train(run_config(vec_env="subproc", env_kwargs={"how": how}))


@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
def test_what_closing_raises_changes_nothing(vec_env: str) -> None:
    run = run_config(vec_env=vec_env, env_kwargs={"how": "no_close"})
    check_run(run)
    outcome = train(run)
    assert outcome.state == "complete"
    assert outcome.evaluations == train(run_config(vec_env=vec_env)).evaluations


@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
def test_masks_that_fail_fail_the_run(vec_env: str) -> None:
    section = agent("maskable_ppo", n_steps=16, batch_size=16)
    outcome = train(run_config(section, vec_env=vec_env, env_id="small_environments:NoMasks-v0"))
    assert (outcome.state, outcome.reason) == ("failed", "RuntimeError: no mask today")


def test_a_process_that_is_killed_fails_no_run() -> None:
    with pytest.raises(VanishedError, match=r"environment\.vec_env: found a process of subproc that ended"):
        train(run_config(vec_env="subproc", env_kwargs={"how": "killed"}))


@pytest.mark.parametrize("error", [RuntimeError("of the study"), ValueError("of Optuna")])
def test_what_goes_wrong_elsewhere_fails_no_run(error: Exception) -> None:
    def report(_step: int, _mean_return: float) -> bool:
        raise error

    def counted(_model: BaseAlgorithm) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(type(error), match="of "):
        train(run_config(), report=report)
    with pytest.raises(OSError, match="No space"):
        train(run_config(), counted=counted)


def test_a_device_that_is_not_there_is_refused() -> None:
    for device in ("cuda", "cuda:7"):
        check_run(run_config(device=device))  # the jobs may run elsewhere
        with pytest.raises(SidewinderError, match=f"^training.device: found '{device}' where torch has"):
            train(run_config(device=device))


def test_bits_are_exact_on_the_processors_that_are_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    for machine, exact in (("x86_64", True), ("AMD64", True), ("arm64", False), ("aarch64", False)):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        assert run_config().bit_exact is exact
        assert run_config(reproducible=False).bit_exact is False


# Evaluation in fewer environments


def returns(evaluation: dict[str, Any], n_episodes: int = 7, **environment: Any) -> list[float]:
    """Run episodes of an untrained agent twice, which must give the same returns, and return these."""
    run = run_config(agent("ddpg"), evaluation=evaluation, **{"env_id": "Pendulum-v1", **environment})
    env = make_training_env(run)
    try:
        from sidewinder.training import agents

        episodes = Episodes(run, n_episodes, 11, env)
        model = agents.build(run.agent, env, seed=0, device="cpu", tensorboard_log=None)
        env.reset()
        first, second = episodes.values(model)["return"], episodes.values(model)["return"]
        episodes.close()
    finally:
        env.close()
    assert first == second
    return first


@pytest.mark.parametrize("n_envs", [1, 2, 3, 7, 20, "training"])
@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
def test_an_episode_is_seeded_by_its_index_wherever_it_runs(n_envs: int | str, vec_env: str) -> None:
    here = {"environment": {"vec_env": vec_env}} if n_envs != "training" else {}
    expected = returns({})
    found = returns({"n_envs": n_envs, **here}, n_envs=3, vec_env=vec_env)
    # A network's output has other last bits if the number of observations differs.
    assert sorted(found) == pytest.approx(sorted(expected), rel=1e-4)
    if n_envs == 20:
        assert found == expected


def test_lost_lives_are_no_episodes() -> None:
    """As in an Atari game, whose wrapper reports an end at each lost life, although the episode goes on."""
    wrappers = ["stable_baselines3.common.atari_wrappers.EpisodicLifeEnv"]
    run = run_config(env_id="small_environments:Lives-v0", evaluation={"n_envs": 1}, wrappers=wrappers)
    env = make_training_env(run)
    evaluation = make_evaluation_env(run, 3, 5)
    env.close()
    assert evaluation.num_envs == 1
    evaluation.env_method("seed_episodes", [100, 200])
    starts = [float(np.asarray(evaluation.reset())[0, 0])]
    for _ in range(12):
        observation, _, dones, infos = evaluation.step(np.array([1]))
        if dones[0] and "episode" in infos[0]:
            starts.append(float(np.asarray(observation)[0, 0]))
    evaluation.close()
    assert starts[:2] == [100.0, 200.0]


@pytest.mark.parametrize(
    ("section", "environment"),
    [
        (ppo(), {"env_id": ALONE, "normalize": True}),
        (agent("recurrent_ppo", n_steps=16, batch_size=16, n_epochs=1), {"env_id": ALONE, "frame_stack": 2}),
        (agent("dqn", learning_starts=10), {"env_id": ALONE}),
        (
            agent("sac", policy="MultiInputPolicy", replay_buffer_class="her", learning_starts=10),
            {"env_id": GOALS, "n_envs": 2},
        ),
    ],
)
def test_training_and_evaluation_take_turns(section: dict[str, Any], environment: dict[str, Any]) -> None:
    run = run_config(section, evaluation={"n_envs": "training"}, **environment)
    check_run(run)
    first, second = (train(run, held_out=HeldOut(2, seed=5)) for _ in range(2))
    assert first.state == "complete", first.reason
    assert [evaluation.step for evaluation in first.evaluations] == [32, 64]
    assert first.evaluations == second.evaluations
    assert first.held_out_returns == second.held_out_returns
    assert len(first.held_out_returns) == 2


def test_what_takes_no_turns_is_refused() -> None:
    def error(
        section: dict[str, Any] | None = None, evaluation: dict[str, Any] | None = None, **environment: Any
    ) -> str:
        run = run_config(section, evaluation={"n_envs": "training", **(evaluation or {})}, **environment)
        with pytest.raises(SidewinderError, match=r"^evaluation\.n_envs: found 'training', accepted ") as caught:
            check_run(run)
        return str(caught.value)

    assert "with ars" in error(agent("ars"), env_id="CartPole-v1")
    assert "evaluation.environment" in error(evaluation={"environment": {"env_kwargs": {"how": "raises"}}})
    assert "evaluation.max_episode_steps" in error(evaluation={"max_episode_steps": 5})
    assert "has no limit" in error(env_id=ENDLESS)


def test_an_environment_that_exists_once_needs_turns() -> None:
    message = r"^evaluation\.n_envs: found None \(OSError: address already in use\), accepted: fewer; or training"
    with pytest.raises(SidewinderError, match=message):
        check_run(run_config(env_id=ALONE))


# What an environment draws


@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
def test_global_generators_are_seeded(vec_env: str) -> None:
    def once(seed: int) -> Outcome:
        random.seed(seed)
        np.random.seed(seed)
        return train(
            run_config(env_id=DRAWN, vec_env=vec_env, n_envs=2, evaluation={"environment": {"vec_env": vec_env}})
        )

    first, second = once(1), once(2)
    assert first.state == "complete"
    assert first.evaluations == second.evaluations
    assert first.evaluations[0].mean_return != first.evaluations[0].std_return
    check_run(run_config(env_id=DRAWN))


@pytest.mark.parametrize(
    "evaluation", [{}, {"environment": {"vec_env": "subproc"}}, {"n_envs": 2}, {"n_envs": "training"}]
)
@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
def test_evaluations_draw_the_same_each_time(evaluation: dict[str, Any], vec_env: str) -> None:
    section = agent("dqn", learning_starts=1000)  # it does not learn in this run
    outcome = train(run_config(section, env_id=DRAWN, vec_env=vec_env, evaluation=evaluation))
    first, second = outcome.evaluations
    assert first.mean_return == second.mean_return


@pytest.mark.parametrize("name", ["Reseeded", "Long"])
def test_resets_without_a_seed_are_tried_too(name: str) -> None:
    with pytest.raises(SidewinderError, match=r"^environment\.env_id: found .*, which was made twice"):
        check_run(run_config(env_id=f"small_environments:{name}-v0"))


def test_searched_environments_are_stepped_too() -> None:
    study = ["study=plain", "agent=ppo", "environment=cartpole", "confirmation.baselines=[]"]
    study.append(f"environment.env_id={WILD}")
    study.append("search_space={environment.wrappers: 'choice([], [small_environments.Early])'}")
    with pytest.raises(SidewinderError, match=r"with environment\.wrappers=.*found one that ends episodes"):
        check_study(compose_study("x", study))


@pytest.mark.parametrize("after", [1, 5])
def test_wrappers_that_end_episodes_are_refused(after: int) -> None:
    run = run_config(wrappers=[{"small_environments.Early": {"after": after}}])
    with pytest.raises(SidewinderError, match=r"^environment\.wrappers: found one that ends episodes"):
        check_run(run)
    with pytest.raises(SidewinderError, match=r"^environment\.wrappers: found one that ends episodes"):
        train(run)


def test_what_wrappers_and_environments_may_be() -> None:
    wrapper = {"gymnasium.wrappers.RescaleAction": {"min_action": -1.0, "max_action": 1.0}}
    check_run(run_config(agent("ddpg"), env_id="Pendulum-v1", wrappers=[wrapper]))
    check_run(run_config(env_id="small_environments:Human-v0"))
    check_run(run_config(env_id="small_environments:Talkative-v0"))
    with pytest.raises(SidewinderError, match=r"^environment\.vec_env: found 'subproc' with an info that no other"):
        check_run(run_config(env_id="small_environments:Talkative-v0", vec_env="subproc"))


def test_what_does_not_repeat_is_refused() -> None:
    with pytest.raises(SidewinderError, match=r"^environment\.env_id: found '.*Unseeded-v0', which was made twice"):
        check_run(run_config(env_id=UNSEEDED))
    evaluation = {"environment": {"env_id": UNSEEDED}}
    with pytest.raises(SidewinderError, match=r"^evaluation\.environment\.env_id: found '.*Unseeded-v0'"):
        check_run(run_config(evaluation=evaluation))
    check_run(run_config(env_id=UNSEEDED, reproducible=False))


@pytest.mark.parametrize("name", ["NormalizeObservation", "NormalizeReward"])
def test_wrappers_with_statistics_are_refused(name: str) -> None:
    message = rf"^environment\.wrappers: found gymnasium\..*\.{name}, .* accepted: environment\.normalize in its place"
    with pytest.raises(SidewinderError, match=message):
        check_run(run_config(wrappers=[{f"gymnasium.wrappers.{name}": {}}]))


def test_lists_are_tuples_where_wrappers_want_them() -> None:
    by_annotation, by_default = "gymnasium.wrappers.ReshapeObservation", "small_environments.Early"
    wrappers = [{by_annotation: {"shape": [1, 1]}}, {by_default: {"shape": [1]}}]
    env = make_env(run_config(wrappers=wrappers).environment, seed=0)
    assert env.observation_space.shape == (1, 1)
    env.close()


# Episodes without an end


def test_an_evaluation_ends_where_an_episode_does_not() -> None:
    run = run_config(env_id=ENDLESS, evaluation={"max_episode_steps": 25})
    (note,) = notes_on(run)
    assert note.startswith(f"environment.env_id: {ENDLESS} has no max_episode_steps")
    assert "after 25 steps" in note
    assert evaluation_settings(run_config(env_id=ENDLESS)).env_kwargs == {"max_episode_steps": LONGEST}
    outcome = train(run, held_out=HeldOut(2, seed=1))
    assert outcome.state == "complete"
    assert len(outcome.held_out_returns) == 2


@pytest.mark.parametrize(
    ("evaluation", "environment", "expected"),
    [
        ({}, {}, None),
        ({"max_episode_steps": 5}, {}, 5),
        ({"max_episode_steps": 50}, {}, 50),
        ({}, {"env_kwargs": {"max_episode_steps": 7}}, 7),
        ({"max_episode_steps": 5}, {"env_kwargs": {"max_episode_steps": 7}}, 5),
        ({}, {"env_id": "small_environments:Wild"}, None),
        ({}, {"env_id": ENDLESS, "env_kwargs": {"max_episode_steps": 7}}, 7),
    ],
)
def test_an_environment_keeps_its_limit(
    evaluation: dict[str, Any], environment: dict[str, Any], expected: int | None
) -> None:
    run = run_config(evaluation=evaluation, **environment)
    assert evaluation_settings(run).env_kwargs.get("max_episode_steps") == expected
    assert notes_on(run) == []
    env = make_evaluation_env(run, 1, 0)
    env.reset()
    length = next(step for step in range(1, 100) if env.step(np.array([1]))[2][0])
    env.close()
    assert length == (expected or 10)


# Numbers that go together


@pytest.mark.parametrize(
    ("section", "environment", "message"),
    [
        (
            agent("dqn", train_freq=[1, "episode"]),
            {"n_envs": 2},
            r"^agent: train_freq: found \[1, 'episode'\], accepted with environment\.n_envs=2: a number of steps",
        ),
        (
            agent("sac", policy="MultiInputPolicy", replay_buffer_class="her", learning_starts=10),
            {"env_id": GOALS, "n_envs": 4},
            r"^agent: learning_starts: found 10, accepted with her: at least 16: an episode in each environment",
        ),
    ],
)
def test_agents_are_checked_in_as_many_environments_as_they_train_in(
    section: dict[str, Any], environment: dict[str, Any], message: str
) -> None:
    with pytest.raises(SidewinderError, match=message):
        check_run(run_config(section, **environment))
    check_run(run_config(section, **{**environment, "n_envs": 1}))


def test_what_several_environments_make_possible_is_accepted() -> None:
    section = agent("ppo", n_steps=1, batch_size=8)
    check_run(run_config(section, n_envs=8))
    with pytest.raises(SidewinderError, match=r"^agent: "):
        check_run(run_config(section, n_envs=1))


def test_extremes_of_what_is_searched_are_checked_together() -> None:
    def check(space: str, *overrides: str) -> None:
        check_study(
            compose_study(
                "x",
                [
                    "study=plain",
                    "agent=ppo",
                    "environment=cartpole",
                    "confirmation.baselines=[]",
                    f"search_space={{{space}}}",
                    *overrides,
                ],
            )
        )

    check("agent.n_steps: 'range(1, 4)'", "environment.n_envs=2")
    message = r"^study x: search_space: with agent\.n_steps=1, agent\.batch_size=32, environment\.n_envs=1: agent: "
    with pytest.raises(SidewinderError, match=message):
        check("agent.n_steps: 'range(1, 4)', environment.n_envs: 'choice(1, 2)'")
    with pytest.raises(SidewinderError, match=r"^study x: environment\.frame_stack: found 1, accepted: "):
        check("agent.gamma: 'interval(0.9, 0.99)', environment.frame_stack: 'choice(1, 2)'")


def test_a_buffer_that_fits_no_machine_is_refused() -> None:
    study = ["study=plain", "agent=ddpg", "environment=pendulum", "confirmation.baselines=[]"]
    study.append("search_space={agent.buffer_size: 'choice(1000, 100000000000000)'}")
    with pytest.raises(SidewinderError, match=r"search_space: with .*agent\.buffer_size=10+: agent: Unable to"):
        check_study(compose_study("x", study))


def test_hindsight_without_a_limit_is_told() -> None:
    section = agent("sac", policy="MultiInputPolicy", replay_buffer_class="her", learning_starts=10)
    notes = notes_on(run_config(section, env_id="small_environments:OpenGoals-v0"))
    assert [note.partition(":")[0] for note in notes] == ["environment.env_id", "agent.learning_starts"]
