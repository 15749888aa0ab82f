"""The sections of a study's config that say how to vary a training run: `study`, `confirmation`, `environments`."""

import math
import re
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from sidewinder.config.identity import Identity
from sidewinder.config.metrics import METRIC
from sidewinder.config.run_config import Section


class ScoredEnvironment(BaseModel):
    """One of several environments that a study looks for one setting for: what it has in place of the keys of
    `environment`, as further keys, and the returns that score 0 (`low`) and 1 (`high`) there."""

    model_config = ConfigDict(extra="allow")

    low: float
    high: float

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: float, info: ValidationInfo) -> float:
        if high <= info.data.get("low", -math.inf):
            raise PydanticCustomError("high", "a return above low")
        return high


Direction = Literal["maximize", "minimize"]


# A metric of `evaluation.metric`, or what else a training has: spread, steps_per_second.
Objective = str


Baseline = Literal["defaults", "zoo"]


FROM_ENVIRONMENT = re.compile(r"\$\{oc\.env:[^}]*\}")


class StudySettings(Section):
    """How a study asks and stops; see docs/configuration.md.

    Attributes:
        objectives: What the study optimises: the first of `evaluation.metric` (always the first), and beside it others
            of these, `spread` (the first metric's standard deviation over episodes), `steps_per_second` (of the
            training).
        direction: Of the first; or a list with one for each objective.
        window: None where the schedule is the virtual clock.
        storage: As it was written, with what it takes from the environment not put in.
        trials_per_job: How many a job makes.
        retries: How often a failed training is tried again.
        give_up: Trials that are failed without being trained.
        enqueue: Optuna parameters of the first trials.
        enqueued_from: A digest of what `enqueue` was made from, if other studies are among it.
        archives: Where trainings are looked for that were made elsewhere; see `training.archives`.
    """

    name: str
    objectives: list[Objective] = Field(default_factory=lambda: list[Objective](["return"]))
    direction: Direction | list[Direction]
    n_trials: Annotated[int, Field(ge=1), Identity.NEVER]
    schedule: Literal["virtual", "window"]
    workers: Annotated[int, Field(ge=1)]
    window: Annotated[int, Field(ge=1)] | None
    seed: Annotated[int, Field(ge=0)]
    max_failure_rate: Annotated[float, Field(ge=0, le=1), Identity.NEVER]
    storage: Annotated[str | None, Identity.NEVER]
    custom_search_space: str | None
    replicates: Annotated[int, Field(ge=1)]
    replicates_in: Literal["jobs", "sequence"]
    trials_per_job: Annotated[int, Field(ge=1), Identity.NEVER]
    aggregate: Literal["mean", "median", "iqm"] | Annotated[float, Field(gt=0, lt=1)]
    retries: Annotated[int, Field(ge=0), Identity.NEVER] = 0
    give_up: Annotated[list[Annotated[int, Field(ge=0)]], Identity.NEVER] = Field(default_factory=list)
    enqueue: list[dict[str, Any]] = Field(default_factory=list)
    enqueued_from: Annotated[str | None, Identity.NEVER] = None
    archives: Annotated[list[str], Identity.NEVER] = Field(default_factory=list)

    @field_validator("window")
    @classmethod
    def _of_its_schedule(cls, window: int | None, info: ValidationInfo) -> int | None:
        schedule = info.data.get("schedule")
        if schedule == "virtual" and window is not None:
            raise PydanticCustomError("window", "null, or a number with study.schedule=window")
        if schedule == "window" and window is None:
            raise PydanticCustomError("window", "how many trials, as study.schedule is window")
        return window

    @field_validator("objectives")
    @classmethod
    def _metric_first(cls, objectives: list[Objective]) -> list[Objective]:
        known = all(re.fullmatch(rf"{METRIC}|spread|steps_per_second", name) for name in objectives)
        first = bool(objectives) and re.fullmatch(METRIC, objectives[0])
        if not known or not first or len(set(objectives)) < len(objectives):
            accepted = "different ones, first one of evaluation.metric, then others of it, spread, steps_per_second"
            raise PydanticCustomError("objectives", accepted)
        return objectives

    @field_validator("direction", mode="before")
    @classmethod
    def _one_each(cls, direction: Any, info: ValidationInfo) -> Any:
        found, objectives = direction if isinstance(direction, list) else [direction], info.data.get("objectives", [])
        if not all(one in get_args(Direction) for one in found):
            raise PydanticCustomError("direction", "'maximize' or 'minimize'")
        if objectives and len(found) != len(objectives):
            several = f"one direction for each of study.objectives, {', '.join(objectives)}"
            raise PydanticCustomError("direction", "{several}", {"several": several})
        return direction

    @field_validator("storage")
    @classmethod
    def _without_password(cls, storage: str | None) -> str | None:
        if storage is None or storage == "journal" or FROM_ENVIRONMENT.fullmatch(storage):
            return storage
        url = urlsplit(FROM_ENVIRONMENT.sub("0", storage))
        if url.scheme.partition("+")[0] not in ("sqlite", "postgresql", "mysql", "mariadb"):
            raise PydanticCustomError("storage", "null, journal, or a URL of SQLite, PostgreSQL or MySQL")
        options = [value for name, value in parse_qsl(url.query) if name.startswith("pass")]
        if not {url.password or "0", *options} <= {"0"}:
            accepted = "its password from the environment, such as ://user:${oc.env:PASSWORD}@host/database"
            raise PydanticCustomError("storage", "{accepted}", {"accepted": accepted})
        return storage

    @property
    def directions(self) -> list[Direction]:
        """One for each objective."""
        return self.direction if isinstance(self.direction, list) else [self.direction]

    @property
    def timed(self) -> bool:
        """Whether a measurement of time is an objective, so that results are not the same bit by bit."""
        return "steps_per_second" in self.objectives

    @property
    def return_direction(self) -> Direction:
        """Of the first objective."""
        return self.directions[0]


class Confirmation(Section):
    """How the sweep's best trials are trained again, on seeds that it never saw; see docs/confirmation.md.

    Attributes:
        rounds: Of the race after its first round: how many settings stay, and how many more seeds each of them gets.
        baselines: Which of the study's baselines the winner is compared with.
        keep_agents: Of the test's trainings: the one of the recommended setting that the study's agent/ has, all, none.
    """

    top_k: Annotated[int, Field(ge=1)]
    n_validation_seeds: Annotated[int, Field(ge=1)]
    rounds: list[tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]] = Field(default_factory=list)
    # An interval needs two.
    n_test_seeds: Annotated[int, Field(ge=2)]
    n_eval_episodes: Annotated[int, Field(ge=1)]
    baselines: list[Baseline] = Field(default_factory=lambda: list(get_args(Baseline)))
    keep_agents: Literal["recommended", "all", "none"] = "recommended"

    @field_validator("rounds")
    @classmethod
    def _narrowing(cls, rounds: list[tuple[int, int]]) -> list[tuple[int, int]]:
        if any(later > earlier for (earlier, _), (later, _) in pairwise(rounds)):
            raise PydanticCustomError("rounds", "rounds in which no more settings stay than in the one before")
        return rounds
