"""Rule candidate: write one setting to confirm, which is one of the sweep's best trials or a baseline."""

import argparse
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate, chosen_trials
from sidewinder.records import add_record, recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("trials", type=Path, help="the study's trials.csv")
    parser.add_argument("output", type=Path, help="<name>.yaml to write: top-1, top-2, ..., defaults or zoo")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, name = StudyConfig.load(arguments.config), arguments.output.stem
        with recorded(arguments.record, rule_settings("candidate", config), [arguments.trials]) as write:
            write(arguments.output, setting(config, name, arguments.config.parent, arguments.trials).dump())


def setting(config: StudyConfig, name: str, study_dir: Path, trials: Path) -> Candidate:
    """Return the candidate of this name: a baseline, or the trial with this rank.

    If the sweep has too few complete trials for the rank, the candidate is one that does not exist.

    Raises:
        SidewinderError: The study's confirmation has no such candidate.
    """
    if name in config.baselines:
        return Candidate.of_baseline(name)
    if name not in config.candidates():
        accepted = ", ".join([*config.candidates(), *config.baselines])
        raise SidewinderError(f"candidate: found {name!r}, accepted: {accepted}")
    # Imported late: baselines do not need pandas, which takes long to load.
    from sidewinder.trials.tables import read_trials

    chosen = chosen_trials(config, study_dir, read_trials(trials))
    rank = config.candidates().index(name)
    return Candidate.of_trial(name, chosen[rank]) if rank < len(chosen) else Candidate.absent(name)


if __name__ == "__main__":
    main()
