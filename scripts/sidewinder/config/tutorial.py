"""Converts a config of the tutorial "Easily tune RL hyperparameters with Hydra's Optuna sweeper" to a study's file.

The tutorial has a directory of configs: a primary config with the sections `hydra.sweeper` and `experiment`, and
agents whose algorithm is in the key `learning_algo`. Keys with a counterpart in Sidewinder are taken over, and others
are left out. A line says so for each key.
"""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from sidewinder import SidewinderError
from sidewinder.config.interpolation import raw
from sidewinder.config.overrides import PRIMARY, reason_of
from sidewinder.config.provenance import search_path
from sidewinder.paths import CONFIG_DIR

# The tutorial's keys of an agent, and Sidewinder's keys for them.
_OF_AGENTS = {
    "learning_algo": "algorithm",
    "noise_type": "action_noise",
    "net_arch": "policy_kwargs.net_arch",
    "activation": "policy_kwargs.activation_fn",
}
# The tutorial's keys of the section `experiment`, and Sidewinder's keys for them.
_OF_EXPERIMENTS = {
    "device": "training.device",
    "max_timesteps": "training.total_timesteps",
    "n_envs": "environment.n_envs",
    "n_eval_episodes": "evaluation.n_eval_episodes",
    "seed": "study.seed",
}
# Layer widths of the networks that the tutorial gives these names. Sidewinder's networks of these names are larger.
_NET_ARCHS = {"s": [32, 16], "m": [64, 32], "l": [64, 32, 16]}


def is_of_tutorial(override: str) -> bool:
    """Whether an override names the tutorial's primary config: `primary=...`."""
    return override.startswith(PRIMARY)


@contextmanager
def as_study(name: str, override: str, others: Sequence[str]) -> Iterator[tuple[Path, list[str]]]:
    """Convert a primary config to a study's file in a temporary directory, for a `with` block.

    Lines on stderr say what is taken over and what is left out.

    Args:
        name: The study's name.
        override: `primary=<directory>/<name>`.
        others: More overrides.

    Yields:
        The directory, and the overrides that compose the study.

    Raises:
        SidewinderError: As `study_file` raises it. Errors inside the block that name the study's file are raised again
            with the name of the primary config.
    """
    content, left, notes = study_file(override, others)
    for note in notes:
        print(f"study {name}: {note}", file=sys.stderr)
    path = Path(override.removeprefix(PRIMARY)).with_suffix(".yaml")
    with TemporaryDirectory() as directory:
        file = Path(directory, "study", f"{name}.yaml")
        file.parent.mkdir()
        file.write_text(f"# @package _global_\n{yaml.safe_dump(content, sort_keys=False)}")
        try:
            yield Path(directory), [f"study={name}", *left]
        except SidewinderError as error:
            raise SidewinderError(str(error).replace(os.path.relpath(file), os.path.relpath(path))) from None


