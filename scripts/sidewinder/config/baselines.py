"""Settings that nobody tuned here, to compare a tuned one with: the algorithm's defaults, and RL Zoo's.

The defaults of an algorithm of one's own are those of its constructor, or what `agent.defaults_file` says. Each is a
setting for the study's environment, so what the environment needs is the study's: see `_fitted`.
"""

import sys
from typing import Any

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from sidewinder import SidewinderError
from sidewinder.config.algorithms import backend_of, beyond_limits
from sidewinder.config.import_paths import is_import_path
from sidewinder.config.interpolation import raw
from sidewinder.config.provenance import load, path_of
from sidewinder.paths import CONFIG_DIR

# How the observations become the networks' input: it depends on the environment, and nobody tunes it.
_OF_OBSERVATIONS = ("normalize_images", "features_extractor_class", "features_extractor_kwargs")


def baselines_of(plain: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings to compare a tuned one with: the algorithm's defaults, and RL Zoo's for this environment if it has
    published any. Their interpolations are kept, to be resolved where a run has them."""
    agent, environment = plain.get("agent"), plain.get("environment")
    if not isinstance(agent, dict) or not isinstance(environment, dict):
        return {}
    defaults = _defaults_of(agent)
    if defaults is None:
        return {}
    # SB3's defaults are those of one environment: with several, they would update the networks less often.
    baselines: dict[str, dict[str, Any]] = {
        "defaults": {"agent": _fitted(raw(defaults), agent), "environment": {"n_envs": 1}}
    }
    env_id = str(environment.get("env_id")).rpartition(":")[2]
    if plain["environments"]:
        return baselines  # the Zoo has no setting for several at once
    if is_import_path(agent["algorithm"]):
        return baselines  # nor one for algorithms that it does not have
    if zoo := load(f"zoo/{agent['algorithm']}/{env_id}"):
        own = zoo[1] or {}
        merged = _fitted(raw(OmegaConf.merge(defaults, own.get("agent") or {})), agent)
        if lacking := beyond_limits(merged):
            print(f"baselines: zoo: {lacking}; left out", file=sys.stderr)
        else:
            baselines["zoo"] = {"agent": merged, "environment": own.get("environment") or {}}
    return baselines


def _defaults_of(agent: dict[str, Any]) -> DictConfig | None:
    """The algorithm's defaults as an agent; None if there is no such algorithm, which checks of the study say.

    Raises:
        SidewinderError: The file that `agent.defaults_file` names is missing, or of another algorithm.
    """
    algorithm, policy, name = agent.get("algorithm"), agent.get("policy"), agent.get("defaults_file")
    if name is not None:
        # With what its own defaults list takes over.
        own: Any = raw(compose(f"agent/{name}").agent) if path_of(f"agent/{name}") else {}
        own.pop("defaults_file", None)
        if own.get("algorithm") != algorithm:
            accepted = f"the name of a file in agent/ with algorithm: {algorithm}"
            raise SidewinderError(f"agent.defaults_file: found {name!r}, accepted: {accepted}")
        own.setdefault("policy", "MlpPolicy")
    elif is_import_path(algorithm):
        own = {"algorithm": algorithm, "policy": policy if is_import_path(policy) else "MlpPolicy"}
    else:
        # The shipped file: a user's own of that name need not be at SB3's defaults.
        path = CONFIG_DIR / "agent" / f"{algorithm}.yaml"
        if not path.exists():
            return None
        own = OmegaConf.load(path)
    defaults = OmegaConf.merge(own, {"backend": backend_of(agent)})
    if is_import_path(policy):
        defaults.policy = policy
    assert isinstance(defaults, DictConfig)
    return defaults


def _fitted(baseline: dict[str, Any], agent: dict[str, Any]) -> dict[str, Any]:
    """A baseline's agent that can act in the environment of the study's `agent`.

    It has the study's policy where its own takes other observations (MlpPolicy takes no images), the study's way from
    observations to networks, and hindsight replay where the study has it. What the study searches is as its config
    says; what is computed from searched keys is left out, for a baseline has no such keys.
    """
    fitted = dict(baseline)
    known = _settled(agent)
    policy = str(known.get("policy", baseline["policy"]))
    if not is_import_path(policy) and _observations(policy) != _observations(str(baseline["policy"])):
        fitted["policy"] = policy
    given = _mapping(known, "policy_kwargs")
    if needed := {key: given[key] for key in _OF_OBSERVATIONS if key in given}:
        fitted["policy_kwargs"] = _mapping(baseline, "policy_kwargs") | needed
    if known.get("replay_buffer_class") == "her":  # a buffer of one's own is part of what is tuned
        fitted["replay_buffer_class"] = known["replay_buffer_class"]
        fitted["replay_buffer_kwargs"] = _mapping(baseline, "replay_buffer_kwargs") | _mapping(
            known, "replay_buffer_kwargs"
        )
        # The first update needs a whole episode.
        starts = [section.get("learning_starts") for section in (baseline, known)]
        if numbers := [number for number in starts if isinstance(number, int | float)]:
            fitted["learning_starts"] = max(numbers)
    return fitted


def _observations(policy: str) -> str:
    """Which observations a policy takes, by its name: images, several at once, or (Mlp and Linear) a vector."""
    return next((kind for kind in ("Cnn", "MultiInput") if policy.startswith(kind)), "vector")


def _settled(section: dict[str, Any]) -> dict[str, Any]:
    """A section without the keys that are computed."""
    return {
        key: _settled(value) if isinstance(value, dict) else value
        for key, value in section.items()
        if isinstance(value, dict) or "${" not in str(value)
    }


def _mapping(agent: dict[str, Any], key: str) -> dict[str, Any]:
    """A section of an agent; an empty one where there is none. Checks of the study find what is no mapping."""
    section = agent.get(key)
    return section if isinstance(section, dict) else {}
