"""A training's setting in the format of RL Baselines3 Zoo's hyperparameter files; config/zoo_files.py reads them."""

from typing import Any

import yaml
from torch import nn

from sidewinder.config.algorithms import backend_of
from sidewinder.config.import_paths import import_paths
from sidewinder.config.run_config import RunConfig
from sidewinder.config.zoo_files import NAMES
from sidewinder.training.arguments import SCHEDULED, constructor_arguments

# The Zoo's name of each algorithm that has another name there, by our name.
_NAMES = {ours: theirs for theirs, ours in NAMES.items()}


def zoo_entry(run: RunConfig) -> str:
    """Return the text of a file for the Zoo's `--conf-file`, with one entry, for the run's environment.

    The Zoo trains with Stable-Baselines3 and SB3-Contrib only; a setting for SBX is written with the same values. If
    the Zoo's format cannot express the setting, the text is a comment that says so.
    """
    shapes = [f"{key} {run.agent[key]}" for key in SCHEDULED if run.agent.get(key) not in (None, "constant", "linear")]
    if lacking := [*import_paths(run.agent), *shapes]:
        return f"# RL Baselines3 Zoo cannot train this setting: its files have no way to say {', '.join(lacking)}.\n"
    name, (package, _, env_id) = run.agent["algorithm"], run.environment.env_id.rpartition(":")
    options = f"--algo {_NAMES.get(name, name)} --env {env_id}" + (f" --gym-packages {package}" if package else "")
    head = f"# python -m rl_zoo3.train {options} --conf-file <this file>\n"
    if backend_of(run.agent) == "sbx":
        head += "# It was found with SBX, which the Zoo does not have.\n"
    if run.environment.normalize and run.environment.normalize.gamma is not None:
        head += f"# VecNormalize had gamma={run.environment.normalize.gamma}; the Zoo takes the agent's.\n"
    return head + yaml.safe_dump({env_id: _around(run) | _agent(run.agent)}, sort_keys=False)


def _around(run: RunConfig) -> dict[str, Any]:
    """Return the keys of a Zoo entry that are no arguments of the algorithm."""
    environment = run.environment
    entry: dict[str, Any] = {"n_envs": environment.n_envs, "n_timesteps": run.training.total_timesteps}
    if environment.env_kwargs:
        entry["env_kwargs"] = environment.env_kwargs
    if environment.wrappers:
        entry["env_wrapper"] = [
            {path: arguments} if arguments else path
            for wrapper in environment.wrappers
            for path, arguments in wrapper.items()
        ]
    if run.training.callbacks:
        entry["callback"] = [
            {entry["_target_"]: {key: value for key, value in entry.items() if key != "_target_"}}
            for entry in run.training.callbacks
        ]
    if environment.frame_stack:
        entry["frame_stack"] = environment.frame_stack
    if options := environment.normalize:
        changed = options.model_dump(exclude_defaults=True)
        entry["normalize"] = f"dict({_keywords(changed)})" if changed else True
    return entry


def _agent(agent: dict[str, Any]) -> dict[str, Any]:
    # Here the names of networks and activations are replaced by their values; null means the constructor's default.
    arguments = constructor_arguments(agent | {"backend": "sb3"})
    policy_kwargs = arguments["policy_kwargs"] or {}
    known = {
        # A number as the constructor gets it: 1e5 steps are an integer there.
        key: arguments[key] if isinstance(arguments.get(key), int | float) else value
        for key, value in agent.items()
        if value is not None and key not in ("algorithm", "backend", "helpers", *SCHEDULED)
    }
    entry: dict[str, Any] = {"policy": known.pop("policy")}
    noise, deviation = known.pop("action_noise", None), known.pop("noise_std", 0.1)
    if noise:
        entry |= {"noise_type": noise, "noise_std": deviation}
    if known.pop("replay_buffer_class", None) == "her":
        entry["replay_buffer_class"] = "HerReplayBuffer"
    known.pop("replay_buffer_kwargs", None)
    if buffer := arguments.get("replay_buffer_kwargs"):
        entry["replay_buffer_kwargs"] = f"dict({_keywords(buffer)})"
    known.pop("policy_kwargs", None)
    linear = [key for kind, key in SCHEDULED.items() if agent.get(kind) == "linear"]
    entry |= known | {key: f"lin_{arguments[key].start}" for key in linear}
    return entry | ({"policy_kwargs": f"dict({_keywords(policy_kwargs)})"} if policy_kwargs else {})


def _keywords(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_python(value)}" for name, value in arguments.items())


def _python(value: Any) -> str:
    return f"nn.{value.__name__}" if isinstance(value, type) and issubclass(value, nn.Module) else repr(value)
