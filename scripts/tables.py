"""Rule tables: gather the results of a study's trials into trials.csv, evaluations.csv and distributions.json."""

import argparse
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config.study_config import StudyConfig
from sidewinder.files import write_atomically
from sidewinder.results import Result, result_path
from sidewinder.study.study import stop_if_too_many_failed
from sidewinder.trials.tables import distributions_json, evaluations_table, mixed_versions, trials_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("--n-trials", type=int, help="how many of the study's trials (default: its whole budget)")
    parser.add_argument("--output", type=Path, help="directory to write to (default: the study's)")
    arguments = parser.parse_args()
    with errors_in_one_line():
        config = StudyConfig.load(arguments.config)
        study_dir, output = arguments.config.parent, arguments.output or arguments.config.parent
        n_trials = arguments.n_trials or config.study.n_trials
        results = [Result.load(result_path(study_dir, number)) for number in range(n_trials)]
        for result in results:
            if result.config != config.digest():
                raise SidewinderError(
                    f"{result_path(study_dir, result.number)}: config: found {result.config}, accepted: "
                    f"{config.digest()}, the digest of {arguments.config}; the file belongs to another config"
                )
        stop_if_too_many_failed(config, [result.reason or "" for result in results if result.state == "failed"])
        if versions := mixed_versions(results):
            # To the terminal: Snakemake keeps stderr for the log.
            print(f"{study_dir}: trials were made with different package versions: {versions}")
        write_atomically(output / "evaluations.csv", evaluations_table(results).to_csv(index=False))
        write_atomically(output / "distributions.json", distributions_json(results))
        write_atomically(output / "trials.csv", trials_table(results).to_csv(index=False))


if __name__ == "__main__":
    main()
