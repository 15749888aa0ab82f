"""Makes the study's sampler for one suggestion, seeded only from the study's seed and the trial's number."""

import inspect
from collections.abc import Mapping
from typing import Any

import optuna
from hydra.utils import get_class, instantiate

from sidewinder.config.distributions import grid_values
from sidewinder.config.study_config import StudyConfig
from sidewinder.determinism import derive_seed

# The seed of these samplers decides the whole set of points, so it must be the same for all trials.
_DESIGNS = (optuna.samplers.GridSampler, optuna.samplers.QMCSampler)


def make_sampler(config: StudyConfig, number: int) -> optuna.samplers.BaseSampler:
    """Make the study's sampler for the suggestion of trial `number`, seeded from (study seed, number).

    Grid and QMC samplers are seeded from the study seed alone.

    Raises:
        SidewinderError: An option is unknown.
    """
    kind = get_class(config.sampler["_target_"])
    seed = derive_seed(config.study.seed, "sampler", number)
    options = dict(config.sampler)
    if issubclass(kind, optuna.samplers.GridSampler):
        options["search_space"] = {
            name: grid_values(distribution) for name, distribution in config.space().distributions.items()
        }
    if issubclass(kind, optuna.samplers.QMCSampler):
        # QMC leaves the first trials to it, and these must differ from each other.
        options["independent_sampler"] = options.get("independent_sampler") or {
            "_target_": "optuna.samplers.RandomSampler"
        }
    options = _seeded(options, seed)
    if issubclass(kind, _DESIGNS):
        options["seed"] = derive_seed(config.study.seed, "sampler")
    sampler: optuna.samplers.BaseSampler = instantiate(options, _convert_="all")
    return sampler


def _seeded(options: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Options with the seed added for each class that takes one, nested samplers included."""
    seeded = {name: _seeded(value, seed) if isinstance(value, Mapping) else value for name, value in options.items()}
    if "_target_" in options and "seed" in inspect.signature(get_class(options["_target_"])).parameters:
        seeded["seed"] = seed
    return seeded
