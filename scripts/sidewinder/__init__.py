"""Reproducible hyperparameter tuning of Stable-Baselines3 agents: what the scripts of the workflow share."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__version__ = "0.1.0"
# In a URL; not one that is to come from the environment, as ${oc.env:NAME}.
_PASSWORD = re.compile(r"(://[^/:@\s]*:)(?!\$\{)\S+(?=@)|([?&]pass\w*=)(?!\$\{)[^&\s]+")


class SidewinderError(Exception):
    """A mistake of the user's or a broken file, said in one line: which file, which key, what was found and what is
    accepted; passwords in URLs are left out."""

    def __init__(self, message: str) -> None:
        super().__init__(_PASSWORD.sub(r"\1\2***", message))


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn a `SidewinderError` into its line on stderr and exit code 1; other exceptions keep their traceback."""
    try:
        yield
    except SidewinderError as error:
        sys.exit(f"error: {error}")


def installing(extra: str) -> str:
    """The command that installs what is needed beyond requirements.lock: requirements-<extra>.lock."""
    lock = Path(__file__).resolve().parents[2] / f"requirements-{extra}.lock"
    return f"{sys.executable} -m pip install -r {lock}"
