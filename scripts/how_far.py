"""Show the progress of studies, also while they run in another process or on a cluster.

python scripts/how_far.py results              # all studies there; or results/<study>
python scripts/how_far.py results --watch 5    # updates the table every 5 seconds
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.report.how_far import how_far
from sidewinder.report.how_far_table import how_far_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="directory of the studies' directories, or of a study")
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="time between updates (default: show it once)")
    arguments = parser.parse_args()
    with errors_in_one_line():
        if arguments.watch is None:
            Console().print(shown(arguments.results))
            return
        with Live(shown(arguments.results), auto_refresh=False) as live:
            while True:
                time.sleep(arguments.watch)
                live.update(shown(arguments.results), refresh=True)


def shown(directories: Sequence[Path]) -> Table:
    """Return a table with a row for each study.

    Args:
        directories: Directories of a study, or of studies' directories.

    Raises:
        SidewinderError: There is no study, or a file is malformed.
    """
    studies = [
        path.parent
        for directory in directories
        for path in [*directory.glob("config.yaml")] or sorted(directory.glob("*/config.yaml"))
    ]
    if not studies:
        found = " ".join(map(str, directories))
        raise SidewinderError(f"{found}: found no study, accepted: the directory of a study's config.yaml, or above it")
    return how_far_table({study.name: how_far(study) for study in studies})


if __name__ == "__main__":
    main()
