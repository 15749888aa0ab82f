"""Trains in a process that is killed by SIGKILL after a number of checkpoints.

`outcome` forks such a process. `python killed_training.py run.json directory count` is such a process itself; it writes
outcome.json if it reaches the end of training.
"""

import hashlib
import json
import logging
import math
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.save_util import load_from_zip_file

from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.training import keeper
from sidewinder.training.agents import keep_agent
from sidewinder.training.run import train

HELD_OUT = HeldOut(2, seed=77)


def outcome(
    run: RunConfig,
    directory: Path,
    *,
    checkpoint: str | None = "checkpoint",
    kill_after: float = math.inf,
    report: Callable[[int, float], bool] = lambda _step, _mean: False,
    doing: Callable[[int], None] = lambda _count: None,
    every: float | None = 0.0,
) -> dict[str, Any] | int:
    """Train in a separate process, by default with a checkpoint at each moment of rest.

    Args:
        run: The training run.
        directory: Directory for the checkpoint, TensorBoard's log and outcome.json.
        checkpoint: Name of the checkpoint; None for no checkpoint.
        kill_after: Number of checkpoints after which the process is killed.
        report: As for `train`.
        doing: Called in the process after each checkpoint, with the number of checkpoints so far.
        every: `training.checkpoint_every`.

    Returns:
        The content of outcome.json, or the number of the signal that ended the process.
    """
    process = multiprocessing.get_context("fork").Process(
        target=_train, args=(run, directory, checkpoint, kill_after, report, doing, every)
    )
    process.start()
    process.join()
    if process.exitcode:
        return -process.exitcode
    found = json.loads((directory / "outcome.json").read_text())
    assert isinstance(found, dict)
    return found


def _train(
    run: RunConfig,
    directory: Path,
    checkpoint: str | None,
    kill_after: float,
    report: Callable[[int, float], bool],
    doing: Callable[[int], None],
    every: float | None,
) -> None:
    keeper.SHARE = math.inf
    directory.mkdir(exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    written = 0

    def progressed() -> None:
        nonlocal written
        written += 1
        doing(written)
        if written >= kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    run.training.checkpoint_every = every
    agent = directory / (checkpoint or "no_checkpoint") / "agent"
    found = train(
        run,
        tensorboard_log=directory / "tensorboard",
        report=report,
        held_out=HELD_OUT,
        counted=lambda model: keep_agent(model, agent) if every is not None else None,
        checkpoint=directory / checkpoint if checkpoint else None,
        progressed=progressed,
    )
    assert found.model is not None
    content = {
        "state": found.state,
        "reason": found.reason,
        "evaluations": [one.model_dump() for one in found.evaluations],
        "held_out_returns": found.held_out_returns,
        "steps": found.model.num_timesteps,
        "weights": _digest(found.model),
        "agent": _saved(agent / "model.zip"),
        "drawn_next": [float(torch.rand(1)), float(np.random.rand())],
        "written": written,
    }
    (directory / "outcome.json").write_text(json.dumps(content))


def _saved(path: Path) -> str:
    """Return a digest of the parameters of the saved agent; empty if none was saved."""
    if not path.exists():
        return ""
    _, parameters, _ = load_from_zip_file(path)
    saved: Any = parameters or {}
    values = [value for name in sorted(saved) for value in saved[name].values()]
    arrays = [value.numpy() for value in values if isinstance(value, torch.Tensor)]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def _digest(model: Any) -> str:
    """Return a digest of all weights and of the replay buffer."""
    arrays = [value.numpy() for _, value in sorted(model.policy.state_dict().items())]
    if type(model).__module__.startswith("sbx"):
        import jax

        states = [getattr(model.policy, name) for name in sorted(vars(model.policy)) if name.endswith("_state")]
        arrays += [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(states)]
    if (buffer := getattr(model, "replay_buffer", None)) is not None:
        for part in (buffer.observations, buffer.actions, buffer.rewards, buffer.dones):
            arrays += list(part.values()) if isinstance(part, dict) else [part]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


if __name__ == "__main__":
    where = Path(sys.argv[2])
    _train(
        RunConfig.model_validate_json(Path(sys.argv[1]).read_text()),
        where,
        "checkpoint",
        float(sys.argv[3]),
        lambda _step, _mean: False,
        lambda _count: None,
        0.0,
    )
