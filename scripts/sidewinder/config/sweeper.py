"""Converts a `hydra.sweeper` block that was written for Hydra's Optuna sweeper to Sidewinder's sections."""

import sys
from typing import Any

from omegaconf import DictConfig, ListConfig

from sidewinder.config import search_space
from sidewinder.config.interpolation import raw
from sidewinder.config.provenance import Provenance


def take_over(config: DictConfig, sweeper: DictConfig, provenance: Provenance) -> None:
    """Copy a `hydra.sweeper` block that was written for hydra-optuna-sweeper into Sidewinder's sections.

    Overrides of Sidewinder's keys take precedence over the block.
    """
    for name, value in {str(key): value for key, value in sweeper.items()}.items():
        if value is None or name in ("_target_", "n_jobs"):
            continue
        here = ("hydra", "sweeper", name)
        if name in ("sampler", "params", "search_space") and not isinstance(value, DictConfig):
            raise provenance.error(here, f"found {value!r}, accepted: a mapping")
        match name:
            case "direction" | "n_trials" | "max_failure_rate" | "custom_search_space":
                if provenance.is_overridden(f"study.{name}"):
                    continue
                config.study[name] = value[0] if isinstance(value, ListConfig) and len(value) == 1 else value
                provenance.moved["study", name] = here
            case "study_name":
                if provenance.is_overridden("study.name"):
                    continue
                config.study.name = value
                provenance.moved["study", "name"] = here
            case "sampler":
                if not provenance.is_overridden("sampler"):
                    options = {k: v for k, v in value.items() if k not in ("seed", "_partial_")}
                    overridden = {k: v for k, v in config.sampler.items() if provenance.is_overridden(f"sampler.{k}")}
                    # Options without `_target_` are options of the study's sampler.
                    before = {} if "_target_" in options else config.sampler
                    config.sampler = {**before, **options, **overridden}
                    provenance.moved["sampler",] = here
                if value.get("seed") is not None and not provenance.is_overridden("study.seed"):
                    config.study.seed = value.seed
                    provenance.moved["study", "seed"] = (*here, "seed")
            case "params":
                config.search_space = value
                provenance.moved["search_space",] = here
            case "search_space":
                if sweeper.get("params") is None:
                    provenance.moved["search_space",] = here
                    config.search_space = search_space.from_deprecated(value)
            case _:
                accepted = "direction, n_trials, max_failure_rate, storage, study_name, sampler, params, "
                raise provenance.error(here, f"found {value!r}, accepted: {accepted}custom_search_space, n_jobs")
    if sweeper.get("n_jobs") is not None:
        where = provenance.source(("hydra", "sweeper", "n_jobs"))
        print(
            f"{where}: hydra.sweeper.n_jobs: found {sweeper.n_jobs}, not used: `snakemake --cores` sets how many "
            "trials run at a time, study.workers the number of virtual workers",
            file=sys.stderr,
        )


def storage_of(config: DictConfig, sweeper: DictConfig, provenance: Provenance) -> Any:
    """Remove the storage from the config and return it. An override of `study.storage` comes before the sweeper's.

    Values from environment variables may be secret. A storage with such a value is returned unresolved, and only the
    code that opens the database resolves it.
    """
    found = None
    for section, path in ((config.study, ("study", "storage")), (sweeper, ("hydra", "sweeper", "storage"))):
        written = raw(section).get("storage")
        overridden = section is sweeper and provenance.is_overridden("study.storage")
        if written is not None and not overridden:
            found = written if "${oc.env:" in str(written) else section.storage
            provenance.moved["study", "storage"] = path
        section.storage = None
    return found
