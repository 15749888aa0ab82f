"""Resolves import paths in a config to classes, functions, and objects made by them.

Objects with arguments are written in Hydra's syntax: `{_target_: my_package.MySchedule, start: 0.01}`.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Any

import numpy as np

from sidewinder import SidewinderError
from sidewinder.config.import_paths import is_import_path
from sidewinder.errors import first_line

# Hydra's keys that say how to make an object. They are no arguments.
_SPECIAL = ("_target_", "_args_", "_partial_", "_convert_", "_recursive_")


def imported(key: str, path: object) -> Any:
    """Import the class or function that an import path names.

    Args:
        key: Key of the config, for the error.
        path: The value of the key.

    Raises:
        SidewinderError: The value is no import path, or the import fails; one line that names the key.
    """
    if not is_import_path(path):
        raise SidewinderError(f"{key}: found {path!r}, accepted: an import path, such as my_package.my_module.MyClass")
    try:
        return resolve_name(str(path))
    except Exception as error:  # a module may raise anything while it is imported
        accepted = "the import path of a class or a function (PYTHONPATH says where your own modules are)"
        raise SidewinderError(f"{key}: found {path!r} ({first_line(error)}), accepted: {accepted}") from None


def exists(path: str) -> bool:
    """Whether Python finds the package or module at the beginning of an import path."""
    return find_spec(path.partition(".")[0]) is not None


def is_made(value: object) -> bool:
    """Whether a value of the config describes an object to make: a mapping with `_target_`."""
    return isinstance(value, Mapping) and "_target_" in value


def made(key: str, value: Mapping[str, Any]) -> Any:
    """Make the object that a mapping with `_target_` describes.

    Works as Hydra's `instantiate`, except that lists become tuples or arrays for parameters of these types.

    Args:
        key: Key of the config, for the error.
        value: The mapping.

    Raises:
        SidewinderError: The object cannot be made; one line that names the key.
    """
    target = imported(f"{key}._target_", value["_target_"])
    arguments = {name: _inner(f"{key}.{name}", one) for name, one in value.items() if name not in _SPECIAL}
    positional = _inner(f"{key}._args_", value.get("_args_", []))
    try:
        arguments = as_wanted(target, arguments)
        return partial(target, *positional, **arguments) if value.get("_partial_") else target(*positional, **arguments)
    except Exception as error:  # whatever its constructor raises
        found = f"found {dict(value)} ({first_line(error)})"
        raise SidewinderError(f"{key}: {found}, accepted: what {value['_target_']} takes") from None


def _inner(key: str, value: Any) -> Any:
    """Return a value in which each mapping with `_target_`, at any depth, is replaced by the object."""
    if is_made(value):
        return made(key, value)
    if isinstance(value, Mapping):
        return {name: _inner(f"{key}.{name}", one) for name, one in value.items()}
    return [_inner(key, one) for one in value] if isinstance(value, list) else value


def as_wanted(make: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Convert lists to tuples or arrays for parameters of these types, which YAML cannot write.

    Args:
        make: The function or class that takes the arguments.
        arguments: The arguments, by name.
    """
    parameters = parameters_of(make)
    return {
        name: _as_wanted(parameters[name], value) if name in parameters and isinstance(value, list) else value
        for name, value in arguments.items()
    }


def _as_wanted(parameter: inspect.Parameter, value: list[Any]) -> Any:
    annotation = str(parameter.annotation).lower()
    if "ndarray" in annotation:
        return np.array(value)
    if isinstance(parameter.default, tuple) or ("tuple" in annotation and "list" not in annotation):
        return _as_tuple(value)
    return value


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


def parameters_of(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function, or of a class's constructor, by name.

    If a constructor takes `**kwargs`, the parameters of its parents' constructors are included.
    """
    if not isinstance(make, type):
        return _named(make)
    found: dict[str, inspect.Parameter] = {}
    for kind in make.__mro__:
        if (constructor := vars(kind).get("__init__")) is None:
            continue
        found |= {name: parameter for name, parameter in _named(constructor).items() if name not in found}
        if not any(each.kind is each.VAR_KEYWORD for each in _signature(constructor).values()):
            break
    found.pop("self", None)
    return found


def _named(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    unnamed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {name: parameter for name, parameter in _signature(make).items() if parameter.kind not in unnamed}


def _signature(make: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(make, eval_str=True).parameters
    except NameError:
        return inspect.signature(make).parameters  # annotations with names that are imported for type checkers only
    except ValueError:
        return {}  # a class written in C has no signature
