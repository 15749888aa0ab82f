"""What trainings gave, kept by a digest of all that they depend on, so that nobody trains the same twice.

Those that have the same bits wherever they are trained are kept in the directory of all results, for all studies; the
others, and those that failed, in their study's own. It is a cache: without it, the same is trained again. What is
shared may also come from archives.
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
    """What a training gave that was not pruned, and what it was made with.

    Attributes:
        run, held_out, direction: What was trained, as `training.run.train` takes it; the run as plain values.
        held_out_returns: Undiscounted, one a held-out episode; empty if it failed or there were none.
        held_out_metrics: What else `evaluation.metric` names, in the same order.
        environment_steps: How long it was.
        steps_per_second: Only where an objective is of time.
        sources: As `sources.sources` has it.
        archived: Where it was found, if in an archive; no part of the file.
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
    """Where a training is kept, or will be.

    Attributes:
        shared: The file for all studies; None if it is not the same everywhere.
        own: The file for its study alone.
        run, held_out, direction: What is trained.
        storage: As `study.storage` says, for locks.
        timed: Whether the study has an objective of time.
        sources: As `Training` has them.
        archives: Other places to look in, which come first: what is taken must not depend on what was trained before.
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
        """Where a training of a study is kept."""
        study, code = config.study, sources(run)
        direction = study.return_direction
        name = f"{digest((run.digest(held_out, direction), code))}.json"
        shared = study_dir.absolute().parent / DIRECTORY / name if run.bit_exact and not study.timed else None
        own = study_dir / DIRECTORY / name
        archives = tuple(study.archives)
        return cls(shared, own, run, held_out, direction, study.storage, study.timed, code, archives)

    @property
    def path(self) -> Path:
        """The file that it will have if it goes well; its lock and its checkpoint are beside it."""
        return self.shared or self.own

    @property
    def agent(self) -> Path:
        """The directory of its agent, where that is kept."""
        return self.path.with_suffix(".agent")

    def lock(self) -> BaseFileLock:
        """Whose holder may train it."""
        return file_lock(self.path.with_suffix(".lock"), self.storage)

    def load(self) -> Training | None:
        """What it gave, if that is known, with the packages that are installed here.

        Its packages are those that this process would have found on record, had it trained.
        """
        for archive in self.archives if self.shared else []:
            content = archived(archive, self.path.name)
            # Failures are their study's own.
            if content and (found := self._of(content)) and found.state == "complete":
                return found.model_copy(update={"archived": Archived(archive=archive, processor=found.processor)})
        for path in filter(None, (self.shared, self.own)):
            with suppress(OSError):
                if found := self._of(path.read_bytes()):
                    return found
        return None

    def _of(self, content: bytes) -> Training | None:
        """A file's content, if that is this training: the file may have been given the name of another."""
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
        """Keep what came of it in this process, where it was not pruned."""
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
    """The training, if it was made with the packages that are installed here."""
    with suppress(ValidationError):
        found = Training.model_validate_json(content)
        # Optuna trains nothing.
        if other_packages(found.packages).keys() <= {"optuna"}:
            return found.model_copy(update={"packages": found.packages | {"optuna": version("optuna")}})
    return None
