"""The times at which each worker trained which trial, and which trials were pruned."""

import heapq

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sidewinder.report.figures import style
from sidewinder.report.figures.study_tables import Tables
from sidewinder.report.figures.style import BLUE, GREY, PAGE, VERMILION

COLORS = {"complete": BLUE, "pruned": GREY, "failed": VERMILION}


def draw(tables: Tables) -> Figure:
    """Draw a row for each worker and a bar for each training, in minutes since the first training began.

    A pause of the whole study, such as between a kill and the next run, is cut out and marked by a dotted line.
    """
    if tables.timings.empty:
        return style.empty("no times of the trials were kept")
    trainings, breaks = without_pauses(tables.timings.sort_values("started", ignore_index=True))
    trainings["worker"] = workers(trainings)
    names = list(dict.fromkeys(sorted(trainings["worker"])))
    states = tables.trials.set_index("number")["state"]
    figure = Figure(figsize=(PAGE, 0.8 + 0.25 * len(names)))
    axes = figure.subplots()
    for _, training in trainings.iterrows():
        width = training["end"] - training["start"]
        row, color = names.index(training["worker"]), COLORS[states[training["number"]]]
        (bar,) = axes.barh(row, width, 0.8, training["start"], color=color, edgecolor="white", linewidth=0.5)
        if width > 0.02 * trainings["end"].max():
            axes.annotate(training["number"], bar.get_center(), ha="center", va="center", fontsize=5, color="white")
    for moment in breaks:
        axes.axvline(moment, color="black", linestyle=":", linewidth=0.8)
    axes.set_yticks(range(len(names)), [f"worker {lane + 1} on {host}" for host, lane in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, trainings["end"].max())
    axes.set_xlabel("minutes")
    handles = [Patch(color=color, label=state) for state, color in COLORS.items() if state in set(states)]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def without_pauses(timings: pd.DataFrame) -> tuple[pd.DataFrame, list[float]]:
    """Cut out pauses: times without any training that are longer than a tenth of the total training time.

    Args:
        timings: Rows of `sidewinder.trials.tables.timings_table`, in order of start; `started` as time stamps.

    Returns:
        The rows with two more columns, `start` and `end`, in minutes without the pauses; and the minutes at which there
        was a pause.
    """
    start = (timings["started"] - timings["started"].iloc[0]).dt.total_seconds() / 60
    end = start + timings["seconds"] / 60
    idle = (start - end.cummax().shift(fill_value=0)).clip(lower=0)
    pauses = idle.where(idle > timings["seconds"].sum() / 60 / 10, 0)
    start -= pauses.cumsum()
    return timings.assign(start=start, end=start + timings["seconds"] / 60), list(start[pauses > 0])


def workers(trainings: pd.DataFrame) -> list[tuple[str, int]]:
    """Give each training a worker: the first of its host's workers that was free when the training began.

    Args:
        trainings: Rows with `host`, `start` and `end`, in order of start.

    Returns:
        For each training its host and the index of the worker on that host, from 0.
    """
    free: dict[str, list[int]] = {}
    busy: dict[str, list[tuple[float, int]]] = {}
    found = []
    for host, start, end in trainings[["host", "start", "end"]].itertuples(index=False):
        lanes, running = free.setdefault(host, []), busy.setdefault(host, [])
        while running and running[0][0] <= start:
            heapq.heappush(lanes, heapq.heappop(running)[1])
        lane = heapq.heappop(lanes) if lanes else len(running)
        heapq.heappush(running, (end, lane))
        found.append((str(host), lane))
    return found
