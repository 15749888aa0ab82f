"""Rules sweep_figures, winner_figures and pareto_figures: draw figures of a study from its tables.

The name of a file chooses the figure: `figures/learning_curves.pdf` is drawn by report/figures/learning_curves.py.
"""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.records import add_record, recorded
from sidewinder.report.figures import PARETO_FIGURES, READ_BY, SWEEP_FIGURES, WINNER_FIGURES, add_output

FIGURES = (*SWEEP_FIGURES, *WINNER_FIGURES, *PARETO_FIGURES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="directory of config.yaml and the study's tables: results/<study>")
    parser.add_argument("--trials", nargs=2, type=int, metavar="N", help="trials of contrast (default: best and worst)")
    add_output(parser, FIGURES)
    add_record(parser)
    arguments = parser.parse_args()
    # Imported late: --help and errors in the command line should be fast.
    from sidewinder.report.figures.drawing import save
    from sidewinder.report.figures.study_tables import Tables

    with errors_in_one_line():
        study, rule = Tables.read(arguments.study), arguments.record.stem if arguments.record else "sweep_figures"
        read = [arguments.study / name for name in READ_BY[rule]]
        with recorded(arguments.record, rule_settings(rule, study.config), read) as write:
            save(arguments.output, FIGURES, study, write, contrast={"trials": arguments.trials})


if __name__ == "__main__":
    main()
