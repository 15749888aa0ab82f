"""Rule checklist: answer the field's reproducibility checklists from a study's config and tables, as Markdown."""

import argparse
import json
from pathlib import Path

import yaml

from sidewinder import errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.results import read_table
from sidewinder.records import add_record, recorded
from sidewinder.report.checklist import checklist
from sidewinder.report.provenance import NAME
from sidewinder.trials.tables import read_timings, read_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml, with the study's tables beside it")
    parser.add_argument("--output", type=Path, required=True, help="checklist.md to write")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, tables = StudyConfig.load(arguments.config), arguments.config.parent
        best = tables / "best.yaml" if len(config.study.objectives) == 1 else None
        names = ("trials.csv", "timings.csv", "confirmation.csv", NAME)
        read = [*(tables / name for name in names), *([best] if best else [])]
        with recorded(arguments.record, rule_settings("checklist", config), read) as write:
            text = checklist(
                config,
                read_trials(tables / "trials.csv"),
                read_timings(tables / "timings.csv"),
                read_table(tables / "confirmation.csv"),
                json.loads((tables / NAME).read_text()),
                yaml.safe_load(best.read_text())["winner"] if best else None,
            )
            write(arguments.output, text)


if __name__ == "__main__":
    main()
