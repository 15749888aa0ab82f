"""Schedules by which a learning rate or a clip range falls during training, as `agent.lr_schedule` names them."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from stable_baselines3.common.utils import LinearSchedule

from sidewinder import SidewinderError
from sidewinder.errors import first_line

Schedule = Callable[[float], float]

_ACCEPTED = (
    "constant, linear, cosine; {linear: {final: 0.1, end_fraction: 0.8}} (the factor at the end, and the fraction of "
    "training at which that is reached); or {piecewise: [[0.5, 0.1], [0.8, 0.01]]} (from a fraction on, a factor)"
)


def schedule(key: str, shape: Any, initial: float) -> float | Schedule:
    """Return a number, or a function of the remaining progress (which falls from 1 to 0), as SB3's constructors take.

    Args:
        key: Key of the shape, for errors.
        shape: Name of a shape, or a mapping from the name to its arguments.
        initial: The value at the beginning of training.

    Raises:
        SidewinderError: There is no such shape, or its arguments are wrong; one line that names the key.
    """
    name: Any = shape
    arguments: Any = {}
    if isinstance(shape, Mapping) and len(shape) == 1:
        name, arguments = next(iter(shape.items()))
    if name == "piecewise":
        if not _are_pieces(arguments):
            raise _wrong(key, shape)
        return _piecewise(initial, arguments)
    options = {"final": 0.0, "end_fraction": 1.0}
    if name not in ("constant", "linear", "cosine") or not isinstance(arguments, Mapping):
        raise _wrong(key, shape)
    if name == "constant" and not arguments:
        return initial
    if not arguments.keys() <= options.keys() or not all(_is_share(value) for value in arguments.values()):
        raise _wrong(key, shape)
    options |= arguments
    if name == "constant" or options["end_fraction"] == 0:
        raise _wrong(key, shape)
    make = LinearSchedule if name == "linear" else _cosine
    return make(float(initial), options["final"] * initial, options["end_fraction"])


# Nested functions: a saved agent contains their code, so it loads even if this package is not installed.


def _cosine(start: float, end: float, end_fraction: float) -> Schedule:
    def value(progress_remaining: float) -> float:
        progress = min((1 - progress_remaining) / end_fraction, 1.0)
        # Rounded, because processors differ in the last bit of a cosine.
        share = round((1 + math.cos(math.pi * progress)) / 2, 12)
        return end + (start - end) * share

    return value


def _piecewise(start: float, pieces: list[list[float]]) -> Schedule:
    def value(progress_remaining: float) -> float:
        shares = [share for begin, share in pieces if 1 - progress_remaining >= begin]
        return start * (shares[-1] if shares else 1.0)

    return value


def _are_pieces(pieces: object) -> bool:
    """Whether the value is a list of pairs of a fraction of training and a factor, with ascending fractions."""
    if not isinstance(pieces, list) or not pieces:
        return False
    if not all(isinstance(piece, list) and len(piece) == 2 and all(map(_is_number, piece)) for piece in pieces):
        return False
    begins = [begin for begin, _ in pieces]
    return (
        all(_is_share(begin) for begin in begins) and begins == sorted(set(begins)) and all(s >= 0 for _, s in pieces)
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_share(value: object) -> bool:
    return _is_number(value) and 0 <= float(value) <= 1  # type: ignore[arg-type]


def _wrong(key: str, found: object) -> SidewinderError:
    return SidewinderError(f"{key}: found {found!r}, accepted: {_ACCEPTED}")


def check_schedule(key: str, function: Any) -> None:
    """Check that a user's schedule gives numbers.

    Raises:
        SidewinderError: One line that names the key.
    """
    for remaining in (1.0, 0.5, 0.0):
        try:
            float(function(remaining))
        except Exception as error:
            raise SidewinderError(
                f"{key}: found a schedule that fails for {remaining} ({first_line(error)}), accepted: a function that "
                "returns a number for each remaining progress, from 1 to 0"
            ) from None
