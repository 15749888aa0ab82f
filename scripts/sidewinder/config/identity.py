"""Marks for the config keys that are not, or not always, part of the identity of a study or a training.

A key without a mark is always part of it. Keys that later versions add are marked, so existing studies keep their
identity.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel


class Identity(Enum):
    """Mark on a field of a config section, as metadata of the field's annotation."""

    UNLESS_DEFAULT = "part of the identity unless it has its default, which acts as if the key did not exist"
    NEVER = "not part of the identity: it changes no finished result"


def identifying(section: type[BaseModel], content: Mapping[str, Any]) -> dict[str, Any]:
    """Keys and values of a section that are part of the identity.

    Args:
        section: The section's class, whose fields have the marks.
        content: The section's keys and plain values. A value may be an unresolved interpolation.
    """
    kept = {}
    for key, value in content.items():
        if (field := section.model_fields.get(key)) is None:
            kept[key] = value  # a free key, for which the class has no field
            continue
        if Identity.NEVER in field.metadata:
            continue
        if Identity.UNLESS_DEFAULT in field.metadata and value == field.get_default(call_default_factory=True):
            continue
        inner = field.annotation
        is_section = isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping)
        kept[key] = identifying(inner, value) if is_section else value  # type: ignore[arg-type]
    return kept
