"""Rule comparison_figures: draw figures that compare the studies of one entry of config/config.yaml.

The name of a file chooses the figure: `figures/budget_curve.pdf` is drawn by report/figures/budget_curve.py.
"""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.config.matrix import factors
from sidewinder.config.rule_settings import comparison_settings
from sidewinder.records import add_record, recorded
from sidewinder.report.figures import COMPARISON_FIGURES, READ_BY, add_output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="directory of the studies' directories")
    parser.add_argument("entry", help="the entry's name")
    parser.add_argument(
        "--overrides", nargs="*", action="append", required=True, help="the entry's overrides; once for each list"
    )
    add_output(parser, COMPARISON_FIGURES)
    add_record(parser)
    arguments = parser.parse_args()
    # Imported late: --help and errors in the command line should be fast.
    from sidewinder.report.figures.comparison import Comparison
    from sidewinder.report.figures.drawing import save

    with errors_in_one_line():
        comparison = Comparison.read(arguments.entry, arguments.overrides, arguments.results)
        names = factors(arguments.entry, arguments.overrides)
        configs = {name: tables.config for name, tables in zip(names, comparison.studies, strict=True)}
        read = [arguments.results / name / table for name in names for table in READ_BY["comparison_figures"]]
        with recorded(arguments.record, comparison_settings(configs), read) as write:
            save(arguments.output, COMPARISON_FIGURES, comparison, write)


if __name__ == "__main__":
    main()
