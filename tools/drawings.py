"""Draw the pictures of docs/determinism.md and docs/index.md: the virtual clock, and the flow of data."""

import heapq
import sys
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.paths import ROOT
from sidewinder.report.figures.style import BLUE, GREY, PAGE, VERMILION, styled
from sidewinder.study.schedule import virtual_view

# The work of each trial, on three virtual workers. Trial 3 is pruned. The view is the one of trial 7.
WORK, PRUNED, WORKERS, ASKED = (60, 90, 75, 20, 80, 70, 85, 65), 3, 3, 7
STEPS = (
    ("config.yaml", "one study, composed"),
    ("trials", "result.json each"),
    ("tables", "trials.csv, evaluations.csv"),
    ("race", "validation seeds"),
    ("test", "test seeds"),
    ("best.yaml, agent/", "the verdict"),
    ("figures, pages", "PDF, SVG, PNG; report"),
)


def main() -> None:
    write(ROOT / "docs")


def write(directory: Path) -> None:
    """Write both pictures as SVG."""
    for name, figure in (("virtual_clock", virtual_clock()), ("pipeline", pipeline())):
        with rc_context({"svg.hashsalt": name}):
            figure.savefig(directory / f"{name}.svg", metadata={"Date": None})


def virtual_clock() -> Figure:
    """Draw a timeline of virtual workers, with the view of one trial."""
    with styled():
        figure = Figure(figsize=(PAGE, 1.9))
        axes = figure.subplots()
        seen, free = virtual_view(WORK[:ASKED], WORKERS), [(0, worker) for worker in range(WORKERS)]
        for number, amount in enumerate(WORK):
            start, worker = heapq.heappop(free)
            heapq.heappush(free, (start + amount, worker))
            color = VERMILION if number == ASKED else BLUE if number in seen else GREY
            (bar,) = axes.barh(worker, amount, 0.8, start, color=color, edgecolor="white")
            label = f"{number}, pruned" if number == PRUNED else f"trial {number}" if number == ASKED else f"{number}"
            axes.annotate(label, bar.get_center(), ha="center", va="center", color="white", fontsize=6)
            if number == ASKED:
                axes.axvline(start, color="black", linestyle=":", linewidth=0.8)
        axes.set_yticks(range(WORKERS), [f"virtual worker {worker + 1}" for worker in range(WORKERS)])
        axes.set_ylim(WORKERS - 0.5, -0.5)
        axes.set_xticks([])
        axes.set_xlabel("virtual clock: environment steps times their price")
        colors = {f"trial {ASKED}": VERMILION, "in its view": BLUE, "not in it": GREY}
        handles = [Patch(color=color, label=label) for label, color in colors.items()]
        figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def pipeline() -> Figure:
    """Draw the steps of the workflow with their files, from left to right."""
    with styled():
        figure = Figure(figsize=(PAGE, 0.9))
        axes = figure.subplots()
        axes.axis("off")
        axes.set_xlim(-0.5, len(STEPS) - 0.5)
        axes.set_ylim(-0.6, 0.6)
        box = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": BLUE}
        for place, (name, files) in enumerate(STEPS):
            axes.text(place, 0.15, name, ha="center", va="center", fontsize=6.5, bbox=box)
            axes.text(place, -0.45, files, ha="center", va="center", fontsize=4.5)
            if place:
                arrow = {"arrowstyle": "->", "color": GREY}
                axes.annotate("", (place - 0.42, 0.15), (place - 0.58, 0.15), arrowprops=arrow)
    return figure


if __name__ == "__main__":
    main()
