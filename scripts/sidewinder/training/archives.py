"""Trainings that were made elsewhere, read only: results directories, what scripts/archive.py makes, tars of either."""

import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath

from sidewinder import SidewinderError
from sidewinder.files import reading, write_atomically
from sidewinder.paths import ROOT

# Where a results directory keeps its trainings, and the tar that an archive has in its place.
DIRECTORY, TAR = ".trainings", "trainings.tar.gz"
# The archive that comes with Sidewinder, by this name in `archives`.
SHIPPED = "shipped"


def check_archives(archives: Sequence[str], results: Path | None = None) -> None:
    """Check that all are there, and none is in the results directory: its trainings come and go while studies run.

    Raises:
        SidewinderError: One is not, or holds no trainings.
    """
    for archive in archives:
        place = _place(archive)
        if _is_not_carried(archive):
            continue
        if results is not None and place.resolve() in (results.resolve(), (results / "paper").resolve()):
            raise SidewinderError(f"archives: found {archive!r}, where this run keeps its results, accepted: others")
        if not place.is_dir() and not (place.is_file() and tarfile.is_tarfile(place)):
            accepted = f"{SHIPPED}, a results directory, or a tar of one"
            raise SidewinderError(f"archives: found {archive!r}, which is not there or no tar, accepted: {accepted}")
        if place.is_dir() and not (place / DIRECTORY).is_dir() and not (place / TAR).is_file():
            accepted = f"a directory with {DIRECTORY}/ or {TAR}"
            raise SidewinderError(f"archives: found {archive!r}, which has no trainings, accepted: {accepted}")


def archived(archive: str, name: str) -> bytes | None:
    """The file of this name among an archive's trainings; None if there is none.

    Raises:
        SidewinderError: The archive cannot be read.
    """
    file = _place(archive) / DIRECTORY / name
    return file.read_bytes() if file.is_file() else _packed(archive).get(name)


def names_in(archive: str) -> list[str]:
    """The names of the files of an archive's trainings.

    Raises:
        SidewinderError: The archive cannot be read.
    """
    loose = {path.name for path in (_place(archive) / DIRECTORY).glob("*.json")}
    return sorted(loose | _packed(archive).keys())


def _packed(archive: str) -> Mapping[str, bytes]:
    """The trainings in an archive's tar, if it has one."""
    place = _place(archive)
    tar = place / TAR if place.is_dir() else place
    lacking = _is_not_carried(archive) or (place.is_dir() and not tar.is_file())
    return {} if lacking else trainings_of(tar)


@cache
def trainings_of(tar: Path) -> Mapping[str, bytes]:
    """The trainings in a tar, wherever in it, by their files' names.

    Raises:
        SidewinderError: It cannot be read.
    """
    with reading(tar, "archives in the configfile names it", "and take it out of `archives`"):
        try:
            with tarfile.open(tar) as opened:
                files = ((PurePosixPath(member.name), opened.extractfile(member)) for member in opened)
                found = {
                    path.name: file.read()
                    for path, file in files
                    if file and path.suffix == ".json" and (path.parent.name == DIRECTORY or len(path.parts) == 1)
                }
                # To the end, where the checksum of a compressed one is.
                while opened.fileobj and opened.fileobj.read(2**20):
                    pass
                return found
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise ValueError(error) from None


def write_trainings(tar: Path, trainings: Mapping[str, bytes]) -> None:
    """Write trainings, by their files' names, as a tar: the same bytes for the same trainings."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as opened:
        for name, data in sorted(trainings.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    write_atomically(tar, gzip.compress(content.getvalue(), mtime=0))


def _is_not_carried(archive: str) -> bool:
    """Whether the workflow was copied without what is shipped: then nothing of it is known."""
    return archive == SHIPPED and not _place(archive).exists()


def _place(archive: str) -> Path:
    return ROOT / "results" / "reference" / TAR if archive == SHIPPED else Path(archive)
