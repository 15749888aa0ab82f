"""Write the lock files from pyproject.toml: exact versions of the packages in it, and of all packages that these need.

A version that is pinned already is kept if it fits. To get a newer one, delete its line and run this again. The
versions are chosen for the Python that runs this script: use the oldest one that pyproject.toml accepts, on Linux.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Packages that only PyPI's torch, which is for GPUs, needs. Without them, the locks fit torch for CPUs too.
GPU_ONLY = re.compile(r"(cuda|nvidia)-|triton$")
# Its version makes no difference here; `pip freeze` leaves it out too.
NOT_LOCKED = ("setuptools",)


def main() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        pyproject = tomllib.load(file)
    project, groups = pyproject["project"], pyproject["dependency-groups"]
    base = [*project["dependencies"], *groups["dev"]]
    common = resolved(base, ["requirements.lock"])
    write("requirements.lock", common)
    for extra, packages in project["optional-dependencies"].items():
        name = f"requirements-{extra}.lock"
        write(name, resolved([*base, *packages], ["requirements.lock", name]) - common)
    docs = resolved([*base, *groups["docs"]], ["requirements.lock", "docs/requirements.lock"])
    write("docs/requirements.lock", docs - common)
    write("tests/requirements.lock", resolved(groups["tests"], ["tests/requirements.lock"], "--no-deps"))


def resolved(packages: list[str], locks: list[str], *options: str) -> set[str]:
    """Return exact pins of these packages and of the packages that they need.

    Args:
        packages: Requirements, as in pyproject.toml.
        locks: Lock files whose versions are kept.
        options: More options for pip.
    """
    pinned = [f"--constraint={ROOT / lock}" for lock in locks]
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report.json")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--ignore-installed",
            "--quiet",
            "--report",
            str(report),
        ]
        if subprocess.run([*pip, *pinned, *options, *packages], check=False).returncode:
            sys.exit(f"{', '.join(locks)}: pip finds no versions that fit; see its message above")
        found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    metadata = [package["metadata"] for package in found]
    return {pin(package["name"], package["version"]) for package in metadata if is_locked(package["name"])}


def is_locked(name: str) -> bool:
    """Return whether the lock files include this package if another package needs it."""
    return name not in NOT_LOCKED and not GPU_ONLY.match(name)


def pin(name: str, version: str) -> str:
    """Return an exact pin without the label of a build, as in torch's 2.13.0+cpu."""
    return f"{name}=={version.partition('+')[0]}"


def write(name: str, pins: set[str]) -> None:
    """Write a lock file. Its comments are kept, at the top."""
    path = ROOT / name
    comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    path.write_text("\n".join([*comments, *sorted(pins, key=str.upper), ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
