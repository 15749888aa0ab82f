"""Copy finished studies into an archive: the tables that figures are drawn from, the winners, and a tar with the
trainings of the confirmation. The files are small enough to commit. A workflow that names the archive under `archives`
does not train these trainings again.

python scripts/archive.py results/paper results/reference
"""

import argparse
import json
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config.study_config import StudyConfig
from sidewinder.files import to_json, write_atomically
from sidewinder.report.provenance import NAME as PROVENANCE
from sidewinder.training.archives import TAR, trainings_of, write_trainings
from sidewinder.training.store import Kept
from sidewinder.trials.tables import read_timings
from sidewinder.verification import on_record

NAMES = (
    "config.yaml",
    "trials.csv",
    "evaluations.csv",
    "distributions.json",
    "confirmation.csv",
    "best.yaml",
    "best.md",
    "pareto.csv",
    "pareto.md",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="directory of the studies' directories")
    parser.add_argument("archive", type=Path, help="directory to copy to; trainings that its tar has already stay")
    arguments = parser.parse_args()
    tar = arguments.archive / TAR
    with errors_in_one_line():
        trainings = dict(trainings_of(tar)) if tar.exists() else {}
        studies = sorted(path.parent for path in arguments.results.glob("*/confirmation.csv"))
        if not studies:
            raise SidewinderError(f"{arguments.results}: found no */confirmation.csv, accepted: confirmed studies")
        for study in studies:
            archive(study, arguments.archive / study.name)
            confirmed = trainings_of_confirmation(study)
            trainings |= confirmed
            print(f"{arguments.archive / study.name}, {len(confirmed)} trainings", flush=True)
        write_trainings(tar, trainings)


def archive(study: Path, target: Path) -> None:
    """Copy a study's files. In timings.csv the names of machines become `machine 1`, `machine 2` and so on."""
    for name in NAMES:
        if (study / name).exists():
            write_atomically(target / name, (study / name).read_bytes())
    if (study / PROVENANCE).exists():
        told = json.loads((study / PROVENANCE).read_text())
        told["files"] = {name: known for name, known in told["files"].items() if name in NAMES}
        write_atomically(target / PROVENANCE, to_json(told))
    timings = read_timings(study / "timings.csv")
    hosts = {host: f"machine {number}" for number, host in enumerate(timings["host"].unique(), 1)}
    write_atomically(target / "timings.csv", timings.replace({"host": hosts}).to_csv(index=False))


def trainings_of_confirmation(study: Path) -> dict[str, bytes]:
    """Return the files in the training store of a study's confirmation: their contents by file name."""
    config = StudyConfig.load(study / "config.yaml")
    found = {}
    for confirmed in on_record(study, ["confirmation"], 0):
        kept = Kept.of(config, study, confirmed.run, confirmed.held_out)
        if kept.shared and (known := kept.load()):
            found[kept.path.name] = to_json(known.model_dump()).encode()
    return found


if __name__ == "__main__":
    main()
