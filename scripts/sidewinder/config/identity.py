"""Which keys of a config make a study or a training another one than others.

A key without a mark always does. A key that is added later is marked, so that studies made before keep their identity.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel


class Identity(Enum):
    """A mark on a field of a config's section, as metadata of its annotation."""

    UNLESS_DEFAULT = "part of the identity unless it has its default, with which all is as it was before the key"
    NEVER = "no part of the identity: it changes no finished result"


def identifying(section: type[BaseModel], content: Mapping[str, Any]) -> dict[str, Any]:
    """What of a section is part of the identity.

    Args:
        section: The section's class, whose fields have the marks.
        content: Its keys and plain values; interpolations may stand in place of values.
    """
    kept = {}
    for key, value in content.items():
        if (field := section.model_fields.get(key)) is None:
            kept[key] = value  # one of a mapping with free keys
            continue
        if Identity.NEVER in field.metadata:
            continue
        if Identity.UNLESS_DEFAULT in field.metadata and value == field.get_default(call_default_factory=True):
            continue
        inner = field.annotation
        is_section = isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping)
        kept[key] = identifying(inner, value) if is_section else value  # type: ignore[arg-type]
    return kept
