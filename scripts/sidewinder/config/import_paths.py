"""Import paths in a config, such as `my_package.MySAC`: which texts are some. It imports none of them."""

import re
from collections.abc import Iterator
from typing import Any

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def is_import_path(value: object) -> bool:
    """Whether a value is the text of one: names with dots between them."""
    return isinstance(value, str) and _DOTTED.fullmatch(value) is not None


def import_paths(node: Any) -> Iterator[str]:
    """All import paths among the values of a section, those of `_target_` among them."""
    return filter(is_import_path, texts(node))


def texts(node: Any) -> Iterator[str]:
    """All texts among the values of a section."""
    if isinstance(node, dict):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node
