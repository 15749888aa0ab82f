"""Where a study comes from: the packages that made it, the code that wrote this down, and the content of its files."""

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
    """What provenance.json says.

    Args:
        config: The study's.
        study_dir: Its directory.
        results: Of trials and of confirmations: files that say with which packages they were made.
        others: More files whose content is of interest.

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
        # Code of one's own: versions of packages, hashes of what is in no package.
        "sources": {name: sorted(versions) for name, versions in sorted(sources.items())},
        "files": {relative(path, study_dir): sha256(path) for path in [*results, *others]},
    }


def revision() -> str | None:
    """The git commit of this code, with a + where files were changed since; None if nobody knows."""
    with suppress(OSError, subprocess.CalledProcessError):
        if Path(_git("rev-parse", "--show-toplevel")).resolve() == ROOT:
            changed = _git("status", "--porcelain", "--untracked-files=no", "--", "scripts", "workflow", "configs")
            return _git("rev-parse", "HEAD") + ("+" if changed else "")
    with suppress(PackageNotFoundError, TypeError, ValueError, KeyError):
        # pip writes it for what it installs from git.
        return str(json.loads(distribution("sidewinder").read_text("direct_url.json") or "")["vcs_info"]["commit_id"])
    return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def changed_since(study_dir: Path) -> Iterator[str]:
    """The files of a study that are not what its provenance.json says, in words; none if it has no such file.

    Raises:
        SidewinderError: It is malformed.
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
            yield f"{name}: {'is missing' if found is None else f'is not the file that {NAME} tells of'}"
