"""The figures: `draw` in the module of a figure's name draws it from tables of a study, or of several."""

import argparse
from collections.abc import Sequence
from pathlib import Path

# From the trials alone; from the confirmation of a winner; of several objectives.
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
# From several studies side by side.
COMPARISON_FIGURES = (
    "best_so_far",
    "budget_curve",
    "tuned_and_baselines",
    "performance_profiles",
    "probability_of_improvement",
)

# The tables that the figures of a rule are drawn from.
TABLES = ("trials.csv", "evaluations.csv", "distributions.json")
READ_BY = {
    "sweep_figures": (*TABLES, "timings.csv"),
    "winner_figures": (*TABLES, "confirmation.csv"),
    "pareto_figures": (*TABLES, "confirmation.csv"),
    "comparison_figures": (*TABLES, "confirmation.csv"),
}


def add_output(parser: argparse.ArgumentParser, known: Sequence[str]) -> None:
    """The argument `--output`: files of these figures."""
    parser.add_argument(
        "--output",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help=f"what to draw: .pdf, .png or .svg of {', '.join(known)}",
    )
