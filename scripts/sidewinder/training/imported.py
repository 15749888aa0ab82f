"""What a config names by import path: classes, functions, and objects made from them.

Hydra's `_target_` is the syntax where arguments are needed: `{_target_: my_package.MySchedule, start: 0.01}`.
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

# Hydra's keys for how an object is made.
_SPECIAL = ("_target_", "_args_", "_partial_", "_convert_", "_recursive_")


def imported(key: str, path: object) -> Any:
    """The class or function that an import path names.

    Raises:
        SidewinderError: It is no import path, or importing it fails; one line that names the key.
    """
    if not is_import_path(path):
        raise SidewinderError(f"{key}: found {path!r}, accepted: an import path, such as my_package.my_module.MyClass")
    try:
        return resolve_name(str(path))
    except Exception as error:  # a module may raise anything while it is imported
        accepted = "the import path of a class or a function (PYTHONPATH says where modules of one's own are)"
        raise SidewinderError(f"{key}: found {path!r} ({first_line(error)}), accepted: {accepted}") from None


def exists(path: str) -> bool:
    """Whether the package or module that an import path begins with is there."""
    return find_spec(path.partition(".")[0]) is not None


def is_made(value: object) -> bool:
    """Whether a value of the config describes an object to be made."""
    return isinstance(value, Mapping) and "_target_" in value


def made(key: str, value: Mapping[str, Any]) -> Any:
    """The object that a mapping with `_target_` describes: as by Hydra's `instantiate`, but lists become tuples and
    arrays where these are wanted.

    Raises:
        SidewinderError: It cannot be made; one line that names the key.
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
    """A value with the objects that it describes, wherever in it."""
    if is_made(value):
        return made(key, value)
    if isinstance(value, Mapping):
        return {name: _inner(f"{key}.{name}", one) for name, one in value.items()}
    return [_inner(key, one) for one in value] if isinstance(value, list) else value


def as_wanted(make: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with tuples and arrays in place of lists where these are wanted: YAML has none."""
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
    """The parameters of a function, or of a class's constructor, by name; where a constructor takes `**kwargs`,
    those of its parents' constructors too."""
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
        return inspect.signature(make).parameters  # annotations of what is imported for type checkers alone
    except ValueError:
        return {}  # of a class written in C
