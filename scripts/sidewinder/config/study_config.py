"""Typed config of a study, as results/<study>/config.yaml has it.

It has the sections of a training run (agent, environment, training, evaluation) and sections that say how to vary it
(study, search_space, sampler, pruner). With a trial's parameters put in, the former are the trial's training run.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import yaml
from omegaconf import DictConfig, OmegaConf
from pydantic import Field, model_validator

from sidewinder import SidewinderError
from sidewinder.config.digests import digest
from sidewinder.config.identity import Identity, identifying
from sidewinder.config.metrics import METRIC
from sidewinder.config.run_config import RunConfig, run_config
from sidewinder.config.run_sections import Section
from sidewinder.config.study_settings import Confirmation, ScoredEnvironment, StudySettings
from sidewinder.files import reading

if TYPE_CHECKING:
    from sidewinder.config.search_space import SearchSpace


# Trainings of a setting: environment and index of the seed, by the name that a training has in files.
Trainings = dict[str, tuple[str | None, int]]


class StudyConfig(Section):
    """A training run and how to vary it.

    Interpolations that depend on a searched parameter are kept unresolved in `agent`, `environment`, `training` and
    `evaluation`; `for_trial` resolves them for each trial. `baselines` are the settings that were not tuned here, by
    name (`defaults`, `zoo`): the `agent` of a baseline replaces the study's, its `environment` is merged into the
    study's. If there are `environments`, each trial is trained in all of them.
    """

    agent: dict[str, Any]
    # Interpolated values are checked when a trial resolves them.
    environment: Any
    training: Any
    evaluation: Any
    study: StudySettings
    search_space: dict[str, Any]
    sampler: dict[str, Any]
    pruner: dict[str, Any]
    confirmation: Annotated[Confirmation, Identity.NEVER]
    baselines: Annotated[dict[str, dict[str, dict[str, Any]]], Identity.NEVER] = Field(default_factory=dict)
    environments: dict[Annotated[str, Field(pattern=r"^\w+$")], ScoredEnvironment] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _objective_is_the_metric(cls, content: Any) -> Any:
        """If `study.objectives` is null, set it to the first metric of `evaluation.metric`."""
        study, evaluation = (
            content.get(name) if isinstance(content, dict) else None for name in ("study", "evaluation")
        )
        if not isinstance(study, dict) or study.get("objectives", 0) is not None:
            return content
        metric = evaluation.get("metric", "return") if isinstance(evaluation, dict) else "return"
        first = metric[0] if isinstance(metric, list) and metric else metric
        known = isinstance(first, str) and re.fullmatch(METRIC, first)  # an invalid metric has an error of its own
        return {**content, "study": {**study, "objectives": [first if known else "return"]}}

    @property
    def metrics(self) -> list[str]:
        """Metrics of `evaluation.metric`. Evaluations are judged by the first one."""
        found = self.evaluation.get("metric", "return") if isinstance(self.evaluation, dict) else "return"
        return found if isinstance(found, list) else [found]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read results/<study>/config.yaml.

        Raises:
            SidewinderError: The file is missing or malformed.
        """
        with reading(path, "`snakemake` composes it from the study's configs"):
            return cls.model_validate(yaml.safe_load(path.read_text()))

    @classmethod
    def of_trials(cls, directory: Path) -> Self | None:
        """The config in a study's directory; None if the study has no trials or the config cannot be read."""
        if next(directory.glob("trials/*/result.json"), None) is None:
            return None
        with suppress(SidewinderError):
            return cls.load(directory / "config.yaml")
        return None

    def dump(self) -> str:
        """The text of config.yaml: the same for the same config."""
        body = yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)
        return (
            f"# Study {self.study.name}, fully composed: its trials depend on it. Change the configs instead.\n{body}"
        )

    def space(self) -> "SearchSpace":
        """The search space, parsed."""
        # Imported late: most jobs need not load Optuna.
        from sidewinder.config import search_space

        return search_space.parse(self.search_space)

    def for_trial(self, params: Mapping[str, Any], environment: str | None = None) -> RunConfig:
        """The training run of a trial with these Optuna parameters, in one of `environments` if there are any.

        Raises:
            SidewinderError: A value does not fit the config.
        """
        # Imported late, as Hydra's parser is: most jobs need not load it.
        from sidewinder.config.parameter_values import parse_value

        config = OmegaConf.create({section: getattr(self, section) for section in RunConfig.model_fields})
        for key, value in params.items():
            OmegaConf.update(config, key.lstrip("+"), parse_value(key, value), force_add=True)
        return self._run_in(config, environment)

    def for_baseline(self, name: str, environment: str | None = None) -> RunConfig:
        """The training run of a baseline, with the same length and evaluations as the study's trials.

        Raises:
            SidewinderError: A value does not fit the config.
        """
        baseline = self.baselines[name]
        config = OmegaConf.create({section: getattr(self, section) for section in RunConfig.model_fields})
        config.agent = baseline["agent"]
        config.environment = OmegaConf.merge(config.environment, baseline.get("environment", {}))
        return self._run_in(config, environment)

    def _run_in(self, config: DictConfig, environment: str | None) -> RunConfig:
        if environment is not None:
            config.environment = OmegaConf.merge(config.environment, self.environments[environment].model_extra or {})
        return run_config(config)

    def environment_names(self) -> list[str | None]:
        """Names of the environments that each trial is trained in; only None if the study has no `environments`."""
        return [*self.environments] or [None]

    def scale(self, environment: str | None) -> tuple[float, float]:
        """Zero and unit of the scores in an environment: the return that scores 0, and how much higher the return is
        that scores 1. Without `environments` they are 0 and 1: returns count as they are."""
        if environment is None:
            return 0.0, 1.0
        scored = self.environments[environment]
        return scored.low, scored.high - scored.low

    def score(self, mean_return: float, environment: str | None) -> float:
        """Score of a return in an environment, as `scale` says; without `environments` the return itself."""
        zero, unit = self.scale(environment)
        return (mean_return - zero) / unit

    def trainings(self, seeds: range) -> Trainings:
        """Trainings of one setting, in each environment with each of these seeds, in the order of training.

        Returns:
            The environment and the seed's index, by the name that the training has in files (`0`, or `pendulum-0`).
        """
        return {
            f"{index}" if environment is None else f"{environment}-{index}": (environment, index)
            for index in seeds
            for environment in self.environment_names()
        }

    def replicates(self) -> Trainings:
        """Trainings of a trial, in the form of `trainings`."""
        return self.trainings(range(self.study.replicates))

    def replicate_jobs(self) -> list[str]:
        """Names of a trial's replicates that are separate jobs; empty if one job makes the whole trial."""
        names = list(self.replicates())
        return names if len(names) > 1 and self.study.replicates_in == "jobs" else []

    @property
    def trials_of_a_job(self) -> int:
        """How many trials one job makes."""
        return 1 if self.replicate_jobs() else self.study.trials_per_job

    def block_of(self, number: int) -> range:
        """All trials of the job that makes trial `number`."""
        first = number - number % self.trials_of_a_job
        return range(first, max(number + 1, min(first + self.trials_of_a_job, self.study.n_trials)))

    def candidates(self) -> list[str]:
        """Names of the trials that are confirmed, by rank in the sweep: `top-1` is its best."""
        return [f"top-{rank}" for rank in range(1, min(self.confirmation.top_k, self.study.n_trials) + 1)]

    def compared(self) -> list[str]:
        """Names of the baselines that the winner is compared with: those in `confirmation.baselines` that exist."""
        return [name for name in self.baselines if name in self.confirmation.baselines]

    def race(self) -> list[tuple[list[str], range]]:
        """Rounds of the race: the names of the settings that each round trains, and the indices of its seeds.

        The first round has the baselines and the sweep's best trials, by name. Later rounds have places for the best
        settings so far: the best setting after the first round has the place `round-2-1`.
        """
        rounds = [([*self.compared(), *self.candidates()], range(self.confirmation.n_validation_seeds))]
        for number, (n_stay, n_seeds) in enumerate(self.confirmation.rounds, 2):
            before, seeds = rounds[-1]
            if len(before) == 1:
                break  # with one setting left, more seeds would decide nothing
            places = [f"round-{number}-{rank}" for rank in range(1, min(n_stay, len(before)) + 1)]
            rounds.append((places, range(seeds.stop, seeds.stop + n_seeds)))
        return rounds

    def confirmations(self) -> dict[str, dict[str, Trainings]]:
        """Trainings of the confirmation: by phase (`validation`, `test`), by candidate, in the form of `trainings`.

        With several objectives there is no race, because there is no single winner: all candidates are tested.
        """
        test = self.trainings(range(self.confirmation.n_test_seeds))
        if len(self.study.objectives) > 1:
            return {"test": dict.fromkeys([*self.candidates(), *self.compared()], test)}
        validation = {name: self.trainings(seeds) for names, seeds in self.race() for name in names}
        return {"validation": validation, "test": dict.fromkeys(["winner", *self.compared()], test)}

    def digest(self) -> str:
        """Hash of the study's identity, 16 hexadecimal digits."""
        return digest(sorted(self._identity().items()))

    def differences(self, other: Self) -> list[str]:
        """Differences between the identities of this study (old) and `other` (new), as lines `key: old -> new`.

        Settings that affect no finished trial (the budget, the failure rate, where the database is) do not count.
        """
        old, new = self._identity(), other._identity()
        return [
            f"{key}: {old.get(key, 'absent')} -> {new.get(key, 'absent')}"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        ]

    def _identity(self) -> dict[str, str]:
        kept = identifying(type(self), self.model_dump())
        for name, field in RunConfig.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                kept[name] = identifying(field.annotation, kept[name])
        return {".".join(path): repr(leaf) for path, leaf in _flatten(kept).items()}


def _flatten(node: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(node, dict) or not node:
        return {path: node}
    return {key: leaf for name, child in node.items() for key, leaf in _flatten(child, (*path, str(name))).items()}
