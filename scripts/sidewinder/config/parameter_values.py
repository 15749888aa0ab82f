"""The texts of a search space's entries and of Optuna's parameters as values of a config. It loads no Optuna."""

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
        return value  # a category in quotes, such as "it's", whose text alone is no grammar
    return value if override.is_sweep_override() else override.value()


def read_entry(key: str, raw: Any) -> Override:
    """An entry of a search space, by Hydra's grammar.

    Raises:
        SearchSpaceError: It is malformed.
    """
    text = as_text(raw)
    try:
        return parser().parse_override(key if key.startswith("~") and raw is None else f"{key}={text}")
    except HydraException as error:
        reason = str(error).splitlines()[0].rstrip(".:")
        raise SearchSpaceError(key, text, reason) from None


def as_text(raw: Any) -> str:
    """What YAML has read, as Hydra's grammar spells it."""
    if raw is None:
        return "null"
    return str(raw).lower() if isinstance(raw, bool) else str(raw)
