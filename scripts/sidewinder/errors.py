"""What goes wrong, in one line for the user: which file, which key, what was found and what is accepted."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# In a URL; not one that is to come from the environment, as ${oc.env:NAME}.
_PASSWORD = re.compile(r"(://[^/:@\s]*:)(?!\$\{)\S+(?=@)|([?&]pass\w*=)(?!\$\{)[^&\s]+")


class SidewinderError(Exception):
    """A mistake of the user's or a broken file, said in one line; passwords in URLs are left out."""

    def __init__(self, message: str) -> None:
        super().__init__(_PASSWORD.sub(r"\1\2***", message))


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn a `SidewinderError`, or an error of the file system, into one line on stderr and exit code 1.

    Ctrl-C ends without a word. Other exceptions keep their traceback.
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
    """The whole text of an exception without line breaks; of pydantic's several findings only the first."""
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
