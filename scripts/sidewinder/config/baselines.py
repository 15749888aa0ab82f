"""Settings that nobody tuned here, to compare a tuned one with: the algorithm's defaults, and RL Zoo's."""

import sys
from typing import Any

from omegaconf import OmegaConf

from sidewinder.config.algorithms import backend_of, beyond_limits
from sidewinder.config.interpolation import raw
from sidewinder.config.provenance import load
from sidewinder.paths import CONFIG_DIR


def baselines_of(plain: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings to compare a tuned one with: the algorithm's defaults, and RL Zoo's for this environment if it has
    published any. Their interpolations are kept, to be resolved where a run has them."""
    agent, environment = plain.get("agent"), plain.get("environment")
    if not isinstance(agent, dict) or not isinstance(environment, dict):
        return {}
    # The shipped file: a user's own of that name need not be at SB3's defaults.
    path = CONFIG_DIR / "agent" / f"{agent.get('algorithm')}.yaml"
    if not path.exists():
        return {}
    defaults = OmegaConf.merge(OmegaConf.load(path), {"backend": backend_of(agent)})
    # SB3's defaults are those of one environment: with several, they would update the networks less often.
    baselines: dict[str, dict[str, Any]] = {"defaults": {"agent": raw(defaults), "environment": {"n_envs": 1}}}
    env_id = str(environment.get("env_id")).rpartition(":")[2]
    if plain["environments"]:
        return baselines  # the Zoo has no setting for several at once
    if zoo := load(f"zoo/{agent['algorithm']}/{env_id}"):
        own = zoo[1] or {}
        merged = raw(OmegaConf.merge(defaults, own.get("agent") or {}))
        if lacking := beyond_limits(merged):
            print(f"baselines: zoo: {lacking}; left out", file=sys.stderr)
        else:
            baselines["zoo"] = {"agent": merged, "environment": own.get("environment") or {}}
    return baselines
