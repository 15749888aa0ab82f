"""Measures what checkpoints cost a training, and what kills cost a training that has checkpoints.

python benchmarks/checkpoints.py cost         # processor time of trainings with and without checkpoints, in turns
python benchmarks/checkpoints.py kills        # 20 kills of one training at random moments
Trainings use one thread. MuJoCo's environments need requirements-mujoco.lock. Prints one row of a Markdown table for
each agent.
"""

import argparse
import json
import mmap
import multiprocessing
import os
import random
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.determinism import pin

# The default of `training.checkpoint_every`.
EVERY = 1.0
AGENTS = {
    "PPO on CartPole": ["agent=ppo", "environment=cartpole", "environment.n_envs=8", "agent.n_steps=256"],
    "A2C on CartPole": ["agent=a2c", "environment=cartpole"],
    "DDPG on Pendulum": ["agent=ddpg", "environment=pendulum"],
    "DQN on CartPole": ["agent=dqn", "environment=cartpole"],
    "SAC on Pendulum": ["agent=sac", "environment=pendulum"],
    "SAC on HalfCheetah": ["agent=sac", "environment=half_cheetah"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cost", "kills"])
    parser.add_argument("--agents", nargs="*", default=list(AGENTS), choices=list(AGENTS))
    parser.add_argument("--seconds", type=float, default=60, help="about how long one training takes")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    pin("avx2", 1)
    for name in arguments.agents:
        n_steps = steps_in(name, arguments.seconds)
        if arguments.what == "cost":
            cost(name, n_steps, arguments.repetitions)
        else:
            kills(name, n_steps, arguments.kills, random.Random(arguments.seed))


def steps_in(name: str, seconds: float) -> int:
    """Return the number of environment steps of a training that takes about so many seconds."""
    with tempfile.TemporaryDirectory() as directory:
        short = trained(name, 3000, Path(directory), None)
        return max(3000, int(3000 * seconds / short["seconds"] / 1000) * 1000)


def cost(name: str, n_steps: int, repetitions: int) -> None:
    """Print a row of what checkpoints cost a training.

    The columns: agent, steps, processor seconds without checkpoints, the share that checkpoints add to these, and the
    largest checkpoint in MB. Times are the lowest of the repetitions.
    """
    best = {EVERY: float("inf"), None: float("inf")}
    size = 0
    for _ in range(repetitions):
        for every in best:
            with tempfile.TemporaryDirectory() as directory:
                best[every] = min(best[every], trained(name, n_steps, Path(directory), every)["processor"])
                size = max(size, sum(path.stat().st_size for path in Path(directory).glob("checkpoint/*")))
    share = best[EVERY] / best[None] - 1
    print(f"| {name} | {n_steps} | {best[None]:.1f} | {100 * share:.1f} % | {size / 1e6:.1f} |", flush=True)


def kills(name: str, n_steps: int, n_kills: int, generator: random.Random) -> None:
    """Print a row of what kills cost a training.

    The columns: agent, steps, seconds without kills, share of the steps that were trained again, seconds that the last
    resumption took, seconds of all resumptions as a share of the seconds without kills, and the time that kills added,
    also as such a share.
    """
    with tempfile.TemporaryDirectory() as directory:
        undisturbed = trained(name, n_steps, Path(directory, "undisturbed"), None)
        # On average, the pauses add up to the length of the training without kills.
        pauses = [generator.uniform(0, 2 * undisturbed["seconds"] / n_kills) for _ in range(n_kills)]
        again, repeating, started = 0, 0.0, time.monotonic()
        for pause in pauses:
            found = trained(name, n_steps, Path(directory, "killed"), EVERY, kill_after=pause)
            if not found["killed"]:
                break
            again += found["again"]
            repeating += found["repeating"]
        found = trained(name, n_steps, Path(directory, "killed"), EVERY)
        took = time.monotonic() - started
        repeating += found["repeating"]
        assert found["evaluations"] == undisturbed["evaluations"]
        last = found["repeating"]
        print(
            f"| {name} | {n_steps} | {undisturbed['seconds']:.0f} | {100 * again / n_steps:.1f} % | {last:.1f} | "
            f"{100 * repeating / undisturbed['seconds']:.1f} % | {100 * (took / undisturbed['seconds'] - 1):.0f} % |",
            flush=True,
        )


def trained(
    name: str, n_steps: int, directory: Path, every: float | None, kill_after: float | None = None
) -> dict[str, Any]:
    """Train in a separate process.

    Args:
        name: Key of `AGENTS`.
        n_steps: Number of environment steps.
        directory: Directory for the checkpoint and the outcome.
        every: `training.checkpoint_every`.
        kill_after: Seconds after which the process is killed, counted from when it starts to train or has resumed;
            None for no kill.

    Returns:
        `killed`: whether it was killed; `repeating`: seconds that resuming took. If it was killed, `again`: steps to
        train again. Else the content of outcome.json.
    """
    # The process writes here: its steps so far, 0, the seconds that resuming took, and 1 once it trains.
    told = mmap.mmap(-1, 32)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_train, args=(name, n_steps, directory, every, told))
    process.start()
    killed = False
    if kill_after is not None:
        while process.is_alive() and struct.unpack("dddd", told)[3] == 0:
            time.sleep(0.01)
        process.join(kill_after)
        killed = process.is_alive()
        if killed:
            os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    steps, _, repeating, _ = struct.unpack("dddd", told)
    if killed:
        kept = _kept_step(directory / "checkpoint" / "state")
        return {"killed": True, "again": steps - kept, "repeating": repeating}
    return {"killed": False, "repeating": repeating, **json.loads((directory / "outcome.json").read_text())}


def _kept_step(state: Path) -> int:
    """Return the step from which a training will resume; 0 without a checkpoint."""
    if not state.exists():
        return 0
    with state.open("rb") as file:
        return int(json.loads(file.readline())["facts"]["step"])


def _train(name: str, n_steps: int, directory: Path, every: float | None, told: mmap.mmap) -> None:
    from sidewinder.config.composition import compose_study
    from sidewinder.training.keeper import Keeper
    from sidewinder.training.run import train

    class Telling(Keeper):
        """Writes to `told` how far the training is."""

        def _on_training_start(self) -> None:
            started = time.monotonic()
            super()._on_training_start()
            told[:] = struct.pack("dddd", self.model.num_timesteps, 0, time.monotonic() - started, 1)

        def _on_step(self) -> bool:
            told[:8] = struct.pack("d", self.model.num_timesteps)
            return True

    if every is not None:
        import sidewinder.training.run

        sidewinder.training.run.Keeper = Telling  # type: ignore[attr-defined]
    overrides = ["study=plain", *AGENTS[name], f"training.total_timesteps={n_steps}"]
    overrides += [f"evaluation.eval_freq={max(1000, n_steps // 10)}"]
    run = compose_study("checkpoints", overrides).for_trial({})
    run.training.checkpoint_every = every
    directory.mkdir(exist_ok=True)
    started, processor = time.monotonic(), time.process_time()
    outcome = train(run, checkpoint=directory / "checkpoint", tensorboard_log=directory / "tensorboard")
    content = {
        "seconds": time.monotonic() - started,
        "processor": time.process_time() - processor,
        "evaluations": [evaluation.model_dump() for evaluation in outcome.evaluations],
    }
    (directory / "outcome.json").write_text(json.dumps(content))


if __name__ == "__main__":
    main()
