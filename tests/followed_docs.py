"""Reads the files and commands that a document shows, for tests that follow it to the letter."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tiny_study import REPOSITORY


class Document:
    """A page of docs/, by its name."""

    def __init__(self, name: str) -> None:
        self.text = (REPOSITORY / "docs" / name).read_text()

    def blocks(self, language: str) -> list[str]:
        """Return its code blocks of a language, in order."""
        return [block.partition("```")[0] for block in self.text.split(f"```{language}\n")[1:]]

    def commands(self) -> list[str]:
        """Return the lines of its first console block."""
        return [line.removeprefix("$ ") for line in self.blocks("console")[0].splitlines()]

    def write_files(self, directory: Path) -> None:
        """Write the files that it shows. The first line of each block names the file."""
        for text in [*self.blocks("python"), *self.blocks("yaml")]:
            if names := re.findall(r"^# (\S+\.(?:py|yaml))", text, flags=re.MULTILINE):
                path = directory / names[0]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)


def follow(directory: Path, command: str, *arguments: str) -> None:
    """Run a command of a document in a directory, with further arguments. It must succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f'{command.replace("path/to/sidewinder", str(REPOSITORY))} "$@"', "bash", *arguments],
        cwd=directory,
        env={**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
