"""Parses Hydra overrides, `key=value`, of the configfile and the command line."""

import inspect
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from sidewinder import SidewinderError
from sidewinder.errors import first_line

# Mappings with free keys: an override may add a key to them without `+`.
OPEN = (
    "agent.helpers",
    "agent.policy_kwargs",
    "agent.replay_buffer_kwargs",
    "environment.env_kwargs",
    "environments",
    "evaluation.environment.env_kwargs",
)
# Start of the override that names a tutorial's config (see tutorial.py): `primary=my_configs/default`.
PRIMARY = "primary="
# Sections with a search space: Sidewinder's section, and the section of Hydra's sweeper.
SEARCH = ("search_space", "hydra.sweeper.params")
_IN_OPEN = re.compile(rf"({'|'.join(map(re.escape, OPEN))})(\.[^=]*)?=")


def reason_of(error: Exception) -> str:
    """The reason, in one line, why Hydra or OmegaConf cannot compose a config."""
    reason = first_line(error)
    if reason.endswith(":"):
        reason = f"{reason} {str(error).splitlines()[1]}"
    if isinstance(cause := error.__cause__, OmegaConfBaseException):
        reason = f"{reason} ({first_line(cause)})" if reason else f"{cause.full_key}: {first_line(cause)}"
    return reason


@cache
def parser() -> OverridesParser:
    """Hydra's parser of overrides, extended to accept `null` in `k=choice(1,null)`.

    Hydra accepts `null` only in `k=1,null`, but users of its sweeper write it in `choice` too.
    """
    functions = create_functions()
    choices = inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL, annotation=Any)
    functions.definitions["choice"] = inspect.Signature([choices])
    return OverridesParser(functions)


def parse_override(text: str, where: str = "override") -> Override:
    """Parse an override.

    Args:
        text: The override.
        where: The place of the override, for the error.

    Raises:
        SidewinderError: The override is malformed.
    """
    try:
        parsed = parser().parse_override(text)
    except HydraException as error:
        reason = first_line(error)
    else:
        if parsed.key_or_group:
            return parsed
        reason = "no key"
    accepted = "key=value, +key=value or ~key in Hydra's grammar"
    raise SidewinderError(f"{where} {text}: found {text!r} ({reason}), accepted: {accepted}")


def for_hydra(text: str) -> str:
    """The override as Hydra needs it: with `++` before it if it sets a key of one of the `OPEN` mappings."""
    return f"++{text}" if _IN_OPEN.match(text) else text


def is_in_open(key: str) -> bool:
    """Whether the dotted key is in one of the `OPEN` mappings."""
    return any(key.startswith(f"{mapping}.") for mapping in OPEN)


def is_of_search_space(override: Override) -> bool:
    """Whether an override sets or deletes entries of the search space. Hydra would split their keys at the dots."""
    key = override.key_or_group
    return key.startswith(tuple(f"{section}." for section in SEARCH)) or (
        key == SEARCH[0] and (override.is_delete() or isinstance(override.value(), dict))
    )


def sets(override: Override, key: str) -> bool:
    """Whether an override sets or deletes the dotted key.

    The override can name the key itself. It can also set a parent of the key: to a mapping that has the key, or to
    something that is no mapping.
    """
    above = override.key_or_group
    if key == above:
        return True
    # A plain value for a key without dots chooses a file: `agent=ppo`.
    if not key.startswith(f"{above}.") or ("." not in above and not isinstance(override.value(), dict)):
        return False
    return override.is_delete() or _reaches(override.value(), key.removeprefix(f"{above}."))


def _reaches(value: Any, key: str) -> bool:
    """Whether `value` has the dotted key, or has something that is no mapping where a parent of the key would be."""
    if not isinstance(value, Mapping) or key in value:
        return True
    first, _, rest = key.partition(".")
    return first in value and _reaches(value[first], rest)
