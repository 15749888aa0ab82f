"""Converts RL Baselines3 Zoo's hyperparameter files, `hyperparams/*.yml`, to Sidewinder's settings.

Nothing in them is run: texts that the Zoo evaluates as Python are parsed as literals.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sidewinder import SidewinderError
from sidewinder.config.algorithms import ALGORITHMS
from sidewinder.errors import first_line
from sidewinder.files import reading

# Sidewinder's name for an algorithm, by the Zoo's name, where the two differ.
NAMES = {"ppo_lstm": "recurrent_ppo"}
# Names in a config for the classes in the Zoo's texts. Other activations are named by their import paths.
_CLASSES = {
    "HerReplayBuffer": "her",
    "RMSpropTFLike": "stable_baselines3.common.sb2_compat.rmsprop_tf_like.RMSpropTFLike",
}
_ACTIVATIONS = {"ELU": "elu", "GELU": "gelu", "LeakyReLU": "leaky_relu", "ReLU": "relu", "SiLU": "silu", "Tanh": "tanh"}
# Keys that are left out: they are no arguments of an algorithm, and no other section has them.
_NOT_USED = ("monitor_kwargs", "vec_env_wrapper")
_SCHEDULES = {"learning_rate": "lr_schedule", "clip_range": "clip_range_schedule"}


class _Loader(yaml.SafeLoader):
    """YAML loader that reads the Zoo's tuples as lists."""


def _tuple(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _tuple)


def algorithm_of(path: Path) -> str | None:
    """The algorithm that a file is for, by the file's name; None if no algorithm has this name."""
    name = NAMES.get(path.stem, path.stem)
    return name if name in ALGORITHMS["sb3"] else None


def settings_of(path: Path) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """Read the setting of each environment in a hyperparameter file.

    Yields:
        The environment's id, its setting with the sections `agent`, `environment` and maybe `training`, and the keys
        that are left out.

    Raises:
        SidewinderError: The file is malformed, or a value cannot be read; one line that names the file and the key.
    """
    with reading(path, "rl_zoo3/hyperparams/<algorithm>.yml has one"):
        text = path.read_text()
    try:
        found = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise SidewinderError(f"{path}: {first_line(error)}, accepted: a file of RL Baselines3 Zoo's") from None
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise SidewinderError(f"{path}: found no environments, accepted: a file of RL Baselines3 Zoo's")
    for env_id, entry in found.items():
        try:
            yield (str(env_id), *_setting(dict(entry)))
        except ValueError as error:
            raise SidewinderError(f"{path}: {env_id}: {error}") from None


def _setting(entry: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    environment: dict[str, Any] = {
        "n_envs": entry.pop("n_envs", 1),
        "normalize": _read("normalize", entry.pop("normalize", False)),
    }
    if wrappers := entry.pop("env_wrapper", None):
        environment["wrappers"] = wrappers if isinstance(wrappers, list) else [wrappers]
    for name in ("frame_stack", "env_kwargs"):
        if value := _read(name, entry.pop(name, None)):
            environment[name] = value
    training: dict[str, Any] = {}
    if (steps := entry.pop("n_timesteps", None)) is not None:
        training["total_timesteps"] = int(float(steps))
    if callbacks := entry.pop("callback", None):
        training["callbacks"] = callbacks if isinstance(callbacks, list) else [callbacks]
    left_out = [name for name in _NOT_USED if entry.pop(name, None)]
    agent: dict[str, Any] = {}
    for name, value in entry.items():
        key = "action_noise" if name == "noise_type" else str(name)
        if isinstance(value, str) and value.startswith("lin_"):
            if key not in _SCHEDULES:
                raise ValueError(f"{name}: found {value!r}, accepted: a number")
            agent |= {key: float(value.removeprefix("lin_")), _SCHEDULES[key]: "linear"}
        else:
            agent[key] = _read(key, value)
    if isinstance(policy := agent.get("policy_kwargs"), dict):
        networks = policy.get("net_arch")
        # Before SB3 1.8, it was a list with one mapping.
        if isinstance(networks, list) and len(networks) == 1 and isinstance(networks[0], dict):
            policy["net_arch"] = networks[0]
    return {"agent": agent, "environment": environment} | ({"training": training} if training else {}), left_out


def _read(key: str, value: Any) -> Any:
    """Read a value. A text with a Python expression is parsed as a literal."""
    if key == "replay_buffer_class":
        return _CLASSES.get(value, value)
    if not isinstance(value, str) or not value.lstrip().startswith(("dict(", "{", "[")):
        return value
    try:
        return _literal(ast.parse(value.strip(), mode="eval").body)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{key}: found {value!r} ({first_line(error)}), accepted: dict(...) of plain values") from None


def _literal(node: ast.expr) -> Any:
    """Value of a Python expression, without running it.

    Raises:
        ValueError: The expression is more than a literal.
    """
    match node:
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if all(one.arg for one in keywords):
            return {str(one.arg): _literal(one.value) for one in keywords}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_literal(key): _literal(value) for key, value in zip(keys, values, strict=True) if key}
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_literal(element) for element in elements]
        case ast.Attribute(value=ast.Name(id="nn"), attr=name):
            return _ACTIVATIONS.get(name, f"torch.nn.{name}")
        case ast.Name(id=name) if name in _CLASSES:
            return _CLASSES[name]
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"{ast.unparse(node)} is no plain value") from None
