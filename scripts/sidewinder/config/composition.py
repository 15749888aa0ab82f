"""Composes a study's config from Hydra's configs and checks it. Each error names the file or override at fault."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from hydra import compose
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from sidewinder import SidewinderError
from sidewinder.config import search_space
from sidewinder.config.algorithms import ALGORITHMS
from sidewinder.config.baselines import baselines_of
from sidewinder.config.digests import digest
from sidewinder.config.interpolation import as_written, deferred, raw, resolve, without
from sidewinder.config.other_studies import is_of_another
from sidewinder.config.overrides import parse_override, reason_of
from sidewinder.config.parameter_values import SearchSpaceError
from sidewinder.config.provenance import PRIMARY, Provenance, search_path
from sidewinder.config.run_config import RunConfig
from sidewinder.config.run_sections import Environment
from sidewinder.config.search_overrides import apply_to_search_space, known_values
from sidewinder.config.search_space import SearchSpace
from sidewinder.config.searched_config import cap_at_grid, check_conditions, put_in
from sidewinder.config.starting_points import starting_points
from sidewinder.config.study_config import StudyConfig
from sidewinder.config.study_settings import ScoredEnvironment
from sidewinder.config.sweeper import storage_of, take_over
from sidewinder.config.tutorial import as_study, is_of_tutorial
from sidewinder.errors import expectation, first_line, one_line


def compose_study(
    name: str,
    overrides: Sequence[str] = (),
    config_dirs: Sequence[Path] = (),
    archives: Sequence[str] = (),
    directory: Path | None = None,
) -> StudyConfig:
    """Compose a study from configs/study/<name>.yaml, or from the file that an override `study=...` names.

    Args:
        name: The study's name, which is also the name of its directory in the results.
        overrides: Hydra overrides, e.g. `["study=pendulum_ddpg", "study.n_trials=100"]`.
        config_dirs: More directories of Hydra configs, searched before the shipped configs.
        archives: Value of `study.archives` if the configs do not set it.
        directory: The study's directory, if it may have trials. Starting points from other studies then stay as they
            were when the trials began, even if the other studies have changed.

    Raises:
        SidewinderError: One line that names file or override, key, what was found and what is accepted.
    """
    return composed(name, overrides, config_dirs, archives, directory)[0]


def composed(
    name: str,
    overrides: Sequence[str],
    config_dirs: Sequence[Path],
    archives: Sequence[str],
    directory: Path | None,
) -> tuple[StudyConfig, Any]:
    """Compose a study as `compose_study` does.

    Returns:
        The study's config, and the plain config as Hydra composed it, with its interpolations unresolved.
    """
    for override in overrides:
        parse_override(override)
    for configs in config_dirs:
        if not configs.is_dir():
            raise SidewinderError(f"config_dirs: {configs} is not a directory")
    with ExitStack() as stack:
        if primary := next(filter(is_of_tutorial, overrides), None):
            others = [override for override in overrides if override != primary]
            made, overrides = stack.enter_context(as_study(name, primary, others))
            config_dirs = [made, *config_dirs]
        elif not any(override.startswith("study=") for override in overrides):
            overrides = [f"study={name}", *overrides]
        stack.enter_context(search_path(config_dirs))
        composition = _Composition(name, overrides, archives, directory)
        return composition.study_config(), composition.written


class _Composition:
    """Composition of one study. `written` is the config as Hydra composed it, interpolations unresolved."""

    def __init__(
        self, name: str, overrides: Sequence[str], archives: Sequence[str], directory: Path | None = None
    ) -> None:
        self.name = name
        self.directory = directory
        self.archives = archives
        self.provenance = Provenance(name, overrides)
        self.written: Any = None

    def study_config(self) -> StudyConfig:
        config = self._compose()
        try:
            return self._study_config(config)
        except OmegaConfBaseException as error:
            key = error.full_key or ""
            raise self.provenance.error(tuple(key.split(".")), first_line(error), key=key) from None

    def _study_config(self, config: DictConfig) -> StudyConfig:
        sweeper = config.hydra.sweeper
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        self.written = {**raw(config), "sweeper": raw(sweeper)}
        for section in ("study", "search_space", "sampler", "pruner", "confirmation", "environments"):
            if not isinstance(config[section], DictConfig) or OmegaConf.is_missing(config, section):
                raise self.provenance.error((section,), f"found {config[section]!r}, accepted: a mapping")
        storage = storage_of(config, sweeper, self.provenance)
        try:
            take_over(config, sweeper, self.provenance)
            before = list(map(str, config.search_space))
            taken_out = apply_to_search_space(config, self.provenance)
            later = deferred(config.search_space)
            space = search_space.parse(
                {key: config.search_space[key] for key in config.search_space if key not in later},
                known_values(config, before),
            )
            space.fixed.update(later)
        except SearchSpaceError as error:
            raise self.provenance.error(("search_space", error.key), str(error), key=error.key) from None
        config.study.setdefault("name", self.name)
        config.study.setdefault("archives", list(self.archives))
        taken_out = self._told(config, space, taken_out)
        search_space.add_conditions(space)
        check_conditions(config, space, self.provenance)
        put_in(config, space, self.provenance)
        config.search_space = {key: as_written(config.search_space[key], space, key) for key in space.distributions}
        probe = without(config, space.distributions)
        plain = resolve(config, probe, keep_all=bool(config.study.custom_search_space))
        self._check_classes(plain)
        plain["study"]["storage"] = storage
        entries = plain["study"].pop("enqueue", [])
        study = self._validated({**plain, "baselines": self._baselines(plain)})
        self._enqueue(study, entries, taken_out)
        cap_at_grid(study, space, self.provenance)
        return study

    def _baselines(self, plain: dict[str, Any]) -> dict[str, dict[str, Any]]:
        try:
            return baselines_of(plain)
        except SidewinderError as error:
            raise SidewinderError(f"{self.provenance.source(('agent', 'defaults_file'))}: {error}") from None
        finally:
            if isinstance(plain["agent"], dict):
                plain["agent"].pop("defaults_file", None)  # no trial depends on it

    def _told(self, config: DictConfig, space: SearchSpace, taken_out: dict[str, str]) -> dict[str, str]:
        """Print which keys overrides take out of the search, and which conditions fail as a result.

        Returns:
            All keys that are therefore not searched, without `+`, each with the reason.
        """
        if not taken_out:
            return {}
        unmet = {
            key: "its condition does not hold"
            for key, entry in raw(config.search_space).items()
            if isinstance(entry, dict) and "when" in entry and key not in space.distributions
        }
        for key, reason in (taken_out | unmet).items():
            print(f"study {self.name}: {key} is not searched: {reason}", file=sys.stderr)
        return taken_out | {key.lstrip("+"): reason for key, reason in unmet.items()}

    def _compose(self) -> DictConfig:
        try:
            return compose(PRIMARY, self.provenance.for_hydra, return_hydra_config=True)
        except MissingConfigException as error:
            wanted = error.missing_cfg_file or ""
            group, _, option = wanted.rpartition("/")
            accepted = ", ".join(error.options or []) or "no option at all"
            raise SidewinderError(
                f"{self.provenance.who_chose(group, option)}: {group}: found {option!r}, accepted: {accepted}"
            ) from None
        except yaml.YAMLError as error:
            raise SidewinderError(one_line(error)) from None
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            reason = reason_of(error)
            if "resolving interpolation" in reason:
                reason += "; accepted in a study's defaults list: a name, such as ddpg"
            if "is not in struct" in reason:
                reason += "; accepted: a key of the config, or a new key with + before it"
            if "@study." in reason:
                reason += "; accepted: a study's file whose first line is # @package _global_"
            raise SidewinderError(f"{self.provenance.who_is_in(reason)}: {reason}") from None

    def _validated(self, plain: dict[str, Any]) -> StudyConfig:
        try:
            config = StudyConfig.model_validate(plain)
            if not config.study.custom_search_space and not config.search_space:
                accepted = "at least one parameter"
                raise SidewinderError(
                    f"{self.provenance.study_file()}: search_space: found nothing to search, accepted: {accepted}"
                )
            # Sections without interpolations are validated here (1e5 becomes 100000 for an integer), others per trial.
            for section in RunConfig.model_fields:
                if "${" not in str(plain[section]):
                    model = RunConfig.model_fields[section].annotation
                    if isinstance(model, type) and issubclass(model, BaseModel):
                        setattr(config, section, model.model_validate(plain[section]).model_dump())
            for name, scored in config.environments.items():
                self._check_scored(name, scored)
            self._check_objectives(config)
        except ValidationError as error:
            first = error.errors()[0]
            prefix = () if error.title == "StudyConfig" else (error.title.lower(),)
            key = (*prefix, *map(str, first["loc"]))
            raise self.provenance.error(key, expectation(first)) from None
        return config

    def _check_objectives(self, config: StudyConfig) -> None:
        """Check that the first objective is the first metric, and that trainings record the others."""
        metric, *others = config.metrics
        found, known = config.study.objectives, {*others, "spread", "steps_per_second"}
        if found[0] != metric or not set(found[1:]) <= known:
            accepted = f"accepted: {metric} (evaluation.metric) first, then {', '.join(sorted(known))}"
            raise self.provenance.error(("study", "objectives"), f"found {found}, {accepted}")

    def _check_classes(self, plain: dict[str, Any]) -> None:
        """Check that the agent names its algorithm, and the sampler and the pruner their classes."""
        names = ", ".join(sorted({name for names in ALGORITHMS.values() for name in names}))
        for section, key, accepted in (
            ("agent", "algorithm", names),
            ("sampler", "_target_", "the class of a sampler, such as optuna.samplers.TPESampler"),
            ("pruner", "_target_", "the class of a pruner, such as optuna.pruners.MedianPruner"),
        ):
            found = plain[section].get(key) if isinstance(plain[section], dict) else None
            if not isinstance(found, str):
                where = self.provenance.source((section,) if found is None else (section, key))
                shown = "nothing" if found is None else repr(found)
                raise SidewinderError(f"{where}: {section}.{key}: found {shown}, accepted: {accepted}")

    def _check_scored(self, name: str, scored: ScoredEnvironment) -> None:
        try:
            Environment.model_validate({"env_id": "", **(scored.model_extra or {})})
        except ValidationError as error:
            first = error.errors()[0]
            raise self.provenance.error(("environments", name, *map(str, first["loc"])), expectation(first)) from None

    def _enqueue(self, config: StudyConfig, entries: Any, taken_out: dict[str, str]) -> None:
        if not isinstance(entries, list):
            raise self.provenance.error(
                ("study", "enqueue"), f"found {entries!r}, accepted: a list of names and mappings"
            )
        if any(map(is_of_another, entries)):
            config.study.enqueued_from = digest(entries)
            before = StudyConfig.of_trials(self.directory) if self.directory else None
            if before and before.study.enqueued_from == config.study.enqueued_from:
                config.study.enqueue = before.study.enqueue
                return
        try:
            config.study.enqueue, notes = starting_points(config, entries, taken_out)
        except SidewinderError as error:
            raise SidewinderError(f"{self.provenance.source(('study', 'enqueue'))}: {error}") from None
        for note in notes:
            print(f"study {self.name}: {note}", file=sys.stderr)
