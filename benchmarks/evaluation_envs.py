"""Measures how much longer an evaluation takes with fewer environments (`evaluation.n_envs`) than with one an episode.

python benchmarks/evaluation_envs.py
One thread, untrained agents. Each time is the best of several; the settings are measured in turns.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.determinism import pin

AGENTS = {
    "DDPG on Pendulum": ["agent=ddpg", "environment=pendulum"],
    "PPO on CartPole": ["agent=ppo", "environment=cartpole"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    pin("avx2", 1)
    numbers = [number for number in (1, 2, 5, 10, 25, 50) if number < arguments.episodes] + [arguments.episodes]
    print("| agent | " + " | ".join(map(str, numbers)) + " |\n|---|" + "---|" * len(numbers))
    for name, overrides in AGENTS.items():
        seconds = measured(overrides, numbers, arguments.episodes, arguments.repetitions)
        print(f"| {name} | " + " | ".join(f"{one / seconds[-1]:.1f}" for one in seconds) + " |", flush=True)


def measured(overrides: list[str], numbers: list[int], n_episodes: int, repetitions: int) -> list[float]:
    """Return the processor seconds of an evaluation for each number of environments."""
    # Imported late: numpy and torch read the pins when they load.
    import torch

    from sidewinder.config.composition import compose_study
    from sidewinder.training import agents
    from sidewinder.training.environments import make_training_env
    from sidewinder.training.episodes import Episodes

    torch.set_num_threads(1)
    evaluations = []
    for number in numbers:
        run = compose_study("evaluation", ["study=plain", *overrides, f"evaluation.n_envs={number}"]).for_trial({})
        env = make_training_env(run)
        model = agents.build(run.agent, env, seed=0, device="cpu", tensorboard_log=None)
        env.reset()
        evaluations.append((Episodes(run, n_episodes, 5, env), model))
    best = [float("inf")] * len(numbers)
    for _ in range(repetitions):
        for index, (episodes, model) in enumerate(evaluations):
            started = time.process_time()
            episodes.values(model)
            best[index] = min(best[index], time.process_time() - started)
    return best


if __name__ == "__main__":
    main()
