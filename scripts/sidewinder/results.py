"""The files of a trial, which are the truth: what they hold, read and written whole or not at all."""

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from sidewinder import SidewinderError
from sidewinder.files import reading, to_json, write_atomically

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

State = Literal["complete", "pruned", "failed"]

# The reason of a trial that was not trained.
GIVEN_UP = "given up by study.give_up"
# Packages whose version can change a result.
_PACKAGES = ("gymnasium", "numpy", "optuna", "sb3-contrib", "stable-baselines3", "torch")
# Those of extras, by their modules: of no effect where a run has not loaded them.
_OF_EXTRAS = {
    "Box2D": "Box2D",
    "ale_py": "ale-py",
    "flax": "flax",
    "jax": "jax",
    "mujoco": "mujoco",
    "optax": "optax",
    "sbx": "sbx-rl",
}


# Values of episodes, in order, by what `evaluation.metric` names beside the return.
EpisodeMetrics = Annotated[dict[str, list[float]], Field(exclude_if=lambda metrics: not metrics)]


class EvaluationResult(BaseModel):
    """Undiscounted episode returns at one moment of training, after `step` environment steps, and what else
    `evaluation.metric` names: mean and standard deviation over episodes, by name."""

    step: int
    mean_return: float
    std_return: float
    metrics: Annotated[dict[str, tuple[float, float]], Field(exclude_if=lambda metrics: not metrics)] = {}

    @classmethod
    def of_episodes(cls, step: int, values: Mapping[str, Sequence[float]]) -> Self:
        """From each episode's values, by metric."""
        # Imported late: what is known needs no numpy.
        import numpy as np

        mean_return, std_return = (float(of(values["return"])) for of in (np.mean, np.std))
        metrics = {name: (float(np.mean(own)), float(np.std(own))) for name, own in values.items() if name != "return"}
        return cls(step=step, mean_return=mean_return, std_return=std_return, metrics=metrics)

    def of(self, metric: str) -> tuple[float, float]:
        """Mean and standard deviation of a metric."""
        return (self.mean_return, self.std_return) if metric == "return" else self.metrics[metric]


class Archived(BaseModel):
    """Where a training comes from that was not made here.

    Attributes:
        archive: Its name in `archives` of the configfile.
        processor: On which it was trained.
    """

    model_config = ConfigDict(extra="forbid")

    archive: str
    processor: str

    def __str__(self) -> str:
        return f"{self.archive} ({self.processor})"


def _is_none(value: object) -> bool:
    return value is None


# A key that is not there where a training was made here.
ArchivedOrNot = Annotated[Archived | None, Field(exclude_if=_is_none)]
# Versions of packages, or hashes of source, of what is of somebody's own; a key that is not there where nothing is.
Sources = Annotated[dict[str, str], Field(exclude_if=lambda sources: not sources)]


class Replicate(BaseModel):
    """One training of a trial that has several; `environment` is its name, if the study has several of them."""

    model_config = ConfigDict(extra="forbid")

    state: State
    objective: float | None
    reason: str | None
    evaluations: list[EvaluationResult]
    seeds: dict[str, int]
    environment: str | None = None
    archived: ArchivedOrNot = None


