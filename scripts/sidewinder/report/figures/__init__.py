"""Figures of one study or of several. A figure's module has its name, and a function `draw` that gets the tables."""

import argparse
from collections.abc import Sequence
from pathlib import Path

# Sweep figures need the trials only. Winner figures also need a confirmation, Pareto figures several objectives.
SWEEP_FIGURES = (
    "optimization_history",
    "learning_curves",
    "timeline",
    "slices",
    "contours",
    "parallel_coordinates",
    "parameter_importance",
    "contrast",
)
WINNER_FIGURES = ("test_returns", "selection_gap")
PARETO_FIGURES = ("pareto_front",)
# These compare several studies.
COMPARISON_FIGURES = (
    "best_so_far",
    "budget_curve",
    "tuned_and_baselines",
    "performance_profiles",
    "probability_of_improvement",
)

# The tables of rule `tables`, and for each rule of figures the tables that it reads.
TABLES = ("trials.csv", "evaluations.csv", "distributions.json")
READ_BY = {
    "sweep_figures": (*TABLES, "timings.csv"),
    "winner_figures": (*TABLES, "confirmation.csv"),
    "pareto_figures": (*TABLES, "confirmation.csv"),
    "comparison_figures": (*TABLES, "confirmation.csv"),
}


def add_output(parser: argparse.ArgumentParser, known: Sequence[str]) -> None:
    """Add the option `--output`, the figure files to write.

    Args:
        parser: The parser of a script.
        known: The names of the figures that the script can draw.
    """
    parser.add_argument(
        "--output",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help=f"what to draw: .pdf, .png or .svg of {', '.join(known)}",
    )
