"""Puts a search space into the config that it searches, and checks that config, search space and sampler match."""

import sys

from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution

from sidewinder.config.algorithms import SWITCHES
from sidewinder.config.distributions import first_value, grid_values
from sidewinder.config.interpolation import has
from sidewinder.config.parameter_values import parse_value
from sidewinder.config.provenance import Provenance
from sidewinder.config.run_config import RunConfig
from sidewinder.config.search_overrides import HELPERS
from sidewinder.config.search_space import SearchSpace
from sidewinder.config.study_config import StudyConfig


def check_conditions(config: DictConfig, space: SearchSpace, provenance: Provenance) -> None:
    """Remove conditions if the sampler would waste trials on conditional parameters (grid) or not learn from them
    (CMA-ES, for numbers).

    Raises:
        SidewinderError: Such a condition is not in `SWITCHES`. Without it, the parameter might do harm.
    """
    kind = str(config.sampler.get("_target_", "")).rpartition(".")[2]
    for key, when in list(space.conditions.items()):
        choice = isinstance(space.distributions[key], CategoricalDistribution)
        if kind != "GridSampler" and (kind != "CmaEsSampler" or choice):
            continue
        if list(when) != [f"agent.{SWITCHES.get(key.removeprefix('agent.'))}"]:
            what = f"found a condition, accepted for {kind}: none (brute_force, tpe and others take conditions)"
            raise provenance.error(("search_space", key), what, key=key)
        del space.conditions[key]
        why = f"{kind} takes no conditions, and without {next(iter(when))} it has no effect"
        print(f"study {provenance.name}: {key} is searched in all trials: {why}", file=sys.stderr)


def put_in(config: DictConfig, space: SearchSpace, provenance: Provenance) -> None:
    """Set and delete the keys that the search space fixes and deletes. Check that the keys that it searches exist."""
    for key in space.distributions:
        section, _, name = key.lstrip("+").partition(".")
        if section not in RunConfig.model_fields:
            accepted = ", ".join(RunConfig.model_fields)
            raise provenance.error(
                ("search_space", key), f"found a key that no trial has, accepted: one of {accepted}", key=key
            )
        if not name:
            accepted = (
                f"keys of it, {section}.<key>; a study for each file, by {section}=a,b in config/config.yaml; or "
                "environments, for one setting that is good in several"
            )
            raise provenance.error(("search_space", key), f"found a choice of files, accepted: {accepted}", key=key)
    for key, distribution in space.distributions.items():
        if key.startswith(HELPERS) and not has(config, key):
            # Interpolations read the helper, so it needs a value in trials that do not have this parameter.
            OmegaConf.update(config, key, parse_value(key, first_value(distribution)), force_add=True)
    for key in [*space.distributions, *space.fixed, *space.deleted]:
        if not key.startswith(("+", HELPERS)) and not has(config, key):
            parent = key.rpartition(".")[0]
            siblings = OmegaConf.select(config, parent) if parent else config
            accepted = ", ".join(map(str, siblings)) if isinstance(siblings, DictConfig) else "a key of the config"
            raise provenance.error(("search_space", key), f"found an unknown key, accepted: {accepted}", key=key)
    for key, value in space.fixed.items():
        OmegaConf.update(config, key.lstrip("+"), value, force_add=True)
    for key in space.deleted:
        parent, _, last = key.rpartition(".")
        del OmegaConf.select(config, parent)[last]


def cap_at_grid(config: StudyConfig, space: SearchSpace, provenance: Provenance) -> None:
    """Lower `study.n_trials` to the number of points of a grid or brute-force search, and print a line about it."""
    kinds = {"GridSampler": "the grid", "BruteForceSampler": "brute force"}
    search = kinds.get(str(config.sampler.get("_target_", "")).rpartition(".")[2])
    if search is None:
        return
    sizes: dict[str, int] = {}
    for key, distribution in space.distributions.items():
        try:
            sizes[key] = len(grid_values(distribution))
        except ValueError as error:
            accepted = f"accepted for {search.replace('the', 'a')}: choice or range"
            raise provenance.error(("search_space", key), f"{error}, {accepted}") from None
    size = space.n_points(sizes)
    if config.study.custom_search_space or size is None:
        return  # its size is not known
    enqueued = config.study.enqueue
    if search == "the grid":
        # GridSampler suggests all its points beside the enqueued ones, and does not complete partial points.
        for position, point in enumerate(enqueued):
            if missing := [key for key in space.distributions if key not in point]:
                what = f"found nothing for {', '.join(missing)}, accepted for a grid: all searched keys"
                raise provenance.error(("study", "enqueue"), what, key=f"study.enqueue[{position}]")
        size += len(enqueued)
    if config.study.n_trials > size:
        print(f"study {provenance.name}: {search} ends the study after {size} trials", file=sys.stderr)
        config.study.n_trials = size
