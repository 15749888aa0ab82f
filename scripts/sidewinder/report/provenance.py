"""The provenance of a study: the versions of packages and code that made it, and the SHA-256 of its files."""

import json
import platform
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from sidewinder import __version__
from sidewinder.config.study_config import StudyConfig
from sidewinder.files import reading, relative
from sidewinder.paths import ROOT
from sidewinder.records import sha256

NAME = "provenance.json"


def provenance(config: StudyConfig, study_dir: Path, results: Iterable[Path], others: Iterable[Path]) -> dict[str, Any]:
    """Return the content of provenance.json.

    Args:
        config: The study's config.
        study_dir: The study's directory.
        results: The result files of trials and of the confirmation, which name the packages that made them.
        others: More files to list with their SHA-256.

    Raises:
        SidewinderError: A file is missing or malformed.
    """
    packages: dict[str, set[str]] = {}
    sources: dict[str, set[str]] = {}
    for path in results:
        with reading(path, "`snakemake` makes it"):
            content = json.loads(path.read_bytes())
            made = content.get("run") or content
            for found, key in ((packages, "packages"), (sources, "sources")):
                for name, version in (made.get(key) or {}).items():
                    found.setdefault(name, set()).add(version)
    return {
        "format": 1,
        "study": config.study.name,
        "config": config.digest(),
        "code": {"version": __version__, "revision": revision()},
        "python": platform.python_version(),
        "packages": {name: sorted(versions) for name, versions in sorted(packages.items())},
        # The user's code: versions of its packages, or a hash of the source where it is in no package.
        "sources": {name: sorted(versions) for name, versions in sorted(sources.items())},
        "files": {relative(path, study_dir): sha256(path) for path in [*results, *others]},
    }


def revision() -> str | None:
    """Return the git commit of Sidewinder's code; None if it is unknown.

    A `+` behind it means that files in scripts/, workflow/ or configs/ differ from the commit.
    """
    with suppress(OSError, subprocess.CalledProcessError):
        if Path(_git("rev-parse", "--show-toplevel")).resolve() == ROOT:
            changed = _git("status", "--porcelain", "--untracked-files=no", "--", "scripts", "workflow", "configs")
            return _git("rev-parse", "HEAD") + ("+" if changed else "")
    with suppress(PackageNotFoundError, TypeError, ValueError, KeyError):
        # pip writes direct_url.json for a package that it installs from git.
        return str(json.loads(distribution("sidewinder").read_text("direct_url.json") or "")["vcs_info"]["commit_id"])
    return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def changed_since(study_dir: Path) -> Iterator[str]:
    """Give a line for each file of a study whose SHA-256 is not the one in provenance.json.

    There are none if the study has no provenance.json.

    Raises:
        SidewinderError: provenance.json is malformed.
    """
    path = study_dir / NAME
    if not path.exists():
        return
    with reading(path, "rule provenance makes it"):
        files: dict[str, str] = json.loads(path.read_bytes())["files"]
        pairs = list(files.items())
    for name, known in pairs:
        found = sha256(study_dir / name)
        if found != known:
            yield f"{name}: {'is missing' if found is None else f'differs from the file in {NAME}'}"
