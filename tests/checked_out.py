"""Makes a git repository from the project's present files, committed or not."""

import shutil
import subprocess
from pathlib import Path

from tiny_study import REPOSITORY


def check_out(directory: Path) -> None:
    """Make the repository, with one commit and the tag v1."""
    for name in _git(REPOSITORY, "ls-files", "-co", "--exclude-standard").splitlines():
        if (REPOSITORY / name).exists():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, directory / name, follow_symlinks=False)
    _git(directory, "init", "-q")
    commit(directory)
    _git(directory, "tag", "v1")


def commit(directory: Path) -> str:
    """Commit all that is there, and return the commit."""
    _git(directory, "add", "-A")
    author = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    _git(directory, *author, "commit", "-q", "-m", "as it is")
    return _git(directory, "rev-parse", "HEAD").strip()


def _git(directory: Path, *command: str) -> str:
    return subprocess.run(["git", *command], cwd=directory, capture_output=True, text=True, check=True).stdout
