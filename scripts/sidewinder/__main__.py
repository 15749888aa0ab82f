"""Sidewinder without a clone: runs the workflow in the installed package, in the current directory.

`sidewinder run` calls `snakemake` with that workflow and takes all of Snakemake's options: `sidewinder run --cores 8`.
If there is no config/config.yaml, it uses the one in the package. `sidewinder report` writes report.html from the
results that exist. The other commands run the scripts of the same name.
"""

import argparse
import os
import sys
from pathlib import Path

from sidewinder.paths import ROOT

_SCRIPTS = ("train", "enjoy", "how_far", "verify", "from_zoo", "clean_up", "archive")


def main() -> None:
    parser = argparse.ArgumentParser(
        "sidewinder", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("run", "report", *_SCRIPTS))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of Snakemake or of the script")
    found = parser.parse_args()
    if found.command in _SCRIPTS:
        command = [str(ROOT / "scripts" / f"{found.command}.py"), *found.arguments]
    else:
        command = ["-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile")]
        own = Path("config/config.yaml").exists() or any(one.startswith("--configfile") for one in found.arguments)
        command += [] if own else ["--configfile", str(ROOT / "config" / "config.yaml")]
        command += ["--report", "report.html"] if found.command == "report" else []
        command += found.arguments
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    main()
