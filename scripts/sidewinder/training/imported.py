"""What a config names by import path: classes, functions, and objects made from them.

Hydra's `_target_` is the syntax where arguments are needed: `{_target_: my_package.MySchedule, start: 0.01}`.
"""

import inspect
from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Any

import numpy as np
from hydra.utils import instantiate

from sidewinder import SidewinderError
from sidewinder.config.import_paths import is_import_path
from sidewinder.errors import first_line


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


def is_made(value: object) -> bool:
    """Whether a value of the config describes an object to be made."""
    return isinstance(value, Mapping) and "_target_" in value


def made(key: str, value: Mapping[str, Any]) -> Any:
    """The object that a mapping with `_target_` describes, made by Hydra.

    Raises:
        SidewinderError: It cannot be made; one line that names the key.
    """
    target = imported(f"{key}._target_", value["_target_"])
    special = {name: argument for name, argument in value.items() if name.startswith("_")}
    arguments = {name: argument for name, argument in value.items() if name not in special}
    try:
        return instantiate(special, **as_wanted(target, arguments), _convert_="all")
    except Exception as error:  # whatever its constructor raises
        reason = first_line(error.__cause__ or error)
        raise SidewinderError(
            f"{key}: found {dict(value)} ({reason}), accepted: what {value['_target_']} takes"
        ) from None


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
