"""The trained agent of the recommended setting: the confirmation keeps it, and plain SB3 loads it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import yaml
from stable_baselines3 import DDPG
from stable_baselines3.common.evaluation import evaluate_policy
from tiny_study import BEST, REPOSITORY, new_study, results, run, run_to_the_end, snakemake

CARD = "results/tiny/agent/README.md"
pytestmark = pytest.mark.slow


@pytest.fixture
def study(undisturbed: Path, tmp_path: Path) -> Path:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    return tmp_path


def agents(directory: Path) -> list[Path]:
    return sorted((directory / "results/.trainings").glob("*.agent"))


def enjoy(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, str(REPOSITORY / "scripts/enjoy.py"), str(directory), *arguments])


def own_mean(card: str) -> float:
    found = re.search(r"this agent \(seed \d, the best of them\), over 2 episodes \| (\S+) \|", card)
    assert found
    return float(found[1])


def test_the_agent_of_the_recommended_setting(study: Path) -> None:
    assert len(agents(study)) == 6  # two test seeds of the winner, the defaults, and the zoo's setting
    before = results(study)
    run_to_the_end(study, CARD)
    assert "trained again" not in (study / "results/tiny/logs/agent.log").read_text()
    directory = study / "results/tiny/agent"
    assert sorted(path.name for path in directory.iterdir()) == [
        "README.md",
        "config.yaml",
        "hyperparams.yml",
        "model.zip",
        "returns.json",
    ]
    card = (directory / "README.md").read_text()
    _, head, text = card.split("---\n", 2)
    best = yaml.safe_load((study / BEST).read_text())["winner"]
    figures = best["test"][best["recommended"]]
    assert yaml.safe_load(head)["model-index"][0]["results"][0]["metrics"][0]["value"].startswith(
        f"{figures['mean']['value']:.2f} +/- "
    )
    assert best["verdict"] in text
    # Plain Stable-Baselines3, in the environment that the page makes, has a similar return on other episodes.
    model = DDPG.load(directory / "model.zip")
    env = gymnasium.make("Pendulum-v1", max_episode_steps=50)
    assert "env = gymnasium.make('Pendulum-v1', max_episode_steps=50)" in card
    returns, _ = evaluate_policy(model, env, 5, return_episode_rewards=True)
    assert np.mean(returns) == pytest.approx(own_mean(card), rel=0.5)
    assert enjoy(directory, "--no-render").stdout == f"mean return of 2 episodes: {own_mean(card):.1f}\n"
    assert f"{directory.parent}: found no model.zip, accepted: results/<study>/agent" in enjoy(directory.parent).stderr
    # The other agents are not needed any more and are deleted. Nothing else has changed.
    assert not agents(study)
    assert results(study) == before
    done = run(snakemake(study, "--dry-run", CARD))
    assert "Nothing to be done" in done.stdout + done.stderr


def test_an_agent_that_was_not_kept_is_trained_again(study: Path) -> None:
    run_to_the_end(study, CARD)
    card = (study / CARD).read_text()
    # An existing agent is not trained again.
    (study / "results/tiny/.records/agent.json").unlink()
    run_to_the_end(study, CARD)
    assert "trained again" not in (study / "results/tiny/logs/agent.log").read_text()
    (study / "results/tiny/agent/model.zip").unlink()
    assert not agents(study)
    run_to_the_end(study, CARD)
    assert "trained again" in (study / "results/tiny/logs/agent.log").read_text()
    assert (study / CARD).read_text() == card
    assert enjoy(study / "results/tiny/agent", "--no-render").stdout.endswith(f": {own_mean(card):.1f}\n")


def test_an_agent_of_other_returns_is_refused(study: Path) -> None:
    """It is refused each time, not only the first time."""
    for directory in agents(study):
        shutil.rmtree(directory)
    for path in (study / "results/tiny/confirmation/test").glob("*/*.json"):
        content = json.loads(path.read_text())
        content["run"]["returns"] = [value + 1 for value in content["run"]["returns"]]
        path.write_text(json.dumps(content))
    for _ in range(2):
        done = run(snakemake(study, CARD))
        assert done.returncode == 1
        assert "found other returns than the same training gives here; accepted: the same returns" in done.stderr
        assert not (study / CARD).exists()
    assert not agents(study)


def test_a_damaged_agent_is_trained_again(study: Path) -> None:
    for directory in agents(study):
        os.truncate(directory / "model.zip", 1000)
    run_to_the_end(study, CARD)
    assert "trained again" in (study / "results/tiny/logs/agent.log").read_text()
    card = (study / CARD).read_text()
    assert enjoy(study / "results/tiny/agent", "--no-render").stdout.endswith(f": {own_mean(card):.1f}\n")


def test_all_agents_or_none(study: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    new_study(study, "confirmation.keep_agents=all")
    run_to_the_end(study, CARD)
    assert len(agents(study)) == 6
    without = new_study(tmp_path_factory.mktemp("none"), "confirmation.keep_agents=none")
    shutil.copytree(study / "results/tiny/trials", without / "results/tiny/trials")
    run_to_the_end(without, BEST)
    assert not agents(without)
    plan = run(snakemake(without, "--dry-run"))
    assert "agent" not in re.findall(r"^(\w+) +\d+$", plan.stdout, re.MULTILINE)
