"""A study's progress, read from its files: what is done, what runs, the best so far, and the time that is left.

A running training is recognised by its checkpoint. This module takes no lock and writes nothing, so it may be used at
any time and on any machine that sees the files.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate, confirmation_run
from sidewinder.confirmation.results import Phase
from sidewinder.files import reading
from sidewinder.results import result_path
from sidewinder.study.clock import step_price
from sidewinder.training.archives import DIRECTORY
from sidewinder.training.store import Kept

# From this many of the latest trainings it is estimated how many run side by side.
_LATEST = 10
# Seconds without a new checkpoint after which a training no longer counts as running.
_SILENT = 120.0


@dataclass(frozen=True)
class Running:
    """A running training.

    Attributes:
        name: The trial's name, e.g. `trial 7`; for the confirmation `a training`.
        share: The share of its environment steps that it had done at its last checkpoint, 0 to 1.
    """

    name: str
    share: float


@dataclass(frozen=True)
class HowFar:
    """A study's progress.

    Attributes:
        states: The number of complete, of pruned and of failed trials.
        n_trials: The budget.
        running: The running trainings.
        best: Number and objective of the best complete trial so far; None if there is none.
        phases: For each phase of the confirmation, how many of its trainings are done, and how many there are.
        finished: A text for each finished trial and for each finished training of the confirmation: its name and its
            value. The key is the trial's number, or a path such as `test/winner/3`.
        ended: Whether the study is done: best.yaml and the agent (if wanted), or for several objectives pareto.md.
        seconds_left: Estimated seconds until the study is done; None if they cannot be estimated yet.
    """

    states: Mapping[str, int]
    n_trials: int
    running: list[Running]
    best: tuple[int, float] | None
    phases: Mapping[str, tuple[int, int]]
    finished: Mapping[str, str]
    ended: bool
    seconds_left: float | None

    @property
    def stage(self) -> str:
        """The study's current stage: `sweep`, `race`, `test`, `agent`, or `done`."""
        if sum(self.states.values()) < self.n_trials:
            return "sweep"
        for phase, (done, planned) in self.phases.items():
            if done < planned:
                return "race" if phase == "validation" else phase
        return "done" if self.ended else "agent"


def how_far(study_dir: Path) -> HowFar:
    """Read a study's progress from its directory.

    Raises:
        SidewinderError: The directory has no config.yaml, or a file is malformed.
    """
    config = StudyConfig.load(study_dir / "config.yaml")
    n_trials = config.study.n_trials
    paths = {number: result_path(study_dir, number) for number in range(n_trials)}
    finished = {number: _read(path, path.stat().st_mtime_ns) for number, path in paths.items() if path.exists()}
    values = {number: one["objective"] for number, one in finished.items() if one["state"] == "complete"}
    choose = min if config.study.return_direction == "minimize" else max
    best = choose(values, key=lambda number: values[number]) if values else None
    states = Counter(one["state"] for one in finished.values())
    total = config.training["total_timesteps"]
    trials = [
        Running(f"trial {number}", step / total)
        for number, path in paths.items()
        if number not in finished
        for step in _steps(path.parent.glob("**/checkpoint/**/state"))
    ]
    planned = {
        phase: [
            study_dir / "confirmation" / phase / name / f"{training}.json"
            for name, trainings in candidates.items()
            for training in trainings
        ]
        for phase, candidates in config.confirmations().items()
    }
    missing = [path for paths in planned.values() for path in paths if not path.exists()]
    done = [path for paths in planned.values() for path in paths if path not in missing]
    wanted = ["best.yaml"] if len(config.study.objectives) == 1 else ["pareto.md"]
    if wanted == ["best.yaml"] and config.confirmation.keep_agents != "none":
        wanted.append("agent/README.md")
    swept = len(finished) == n_trials
    ended = swept and not missing and all((study_dir / name).exists() for name in wanted)
    store = study_dir.parent / DIRECTORY
    others = [Running("a training", step / total) for step in _steps(store.glob("*.checkpoint/state"))]
    running = trials + (others if swept and not ended else [])
    return HowFar(
        states=states,
        n_trials=n_trials,
        running=running,
        best=None if best is None else (best, values[best]),
        phases={phase: (len(paths) - len(set(paths) & set(missing)), len(paths)) for phase, paths in planned.items()},
        finished={f"{number}": f"trial {number}: {_of_trial(one)}" for number, one in finished.items()}
        | {_key(path): text for path in done if (text := _of_confirmation(path, path.stat().st_mtime_ns))},
        ended=ended,
        seconds_left=0 if ended else _seconds_left(config, study_dir, finished, best, missing, running),
    )


def _of_trial(result: Mapping[str, Any]) -> str:
    """Return a trial's objective, or its state and the reason, in words."""
    if result["state"] == "complete":
        return f"{result['objective']:.4g}"
    return " ".join(filter(None, [result["state"], f"({result['reason']})" if result["reason"] else ""]))


def _key(path: Path) -> str:
    """Return the key of a training of the confirmation, such as `test/winner/3`."""
    return f"{path.parents[1].name}/{path.parent.name}/{path.stem}"


