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
from sidewinder.config.run_sections import Section


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
    """How a study asks and stops."""

    name: str
    """The name of its directory in `results/`."""
    objectives: list[Objective] = Field(default_factory=lambda: list[Objective](["return"]))
    """What is optimised: the first of `evaluation.metric`; or a list that begins with it, of others of that list,
    `spread` and `steps_per_second`: [several objectives](#several-objectives)."""
    direction: Direction | list[Direction]
    """`maximize` or `minimize`; a list with one for each objective."""
    n_trials: Annotated[int, Field(ge=1), Identity.NEVER]
    """The budget. A raised one continues the study."""
    schedule: Literal["virtual", "window"]
    """Which results a trial is suggested from. `virtual`: those that would have ended by then if so many `workers`
    trained side by side; `window`: those of all trials at least so far before it. See
    [determinism.md](determinism.md), and [how to choose](performance.md#the-schedule)."""
    workers: Annotated[int, Field(ge=1)]
    """Virtual workers, with `schedule: virtual`."""
    window: Annotated[int, Field(ge=1)] | None
    """How far before, with `schedule: window`; else `null`."""
    seed: Annotated[int, Field(ge=0)]
    """Every seed of the study derives from it."""
    max_failure_rate: Annotated[float, Field(ge=0, le=1), Identity.NEVER]
    """The share of the budget that [may fail](#trials-that-fail) before the study stops."""
    storage: Annotated[str | None, Identity.NEVER]
    """Where Optuna's database is. `null` is `study.db` in the study's directory, `journal` is Optuna's journal there,
    else the URL of a PostgreSQL, MySQL or SQLite database, with credentials from the environment; see
    [cluster.md](cluster.md#the-database)."""
    custom_search_space: str | None
    """`package.module.function(config, trial)`, called after the search space."""
    replicates: Annotated[int, Field(ge=1)]
    """Trainings of each trial, each with seeds of its own."""
    replicates_in: Literal["jobs", "sequence"]
    """`jobs`: side by side, and the pruner acts within each; `sequence`: one after another in one job, and the pruner
    acts between them (try `pruner=wilcoxon`)."""
    trials_per_job: Annotated[int, Field(ge=1), Identity.NEVER]
    """How many trials a job makes, in one process: for trials that take not much longer than their start, 3 s with SB3
    and 6 s with SBX (more on a cluster), or for thousands of them. Jobs make whichever trial is next, so that as
    many run side by side as there are jobs. A job of the confirmation goes on with its candidate's trainings
    likewise. One where replicates are jobs."""
    aggregate: Literal["mean", "median", "iqm"] | Annotated[float, Field(gt=0, lt=1)]
    """Of the replicates' objectives: `mean`, `median`, `iqm`, or a share such as 0.25: the value that this share of
    them is worse than."""
    retries: Annotated[int, Field(ge=0), Identity.NEVER] = 0
    """How often a training that failed is tried again, with the same seeds; for simulators that fail by chance."""
    give_up: Annotated[list[Annotated[int, Field(ge=0)]], Identity.NEVER] = Field(default_factory=list)
    """Numbers of trials that count as failed without being trained: [below](#trials-that-fail). Not those whose
    results later trials have seen."""
    enqueue: list[dict[str, Any]] = Field(default_factory=list)
    """Known-good settings as first trials: [below](#starting-points)."""
    enqueued_from: Annotated[str | None, Identity.NEVER] = None
    """A digest of what `enqueue` was made from, if other studies are among it."""
    archives: Annotated[list[str], Identity.NEVER] = Field(default_factory=list)
    """Where trainings are looked for that were made elsewhere."""

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
    """How the sweep's best trials are trained again, on seeds that it never saw."""

    top_k: Annotated[int, Field(ge=1)]
    """Different settings of the sweep that are in the race."""
    n_validation_seeds: Annotated[int, Field(ge=1)]
    """Seeds of each setting in the first round."""
    rounds: list[tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]] = Field(default_factory=list)
    """Further rounds: how many settings stay, and how many seeds more each of them gets; `[]` is none."""
    # An interval needs two.
    n_test_seeds: Annotated[int, Field(ge=2)]
    """Trainings of the winner and of each baseline."""
    n_eval_episodes: Annotated[int, Field(ge=1)]
    """Episodes of each trained agent."""
    baselines: list[Baseline] = Field(default_factory=lambda: list(get_args(Baseline)))
    """What the winner is compared with, of what there is; `[]` is nothing."""
    keep_agents: Literal["recommended", "all", "none"] = "recommended"
    """`recommended`: the agent that `agent/` has; `all`: also those of all other trainings of the test that are made
    here, in `results/.trainings/<digest>.agent/`; `none`."""

    @field_validator("rounds")
    @classmethod
    def _narrowing(cls, rounds: list[tuple[int, int]]) -> list[tuple[int, int]]:
        if any(later > earlier for (earlier, _), (later, _) in pairwise(rounds)):
            raise PydanticCustomError("rounds", "rounds in which no more settings stay than in the one before")
        return rounds
