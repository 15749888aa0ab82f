"""Rule pages: write a study's summary and the table of its trials as pages of Snakemake's report.

The summary says what won, by how much and how surely, what it cost, and how to run it again.
"""

import argparse
from pathlib import Path

import yaml

from sidewinder import errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.records import add_record, recorded
from sidewinder.report.pages import searchable, summary
from sidewinder.report.summary_page import again, cost
from sidewinder.trials.tables import read_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml, with the study's tables beside it")
    parser.add_argument("--overrides", nargs="*", default=[], help="the study's overrides in config/config.yaml")
    parser.add_argument("--output", type=Path, required=True, help="directory for summary.html and trials.html")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, tables = StudyConfig.load(arguments.config), arguments.config.parent
        names = ["best.md", "best.yaml"] if len(config.study.objectives) == 1 else ["pareto.md"]
        read = [tables / name for name in (*names, "trials.csv", "timings.csv", "confirmation.csv")]
        with recorded(arguments.record, rule_settings("pages", config, arguments.overrides), read) as write:
            best = tables / "best.yaml"
            winner = yaml.safe_load(best.read_text())["winner"] if "best.yaml" in names else None
            table = (tables / names[0]).read_text()
            trials = read_trials(tables / "trials.csv")
            texts = [table, cost(config, tables, trials), again(config.study.name, arguments.overrides, winner)]
            shown = [best, arguments.config] if winner else [arguments.config]
            files = {path.name: path.read_text() for path in shown}
            write(arguments.output / "summary.html", summary(config.study.name, texts, files))
            write(arguments.output / "trials.html", searchable(config.study.name, trials))


if __name__ == "__main__":
    main()
