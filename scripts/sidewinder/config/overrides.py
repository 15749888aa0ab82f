"""Hydra's overrides, `key=value`, as the configfile and the command line have them."""

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

# Mappings whose keys a config need not list: setting one of them needs no `+`.
OPEN = (
    "agent.helpers",
    "agent.policy_kwargs",
    "agent.replay_buffer_kwargs",
    "environment.env_kwargs",
    "environments",
    "evaluation.environment.env_kwargs",
)
# The override that says where a config of the tutorial's kind is: `primary=my_configs/default`.
PRIMARY = "primary="
# Where search spaces are: this project's section, and that of Hydra's sweeper.
SEARCH = ("search_space", "hydra.sweeper.params")
_IN_OPEN = re.compile(rf"({'|'.join(map(re.escape, OPEN))})(\.[^=]*)?=")


def reason_of(error: Exception) -> str:
    """Why Hydra or OmegaConf cannot compose a config, in a line."""
    reason = first_line(error)
    if reason.endswith(":"):
        reason = f"{reason} {str(error).splitlines()[1]}"
    if isinstance(cause := error.__cause__, OmegaConfBaseException):
        reason = f"{reason} ({first_line(cause)})" if reason else f"{cause.full_key}: {first_line(cause)}"
    return reason


@cache
def parser() -> OverridesParser:
    """Hydra's parser of overrides. It takes `null` in `k=1,null` but not in `k=choice(1,null)`, where users of its
    sweeper write it; this one takes both."""
    functions = create_functions()
    choices = inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL, annotation=Any)
    functions.definitions["choice"] = inspect.Signature([choices])
    return OverridesParser(functions)


def parse_override(text: str, where: str = "override") -> Override:
    """Read an override.

    Args:
        text: The override.
        where: Where it stands, for the error.

    Raises:
        SidewinderError: It is malformed.
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
    """The override as Hydra needs it: with `++` where it sets a key of one of the `OPEN` mappings."""
    return f"++{text}" if _IN_OPEN.match(text) else text


def is_in_open(key: str) -> bool:
    """Whether the dotted key is in one of the `OPEN` mappings."""
    return any(key.startswith(f"{mapping}.") for mapping in OPEN)


def is_of_search_space(override: Override) -> bool:
    """Whether an override is about entries of the search space. Their keys have dots, which Hydra would take apart."""
    key = override.key_or_group
    return key.startswith(tuple(f"{section}." for section in SEARCH)) or (
        key == SEARCH[0] and (override.is_delete() or isinstance(override.value(), dict))
    )


def sets(override: Override, key: str) -> bool:
    """Whether an override sets or deletes the dotted key: by its name, by a mapping above it that has the key, or by
    something else in that mapping's place."""
    above = override.key_or_group
    if key == above:
        return True
    # A name without a dot that is no mapping chooses a file, `agent=ppo`.
    if not key.startswith(f"{above}.") or ("." not in above and not isinstance(override.value(), dict)):
        return False
    return override.is_delete() or _reaches(override.value(), key.removeprefix(f"{above}."))


def _reaches(value: Any, key: str) -> bool:
    """Whether `value` has the dotted key, or is no mapping and so leaves no place for it."""
    if not isinstance(value, Mapping) or key in value:
        return True
    first, _, rest = key.partition(".")
    return first in value and _reaches(value[first], rest)
