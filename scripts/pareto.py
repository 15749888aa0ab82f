"""Rule pareto: write the Pareto set of a study with several objectives, as configs that train.py runs and as tables."""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.confirmation.results import read_table
from sidewinder.report.pareto import write_pareto_set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("confirmation", type=Path, help="the study's confirmation.csv")
    parser.add_argument("--output", type=Path, required=True, help="directory for pareto/ and pareto.*")
    arguments = parser.parse_args()
    with errors_in_one_line():
        write_pareto_set(arguments.config, read_table(arguments.confirmation), arguments.output)


if __name__ == "__main__":
    main()
