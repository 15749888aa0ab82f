"""Measures the time that a training saves without torch's compiler (lean_torch.py) and with fused optimizers
(fast_torch.py).

python benchmarks/around_torch.py
One thread; with small networks, and with each algorithm's default networks. Times are processor times, so other
programs disturb them little. The last two columns are for a change that Sidewinder does not make: target networks that
remember their parameters.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.determinism import pin

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from torch import nn

SCRIPTS = sys.path[0]
ALGORITHMS = ("ddpg", "sac", "dqn", "ppo")
# Networks that may have a target network, which each update moves towards them.
FOLLOWED = ("actor", "critic", "q_net")
# The steps of a job up to its first update.
START = """
import resource, time
import torch
{first}
from sidewinder.training import run
parameter = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.Adam([parameter])
parameter.sum().backward()
optimizer.step()
optimizer.zero_grad()
print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=50, help="environment steps of a training in each round")
    arguments = parser.parse_args()
    pin("avx2", 1)
    print("| start of a job, up to its first update | s | MB |\n|---|---|---|", flush=True)
    # If the compiler is imported first, lean_torch.py does not keep it out.
    firsts = {"without torch's compiler": "", "with it": "import torch._dynamo"}
    starts = {name: [start(first) for _ in range(arguments.starts)] for name, first in firsts.items()}
    for name, found in starts.items():
        seconds, megabytes = (median(values) for values in zip(*found, strict=True))
        print(f"| {name} | {seconds:.1f} | {megabytes:.0f} |", flush=True)
    print("\n| algorithm | networks | ms a step as SB3 is | fused | saves | parameters remembered, too | saves |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for algorithm in ALGORITHMS:
        for net_arch in ([64, 64], None):
            plain, fused, remembered = step_times(algorithm, net_arch, arguments)
            times = [f"{1000 * median(seconds):.2f}" for seconds in (plain, fused, remembered)]
            row = [
                algorithm,
                net_arch or "default",
                *times[:2],
                saved(plain, fused),
                times[2],
                saved(fused, remembered),
            ]
            print(f"| {' | '.join(map(str, row))} |", flush=True)


def saved(before: list[float], after: list[float]) -> str:
    """Return the share of the time that is saved, as text: the median over rounds.

    The two are compared in each round, because a machine's speed changes from minute to minute.
    """
    return f"{1 - median(other / one for one, other in zip(before, after, strict=True)):.1%}"


def start(first: str) -> tuple[float, float]:
    """Return the processor seconds and the memory (MB) of a process up to its first update."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {SCRIPTS!r})\n{START.format(first=first)}"]
    seconds, megabytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(megabytes)


def step_times(algorithm: str, net_arch: list[int] | None, arguments: argparse.Namespace) -> list[list[float]]:
    """Return the seconds of an environment step with its updates, in each round of three variants.

    The variants are plain SB3, fused optimizers, and fused optimizers with remembered parameters.
    """
    from sidewinder.training.fast_torch import make_fast

    def remembering(model: "BaseAlgorithm") -> None:
        make_fast(model)
        remember(model)

    changes: list[Callable[[BaseAlgorithm], None]] = [lambda _model: None, make_fast, remembering]
    models = [made(algorithm, net_arch, change) for change in changes]
    taken: list[list[float]] = [[] for _ in models]
    for _ in range(arguments.rounds):
        for model, seconds in zip(models, taken, strict=True):
            began, steps = time.process_time(), model.num_timesteps
            model.learn(arguments.steps, reset_num_timesteps=False)
            seconds.append((time.process_time() - began) / (model.num_timesteps - steps))
    return taken


def made(algorithm: str, net_arch: list[int] | None, change: "Callable[[BaseAlgorithm], None]") -> "BaseAlgorithm":
    """Make a model with SB3, change it, and let it begin to learn."""
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.logger import Logger

    from sidewinder.config.composition import compose_study
    from sidewinder.training import arguments

    environment = "cartpole" if algorithm == "dqn" else "pendulum"
    run = compose_study("torch", ["study=plain", f"agent={algorithm}", f"environment={environment}"]).for_trial({})
    run.agent["policy_kwargs"]["net_arch"] = net_arch
    if algorithm == "ppo":
        run.agent["n_steps"] = 256  # for short rounds
    env = make_vec_env(run.environment.env_id, seed=0)
    model: BaseAlgorithm = arguments.algorithm_of(run.agent)(
        env=env, seed=0, device="cpu", **arguments.constructor_arguments(run.agent)
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    change(model)
    return model.learn(run.agent.get("learning_starts", 0) + 50)


def remember(model: "BaseAlgorithm") -> None:
    """Let networks look up their parameters once instead of at each update of a target network."""
    for name in FOLLOWED:
        if hasattr(model.policy, f"{name}_target"):
            for network in (getattr(model.policy, name), getattr(model.policy, f"{name}_target")):
                _remember_parameters(network)


def _remember_parameters(network: "nn.Module") -> None:
    remembered, look_up = list(network.parameters()), network.parameters

    def parameters(recurse: bool = True) -> "Iterator[nn.Parameter]":
        return iter(remembered) if recurse else look_up(recurse)

    network.parameters = parameters  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
