"""Converts the texts of search space entries and Optuna parameters to config values. It does not import Optuna."""

from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from sidewinder.config.overrides import parser

ACCEPTED = (
    "choice(a,b,...), range(start,stop[,step]), interval(low,high), int(...), float(...), tag(log, interval(...)), "
    "shuffle(...) or a plain value"
)


class SearchSpaceError(ValueError):
    """A parameter that cannot be read; the message says what was found and what is accepted."""

    def __init__(self, key: str, found: str, reason: str) -> None:
        super().__init__(f"found {found!r} ({reason}), accepted: {ACCEPTED}")
        self.key = key


def parse_value(key: str, value: Any) -> Any:
    """The config value that an Optuna parameter stands for: `"[64,64]"` is a list, `"null"` is None."""
    if not isinstance(value, str):
        return value
    try:
        override = read_entry(key, value)
    except SearchSpaceError:
        return value  # a category such as "it's", which Hydra's grammar accepts only in quotes
    return value if override.is_sweep_override() else override.value()


def read_entry(key: str, raw: Any) -> Override:
    """Parse an entry of a search space by Hydra's grammar.

    Raises:
        SearchSpaceError: The entry is malformed.
    """
    text = as_text(raw)
    try:
        return parser().parse_override(key if key.startswith("~") and raw is None else f"{key}={text}")
    except HydraException as error:
        reason = str(error).splitlines()[0].rstrip(".:")
        raise SearchSpaceError(key, text, reason) from None


def as_text(raw: Any) -> str:
    """Text of a value that YAML has read, in Hydra's grammar: `null`, `true`, `0.1`."""
    if raw is None:
        return "null"
    return str(raw).lower() if isinstance(raw, bool) else str(raw)