@cache
def _of_confirmation(path: Path, _modified: int) -> str:
    """Return the name and the mean return of a training of the confirmation, in words.

    A file is read again only when it has changed. The text is empty for a place in the race that no setting took.
    """
    with reading(path, "the confirmation's job makes it", "to train that again"):
        result = json.loads(path.read_bytes())
        if (run := result["run"]) is None:
            return ""
        who = result["candidate"] if result["trial"] is None else f"trial {result['trial']}"
        phase, returns = result["phase"].replace("validation", "race"), run["returns"]
        ended = f"{sum(returns) / len(returns):.4g}" if returns else f"failed ({run['reason']})"
        ended = f"return {ended}" if returns and run.get("metrics") else ended
        return f"{phase} of {who}, seed {path.stem}: {ended}"


@cache
def _read(path: Path, _modified: int) -> dict[str, Any]:
    """Read a trial's result.json; again only when it has changed."""
    with reading(path, "the trial's job makes it", "to train that trial again"):
        content: dict[str, Any] = json.loads(path.read_bytes())
        return content


def _steps(states: Iterable[Path]) -> list[int]:
    """Return the environment step of each checkpoint that was written in the last `_SILENT` seconds."""
    found = []
    for path in states:
        try:
            if time.time() - path.stat().st_mtime < _SILENT:
                with path.open("rb") as file:
                    found.append(int(json.loads(file.readline())["facts"]["step"]))
        except (OSError, ValueError, LookupError):
            continue  # the training has ended since
    return found


def _seconds_left(
    config: StudyConfig,
    study_dir: Path,
    finished: Mapping[int, dict[str, Any]],
    best: int | None,
    missing: list[Path],
    running: list[Running],
) -> float | None:
    """Estimate the seconds until the study is done; None if there is too little to estimate them from.

    The virtual clock gives the work that is left. The finished trials give the seconds for a unit of work, and how many
    trainings run side by side.
    """
    timed = {number: _timed(result_path(study_dir, number).with_name("timing.json")) for number in finished}
    work = {number: _work(config, finished[number]) for number in finished}
    trained = sum(work[number] for number in finished if timed[number])
    if not trained or best is None:
        return None
    environments = config.environment_names()
    full = config.training["total_timesteps"]
    tuned = sum(_price(config, finished[best], environment) for environment in environments) / len(environments)
    left = (config.study.n_trials - len(finished)) * sum(work.values()) / len(work)
    for path in missing:
        name = path.parent.name
        left += full * (_baseline_price(config, study_dir, path) if name in config.baselines else tuned)
    keeps = config.confirmation.keep_agents != "none" and len(config.study.objectives) == 1
    if keeps and config.study.archives and not (study_dir / "agent/README.md").exists():
        # Archives have no agents, so the recommended setting may have to be trained again for its agent.
        left += full * max(
            [tuned, *(step_price(config.for_baseline(name, environments[0])) for name in config.compared())]
        )
    left -= sum(one.share for one in running) * tuned * full
    if left <= 0:
        return None  # only running trainings are left, and their remaining time is unknown
    trainings = [training for own in timed.values() for training in own]
    seconds = sum(seconds for _, seconds in trainings)
    return float(left * seconds / trained / max(_at_once(trainings), len(running)))


def _at_once(trainings: list[tuple[float, float]]) -> float:
    """Return how many of the latest trainings ran side by side on average, at least 1. Waiting makes it smaller.

    Args:
        trainings: Start (a Unix time) and seconds of each.
    """
    latest = sorted(trainings)[-_LATEST:]
    began, ended = latest[0][0], max(start + seconds for start, seconds in latest)
    return max(1.0, sum(seconds for _, seconds in latest) / (ended - began))


def _timed(path: Path) -> list[tuple[float, float]]:
    """Read the start (a Unix time) and the seconds of each training of a trial from its timing.json.

    Trainings whose results were known already are left out: they took no time.
    """
    try:
        return _read_timed(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, LookupError, TypeError):
        return []


@cache
def _read_timed(path: Path, _modified: int) -> list[tuple[float, float]]:
    return [
        (datetime.fromisoformat(training["started"]).timestamp(), float(training["seconds"]))
        for training in json.loads(path.read_bytes())
        if training["environment_steps"]
    ]


def _work(config: StudyConfig, result: Mapping[str, Any]) -> float:
    parts = result.get("replicates") or [result]
    return float(
        sum(
            _price(config, result, part.get("environment")) * part["evaluations"][-1]["step"]
            for part in parts
            if part["evaluations"]
        )
    )


_prices: dict[tuple[str, int, str | None], int] = {}


def _price(config: StudyConfig, result: Mapping[str, Any], environment: str | None) -> int:
    key = (result["config"], result["number"], environment)
    if key not in _prices:
        _prices[key] = step_price(config.for_trial(result["params"], environment))
    return _prices[key]


def _baseline_price(config: StudyConfig, study_dir: Path, path: Path) -> int:
    """Return the price of a step of a baseline's training; 0 if the training store has this training already."""
    phase: Phase = "validation" if path.parents[1].name == "validation" else "test"
    environment, index = config.confirmations()[phase][path.parent.name][path.stem]
    candidate = Candidate.of_baseline(path.parent.name)
    run, held_out = confirmation_run(config, candidate, environment, phase, index)
    return 0 if Kept.of(config, study_dir, run, held_out).load() else step_price(run)
