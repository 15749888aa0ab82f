"""Paths of Sidewinder's own files: its Hydra configs, the scripts of its rules, its requirements-*.lock files.

A clone has them at its top level. An installed package has the same layout in `sidewinder/repository/`.
"""

import sys
from pathlib import Path

_CARRIED = Path(__file__).resolve().parent / "repository"
ROOT = _CARRIED if _CARRIED.is_dir() else Path(__file__).resolve().parents[2]
CONFIG_DIR = ROOT / "configs"


def installing(extra: str) -> str:
    """The command that installs the packages of an extra, from requirements-<extra>.lock."""
    return f"{sys.executable} -m pip install -r {ROOT / f'requirements-{extra}.lock'}"
