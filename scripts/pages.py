"""Rule pages: write a study's summary and the table of its trials as pages of Snakemake's report.

The summary says what won, by how much and how surely, what it cost, and how to run it again.
"""

import argparse
from pathlib import Path

import yaml

from sidewinder import errors_in_one_line
from sidewinder.config.study_config import StudyConfig
from sidewinder.files import write_atomically
from sidewinder.report.pages import searchable, summary
from sidewinder.report.summary_page import again, cost
from sidewinder.trials.tables import read_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("tables", type=Path, help="directory of the study's tables: best.md or pareto.md, and others")
    parser.add_argument("--overrides", nargs="*", default=[], help="what configs/config.yaml says of the study")
    parser.add_argument("--output", type=Path, required=True, help="directory for summary.html and trials.html")
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, tables = StudyConfig.load(arguments.config), arguments.tables
        best = tables / "best.yaml"
        winner = yaml.safe_load(best.read_text())["winner"] if best.exists() else None
        table = (tables / ("best.md" if winner else "pareto.md")).read_text()
        trials = read_trials(tables / "trials.csv")
        texts = [table, cost(config, tables, trials), again(config.study.name, arguments.overrides, winner)]
        files = {path.name: path.read_text() for path in (best, arguments.config) if path.exists()}
        write_atomically(arguments.output / "summary.html", summary(config.study.name, texts, files))
        write_atomically(arguments.output / "trials.html", searchable(config.study.name, trials))


if __name__ == "__main__":
    main()