class Result(BaseModel):
    """result.json: all that later trials, tables and figures may use of a trial, and nothing of where or when it ran.

    Attributes:
        config: Digest of the study's config (`StudyConfig.digest`).
        state: `complete`; `pruned` by the study's pruner; `failed`, e.g. diverged, with the reason kept.
        objective: Of the study, of several the return; None unless complete.
        further_objectives: By name, if the study has several.
        params: Optuna parameters by dotted config key, as `sidewinder.config.search_space` spells them.
        distributions: Of each parameter, in Optuna's JSON.
        evaluations: Means over replicates, and their standard deviation, if there are several.
        pruner_attrs: What the study's pruner noted on this trial, e.g. the rungs it reached.
        seeds: Of the training, of several the first's.
        environment: As `Replicate` has it, if this is the result of a replicate.
        replicates: What each training gave, if the trial has several.
        bit_exact: False if the training may differ in bits elsewhere (a GPU, the native instruction set).
        sources: Of the code of one's own that it was trained with, as `training.sources.sources` has them.
        archived: Where it comes from, if it was not trained here; of several trainings each has its own.
    """

    model_config = ConfigDict(extra="forbid")

    number: int
    config: str
    state: State
    objective: float | None
    reason: str | None
    params: dict[str, Any]
    distributions: dict[str, Any]
    evaluations: list[EvaluationResult]
    pruner_attrs: dict[str, Any]
    seeds: dict[str, int]
    bit_exact: bool
    packages: dict[str, str]
    sources: Sources = {}
    further_objectives: dict[str, float] = {}
    environment: str | None = None
    replicates: list[Replicate] = []
    archived: ArchivedOrNot = None

    @property
    def given_up(self) -> bool:
        """Whether nothing was trained, as `study.give_up` says."""
        return self.reason is not None and self.reason.endswith(GIVEN_UP)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a result.json.

        Raises:
            SidewinderError: It is missing, or not what `save` writes.
        """
        with reading(path, "run `snakemake` again to train that trial", "to train that trial again"):
            return cls.model_validate_json(path.read_bytes())

    def save(self, path: Path) -> None:
        """Write it, with the same bytes for the same result."""
        write_atomically(path, to_json(self.model_dump()))

    def optuna_distributions(self) -> "dict[str, BaseDistribution]":
        """The distributions as Optuna's objects."""
        # Imported late: most jobs need not load Optuna.
        from optuna.distributions import json_to_distribution

        return {name: json_to_distribution(json.dumps(raw)) for name, raw in self.distributions.items()}


def as_json(distributions: "dict[str, BaseDistribution]") -> dict[str, Any]:
    """Optuna distributions as `Result.distributions` keeps them."""
    from optuna.distributions import distribution_to_json

    return {name: json.loads(distribution_to_json(distribution)) for name, distribution in distributions.items()}


def installed_packages() -> dict[str, str]:
    """Versions of the packages that the results of this process depend on."""
    loaded = [package for module, package in _OF_EXTRAS.items() if module in sys.modules]
    return {name: version(name) for name in (*_PACKAGES, *loaded)}


def other_packages(known: dict[str, str]) -> dict[str, str]:
    """Those of the packages on record that are not installed here in that version."""
    return {name: recorded for name, recorded in known.items() if recorded != _version(name)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def result_path(study_dir: Path, number: int) -> Path:
    """Where trial `number` of the study in `study_dir` keeps its result."""
    return study_dir / "trials" / str(number) / "result.json"


def load_result(study_dir: Path, number: int, config: str, give_up: Collection[int]) -> Result:
    """The result of a trial.

    Args:
        study_dir: The study's directory.
        number: Which trial.
        config: The digest of the study's config.
        give_up: Its `study.give_up`.

    Raises:
        SidewinderError: It is missing or malformed, or another trial's or another config's.
    """
    path = result_path(study_dir, number)
    return checked(path, Result.load(path), number, config, give_up)


def checked(path: Path, result: Result, number: int, config: str, give_up: Collection[int]) -> Result:
    """The result, if it is of this trial and config, and was given up if it was to be; `path` is its file.

    Raises:
        SidewinderError: It is another's.
    """
    for key, found, accepted in (("number", result.number, number), ("config", result.config, config)):
        if found != accepted:
            raise SidewinderError(
                f"{path}: {key}: found {found!r}, accepted: {accepted!r}; the file belongs to another "
                f"{'trial' if key == 'number' else 'config'}; delete it to train that trial again"
            )
    if result.given_up != (number in give_up):
        was, to_be = "given up", "trained"
        if not result.given_up:
            was, to_be = to_be, was
        raise SidewinderError(
            f"{path}: found a trial that was {was}, accepted with study.give_up={sorted(give_up)}: one that is "
            f"{to_be}; later trials may depend on it: delete its result and theirs, or put study.give_up back"
        )
    return result


def replicate_path(study_dir: Path, number: int, replicate: str) -> Path:
    """Where a replicate of trial `number` that is a job of its own keeps its result."""
    return study_dir / "trials" / str(number) / "replicates" / replicate / "result.json"
