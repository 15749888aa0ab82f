"""Rule best: write the confirmed winner as best.yaml, which train.py runs as it is, and as tables for a paper."""

import argparse
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate
from sidewinder.confirmation.results import read_table
from sidewinder.files import write_atomically
from sidewinder.report.tested import Tested
from sidewinder.report.texts import latex, markdown, parameters, trainable
from sidewinder.results import Result, result_path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("winner", type=Path, help="the study's confirmation/winner.yaml")
    parser.add_argument("confirmation", type=Path, help="the study's confirmation.csv")
    parser.add_argument("--output", type=Path, required=True, help="directory for best.yaml, best.md and best.tex")
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, chosen = StudyConfig.load(arguments.config), Candidate.load(arguments.winner)
        if chosen is None or chosen.trial is None:
            raise SidewinderError(f"{arguments.winner}: trial: found nothing, accepted: a trial of the sweep")
        trial = Result.load(result_path(arguments.config.parent, chosen.trial))
        tested = Tested(config, chosen, read_table(arguments.confirmation))
        frames = [tested.returns(), parameters(config, {"tuned": chosen.params})]
        provenance = {"selection_gap": tested.selection_gap, "test": tested.data()}
        output = arguments.output
        write_atomically(output / "best.md", markdown(config.study.name, frames, tested.note()))
        write_atomically(output / "best.tex", latex(frames, tested.note()))
        write_atomically(output / "best.yaml", trainable(config, trial, provenance))


if __name__ == "__main__":
    main()
