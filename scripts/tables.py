"""Rule tables: gather the results of a study's trials into trials.csv, evaluations.csv and distributions.json."""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.records import add_record, recorded
from sidewinder.results import load_result, result_path
from sidewinder.study.failures import stop_if_too_many_failed
from sidewinder.trials.tables import distributions_json, evaluations_table, mixed_versions, trials_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("--output", type=Path, help="directory to write to (default: the study's)")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config = StudyConfig.load(arguments.config)
        study_dir, output = arguments.config.parent, arguments.output or arguments.config.parent
        read = [result_path(study_dir, number) for number in range(config.study.n_trials)]
        with recorded(arguments.record, rule_settings("tables", config), read) as write:
            results = [
                load_result(study_dir, number, config.digest(), config.study.give_up)
                for number in range(config.study.n_trials)
            ]
            stop_if_too_many_failed(config, [result.reason or "" for result in results if result.state == "failed"])
            if versions := mixed_versions(results):
                # To the terminal: Snakemake keeps stderr for the log.
                print(f"{study_dir}: trials were made with different package versions: {versions}")
            write(output / "evaluations.csv", evaluations_table(results, config.metrics).to_csv(index=False))
            write(output / "distributions.json", distributions_json(results))
            write(output / "trials.csv", trials_table(results).to_csv(index=False))


if __name__ == "__main__":
    main()
