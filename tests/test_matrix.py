"""Many studies from one short entry, and every algorithm through the workflow."""

from pathlib import Path

import pytest
import yaml
from tiny_study import TINY, run_to_the_end

from sidewinder import SidewinderError
from sidewinder.config.algorithms import ALGORITHMS
from sidewinder.config.matrix import expanded, factors

SHORT = [
    *(override for override in TINY if override.startswith(("training", "evaluation", "confirmation"))),
    "+environment.env_kwargs.max_episode_steps=50",
    "study.n_trials=1",
    "study.trials_per_job=4",
    "confirmation.top_k=1",
]
MATRIX = ("a2c", "ppo")
DISCRETE = ("dqn", "qrdqn")
MASKED = "maskable_ppo"
# The algorithm of the tiny study.
TINYS = "ddpg"


def test_several_values_of_an_override_are_several_studies() -> None:
    entry = ["agent=ddpg,sac", "study.n_trials=5", "study.seed=range(2)", "agent.policy_kwargs.net_arch=[8,8],m"]
    found = expanded({"one": [], "compare": ["study=plain", *entry]})
    assert found["one"] == ["study=one"]
    assert list(found) == ["one"] + [
        f"compare-{agent}-{seed}-{net}" for agent in ("ddpg", "sac") for seed in (0, 1) for net in ("8_8", "m")
    ]
    assert found["compare-sac-1-8_8"] == [
        "study=plain",
        "agent=sac",
        "study.n_trials=5",
        "study.seed=1",
        "agent.policy_kwargs.net_arch=[8,8]",
    ]


def test_several_lists_are_compared_with_each_other() -> None:
    """A value that differs between the lists is part of a name only if names would not be unique without it."""
    lists = [
        ["study=mine", "agent=ddpg", "environment=pendulum", "study.n_trials=5"],
        ["study=plain", "agent=ppo", "environment=pendulum", "study.n_trials=5"],
        ["study=plain", "agent=dqn,ppo", "environment=cartpole", "study.n_trials=6", "agent.gamma=0.9"],
    ]
    found = factors("all", lists)
    assert list(found) == ["all-ddpg-pendulum", "all-ppo-pendulum", "all-dqn-cartpole", "all-ppo-cartpole"]
    assert list(found) == list(expanded({"all": lists}))
    assert found["all-ppo-cartpole"] == {"agent": "ppo", "environment": "cartpole"}
    assert factors("one", ["study=plain", "agent=ddpg", "agent=sac"]) == {"one": {}}


@pytest.mark.parametrize(
    ("studies", "expected"),
    [
        ({"a": ["agent.gamma=interval(0.9, 1)"]}, r"studies: a: found 'agent.gamma=interval\(0.9, 1\)', accepted: val"),
        ({"a": ["agent=ddpg,ddpg"]}, "studies: found two studies named 'a-ddpg', accepted: one of each name"),
    ],
)
def test_what_cannot_be_expanded(studies: dict[str, list[str]], expected: str) -> None:
    with pytest.raises(SidewinderError, match=expected):
        expanded(studies)


@pytest.mark.slow
def test_a_matrix_with_confirmation(tmp_path: Path) -> None:
    """Two algorithms on two environments, from one entry to four winners with a figure of their tests."""
    entry = ["study=plain", f"agent={','.join(MATRIX)}", "environment=pendulum,cartpole", *SHORT]
    entry.append("confirmation.baselines=[defaults]")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"studies": {"compare": [*entry, "agent.n_steps=50"]}}))
    studies = [f"compare-{agent}-{environment}" for agent in MATRIX for environment in ("pendulum", "cartpole")]
    made = [f"results/{study}/{file}" for study in studies for file in ("best.yaml", "figures/test_returns.pdf")]
    run_to_the_end(tmp_path, *made)
    for agent in MATRIX:
        for environment, env_id in (("pendulum", "Pendulum-v1"), ("cartpole", "CartPole-v1")):
            study = tmp_path / "results" / f"compare-{agent}-{environment}"
            best = yaml.safe_load((study / "best.yaml").read_text())
            assert (best["agent"]["algorithm"], best["environment"]["env_id"]) == (agent, env_id)
            assert best["winner"]["test"]["winner"]["n_seeds"] == 2
            assert best["winner"]["test"]["defaults"]["n_seeds"] == 2
            assert (study / "figures" / "test_returns.pdf").exists()


@pytest.mark.slow
def test_every_algorithm_has_a_trial_and_a_confirmation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other algorithms. The matrix above and the tests of the workflow train the remaining ones."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    others = sorted(set(ALGORITHMS["sb3"]) - set(MATRIX) - set(DISCRETE) - {MASKED, TINYS})
    shorter = ["study=plain", *SHORT, "training.total_timesteps=120", "evaluation.eval_freq=120"]
    studies = {
        "continuous": [*shorter, f"agent={','.join(others)}", "environment=pendulum"],
        "discrete": [*shorter, f"agent={','.join(DISCRETE)}", "environment=cartpole"],
        f"masked-{MASKED}": [*shorter, f"agent={MASKED}", "environment.env_id=small_environments:Masked-v0"],
    }
    names = [f"continuous-{agent}" for agent in others] + [f"discrete-{agent}" for agent in DISCRETE]
    names.append(f"masked-{MASKED}")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"studies": studies}))
    confirmations = [f"results/{name}/confirmation/validation/top-1/0.json" for name in names]
    run_to_the_end(tmp_path, *confirmations)
    for name, path in zip(names, confirmations, strict=True):
        confirmed = yaml.safe_load((tmp_path / path).read_text())
        assert confirmed["run"]["state"] == "complete", name
        assert len(confirmed["run"]["returns"]) == 2
