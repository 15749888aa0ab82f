"""Write the lock files from pyproject.toml: exact versions of what it names, and of all that these packages need.

A version that is pinned already stays while it fits. To get a newer one, delete its line and run this again. What is
found is right for the Python that runs this: take the oldest that pyproject.toml accepts, on Linux.
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
# What PyPI's torch needs for GPUs, and torch for CPUs does not. The locks are good for both.
GPU_ONLY = re.compile(r"(cuda|nvidia)-|triton$")
# Which version of it there is makes no difference here; `pip freeze` leaves it out too.
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
    """Exact pins of these packages and of what they need, at the versions in these locks where they have one."""
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
            sys.exit(f"{', '.join(locks)}: pip finds no versions that fit; above it says why")
        found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    metadata = [package["metadata"] for package in found]
    return {pin(package["name"], package["version"]) for package in metadata if is_locked(package["name"])}


def is_locked(name: str) -> bool:
    """Whether the lock files have this package, if something needs it."""
    return name not in NOT_LOCKED and not GPU_ONLY.match(name)


def pin(name: str, version: str) -> str:
    """An exact pin, without a build's own label: torch for CPUs calls itself 2.13.0+cpu."""
    return f"{name}=={version.partition('+')[0]}"


def write(name: str, pins: set[str]) -> None:
    """Write a lock file below the comment that it begins with."""
    path = ROOT / name
    comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    path.write_text("\n".join([*comments, *sorted(pins, key=str.upper), ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
