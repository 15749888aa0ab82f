"""Rule provenance: write the versions of packages and code that made a study, and the SHA-256 of its files.

scripts/verify.py compares these with the files.
"""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.files import to_json
from sidewinder.records import add_record, recorded
from sidewinder.report.provenance import provenance
from sidewinder.results import result_path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("confirmations", type=Path, nargs="+", help="<phase>/<candidate>/<index>.json")
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="other files to list with their SHA-256")
    parser.add_argument("--output", type=Path, required=True, help="provenance.json to write")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, study_dir = StudyConfig.load(arguments.config), arguments.config.parent
        trials = [result_path(study_dir, number) for number in range(config.study.n_trials)]
        results, others = [*trials, *arguments.confirmations], arguments.tables
        with recorded(arguments.record, rule_settings("provenance", config), [*results, *others]) as write:
            write(arguments.output, to_json(provenance(config, study_dir, results, others)))


if __name__ == "__main__":
    main()
