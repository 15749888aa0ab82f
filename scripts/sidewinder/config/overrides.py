"""Hydra's overrides, `key=value`, as the configfile and the command line have them."""

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from sidewinder import SidewinderError
from sidewinder.errors import first_line


def parse_override(text: str, where: str = "override") -> Override:
    """Read an override.

    Args:
        text: The override.
        where: Where it stands, for the error.

    Raises:
        SidewinderError: It is malformed.
    """
    try:
        parsed = OverridesParser.create().parse_override(text)
    except HydraException as error:
        reason = first_line(error)
    else:
        if parsed.key_or_group:
            return parsed
        reason = "no key"
    accepted = "key=value, +key=value or ~key in Hydra's grammar"
    raise SidewinderError(f"{where} {text}: found {text!r} ({reason}), accepted: {accepted}")
