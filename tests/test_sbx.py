"""The SBX backend: the same `agent` section in JAX, the same bytes each time, and an error of one line for what SBX
lacks."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import sbx
import torch
from jax.experimental.compilation_cache import compilation_cache
from made_once import made_once
from small_agents import ENVIRONMENTS, agent, build, error_of, run_config, shipped
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from tiny_study import (
    REPOSITORY,
    SWEEP,
    new_study,
    results,
    run,
    run_to_the_end,
    snakemake,
    started,
    sweep,
    wait_for_results,
)

from sidewinder import SidewinderError
from sidewinder.checks import check_study
from sidewinder.config.algorithms import ALGORITHMS, POLICY_DEFAULTS
from sidewinder.config.composition import compose_study
from sidewinder.training import arguments
from sidewinder.training import run as training
from sidewinder.training.checked import check_run
from sidewinder.training.jax_agents import computing_on

NAMES = sorted(ALGORITHMS["sbx"])
FAST = [
    "agent.backend=sbx",
    "study.n_trials=4",
    "study.trials_per_job=2",
    # Only parameters whose values do not make JAX compile again.
    "search_space={agent.batch_size: 32, agent.action_noise: null, agent.noise_std: 0.1, "
    "agent.policy_kwargs.activation_fn: relu, agent.policy_kwargs.net_arch: [8]}",
]


def widths(params: Any) -> set[int]:
    """Return the widths of a network's layers, by their biases. The last axis counts: ensembles have one more."""
    return {leaf.shape[-1] for path, leaf in jax.tree_util.tree_leaves_with_path(params) if "bias" in str(path[-1])}


@pytest.fixture(scope="session", autouse=True)
def _share_compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Share compiled functions between models, as the workflow does."""
    names = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in names}
    for values in (names, before):
        for name, value in values.items():
            jax.config.update(name, value)  # type: ignore[no-untyped-call]
        compilation_cache.reset_cache()
        if values is names:
            yield


# One section for both backends


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_agent_is_built_by_either_backend(name: str) -> None:
    section, env_id = shipped(name) | {"backend": "sbx"}, ENVIRONMENTS.get(name, "Pendulum-v1")
    model = build(section, env_id)
    assert type(model) is getattr(sbx, type(build(section | {"backend": "sb3"}, env_id)).__name__)
    assert {key: getattr(model, key) for key in ("learning_rate", "gamma", "batch_size")} == {
        key: section[key] for key in ("learning_rate", "gamma", "batch_size")
    }
    expected = POLICY_DEFAULTS[name][0]
    assert model.policy_kwargs["net_arch"] == expected
    critic = getattr(model.policy, "vf_state" if name == "ppo" else "qf1_state" if name == "tqc" else "qf_state")
    assert widths(critic.params) >= set(expected["qf"] if isinstance(expected, dict) else expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_shipped_search_spaces_are_for_either_backend(name: str) -> None:
    overrides = ["study=plain", f"agent={name}", "agent.backend=sbx"]
    config = compose_study(
        "x", [*overrides, f"environment={'cartpole' if name == 'dqn' else 'pendulum'}", "environment.env_kwargs={}"]
    )
    check_study(config)
    assert config.baselines["defaults"]["agent"]["backend"] == "sbx"


@pytest.mark.parametrize("name", arguments.ACTIVATIONS)
def test_an_activation_is_the_same_function(name: str) -> None:
    from sidewinder.training.jax_agents import ACTIVATIONS

    points = np.linspace(-3, 3, 61, dtype=np.float32)
    theirs = arguments.ACTIVATIONS[name]()(torch.from_numpy(points)).numpy()
    assert np.asarray(ACTIVATIONS[name](points)) == pytest.approx(theirs, abs=2e-6)
    assert ACTIVATIONS.keys() == arguments.ACTIVATIONS.keys()


@pytest.mark.slow
def test_one_learning_rate_for_actor_and_critic() -> None:
    model = build(agent(backend="sbx", learning_rate=0.004))
    rates = [
        state.opt_state.hyperparams["learning_rate"] for state in (model.policy.actor_state, model.policy.qf_state)
    ]
    assert rates == pytest.approx([0.004, 0.004])


@pytest.mark.slow
def test_the_learning_rate_is_used() -> None:
    """In SBX it is a constant; here it is an argument of the compiled function."""

    def trained(rate: float) -> np.ndarray:
        model = build(agent(backend="sbx", learning_rate=rate, learning_starts=10))
        model.learn(20)
        return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(model.policy.actor_state.params)])

    start = trained(1e-9)
    # Ten steps of Adam, each about as large as the rate.
    assert 0.003 < np.abs(trained(1e-3) - start).max() < 0.011


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "a2c",
            {},
            "agent.algorithm: found 'a2c', accepted with agent.backend=sbx: crossq, ddpg, dqn, ppo, sac, td3, tqc, "
            "or an import path",
        ),
        (
            "ddpg",
            {"lr_schedule": "linear"},
            "agent.lr_schedule: found 'linear', accepted with agent.backend=sbx: constant",
        ),
        (
            "sac",
            {"policy_kwargs": {"actor_class": "optax.adam"}},
            "agent.policy_kwargs.actor_class: found 'optax.adam', accepted: a subclass of Module",
        ),
        (
            "sac",
            {"policy_kwargs": {"optimizer_class": "optax.adams"}},
            "agent.policy_kwargs.optimizer_class: found 'optax.adams' (module 'optax' has no attribute 'adams'), "
            "accepted: the import path of a class or a function (PYTHONPATH says where your own modules are)",
        ),
        (
            "ddpg",
            {"learning_rate": "small_methods.falling"},
            "agent.learning_rate: found 'small_methods.falling', accepted with agent.backend=sbx: float, as "
            "agent.lr_schedule must be constant",
        ),
        (
            "sac",
            {"algorithm": "stable_baselines3.SAC"},
            "agent.backend: found 'sbx', accepted: sb3 with agent.algorithm=stable_baselines3.SAC",
        ),
        ("dqn", {"max_grad_norm": 1}, "agent.max_grad_norm: found 1, accepted with agent.backend=sbx: 10"),
        ("sac", {"use_sde": True}, "agent.use_sde: found True, accepted with agent.backend=sbx: false"),
        ("ppo", {"target_kl": 0.01}, "agent.target_kl: found 0.01, accepted with agent.backend=sbx: null"),
        (
            "crossq",
            {"policy_kwargs": {"batch_norm_momentum": 0.1}},
            "agent.policy_kwargs.batch_norm_momentum: found 0.1, accepted with agent.backend=sbx: null",
        ),
        (
            "ddpg",
            {"policy": "CnnPolicy"},
            "agent.policy: found 'CnnPolicy', accepted with agent.backend=sbx: MlpPolicy, or an import path",
        ),
    ],
)
def test_what_sbx_lacks(name: str, changes: dict[str, Any], message: str) -> None:
    assert error_of(shipped(name) | {"backend": "sbx"} | changes) == message


def test_an_unknown_backend() -> None:
    assert error_of(agent(backend="tf")) == "agent.backend: found 'tf', accepted: sb3, sbx"


ON_BOTH_DEVICES = """
import sys, jax
from sidewinder.config.run_config import RunConfig
from sidewinder.training.run import train
run = RunConfig.model_validate_json(sys.argv[1])
for device in ("cpu", "cpu:1"):
    run.training.device = device
    outcome = train(run)
    model = outcome.model
    arrays = jax.tree_util.tree_leaves((model.policy.actor_state, model.policy.qf_state, model.key))
    print({str(array.device) for array in arrays}, outcome.evaluations)
