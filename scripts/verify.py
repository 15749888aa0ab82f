"""Rule verify: train again some of what is on record, and compare it bit by bit; and compare all files with
provenance.json, where there is one.

python scripts/verify.py results/one results/other                     # three trainings of each, at random
python scripts/verify.py results/one --training trials/7 confirmation/test/winner
The exit code is 1 where a training differs that must not (made with the same packages, on the same processor or with
training.instruction_set=compatible), or a file was changed.
"""

import argparse
import logging
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.determinism import pin_as_configured, processor


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", help="results/<study>, all of one instruction set, or archives")
    parser.add_argument("--training", nargs="*", default=[], help="of a study these, or those in these directories")
    parser.add_argument("--number", type=int, default=3, help="of each study or archive, at random (default: 3)")
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
            print(f"{study}: {len(trainings)} trainings again, on {processor()}", flush=True)
            if left_out:
                print(f"{study}: {left_out} more are of other packages, pins or code than are here", flush=True)
            for training in trainings:
                differs = difference(training)
                comparable, made = made_with(training)
                bad += differs is not None and comparable
                print(f"{training.name}: {f'differs {differs}' if differs else 'the same'} ({made})", flush=True)
    return min(bad, 1)


if __name__ == "__main__":
    raise SystemExit(main())
