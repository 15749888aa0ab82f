"""Rule verify: train again some of what is on record, and compare it bit by bit.

python scripts/verify.py results/one results/other                     # three trainings of each, at random
python scripts/verify.py results/one --training trials/7 confirmation/test/winner
The exit code is 1 where something differs although the versions of packages are the same.
"""

import argparse
import logging
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.determinism import pin_as_configured, processor


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=Path, nargs="+", help="results/<study>; of one instruction set")
    parser.add_argument("--training", nargs="*", default=[], help="these, or those in these directories")
    parser.add_argument("--number", type=int, default=3, help="of each study, at random (default: 3)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    pin_as_configured(arguments.studies[0] / "config.yaml")
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.verification import difference, made_with, on_record

    bad = 0
    with errors_in_one_line():
        for study in arguments.studies:
            trainings = on_record(study, arguments.training, arguments.number)
            print(f"{study}: {len(trainings)} trainings again, on {processor()}", flush=True)
            for training in trainings:
                differs = difference(training)
                same_packages, made = made_with(training)
                bad += differs is not None and same_packages
                print(f"{training.name}: {f'differs {differs}' if differs else 'the same'} ({made})", flush=True)
    return min(bad, 1)


if __name__ == "__main__":
    raise SystemExit(main())
