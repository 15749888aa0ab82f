"""Draws figures by name and writes their files. The bytes do not depend on the date or on other figures."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sidewinder import SidewinderError
from sidewinder.files import write_atomically
from sidewinder.report.figures.style import styled

# None leaves an entry out: neither a date nor a version goes into a file.
_METADATA: dict[str, dict[str, Any]] = {
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".png": {"Software": None},
    ".svg": {"Creator": None, "Date": None},
}


def save(
    files: Sequence[Path],
    known: Sequence[str],
    data: object,
    write: Callable[[Path, bytes], None] = write_atomically,
    **options: Mapping[str, Any],
) -> None:
    """Draw each figure once, and write it to all of its files.

    Args:
        files: The files to write: `<figure>.pdf`, `.png` or `.svg`.
        known: The figures that can be drawn from `data`.
        data: The first argument of the figures' `draw`: `Tables` or a `Comparison`.
        write: Called with a path and the content to write each file.
        options: Further keyword arguments of `draw`, by the figure's name.

    Raises:
        SidewinderError: A file's name is of no such figure or format.
    """
    for path in files:
        if path.stem not in known or path.suffix not in _METADATA:
            accepted = f"{', '.join(_METADATA)} of {', '.join(known)}"
            raise SidewinderError(f"--output: found {str(path)!r}, accepted: {accepted}")
    for name in dict.fromkeys(path.stem for path in files):
        own = [path for path in files if path.stem == name]
        with styled():
            figure = import_module(f"sidewinder.report.figures.{name}").draw(data, **options.get(name, {}))
            rendered = render(figure, [path.suffix for path in own])
        for path, content in zip(own, rendered, strict=True):
            write(path, content)


def render(figure: Figure, suffixes: Sequence[str]) -> list[bytes]:
    """Return the content of a file for each suffix. It does not depend on which other suffixes are rendered."""
    figure.draw_without_rendering()
    # The layout of the line above is kept; otherwise each format would get a layout that differs a little.
    figure.set_layout_engine("none")
    return [_render(figure, suffix) for suffix in suffixes]


def _render(figure: Figure, suffix: str) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=suffix.removeprefix("."), metadata=_METADATA[suffix])
    return buffer.getvalue()
