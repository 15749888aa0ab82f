"""Training store: results of trainings, by a digest of all that they depend on. No training is made twice.

Complete bit-exact trainings are kept in the results directory, for all studies. Other trainings, and failed ones, are
kept in their study's directory. The store is a cache: if it is lost, the same trainings are made again. Shared results
may also come from archives.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from filelock import BaseFileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidewinder.config.digests import digest
from sidewinder.config.identity import identifying
from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.config.study_config import StudyConfig
from sidewinder.config.study_settings import Direction
from sidewinder.determinism import processor
from sidewinder.files import to_json, write_atomically
from sidewinder.locks import file_lock
from sidewinder.results import Archived, EpisodeMetrics, EvaluationResult, installed_packages, other_packages
from sidewinder.training.archives import DIRECTORY, archived
from sidewinder.training.outcome import Outcome
from sidewinder.training.sources import sources


class Training(BaseModel):
    """Result of a training that was not pruned, and what produced it.

    Attributes:
        run, held_out, direction: The arguments of `training.run.train`, the run as plain values without settings that
            are no part of the identity.
        held_out_returns: Undiscounted return of each held-out episode; empty if it failed or there were none.
        held_out_metrics: Values of the other metrics of `evaluation.metric`, in the order of these episodes.
        environment_steps: Environment steps of the training.
        steps_per_second: None unless an objective of the study is of time.
        packages: Versions of the packages on record.
        sources: The result of `sources.sources`.
        processor: Model of the processor that it was trained on.
        archived: The archive that it was found in, or None; not written to the file.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[2] = 2
    run: dict[str, Any]
    held_out: HeldOut | None
    direction: Direction
    state: Literal["complete", "failed"]
    reason: str | None
    evaluations: list[EvaluationResult]
    held_out_returns: list[float]
    held_out_metrics: EpisodeMetrics = {}
    environment_steps: int
    steps_per_second: float | None
    packages: dict[str, str]
    sources: dict[str, str]
    processor: str
    archived: Annotated[Archived | None, Field(exclude=True)] = None


@dataclass(frozen=True)
class Kept:
    """Place of a training in the store, whether it is made already or not.

    Attributes:
        shared: The file for all studies; None if the training is not bit-exact, or an objective is of time.
        own: The file for its study alone.
        run, held_out, direction: The arguments of `training.run.train`.
        storage: `study.storage`, for locks.
        timed: Whether the study has an objective of time.
        sources: The result of `sources.sources`.
        archives: Archives to look in before the files, so the result does not depend on earlier trainings here.
    """

    shared: Path | None
    own: Path
    run: RunConfig
    held_out: HeldOut | None
    direction: Direction
    storage: str | None
    timed: bool
    sources: dict[str, str]
    archives: tuple[str, ...]

    @classmethod
    def of(cls, config: StudyConfig, study_dir: Path, run: RunConfig, held_out: HeldOut | None) -> Self:
        """Return the place of a training of a study.

        Args:
            config: The study.
            study_dir: The study's directory. Its parent is the results directory.
            run: The training run.
            held_out: Its held-out episodes, or None.
        """
        study, code = config.study, sources(run)
        direction = study.return_direction
        name = f"{digest((run.digest(held_out, direction), code))}.json"
        shared = study_dir.absolute().parent / DIRECTORY / name if run.bit_exact and not study.timed else None
        own = study_dir / DIRECTORY / name
        archives = tuple(study.archives)
        return cls(shared, own, run, held_out, direction, study.storage, study.timed, code, archives)

    @property
    def path(self) -> Path:
        """The file of the training if it completes. Its lock and its checkpoint are beside it."""
        return self.shared or self.own

    @property
    def agent(self) -> Path:
        """The directory of its agent, if agents are kept."""
        return self.path.with_suffix(".agent")

    def lock(self) -> BaseFileLock:
        """Return the lock that a process must hold while it trains."""
        return file_lock(self.path.with_suffix(".lock"), self.storage)

    def load(self) -> Training | None:
        """Return the result of the training; None if it is unknown with the packages that are installed here.

        Its `packages` are the installed versions, as if this process had trained.
        """
        for archive in self.archives if self.shared else []:
            content = archived(archive, self.path.name)
            # Failed trainings are never shared.
            if content and (found := self._of(content)) and found.state == "complete":
                return found.model_copy(update={"archived": Archived(archive=archive, processor=found.processor)})
        for path in filter(None, (self.shared, self.own)):
            with suppress(OSError):
                if found := self._of(path.read_bytes()):
                    return found
        return None

    def _of(self, content: bytes) -> Training | None:
        """Parse a file's content; None if it is another training, since files can be renamed."""
        found = fitting(content)
        if found is None:
            return None
        run = json.loads(to_json(identifying(RunConfig, self.run.model_dump())))  # as the file has it
        same = (found.run, found.held_out, found.direction, found.sources) == (
            run,
            self.held_out,
            self.direction,
            self.sources,
        )
        return found if same else None

    def save(self, outcome: Outcome) -> Training:
        """Write an outcome to the store. It must be this process's, and not pruned."""
        assert outcome.state != "pruned"
        training = Training(
            run=identifying(RunConfig, self.run.model_dump()),
            held_out=self.held_out,
            direction=self.direction,
            state=outcome.state,
            reason=outcome.reason,
            evaluations=outcome.evaluations,
            held_out_returns=outcome.held_out_returns if outcome.state == "complete" else [],
            held_out_metrics=outcome.held_out_metrics if outcome.state == "complete" else {},
            environment_steps=outcome.model.num_timesteps if outcome.model else 0,
            steps_per_second=outcome.steps_per_second if self.timed else None,
            packages=installed_packages(),
            sources=self.sources,
            processor=processor(),
        )
        path = self.path if training.state == "complete" else self.own
        write_atomically(path, to_json(training.model_dump()))
        return training


def fitting(content: bytes) -> Training | None:
    """Parse a training's file; None if it is malformed or was made with other packages than are installed here."""
    with suppress(ValidationError):
        found = Training.model_validate_json(content)
        # Another version of Optuna is accepted: it has no influence on a training.
        if other_packages(found.packages).keys() <= {"optuna"}:
            return found.model_copy(update={"packages": found.packages | {"optuna": version("optuna")}})
    return None