def study_file(override: str, others: Sequence[str]) -> tuple[dict[str, Any], list[str], list[str]]:
    """Convert a primary config to the content of a study's file.

    Args:
        override: `primary=<directory>/<name>`.
        others: More overrides. Overrides of the tutorial's groups, of `experiment` and of `hydra` are applied here.

    Returns:
        The content of the study's file, the other overrides, and a line for each key that is taken over or left out.

    Raises:
        SidewinderError: The config is missing, cannot be composed, or names no known algorithm.
    """
    path = Path(override.removeprefix(PRIMARY)).with_suffix("")
    if not path.with_suffix(".yaml").is_file():
        raise SidewinderError(f"override {override}: found no {path}.yaml, accepted: primary=<directory>/<name>")
    if doubled := [one for one in others if one.startswith("study=")]:
        raise SidewinderError(f"override {doubled[0]}: found beside {override}, accepted: one of them")
    groups = {directory.name for directory in path.parent.iterdir() if directory.is_dir()}
    here = [one for one in others if re.match(rf"(experiment\.|hydra\.|({'|'.join(groups)})=)", one)]
    try:
        with search_path([path.parent]):
            config = compose(path.name, here, return_hydra_config=True)
        HydraConfig.instance().set_config(config)  # for ${hydra:...}
        storage = raw(config.hydra.sweeper)["storage"]  # unresolved, because it may read a password
        with read_write(config.hydra):
            config.hydra.sweeper.storage = None
        sweeper = OmegaConf.to_container(config.hydra.sweeper, resolve=True)
        del config.hydra
        plain = OmegaConf.to_container(config, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise SidewinderError(f"{path}.yaml: {reason_of(error)}") from None
    finally:
        HydraConfig.instance().cfg = None
    assert isinstance(plain, dict)
    assert isinstance(sweeper, dict)
    sweeper["storage"] = storage
    content, notes = _Conversion(f"{path}.yaml").converted({str(key): plain[key] for key in plain}, sweeper)
    return content, [one for one in others if one not in here], notes


class _Conversion:
    """Conversion of one primary config.

    Attributes:
        notes: A line for each key that is taken over or left out.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.notes: list[str] = []

    def converted(self, plain: dict[str, Any], sweeper: dict[Any, Any]) -> tuple[dict[str, Any], list[str]]:
        agent, environment = (dict(plain.pop(name, None) or {}) for name in ("agent", "environment"))
        algorithm = agent.get("learning_algo", agent.get("algorithm"))
        known = CONFIG_DIR / "agent" / f"{algorithm}.yaml"
        if not known.is_file():
            accepted = ", ".join(sorted(file.stem for file in known.parent.glob("*.yaml")))
            raise SidewinderError(f"{self._path}: agent.learning_algo: found {algorithm!r}, accepted: {accepted}")
        self._keys = set(map(str, OmegaConf.load(known)))
        self._content: dict[str, Any] = {}
        for name, value in agent.items():
            self._put("agent", name, self._key_in_agent(name), value)
        for name, value in environment.items():
            self._put("environment", name, _key_in_environment(name), value)
        self._experiment(dict(plain.pop("experiment", None) or {}))
        self._leave_out([f"{name}" for name in plain])
        params = self._search_space(dict(sweeper.pop("params", None) or {}))
        if sweeper.pop("n_jobs", None) is not None:
            self.notes.append("hydra.sweeper.n_jobs: not used: `snakemake --cores` says how many trials run at a time")
        used = {key: value for key, value in sweeper.items() if value is not None}
        defaults = ["_self_", {"override /agent": algorithm}]
        return {"defaults": defaults, **self._content, "hydra": {"sweeper": {**used, "params": params}}}, self.notes

    def _key_in_agent(self, name: str) -> str:
        key = _OF_AGENTS.get(name, name)
        return f"agent.{key}" if name in _OF_AGENTS or name in self._keys else ""

    def _experiment(self, experiment: dict[str, Any]) -> None:
        n_envs = int(experiment.get("n_envs") or 1)
        for name in ("optuna_eval_freq", "eval_freq"):
            if calls := experiment.get(name):
                self._put("experiment", name, "evaluation.eval_freq", calls * n_envs)
                self.notes[-1] += f": {calls} calls of {n_envs} environments are {calls * n_envs} environment steps"
                break
        # The tutorial judges a training by its last evaluation.
        self._set("evaluation.objective", "last")
        for name, key in _OF_EXPERIMENTS.items():
            if experiment.get(name) is not None:
                self._put("experiment", name, key, experiment[name])
        others = [name for name in experiment if name not in (*_OF_EXPERIMENTS, "optuna_eval_freq", "eval_freq")]
        self._leave_out([f"experiment.{name}" for name in others])

    def _search_space(self, theirs: dict[str, Any]) -> dict[str, Any]:
        ours = {}
        for old, text in theirs.items():
            if key := self._renamed(str(old)):
                ours[key] = _widths(text) if key.endswith("net_arch") else text
            else:
                self._leave_out([f"hydra.sweeper.params.{old}"])
        return ours

    def _renamed(self, key: str) -> str:
        """Sidewinder's key for a searched key of the tutorial; empty if there is none."""
        section, _, name = key.lstrip("+").partition(".")
        if section == "agent":
            first, dot, rest = name.partition(".")
            return f"{known}{dot}{rest}" if (known := self._key_in_agent(first)) else ""
        if section == "environment":
            return _key_in_environment(name)
        return _OF_EXPERIMENTS.get(name, "") if section == "experiment" else key

    def _put(self, section: str, name: str, key: str, value: Any) -> None:
        """Set Sidewinder's key to the value of the tutorial's key, with a note if their names differ."""
        old = f"{section}.{name}"
        if not key:
            self._leave_out([old])
            return
        if key.endswith("net_arch") and isinstance(value, str) and value in _NET_ARCHS:
            value = _NET_ARCHS[value]
            self.notes.append(f"{old}: s, m and l are the tutorial's {', '.join(map(str, _NET_ARCHS.values()))}")
        if key != old:
            self.notes.append(f"{old}: taken as {key}")
        self._set(key, value)

    def _set(self, key: str, value: Any) -> None:
        *sections, last = key.split(".")
        node = self._content
        for section in sections:
            node = node.setdefault(section, {})
        if isinstance(value, dict) and isinstance(node.get(last), dict):
            node[last] |= value
        else:
            node[last] = value

    def _leave_out(self, names: list[str]) -> None:
        if names:
            self.notes.append(f"{', '.join(names)}: not used")


def _key_in_environment(name: str) -> str:
    return f"environment.{name}" if name in ("env_id", "env_kwargs", "wrappers") else f"environment.env_kwargs.{name}"


def _widths(text: Any) -> Any:
    """Replace the tutorial's names of networks by their layer widths, in the text of a searched parameter."""
    return re.sub(r"""(["']?)\b([sml])\b\1""", lambda found: str(_NET_ARCHS[found[2]]), str(text))
