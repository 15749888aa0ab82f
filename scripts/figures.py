"""Rules sweep_figures, winner_figures and pareto_figures: draw figures of a study from its tables.

A figure's name says what is drawn: `figures/learning_curves.pdf` is made by report/figures/learning_curves.py.
"""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.report.figures import PARETO_FIGURES, SWEEP_FIGURES, WINNER_FIGURES, add_output

FIGURES = (*SWEEP_FIGURES, *WINNER_FIGURES, *PARETO_FIGURES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("tables", type=Path, help="directory of the study's tables: trials.csv and others")
    parser.add_argument("--trials", nargs=2, type=int, metavar="N", help="of contrast (default: best and worst)")
    add_output(parser, FIGURES)
    arguments = parser.parse_args()
    # Imported late: --help takes no second.
    from sidewinder.report.figures.drawing import save
    from sidewinder.report.figures.study_tables import Tables

    with errors_in_one_line():
        tables = Tables.read(arguments.config, arguments.tables)
        save(arguments.output, FIGURES, tables, contrast={"trials": arguments.trials})


if __name__ == "__main__":
    main()
