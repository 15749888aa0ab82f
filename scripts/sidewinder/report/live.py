"""What one sees while Snakemake runs: in a terminal a table of the studies that changes, else a line for each training
that ends. Snakemake's own lines about jobs are in its log file only; errors and warnings stay.

It reads the studies' files, as scripts/how_far.py does, and so knows what a job of many trials does, or one on a
cluster.
"""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from snakemake_interface_logger_plugins.common import LogEvent

from sidewinder import SidewinderError
from sidewinder.report.how_far import HowFar, how_far
from sidewinder.report.how_far_table import how_far_table, lasting

_SECONDS = 2.0
# Looking takes no more than this share of a core.
_SHARE = 0.02
# More than fit on a screen say nothing.
_ROWS = 15
_SHOWN_EVENTS = (LogEvent.ERROR, LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR)


class Watch:
    """Looks at studies from a thread of its own, from `start` to `stop`."""

    def __init__(self, handler: "logging.StreamHandler[Any]", results: Path, studies: Sequence[str]) -> None:
        """Nothing happens yet.

        Args:
            handler: What writes Snakemake's lines.
            results: The directory of the studies' directories.
            studies: Their names, as in it.
        """
        self._handler = handler
        self._results = results
        self._studies = studies
        self._console = Console(file=handler.stream)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._seen: dict[str, HowFar] = {}
        self._changed: dict[str, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to look, and leave out Snakemake's lines about jobs."""
        self._seen = self._look()
        self._handler.addFilter(self._shown)
        if self._console.is_terminal:
            self._live.start()
        self._thread.start()

    def stop(self) -> None:
        """Look once more, and end; nothing if it has ended."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._thread.join()
        self._show()
        if self._console.is_terminal:
            self._live.stop()
        self._handler.removeFilter(self._shown)

    def _run(self) -> None:
        pause = _SECONDS
        while not self._stopped.wait(pause):
            began = time.thread_time()
            self._show()
            pause = max(_SECONDS, (time.thread_time() - began) / _SHARE)

    def _look(self) -> dict[str, HowFar]:
        found = {}
        for study in self._studies:
            try:
                found[study] = how_far(self._results / study)
            except SidewinderError:
                continue  # not composed yet; or a job will say what is wrong
        return found

    def _show(self) -> None:
        found = self._look()
        for study, now in found.items():
            before = self._seen.get(study)
            if before is None or (before.finished, before.running) != (now.finished, now.running):
                self._changed[study] = time.monotonic()
            if not self._console.is_terminal:
                known = before.finished if before else {}
                for name in (name for name in now.finished if name not in known):
                    self._console.print(_line(study, name, now), markup=False, highlight=False, soft_wrap=True)
        self._seen = found
        if self._console.is_terminal and self._changed:
            latest = sorted(self._changed, key=lambda study: -self._changed[study])[:_ROWS]
            self._live.update(how_far_table({study: found[study] for study in found if study in latest}), refresh=True)

    def _shown(self, record: logging.LogRecord) -> bool:
        """Whether Snakemake's handler writes this. Over a table that changes, the console has to."""
        event = getattr(record, "event", None)
        if record.levelno < logging.WARNING and event not in _SHOWN_EVENTS:
            return False
        if not self._console.is_terminal:
            return True
        self._console.print(self._handler.format(record), markup=False, highlight=False)
        return False


def _line(study: str, name: str, now: HowFar) -> str:
    """A training that ended, and how far that brings the study."""
    done, planned = sum(now.states.values()), now.n_trials
    if not name.startswith("trial "):
        done, planned = (sum(numbers) for numbers in zip(*now.phases.values(), strict=True))
    best = f", best {now.best[1]:.4g} (trial {now.best[0]})" if now.best else ""
    left = f", {lasting(now.seconds_left)} left" if now.seconds_left else ""
    return f"{study}: {name}: {now.finished[name]}; {done} of {planned}{best}{left}"


def watch(logger: logging.Logger, results: Path, studies: Sequence[str]) -> Watch | None:
    """Begin to watch studies in place of Snakemake's lines about jobs; None where another logger shows these.

    Args:
        logger: Snakemake's.
        results: The directory of the studies' directories.
        studies: Their names, as in it.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            found = Watch(handler, results, studies)
            found.start()
            return found
    return None
