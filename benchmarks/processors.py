"""Prints a digest of what this processor trains with each pin of the instruction set, and the time that it takes.

python benchmarks/processors.py
Each algorithm trains for some hundred steps, with its default networks. Two processors with the same digest in a row
train the same bits with that pin. Times are processor seconds of learning only, with one thread.
"""

import argparse
import hashlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.determinism import LEVELS, pin, processor

# For each name a level of `pin`, and environment variables that are changed.
PINS: dict[str, tuple[str, dict[str, str]]] = {
    **{level: (level, {}) for level in LEVELS},
    "avx2, MKL compatible": ("avx2", {"MKL_CBWR": "COMPATIBLE"}),
}
DISCRETE = ("a2c", "ars", "dqn", "qrdqn")
ALGORITHMS = ("a2c", "ars", "crossq", "ddpg", "dqn", "ppo", "qrdqn", "recurrent_ppo", "sac", "td3", "tqc", "trpo")
# These take longest: JAX compiles for as long as all others train.
SBX = ("sbx ddpg", "sbx ppo", "sbx sac")
EVALUATION = {"eval_freq": 200, "n_eval_episodes": 1, "seed": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pins", nargs="+", choices=PINS, default=list(PINS))
    parser.add_argument("--algorithms", nargs="+", choices=[*ALGORITHMS, *SBX], default=[*ALGORITHMS, *SBX])
    arguments = parser.parse_args()
    print(f"{processor()}\n\n| pin | algorithm | digest | s |\n|---|---|---|---|", flush=True)
    for name in arguments.pins:
        # Each pin needs a new process: numpy and torch read the pins once, when they load.
        process = multiprocessing.get_context("fork").Process(target=train_all, args=(name, arguments.algorithms))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)


def train_all(name: str, algorithms: Iterable[str]) -> None:
    """Print a row for each algorithm."""
    level, others = PINS[name]
    pin(level, 1)
    os.environ.update(others)
    for algorithm in algorithms:
        digest, seconds = train_once(algorithm, level)
        print(f"| {name} | {algorithm} | {digest} | {seconds:.1f} |", flush=True)


def train_once(algorithm: str, level: str) -> tuple[str, float]:
    """Train an agent. Return a digest of the agent and its evaluations, and the processor seconds."""
    # Imported late: numpy and torch read the pins when they load.
    from omegaconf import OmegaConf

    from sidewinder.config.run_config import run_config
    from sidewinder.paths import CONFIG_DIR
    from sidewinder.training.run import train

    backend, _, name = algorithm.rpartition(" ")
    agent: Any = OmegaConf.load(CONFIG_DIR / "agent" / f"{name}.yaml")
    if backend:
        agent.backend = backend
    # Algorithms that begin to learn late begin early here, as the training is short.
    agent.update({key: value for key, value in {"learning_starts": 100, "n_steps": 64}.items() if key in agent})
    env_id = "CartPole-v1" if name in DISCRETE else "Pendulum-v1"
    config = {
        "agent": agent,
        "environment": {"env_id": env_id},
        "training": {"total_timesteps": 400, "instruction_set": level, "checkpoint_every": None},
        "evaluation": EVALUATION,
    }
    started = time.process_time()
    outcome = train(run_config(OmegaConf.create(config)))
    seconds = time.process_time() - started
    assert outcome.state == "complete", outcome.reason
    found = hashlib.sha256(repr(outcome.evaluations).encode())
    for array in arrays(outcome.model, backend):
        found.update(array.tobytes())
    return found.hexdigest()[:12], seconds


def arrays(model: Any, backend: str) -> list[Any]:
    """Return all parameters of an agent, as arrays."""
    if not backend:
        return [tensor.numpy() for tensor in model.policy.state_dict().values()]
    import jax
    import numpy as np

    states = [state for name, state in sorted(vars(model.policy).items()) if name.endswith("_state")]
    return [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(states) if hasattr(leaf, "dtype")]


if __name__ == "__main__":
    main()
