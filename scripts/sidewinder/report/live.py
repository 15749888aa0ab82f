"""The progress that is shown while Snakemake runs.

In a terminal it is a table of the studies that is updated, elsewhere a line for each training that has ended.
Snakemake's own lines about jobs go to its log file only; errors and warnings are shown.

The progress is read from the studies' files, as in scripts/how_far.py. So it also includes the trials of a job that
makes several, and jobs on a cluster.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from snakemake_interface_logger_plugins.common import LogEvent

from sidewinder.report.how_far import HowFar, how_far
from sidewinder.report.how_far_table import how_far_table, lasting

_SECONDS = 2.0
# Reading the files takes at most this share of a core.
_SHARE = 0.02
# The most rows of the table, which has to fit on a screen.
_ROWS = 15
_SHOWN_EVENTS = (LogEvent.ERROR, LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR)
# Snakemake's answers to Ctrl-C, which are no events.
_ANSWERS = ("on user request", "Will exit after")


class Watch:
    """Shows the progress of studies from a separate thread, from `start` to `stop`."""

    def __init__(self, handler: "logging.StreamHandler[Any]", results: Path, studies: Sequence[str]) -> None:
        """Prepare the console; nothing is shown before `start`.

        Args:
            handler: The handler that writes Snakemake's lines.
            results: The directory of the studies' directories.
            studies: The studies' directories, relative to `results`.
        """
        self._handler = handler
        self._results = results
        self._studies = studies
        self._console = Console(file=handler.stream)
        # Elsewhere an updated table would be lines of control characters.
        self._in_terminal = handler.stream.isatty() and not self._console.is_dumb_terminal
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._seen: dict[str, HowFar] = {}
        self._changed: dict[str, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to show the progress, and to hide Snakemake's lines about jobs."""
        self._seen = self._found()
        self._handler.addFilter(self._shown)
        if self._in_terminal:
            self._live.start()
        self._thread.start()

    def stop(self) -> None:
        """Show the progress a last time, and end. A second call does nothing."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        try:
            self._thread.join()
            self.look()
        finally:
            if self._in_terminal:
                self._live.stop()
            self._handler.removeFilter(self._shown)

    def _run(self) -> None:
        pause = _SECONDS
        while not self._stopped.wait(pause):
            began = time.thread_time()
            self.look()
            pause = max(_SECONDS, (time.thread_time() - began) / _SHARE)

    def _found(self) -> dict[str, HowFar]:
        found = {}
        for study in self._studies:
            # The study is not composed yet, or a file is being removed or is damaged. A job reports what is wrong.
            with suppress(Exception):
                found[study] = how_far(self._results / study)
        return found

    def look(self) -> None:
        """Read the progress, and show what is new."""
        found = self._found()
        for study, now in found.items():
            before = self._seen.get(study)
            if before is None or (before.finished, before.running) != (now.finished, now.running):
                self._changed[study] = time.monotonic()
            if not self._in_terminal:
                for line in _lines(study, before, now):
                    self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._seen |= found
        if self._in_terminal and self._changed:
            latest = sorted(self._changed, key=lambda study: -self._changed[study])[:_ROWS]
            shown = {study: now for study, now in self._seen.items() if study in latest}
            self._live.update(how_far_table(shown), refresh=True)

    def _shown(self, record: logging.LogRecord) -> bool:
        """Return whether Snakemake's handler writes this record. Above an updated table, the console writes it."""
        is_answer = any(word in record.getMessage() for word in _ANSWERS)
        if record.levelno < logging.WARNING and getattr(record, "event", None) not in _SHOWN_EVENTS and not is_answer:
            return False
        if not self._in_terminal:
            return True
        self._console.print(self._handler.format(record), markup=False, highlight=False)
        return False


def _lines(study: str, before: HowFar | None, now: HowFar) -> Iterator[str]:
    """Give a line for each training that has ended since `before`, with the study's progress."""
    known = before.finished if before else {}
    best = f", best {now.best[1]:.4g} (trial {now.best[0]})" if now.best else ""
    left = f", {lasting(now.seconds_left)} left" if now.seconds_left else ""
    confirmed, planned = (sum(numbers) for numbers in zip(*now.phases.values(), strict=True))
    sums = {True: (sum(now.states.values()), now.n_trials), False: (confirmed, planned)}
    for of_sweep, (done, of) in sums.items():
        new = [text for key, text in now.finished.items() if key not in known and key.isdecimal() == of_sweep]
        for count, text in enumerate(new, done - len(new) + 1):
            yield f"{study}: {text}; {count} of {of}{best}{left}"


def watch(logger: logging.Logger, results: Path, studies: Sequence[str]) -> Watch | None:
    """Begin to show the progress of studies in place of Snakemake's lines about jobs.

    Returns None if a logger plugin of Snakemake shows these lines instead of its own handler.

    Args:
        logger: Snakemake's logger.
        results: The directory of the studies' directories.
        studies: The studies' directories, relative to `results`.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            found = Watch(handler, results, studies)
            found.start()
            return found
    return None
