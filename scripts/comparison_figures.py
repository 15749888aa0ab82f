"""Rule comparison_figures: draw figures of studies side by side, those of one entry of configs/config.yaml.

A figure's name says what is drawn: `figures/budget_curve.pdf` is made by report/figures/budget_curve.py.
"""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.report.figures import COMPARISON_FIGURES, add_output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="directory of the studies' directories")
    parser.add_argument("entry", help="the entry's name")
    parser.add_argument(
        "--overrides", nargs="*", action="append", required=True, help="the entry's overrides; again, of several lists"
    )
    add_output(parser, COMPARISON_FIGURES)
    arguments = parser.parse_args()
    # Imported late: --help takes no second.
    from sidewinder.report.figures.comparison import Comparison
    from sidewinder.report.figures.drawing import save

    with errors_in_one_line():
        comparison = Comparison.read(arguments.entry, arguments.overrides, arguments.results)
        save(arguments.output, COMPARISON_FIGURES, comparison)


if __name__ == "__main__":
    main()
