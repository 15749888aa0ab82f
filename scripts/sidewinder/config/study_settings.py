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
    """One of several environments for which a study searches a common setting.

    `low` and `high` are the returns that score 0 and 1 in it. Further keys replace keys of `environment`.
    """

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


# A metric of `evaluation.metric`, `spread` or `steps_per_second`.
Objective = str


Baseline = Literal["defaults", "zoo"]


FROM_ENVIRONMENT = re.compile(r"\$\{oc\.env:[^}]*\}")


class StudySettings(Section):
    """How a study suggests and trains its trials, and when it ends."""

    name: str
    """The name of the study's directory in `results/`."""
    objectives: list[Objective] = Field(default_factory=lambda: list[Objective](["return"]))
    """What is optimised. `null`: the first metric of `evaluation.metric`. Or a list of
    [several objectives](#several-objectives): this metric first, then other metrics of `evaluation.metric`, `spread`
    or `steps_per_second`."""
    direction: Direction | list[Direction]
    """`maximize` or `minimize`; a list with one for each objective."""
    n_trials: Annotated[int, Field(ge=1), Identity.NEVER]
    """The budget: the number of trials. A higher number continues the study."""
    schedule: Literal["virtual", "window"]
    """Which results a trial is suggested from. `virtual`: the results of the trials that would have ended by then if
    `study.workers` workers trained side by side; `window`: the results of all trials whose number is lower by
    `study.window` or more. See [determinism.md](determinism.md), and
    [how to choose](performance.md#the-schedule)."""
    workers: Annotated[int, Field(ge=1)]
    """Number of virtual workers, with `schedule: virtual`."""
    window: Annotated[int, Field(ge=1)] | None
    """Distance to the last trial whose result is seen, with `schedule: window`; otherwise `null`."""
    seed: Annotated[int, Field(ge=0)]
    """Every seed of the study derives from it."""
    max_failure_rate: Annotated[float, Field(ge=0, le=1), Identity.NEVER]
    """The share of the budget that [may fail](#trials-that-fail) before the study stops."""
    storage: Annotated[str | None, Identity.NEVER]
    """Optuna's database. `null`: `study.db` in the study's directory; `journal`: Optuna's journal in the study's
    directory; otherwise the URL of a PostgreSQL, MySQL or SQLite database, with credentials from environment
    variables. See [cluster.md](cluster.md#the-database)."""
    custom_search_space: str | None
    """A function `package.module.function(config, trial)`. It is called after the parameters of `search_space` are
    suggested, and suggests further ones."""
    replicates: Annotated[int, Field(ge=1)]
    """Number of trainings of each trial, each with seeds of its own."""
    replicates_in: Literal["jobs", "sequence"]
    """`jobs`: replicates train side by side, and the pruner acts within each of them; `sequence`: they train one after
    another in one job, and the pruner acts between them (try `pruner=wilcoxon`)."""
    trials_per_job: Annotated[int, Field(ge=1), Identity.NEVER]
    """How many trials a job trains, in one process. More than one pays for trials that take little longer than the
    start of a job (3 s with SB3, 6 s with SBX, more on a cluster), or for thousands of trials. Each job trains
    whichever trial is next, so as many trials run side by side as there are jobs. A job of the confirmation also makes
    up to so many trainings of its candidate. If replicates are jobs, a job trains one trial."""
    aggregate: Literal["mean", "median", "iqm"] | Annotated[float, Field(gt=0, lt=1)]
    """How the objectives of the replicates become the objective of the trial: `mean`, `median`, `iqm` (interquartile
    mean), or a share such as 0.25: the value that this share of the replicates is worse than."""
    retries: Annotated[int, Field(ge=0), Identity.NEVER] = 0
    """How often a training that failed is tried again, with the same seeds; for simulators that fail by chance."""
    give_up: Annotated[list[Annotated[int, Field(ge=0)]], Identity.NEVER] = Field(default_factory=list)
    """Numbers of trials that count as failed without being trained: [below](#trials-that-fail). A trial whose result
    later trials have seen cannot be given up."""
    enqueue: list[dict[str, Any]] = Field(default_factory=list)
    """Known-good settings for the first trials: [below](#starting-points)."""
    enqueued_from: Annotated[str | None, Identity.NEVER] = None
    """Digest of the entries that `enqueue` was made from, if they name other studies. Composing sets it."""
    archives: Annotated[list[str], Identity.NEVER] = Field(default_factory=list)
    """Archives that are searched for trainings made elsewhere."""

    @field_validator("window")
    @classmethod
    def _of_its_schedule(cls, window: int | None, info: ValidationInfo) -> int | None:
        schedule = info.data.get("schedule")
        if schedule == "virtual" and window is not None:
            raise PydanticCustomError("window", "null, or a number with study.schedule=window")
        if schedule == "window" and window is None:
            raise PydanticCustomError("window", "how many trials, because study.schedule is window")
        return window

    @field_validator("objectives")
    @classmethod
    def _metric_first(cls, objectives: list[Objective]) -> list[Objective]:
        known = all(re.fullmatch(rf"{METRIC}|spread|steps_per_second", name) for name in objectives)
        first = bool(objectives) and re.fullmatch(METRIC, objectives[0])
        if not known or not first or len(set(objectives)) < len(objectives):
            accepted = "different names, first one of evaluation.metric, then others of it, spread, steps_per_second"
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
        """Direction of each objective, in their order."""
        return self.direction if isinstance(self.direction, list) else [self.direction]

    @property
    def timed(self) -> bool:
        """Whether an objective measures time. Results are then not bit-exact."""
        return "steps_per_second" in self.objectives

    @property
    def return_direction(self) -> Direction:
        """Direction of the first objective."""
        return self.directions[0]


class Confirmation(Section):
    """How the sweep's best trials are trained again, on seeds that the sweep never saw."""

    top_k: Annotated[int, Field(ge=1)]
    """Number of different settings of the sweep in the race."""
    n_validation_seeds: Annotated[int, Field(ge=1)]
    """Number of validation seeds of each setting in the first round."""
    rounds: list[tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]] = Field(default_factory=list)
    """Further rounds of the race. A pair `[4, 1]` says how many settings stay, and how many more seeds each of them
    gets; `[]`: no further round."""
    # A confidence interval needs two values.
    n_test_seeds: Annotated[int, Field(ge=2)]
    """Number of test seeds: trainings of the winner and of each baseline."""
    n_eval_episodes: Annotated[int, Field(ge=1)]
    """Number of held-out episodes of each trained agent."""
    baselines: list[Baseline] = Field(default_factory=lambda: list(get_args(Baseline)))
    """The baselines that the winner is compared with, where they exist; `[]`: none."""
    keep_agents: Literal["recommended", "all", "none"] = "recommended"
    """Which trained agents are kept. `recommended`: the agent in `agent/`; `all`: also the agents of all other
    trainings of the test that are made here, in `results/.trainings/<digest>.agent/`; `none`."""

    @field_validator("rounds")
    @classmethod
    def _narrowing(cls, rounds: list[tuple[int, int]]) -> list[tuple[int, int]]:
        if any(later > earlier for (earlier, _), (later, _) in pairwise(rounds)):
            raise PydanticCustomError("rounds", "rounds that keep no more settings than the round before")
        return rounds