"""


def test_sbx_trains_on_the_device_it_is_given() -> None:
    """Two of JAX's CPU devices stand for two GPUs."""
    run_settings = run_config(agent(backend="sbx"))
    run_settings.training.total_timesteps, run_settings.evaluation.eval_freq = 200, 100
    done = subprocess.run(
        [sys.executable, "-c", ON_BOTH_DEVICES, run_settings.model_dump_json()],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("{'cpu:0'} [")
    assert second == first.replace(":0'}", ":1'}")


def test_sbx_on_a_device_that_is_not_there() -> None:
    run_settings = run_config(agent(backend="sbx"))
    run_settings.training.device = "cuda"
    check_run(run_settings)  # the jobs may run elsewhere
    with pytest.raises(SidewinderError, match=r"^training\.device: found 'cuda' where torch has"):
        training.train(run_settings)
    with pytest.raises(SidewinderError, match=r"^training\.device: found 'cuda:1' where JAX has"):
        computing_on(torch.device("cuda:1"))


@pytest.mark.parametrize(("device", "platforms"), [("cpu", "cpu"), ("cuda", "cuda,cpu"), ("cuda:1", "cuda,cpu")])
def test_jax_sees_the_kind_of_device_that_is_configured(device: str, platforms: str, tmp_path: Path) -> None:
    config = tmp_path / "study/config.yaml"
    config.parent.mkdir()
    config.write_text(f"training: {{instruction_set: avx2, threads: 1, device: '{device}'}}")
    say = "pin_as_configured(Path(sys.argv[1])); print(os.environ['JAX_PLATFORMS'])"
    code = f"import os, sys; from pathlib import Path; from sidewinder.determinism import pin_as_configured; {say}"
    command = [sys.executable, "-c", code, str(config)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True)
    assert done.stdout.strip() == platforms, done.stderr


def test_a_setting_of_the_zoo_that_sbx_lacks_is_no_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    with_sb3, with_sbx = (
        compose_study("x", ["study=plain", "agent=ppo", "environment=pendulum", f"agent.backend={backend}"])
        for backend in ("sb3", "sbx")
    )
    assert set(with_sb3.baselines) == {"defaults", "zoo"}
    assert set(with_sbx.baselines) == {"defaults"}
    assert "zoo: agent.use_sde: found True, accepted with agent.backend=sbx: false; left out" in capsys.readouterr().err


@pytest.mark.slow
def test_without_the_extra() -> None:
    script = (
        "import sys; sys.modules['sbx'] = None; sys.path.insert(0, 'scripts')\n"
        "from sidewinder.training import agents\n"
        "agents.check_agent({'algorithm': 'ddpg', 'policy': 'MlpPolicy', 'backend': 'sbx'})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert "requirements-sbx.lock`" in done.stderr.splitlines()[-1]


# Training


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_algorithm_trains_the_same_twice(name: str) -> None:
    small = {"n_steps": 32, "batch_size": 16} if name == "ppo" else {"learning_starts": 20, "batch_size": 16}
    settings = run_config(agent(name, backend="sbx", **small), env_id=ENVIRONMENTS.get(name, "Pendulum-v1"), n_envs=2)
    settings.training.total_timesteps, settings.evaluation.eval_freq = 128, 64
    first, second = training.train(settings), training.train(settings)
    assert first.state == "complete", first.reason
    assert [evaluation.step for evaluation in first.evaluations] == [64, 128]
    assert first.evaluations == second.evaluations
    assert isinstance(first.model, BaseAlgorithm)


@pytest.mark.slow
def test_a_saved_agent_acts_as_before(tmp_path: Path) -> None:
    model = build(agent(backend="sbx", learning_starts=10))
    model.learn(30)
    model.save(tmp_path / "model.zip")
    observations: Any = make_vec_env("Pendulum-v1", seed=3).reset()
    loaded = sbx.DDPG.load(tmp_path / "model.zip")
    assert np.array_equal(model.predict(observations)[0], loaded.predict(observations)[0])


@pytest.mark.slow
def test_a_run_that_diverges_has_failed() -> None:
    settings = run_config(agent(backend="sbx", learning_rate=1e30, learning_starts=10))
    settings.training.total_timesteps = 200
    outcome = training.train(settings)
    assert outcome.state == "failed"
    assert "nan" in str(outcome.reason).lower()


# The workflow


@pytest.fixture(scope="session")
def undisturbed_sbx(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    def make(directory: Path) -> None:
        run_to_the_end(new_study(directory, *FAST), "--cores", "1", SWEEP)

    return made_once("sbx", make, tmp_path_factory, worker_id)


@pytest.mark.slow
def test_cores_kills_a_shared_process_and_a_damaged_cache_change_nothing(undisturbed_sbx: Path, tmp_path: Path) -> None:
    directory = new_study(tmp_path, *FAST)
    shutil.copytree(undisturbed_sbx / "results/.compiled", directory / "results/.compiled")
    with started(snakemake(directory, SWEEP)) as process:
        wait_for_results(directory, 1)
        os.killpg(process.pid, signal.SIGKILL)
    compiled = list((directory / "results/.compiled").iterdir())
    assert compiled
    for path in compiled:
        path.write_bytes(path.read_bytes()[:100])
    done = run(snakemake(directory, "--rerun-incomplete", "--cores", "2", SWEEP))
    assert done.returncode == 0, done.stderr
    assert sweep(directory) == sweep(undisturbed_sbx)


@pytest.mark.slow
def test_trials_share_what_is_compiled(undisturbed_sbx: Path) -> None:
    """No difference between the trials makes JAX compile again."""
    trials = sorted(
        (undisturbed_sbx / "results/tiny/trials").glob("*/timing.json"), key=lambda path: int(path.parent.name)
    )
    first, second = (path.stat().st_mtime_ns for path in trials[:2])
    written = [path.stat().st_mtime_ns for path in (undisturbed_sbx / "results/.compiled").iterdir()]
    assert any(moment < first for moment in written)
    assert not any(first < moment < second for moment in written)


@pytest.mark.slow
def test_results_say_which_packages(undisturbed_sbx: Path) -> None:
    content = results(undisturbed_sbx)["trials/0/result.json"].decode()
    assert all(f'"{name}"' in content for name in ("sbx-rl", "jax", "flax", "optax"))
