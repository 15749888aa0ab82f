"""How far studies are, also while they run, elsewhere or on a cluster.

python scripts/how_far.py results              # all studies there; or results/<study>
python scripts/how_far.py results --watch 5    # again and again, every 5 seconds
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.report.how_far import HowFar, how_far


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="directory of the studies' directories, or of a study")
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="how often to look (default: once)")
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
    """A row a study.

    Raises:
        SidewinderError: There is none.
    """
    studies = [
        path.parent
        for directory in directories
        for path in [*directory.glob("config.yaml")] or sorted(directory.glob("*/config.yaml"))
    ]
    if not studies:
        found = " ".join(map(str, directories))
        raise SidewinderError(f"{found}: found no study, accepted: the directory of a study's config.yaml, or above it")
    table = Table("study", "stage", "trials", "running", "best so far", "confirmed", "left")
    for study in studies:
        table.add_row(study.name, *cells(how_far(study)))
    return table


def cells(found: HowFar) -> list[str]:
    """The columns behind the study's name."""
    states = ", ".join(f"{count} {state}" for state, count in sorted(found.states.items()))
    done = f"{sum(found.states.values())} of {found.n_trials}"
    return [
        found.stage,
        f"{done} ({states})" if states else done,
        ", ".join(f"{one.name} {one.share:.0%}" for one in found.running) or "-",
        f"{found.best[1]:.4g} (trial {found.best[0]})" if found.best else "-",
        f"{found.confirmed[0]} of {found.confirmed[1]}",
        lasting(found.seconds_left),
    ]


def lasting(seconds: float | None) -> str:
    """A time that is known roughly."""
    if seconds is None:
        return "unknown"
    if seconds == 0:
        return "-"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"


if __name__ == "__main__":
    main()
