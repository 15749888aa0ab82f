"""Copy what figures are drawn from, and the winners, from finished studies into an archive: small files to commit.

python scripts/archive.py results/paper results/reference
"""

import argparse
from pathlib import Path

from sidewinder.files import write_atomically
from sidewinder.trials.tables import read_timings

TABLES = ("trials.csv", "evaluations.csv", "distributions.json", "confirmation.csv")
NAMES = ("config.yaml", *TABLES, "best.yaml", "best.md", "pareto.csv", "pareto.md")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="directory of the studies' directories")
    parser.add_argument("archive", type=Path, help="directory to copy to")
    arguments = parser.parse_args()
    for study in sorted(arguments.results.iterdir()):
        if all((study / name).exists() for name in (*TABLES, "timings.csv")):
            archive(study, arguments.archive / study.name)
            print(arguments.archive / study.name)


def archive(study: Path, target: Path) -> None:
    """Copy a study's files; of its machines only which of them was which."""
    for name in NAMES:
        if (study / name).exists():
            write_atomically(target / name, (study / name).read_bytes())
    timings = read_timings(study / "timings.csv")
    hosts = {host: f"machine {number}" for number, host in enumerate(timings["host"].unique(), 1)}
    write_atomically(target / "timings.csv", timings.replace({"host": hosts}).to_csv(index=False))


if __name__ == "__main__":
    main()
