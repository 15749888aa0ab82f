"""Settings of a study that the output files of each rule depend on, beyond the files that the rule reads.

Rules that train are left out, because a result itself names its trial and the digest of its study's config.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sidewinder.config.digests import digest
from sidewinder.config.study_config import StudyConfig


def rule_settings(rule: str, config: StudyConfig, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Settings by name, for the rule's record.

    Args:
        rule: The rule's name in the Snakefile.
        config: The study's config.
        overrides: The study's overrides in the configfile; only the rule `pages` shows them.

    Raises:
        KeyError: The rule keeps no record.
    """
    return {"study": config.digest(), **_own(rule, config, overrides)}


def _own(rule: str, config: StudyConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """Settings of one rule. The text of a config takes milliseconds, so only the rules that need it compute it."""
    n_trials, n_candidates = {"n_trials": config.study.n_trials}, {"n_candidates": len(config.candidates())}
    baselines = {"baselines": digest(config.baselines)}
    confirmation = {"confirmation": config.confirmation.model_dump(exclude={"keep_agents"})}
    match rule:
        case "tables":
            return {**n_trials, **config.study.model_dump(include={"max_failure_rate", "give_up"})}
        case "timings":
            return n_trials
        case "database":
            return {**n_trials, "storage": config.study.storage}
        case "candidate":
            return {**n_candidates, **baselines, "compared": config.compared()}
        case "race" | "winner":
            return {"rounds": [(names, len(seeds)) for names, seeds in config.race()], **baselines}
        case "confirmation_table":
            return {**n_candidates, **confirmation, **baselines}
        case "best" | "provenance" | "pareto":
            return {**n_trials, **confirmation, **baselines}
        case "agent":
            return {"confirmation": config.confirmation.model_dump(), **baselines}
        case "checklist":
            return {"config": digest(config.dump())}
        case "sweep_figures" | "winner_figures" | "pareto_figures":
            return {}
        case "pages":
            return {"config": digest(config.dump()), "overrides": list(overrides)}
        case "video":
            return {**confirmation, **baselines}
    raise KeyError(rule)


def comparison_settings(configs: Mapping[str, StudyConfig]) -> dict[str, Any]:
    """Settings that a comparison of studies depends on: their digests, by study name."""
    return {name: config.digest() for name, config in configs.items()}
