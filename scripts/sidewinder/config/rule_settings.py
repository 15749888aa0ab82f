"""Which settings of a study the files of each rule depend on, beside the files that the rule reads.

Trainings are not among them: a result names the number and the digest that it belongs to.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sidewinder.config.digests import digest
from sidewinder.config.study_config import StudyConfig


def rule_settings(rule: str, config: StudyConfig, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The settings by name, for the rule's record.

    Args:
        rule: Its name, as in the Snakefile.
        config: The study's.
        overrides: What the configfile says of the study, for the rule that shows it.

    Raises:
        KeyError: The rule keeps no record.
    """
    study, baselines = config.study, digest(config.baselines)
    confirmation = config.confirmation.model_dump(exclude={"keep_agents"})
    n_trials, n_candidates = study.n_trials, len(config.candidates())
    race = {"rounds": [(names, len(seeds)) for names, seeds in config.race()], "baselines": baselines}
    own: dict[str, dict[str, Any]] = {
        "tables": {"n_trials": n_trials, "max_failure_rate": study.max_failure_rate, "give_up": study.give_up},
        "timings": {"n_trials": n_trials},
        "database": {"n_trials": n_trials, "storage": study.storage},
        "candidate": {"n_candidates": n_candidates, "baselines": baselines, "compared": config.compared()},
        "race": race,
        "winner": race,
        "confirmation_table": {"n_candidates": n_candidates, "confirmation": confirmation, "baselines": baselines},
        "best": {"n_trials": n_trials, "confirmation": confirmation, "baselines": baselines},
        "agent": {"confirmation": config.confirmation.model_dump(), "baselines": baselines},
        "provenance": {"n_trials": n_trials, "confirmation": confirmation, "baselines": baselines},
        "checklist": {"config": digest(config.dump())},
        "pareto": {"n_trials": n_trials, "confirmation": confirmation, "baselines": baselines},
        "sweep_figures": {},
        "winner_figures": {},
        "pareto_figures": {},
        "pages": {"config": digest(config.dump()), "overrides": list(overrides)},
        "video": {"confirmation": confirmation, "baselines": baselines},
    }
    return {"study": config.digest(), **own[rule]}


def comparison_settings(configs: Mapping[str, StudyConfig]) -> dict[str, Any]:
    """The settings of studies side by side, by their names, which say in what they differ."""
    return {name: config.digest() for name, config in configs.items()}
