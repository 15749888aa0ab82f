"""Rule verify: repeat some trainings of studies, and compare them with their results bit by bit.

It also compares all files with provenance.json, if there is one.

python scripts/verify.py results/one results/other                     # three random trainings of each
python scripts/verify.py results/one --training trials/7 confirmation/test/winner
The exit code is 1 if a file was changed, or if a comparable training differs. A training is comparable if it was made
with the same packages, and on the same processor or with training.instruction_set=compatible.
"""

import argparse
import logging
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.determinism import pin_as_configured, processor


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", help="results/<study>, all of one instruction set, or archives")
    parser.add_argument("--training", nargs="*", default=[], help="trainings of a study, or directories of trainings")
    parser.add_argument("--number", type=int, default=3, help="random trainings of each study or archive (default: 3)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    pin_as_configured(Path(arguments.studies[0], "config.yaml"))
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.report.provenance import changed_since
    from sidewinder.verification import difference, in_archive, made_with, on_record

    bad = 0
    with errors_in_one_line():
        for study in arguments.studies:
            if Path(study, "config.yaml").exists():
                trainings, left_out = on_record(Path(study), arguments.training, arguments.number), 0
                for changed in changed_since(Path(study)):
                    bad += 1
                    print(f"{study}: {changed}", flush=True)
            else:
                trainings, left_out = in_archive(study, arguments.number)
            print(f"{study}: repeating {len(trainings)} trainings, on {processor()}", flush=True)
            if left_out:
                print(f"{study}: {left_out} more need other packages, pins or code than are here", flush=True)
            for training in trainings:
                differs = difference(training)
                comparable, made = made_with(training)
                bad += differs is not None and comparable
                print(f"{training.name}: {f'differs {differs}' if differs else 'the same'} ({made})", flush=True)
    return min(bad, 1)


if __name__ == "__main__":
    raise SystemExit(main())
