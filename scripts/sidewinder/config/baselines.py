"""Baselines of a study, which its winner is compared with: the algorithm's defaults, and RL Zoo's setting.

The defaults of an algorithm given by import path come from its constructor, or from the file that
`agent.defaults_file` names. A baseline takes from the study what the study's environment needs: see `_fitted`.
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

# Keys of policy_kwargs that turn observations into network inputs. They depend on the environment and are not tuned.
_OF_OBSERVATIONS = ("normalize_images", "features_extractor_class", "features_extractor_kwargs")


def baselines_of(plain: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Baselines by name: `defaults`, and `zoo` if RL Zoo has published a setting for this environment.

    Interpolations are kept: `StudyConfig.for_baseline` resolves them. A setting of RL Zoo that SBX cannot train is
    left out, with a line on stderr.

    Args:
        plain: The study's config, as plain values.

    Returns:
        The sections `agent` and `environment` of each baseline.

    Raises:
        SidewinderError: The file that `agent.defaults_file` names is missing, or has another algorithm.
    """
    agent, environment = plain.get("agent"), plain.get("environment")
    if not isinstance(agent, dict) or not isinstance(environment, dict):
        return {}
    defaults = _defaults_of(agent)
    if defaults is None:
        return {}
    # SB3's defaults assume one environment: with several, they would update the networks less often.
    baselines: dict[str, dict[str, Any]] = {
        "defaults": {"agent": _fitted(raw(defaults), agent), "environment": {"n_envs": 1}}
    }
    env_id = str(environment.get("env_id")).rpartition(":")[2]
    if plain["environments"]:
        return baselines  # RL Zoo has no setting for several environments at once
    if is_import_path(agent["algorithm"]):
        return baselines  # RL Zoo has no setting for the user's own algorithms
    if zoo := load(f"zoo/{agent['algorithm']}/{env_id}"):
        own = zoo[1] or {}
        merged = _fitted(raw(OmegaConf.merge(defaults, own.get("agent") or {})), agent)
        if lacking := beyond_limits(merged):
            print(f"baselines: zoo: {lacking}; left out", file=sys.stderr)
        else:
            baselines["zoo"] = {"agent": merged, "environment": own.get("environment") or {}}
    return baselines


def _defaults_of(agent: dict[str, Any]) -> DictConfig | None:
    """Agent section with the algorithm's defaults; None if the algorithm is unknown, which later checks report.

    Raises:
        SidewinderError: The file that `agent.defaults_file` names is missing, or has another algorithm.
    """
    algorithm, policy, name = agent.get("algorithm"), agent.get("policy"), agent.get("defaults_file")
    if name is not None:
        # Composed by Hydra, because the file may have a defaults list.
        own: Any = raw(compose(f"agent/{name}").agent) if path_of(f"agent/{name}") else {}
        own.pop("defaults_file", None)
        if own.get("algorithm") != algorithm:
            accepted = f"the name of a file in agent/ with algorithm: {algorithm}"
            raise SidewinderError(f"agent.defaults_file: found {name!r}, accepted: {accepted}")
        own.setdefault("policy", "MlpPolicy")
    elif is_import_path(algorithm):
        own = {"algorithm": algorithm, "policy": policy if is_import_path(policy) else "MlpPolicy"}
    else:
        # The shipped file, because a user's file of the same name may differ from SB3's defaults.
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
    """Adapt a baseline's agent to the environment in which the study's `agent` acts.

    The study's policy replaces the baseline's if the two take different observations (MlpPolicy takes no images). The
    keys `_OF_OBSERVATIONS` are the study's, and so is hindsight replay. Searched keys of the study count with their
    values in its config. Its interpolations are ignored: they may read searched keys, which a baseline does not have.
    """
    fitted = dict(baseline)
    known = _settled(agent)
    policy = str(known.get("policy", baseline["policy"]))
    if not is_import_path(policy) and _observations(policy) != _observations(str(baseline["policy"])):
        fitted["policy"] = policy
    given = _mapping(known, "policy_kwargs")
    if needed := {key: given[key] for key in _OF_OBSERVATIONS if key in given}:
        fitted["policy_kwargs"] = _mapping(baseline, "policy_kwargs") | needed
    if known.get("replay_buffer_class") == "her":  # a buffer given by import path belongs to the tuned setting
        fitted["replay_buffer_class"] = known["replay_buffer_class"]
        fitted["replay_buffer_kwargs"] = _mapping(baseline, "replay_buffer_kwargs") | _mapping(
            known, "replay_buffer_kwargs"
        )
        # Hindsight replay needs a whole episode before the first update.
        starts = [section.get("learning_starts") for section in (baseline, known)]
        if numbers := [number for number in starts if isinstance(number, int | float)]:
            fitted["learning_starts"] = max(numbers)
    return fitted


def _observations(policy: str) -> str:
    """Kind of observations that a policy takes, by its name: `Cnn` images, `MultiInput` a dict, any other a vector."""
    return next((kind for kind in ("Cnn", "MultiInput") if policy.startswith(kind)), "vector")


def _settled(section: dict[str, Any]) -> dict[str, Any]:
    """A section without the keys whose values are interpolations."""
    return {
        key: _settled(value) if isinstance(value, dict) else value
        for key, value in section.items()
        if isinstance(value, dict) or "${" not in str(value)
    }


def _mapping(agent: dict[str, Any], key: str) -> dict[str, Any]:
    """A subsection of an agent; empty if it is absent or no mapping. Later checks report what is no mapping."""
    section = agent.get(key)
    return section if isinstance(section, dict) else {}
