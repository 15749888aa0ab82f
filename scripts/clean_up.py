"""Remove files of a results directory that no result needs.

These are trainings in the training store that belong to no result, checkpoints of trainings that have ended, and
compositions of studies.

python scripts/clean_up.py results
python scripts/clean_up.py results --at-most 100    # also the oldest trainings, until 100 MB of them are left
No result is lost. A training that is removed from the training store is trained again when another study needs it.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.garbage import beyond, compositions, ended_checkpoints, trainings, unused_trainings

MEGABYTE = 10**6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="directory of the studies' directories")
    parser.add_argument(
        "--at-most", type=float, default=float("inf"), help="megabytes of trainings (default: no limit)"
    )
    arguments = parser.parse_args()
    with errors_in_one_line():
        if not arguments.results.is_dir():
            raise SidewinderError(
                f"{arguments.results}: found no directory, accepted: the directory of the studies' directories"
            )
        checkpoints, unused = ended_checkpoints(arguments.results), unused_trainings(arguments.results)
    print(f"compositions: {removed(compositions(arguments.results))}")
    print(f"checkpoints: {removed(checkpoints)}")
    print(f"trainings of no result: {removed(unused)}")
    oldest = beyond(trainings(arguments.results), arguments.at_most * MEGABYTE)
    if oldest:
        print(f"oldest trainings: {removed(oldest)}")


def removed(paths: Sequence[Path]) -> str:
    """Remove files and directories. Return how many there were and their size, as text."""
    n_bytes = 0
    for path in paths:
        files = path.rglob("*") if path.is_dir() else [path]
        n_bytes += sum(file.stat().st_size for file in files if file.is_file())
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return f"removed {len(paths)}, {n_bytes / MEGABYTE:.1f} MB"


if __name__ == "__main__":
    main()
