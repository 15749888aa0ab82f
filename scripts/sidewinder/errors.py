"""Errors for the user, in one line: the file, the key, what was found and what is accepted."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# A password in a URL, unless it is an interpolation that reads an environment variable, ${oc.env:NAME}.
_PASSWORD = re.compile(r"(://[^/:@\s]*:)(?!\$\{)\S+(?=@)|([?&]pass\w*=)(?!\$\{)[^&\s]+")


class SidewinderError(Exception):
    """A user's mistake or a broken file, described in one line. Passwords in URLs are replaced by `***`."""

    def __init__(self, message: str) -> None:
        super().__init__(_PASSWORD.sub(r"\1\2***", message))


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn a `SidewinderError`, a lack of memory or an error of the file system into one line and exit code 1.

    The line goes to stderr. Ctrl-C ends with exit code 130 and without a line. Other exceptions keep their traceback.
    """
    try:
        yield
    except SidewinderError as error:
        sys.exit(f"error: {error}")
    except MemoryError as error:
        sys.exit(f"error: no memory is left ({first_line(error)})")
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(f"error: {error.filename}: {error.strerror}")


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, without a final full stop."""
    return (str(error).splitlines() or [""])[0].rstrip(".")


def one_line(error: Exception) -> str:
    """The whole text of an exception without line breaks; for an error of pydantic, only the first finding."""
    # Imported late: scripts that only print --help need not load pydantic.
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the whole file'}: {expectation(first)}"
    return " ".join(str(error).split())


def expectation(finding: Any) -> str:
    """One finding of pydantic (an entry of `ValidationError.errors()`) as `found ..., accepted: ...`."""
    found = repr(finding["input"])
    if finding["type"] == "extra_forbidden":
        return f"found {found}, accepted: no such key"
    if finding["type"] == "missing":
        return "found nothing, accepted: a value"
    return f"found {found}, accepted: {finding['msg'].removeprefix('Input should be ').removeprefix('a ')}"
