"""Converts a value of an `agent` section to the type of the constructor's parameter, or refuses it."""

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from sidewinder import SidewinderError
from sidewinder.config.algorithms import as_text
from sidewinder.config.import_paths import is_import_path
from sidewinder.training.imported import exists, imported, is_made, made, parameters_of

# Types that YAML can write. Values of other types are named by import paths.
_PLAIN = (int, float, str, bool, dict, list, tuple, types.NoneType)
BY_PATH = "an import path or a mapping with _target_"


def wrong(key: str, found: Any, accepted: str, condition: str = "") -> SidewinderError:
    """Return the error for a value that is not accepted.

    Args:
        key: Key of the config, without `agent.`.
        found: The value.
        accepted: What is accepted, in words.
        condition: When that is accepted, in words, beginning with a space; or empty.
    """
    return SidewinderError(f"agent.{key}: found {found!r}, accepted{condition}: {accepted}")


def accept(
    key: str, value: Any, accepted: typing.Iterable[Any], condition: str = "", *, or_import_path: bool = False
) -> None:
    """Check that a value is one of `accepted`, or an import path if `or_import_path`.

    Raises:
        SidewinderError: It is neither.
    """
    names = list(accepted)
    if value not in names and not (or_import_path and is_import_path(value)):
        more = ["or an import path"] if or_import_path else []
        raise wrong(key, value, ", ".join([*map(as_text, names), *more]), condition)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, as int or float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def converted(key: str, value: Any, parameter: inspect.Parameter) -> Any:
    """Return a value in the type of the parameter.

    Whole floats (`1e5`) become int, lists become tuples, and import paths become the objects that they name.

    Raises:
        SidewinderError: The value does not have the parameter's type.
    """
    if is_made(value):
        return made(f"agent.{key}", value)
    hint = _hint(parameter)
    if hint is Any or isinstance(hint, str | typing.TypeVar):
        # The type is unknown: if the text can be an import path, it is taken as one.
        return imported(f"agent.{key}", value) if is_import_path(value) and exists(value) else value
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    options = typing.get_args(hint) if union else (hint,)
    accepted = [typing.get_origin(option) or option for option in options]
    if any(value in typing.get_args(option) for option in options if typing.get_origin(option) is typing.Literal):
        return value
    if isinstance(value, float) and float not in accepted and int in accepted:
        if not value.is_integer():
            raise wrong(key, value, "a whole number")
        return int(value)
    if isinstance(value, list) and tuple in accepted:
        return tuple(value) if key != "train_freq" else _train_freq(key, value)
    if type(value) in accepted or (isinstance(value, int) and not isinstance(value, bool) and float in accepted):
        return value
    others = [option for option, kind in zip(options, accepted, strict=True) if kind not in _PLAIN]
    if others and is_import_path(value):
        return _named(key, value, others)
    names = ["null" if kind is types.NoneType else kind.__name__ for kind in accepted if kind in _PLAIN]
    accepted_text = " or ".join(names)
    if others:
        accepted_text = ", ".join(filter(None, [accepted_text, BY_PATH]))
    raise wrong(key, value, accepted_text)


def _hint(parameter: inspect.Parameter) -> Any:
    """Return the type of a parameter. Without an annotation (SBX's features_extractor_class) it is the default's."""
    if parameter.annotation is not inspect.Parameter.empty:
        return parameter.annotation
    default = parameter.default
    if default is inspect.Parameter.empty or default is None:
        return Any
    if isinstance(default, int | float) and not isinstance(default, bool):
        return int | float | Callable  # a learning rate may be a schedule
    return type(default)


def _train_freq(key: str, value: list[Any]) -> tuple[int, str]:
    if len(value) != 2 or not is_whole(value[0]) or value[1] not in ("step", "episode"):
        raise wrong(key, value, "int, [int, step] or [int, episode]")
    return int(value[0]), value[1]


def _named(key: str, path: str, options: list[Any]) -> Any:
    """Return the object that an import path names, for a parameter that takes a class, a function or an object."""
    found = imported(f"agent.{key}", path)
    bases = [base for option in options if typing.get_origin(option) is type for base in typing.get_args(option)]
    classes = tuple(base for base in bases if isinstance(base, type))
    functions = any((typing.get_origin(option) or option) is Callable or option is Callable for option in options)
    if classes and not functions and not (isinstance(found, type) and issubclass(found, classes)):
        raise wrong(key, path, f"a subclass of {', '.join(base.__name__ for base in classes)}")
    return found


def options_of(key: str, made_of: Any, given: Any, elsewhere: typing.Collection[str] = ()) -> dict[str, Any]:
    """Convert the arguments of an object that SB3 makes for the agent, such as a features extractor.

    Args:
        key: Key of the config, without `agent.`.
        made_of: The class or function that makes the object.
        given: The arguments in the config.
        elsewhere: Parameters that SB3 sets, which the config must not.

    Raises:
        SidewinderError: `made_of` does not take an argument, or takes another type.
    """
    if not isinstance(given, dict):
        raise wrong(key, given, "a mapping")
    parameters = parameters_of(made_of)
    if not parameters:
        return given
    known = [name for name in parameters if name not in elsewhere]
    for name, value in given.items():
        if name not in known:
            raise wrong(f"{key}.{name}", value, f"a key of {_name(made_of)}: {', '.join(known) or 'none'}")
    return {name: converted(f"{key}.{name}", value, parameters[name]) for name, value in given.items()}


def _name(made_of: Any) -> str:
    return str(getattr(made_of, "__name__", made_of))
