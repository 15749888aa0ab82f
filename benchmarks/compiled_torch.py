"""Measures whether torch.compile is worth it: the speed of DDPG on Pendulum with and without it, and the time of the
first steps.

python benchmarks/compiled_torch.py
Needs a C++ compiler. One thread, one environment, no evaluations. Speeds are in environment steps a second.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.determinism import pin

FIRST = 300
REPETITIONS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    arguments = parser.parse_args()
    pin("avx2", 1)
    print(f"| networks | torch.compile | first {FIRST} steps, s | steps/s after them |\n|---|---|---|---|")
    for net_arch in ("s", "l"):
        for is_compiled in (False, True) * REPETITIONS:
            first, speed = trained(net_arch, is_compiled, arguments.steps)
            print(f"| {net_arch} | {'yes' if is_compiled else 'no'} | {first:.1f} | {speed:.0f} |", flush=True)


def trained(net_arch: str, is_compiled: bool, steps: int) -> tuple[float, float]:
    """Return the seconds of the first `FIRST` steps, and the steps a second after them."""
    from sidewinder.config.composition import compose_study
    from sidewinder.training import agents
    from sidewinder.training.environments import make_training_env

    run = compose_study("compiled", ["study=plain", "agent=ddpg", "environment=pendulum"]).for_baseline("defaults")
    run.agent["policy_kwargs"]["net_arch"] = net_arch
    run.training.seed = 0
    env = make_training_env(run)
    model = agents.build(run.agent, env, seed=0, device="cpu", tensorboard_log=None)
    started = time.monotonic()
    if is_compiled:
        for name in ("actor", "actor_target", "critic", "critic_target"):
            getattr(model.policy, name).compile(mode="reduce-overhead")
    model.learn(FIRST)
    first = time.monotonic() - started
    started = time.monotonic()
    model.learn(steps, reset_num_timesteps=False)
    return first, steps / (time.monotonic() - started)


if __name__ == "__main__":
    main()
