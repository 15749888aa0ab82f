"""Finds the import paths in a config, such as `my_package.MySAC`. It imports none of them."""

import re
from collections.abc import Iterator
from typing import Any

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def is_import_path(value: object) -> bool:
    """Whether a value is an import path: a string of names with dots between them."""
    return isinstance(value, str) and _DOTTED.fullmatch(value) is not None


def import_paths(node: Any) -> Iterator[str]:
    """All import paths among the values of a section, including the values of `_target_`."""
    return filter(is_import_path, texts(node))


def texts(node: Any) -> Iterator[str]:
    """All strings among the values of a section, at any depth."""
    if isinstance(node, dict):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node
