"""Rule best: write the confirmed winner as best.yaml, a config that train.py runs, and as tables for a paper."""

import argparse
from pathlib import Path
from typing import Any

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config.rule_settings import rule_settings
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate
from sidewinder.confirmation.results import read_table
from sidewinder.records import add_record, recorded
from sidewinder.report.sensitivity import said_of, sensitivity, sensitivity_table
from sidewinder.report.tested import Tested
from sidewinder.report.texts import latex, markdown, parameters, trainable
from sidewinder.results import Result, result_path
from sidewinder.trials.tables import read_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("winner", type=Path, help="the study's confirmation/winner.yaml")
    parser.add_argument("confirmation", type=Path, help="the study's confirmation.csv")
    parser.add_argument("trials", type=Path, help="the study's trials.csv")
    parser.add_argument("--output", type=Path, help="directory to write to (default: the study's)")
    add_record(parser)
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, chosen = StudyConfig.load(arguments.config), Candidate.load(arguments.winner)
        if chosen.trial is None:
            raise SidewinderError(f"{arguments.winner}: trial: found nothing, accepted: a trial of the sweep")
        result = result_path(arguments.config.parent, chosen.trial)
        output = arguments.output or arguments.config.parent
        read = [arguments.winner, arguments.confirmation, arguments.trials, result]
        with recorded(arguments.record, rule_settings("best", config), read) as write:
            tested = Tested(config, chosen, read_table(arguments.confirmation))
            frames = [tested.returns(), parameters(config, {"tuned": chosen.params})]
            verdict = tested.verdict()
            provenance: dict[str, Any] = {"verdict": verdict.sentence, "recommended": verdict.recommended}
            provenance |= {"selection_gap": tested.selection_gap, "test": tested.data()}
            note = tested.note()
            if shared := sensitivity(config, read_trials(arguments.trials)):
                provenance["sensitivity"] = shared.model_dump()
                frames.append(sensitivity_table(shared))
                note += f" {said_of(shared)}"
            if tested.race:
                provenance["race"] = tested.race.model_dump() | {"tied": tested.race.tied}
            if tested.failed_in_validation:
                provenance["failed_in_validation"] = tested.failed_in_validation
            if tested.archives:
                provenance["archives"] = tested.archives
            write(output / "best.md", markdown(config.study.name, frames, note, verdict.sentence))
            write(output / "best.tex", latex(frames, f"{verdict.sentence} {note}"))
            write(output / "best.yaml", trainable(config, Result.load(result), provenance))


if __name__ == "__main__":
    main()
