"""Result files of trials: their content, how they are read, and how they are written, whole or not at all.

The files are the truth: a study's database can be made again from them.
"""

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

# `Result.reason` of a trial that was given up.
GIVEN_UP = "given up by study.give_up"
# Packages whose version can change a result.
_PACKAGES = ("gymnasium", "numpy", "optuna", "sb3-contrib", "stable-baselines3", "torch")
# Packages of extras, by their modules. They can change a result only if its process has loaded them.
_OF_EXTRAS = {
    "Box2D": "Box2D",
    "ale_py": "ale-py",
    "flax": "flax",
    "jax": "jax",
    "mujoco": "mujoco",
    "optax": "optax",
    "sbx": "sbx-rl",
}


# Values of episodes, in order, for each metric in `evaluation.metric` except the return.
EpisodeMetrics = Annotated[dict[str, list[float]], Field(exclude_if=lambda metrics: not metrics)]


class EvaluationResult(BaseModel):
    """Evaluation after `step` environment steps of training: undiscounted return, mean and standard deviation over
    episodes. `metrics` has mean and standard deviation of the other metrics in `evaluation.metric`, by name."""

    step: int
    mean_return: float
    std_return: float
    metrics: Annotated[dict[str, tuple[float, float]], Field(exclude_if=lambda metrics: not metrics)] = {}

    @classmethod
    def of_episodes(cls, step: int, values: Mapping[str, Sequence[float]]) -> Self:
        """Make an evaluation from the values of its episodes, by metric."""
        # Imported late: known results need no numpy.
        import numpy as np

        mean_return, std_return = (float(of(values["return"])) for of in (np.mean, np.std))
        metrics = {name: (float(np.mean(own)), float(np.std(own))) for name, own in values.items() if name != "return"}
        return cls(step=step, mean_return=mean_return, std_return=std_return, metrics=metrics)

    def of(self, metric: str) -> tuple[float, float]:
        """Mean and standard deviation of a metric."""
        return (self.mean_return, self.std_return) if metric == "return" else self.metrics[metric]


class Archived(BaseModel):
    """Origin of a training that comes from an archive.

    Attributes:
        archive: The archive's name in `archives` of the configfile.
        processor: The model of the processor on which the agent was trained.
    """

    model_config = ConfigDict(extra="forbid")

    archive: str
    processor: str

    def __str__(self) -> str:
        return f"{self.archive} ({self.processor})"


def _is_none(value: object) -> bool:
    return value is None


# The key is absent if the training was made here.
ArchivedOrNot = Annotated[Archived | None, Field(exclude_if=_is_none)]
# Versions of packages, or hashes of sources, of the user's own code. The key is absent if there is no such code.
Sources = Annotated[dict[str, str], Field(exclude_if=lambda sources: not sources)]


class Replicate(BaseModel):
    """One of several trainings of a trial. `environment` is a name in the study's `environments`, if it has any."""

    model_config = ConfigDict(extra="forbid")

    state: State
    objective: float | None
    reason: str | None
    evaluations: list[EvaluationResult]
    seeds: dict[str, int]
    environment: str | None = None
    archived: ArchivedOrNot = None


class Result(BaseModel):
    """Content of result.json: all that later trials, tables and figures may use of a trial.

    Except for `archived`, it does not say where or when the trial ran.

    Attributes:
        number: The trial's number.
        config: Digest of the study's config (`StudyConfig.digest`).
        state: `complete`; `pruned` by the study's pruner; `failed`, e.g. diverged.
        objective: The study's first objective; None unless complete.
        reason: Why the trial failed; None otherwise.
        params: Optuna parameters by dotted config key, as `sidewinder.config.search_space` spells them.
        distributions: The distribution of each parameter, in Optuna's JSON.
        evaluations: The evaluations of the training. With replicates: mean and standard deviation over replicates.
        pruner_attrs: What the study's pruner noted on this trial, e.g. the rungs it reached.
        seeds: The seeds of the training; with replicates, of the first one.
        bit_exact: False if the training may differ in bits elsewhere (a GPU, the native instruction set).
        packages: Versions of the packages that the result depends on.
        sources: Versions or hashes of the user's own code, as `training.sources.sources` returns them.
        further_objectives: The study's other objectives by name, if it has several.
        environment: The environment's name as in `Replicate`, if this is the result of a replicate.
        replicates: The result of each replicate, if the trial has several.
        archived: The training's origin, if it comes from an archive. With replicates, each of them has its own.
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
        """Whether the trial was not trained, because `study.give_up` names it."""
        return self.reason is not None and self.reason.endswith(GIVEN_UP)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a result.json.

        Raises:
            SidewinderError: The file is missing or malformed.
        """
        with reading(path, "run `snakemake` again to train that trial", "to train that trial again"):
            return cls.model_validate_json(path.read_bytes())

    def save(self, path: Path) -> None:
        """Write result.json atomically. The same result gives the same bytes."""
        write_atomically(path, to_json(self.model_dump()))

    def optuna_distributions(self) -> "dict[str, BaseDistribution]":
        """The distributions as Optuna's objects."""
        # Imported late: most jobs need not load Optuna.
        from optuna.distributions import json_to_distribution

        return {name: json_to_distribution(json.dumps(raw)) for name, raw in self.distributions.items()}


def as_json(distributions: "dict[str, BaseDistribution]") -> dict[str, Any]:
    """Optuna distributions in the form of `Result.distributions`."""
    from optuna.distributions import distribution_to_json

    return {name: json.loads(distribution_to_json(distribution)) for name, distribution in distributions.items()}


def installed_packages() -> dict[str, str]:
    """Versions of the packages that the results of this process depend on."""
    loaded = [package for module, package in _OF_EXTRAS.items() if module in sys.modules]
    return {name: version(name) for name in (*_PACKAGES, *loaded)}


def other_packages(known: dict[str, str]) -> dict[str, str]:
    """Recorded packages, with their versions, that are not installed here in the same version."""
    return {name: recorded for name, recorded in known.items() if recorded != _version(name)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def result_path(study_dir: Path, number: int) -> Path:
    """Path of the result of trial `number`, in the study's directory."""
    return study_dir / "trials" / str(number) / "result.json"


def load_result(study_dir: Path, number: int, config: str, give_up: Collection[int]) -> Result:
    """Load the result of a trial.

    Args:
        study_dir: The study's directory.
        number: The trial's number.
        config: The digest of the study's config.
        give_up: The study's `study.give_up`.

    Raises:
        SidewinderError: The file is missing or malformed, or `checked` refuses the result.
    """
    path = result_path(study_dir, number)
    return checked(path, Result.load(path), number, config, give_up)


def checked(path: Path, result: Result, number: int, config: str, give_up: Collection[int]) -> Result:
    """Check a result, and return it. `path` is its file, for the error.

    Raises:
        SidewinderError: The result belongs to another trial or another config. Or the trial was given up although
            `give_up` does not name it, or trained although `give_up` names it.
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
            f"{to_be}; later trials may depend on it: delete its result and the later ones, or restore study.give_up"
        )
    return result


def replicate_path(study_dir: Path, number: int, replicate: str) -> Path:
    """Path of the result of a replicate of trial `number`, if the replicate is a separate job."""
    return study_dir / "trials" / str(number) / "replicates" / replicate / "result.json"
