"""Archives of trainings that were made elsewhere: results directories, archives of scripts/archive.py, or tars of
either. They are only read here, apart from `write_trainings`, which writes the tar of one."""

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

# A results directory keeps its trainings in DIRECTORY. An archive of scripts/archive.py has TAR instead.
DIRECTORY, TAR = ".trainings", "trainings.tar.gz"
# Name, in `archives`, of the archive that comes with Sidewinder.
SHIPPED = "shipped"


def check_archives(archives: Sequence[str], results: Path | None = None) -> None:
    """Check that each archive exists and holds trainings.

    Args:
        archives: Names or paths, as `archives` in the configfile has them.
        results: This run's results directory. It must not be an archive, for its trainings change while studies run.

    Raises:
        SidewinderError: An archive is missing, holds no trainings, or is the results directory.
    """
    for archive in archives:
        place = _place(archive)
        if _is_not_carried(archive):
            continue
        if results is not None and place.resolve() in (results.resolve(), (results / "paper").resolve()):
            raise SidewinderError(f"archives: found {archive!r}, where this run keeps its results, accepted: another")
        if not place.is_dir() and not (place.is_file() and tarfile.is_tarfile(place)):
            accepted = f"{SHIPPED}, a results directory, or a tar of one"
            raise SidewinderError(f"archives: found {archive!r}, which is not there or no tar, accepted: {accepted}")
        if place.is_dir() and not (place / DIRECTORY).is_dir() and not (place / TAR).is_file():
            accepted = f"a directory with {DIRECTORY}/ or {TAR}"
            raise SidewinderError(f"archives: found {archive!r}, which has no trainings, accepted: {accepted}")


def archived(archive: str, name: str) -> bytes | None:
    """Read a training's file from an archive; None if the archive has no file of this name.

    Raises:
        SidewinderError: The archive cannot be read.
    """
    file = _place(archive) / DIRECTORY / name
    return file.read_bytes() if file.is_file() else _packed(archive).get(name)


def names_in(archive: str) -> list[str]:
    """List the file names of an archive's trainings.

    Raises:
        SidewinderError: The archive cannot be read.
    """
    loose = {path.name for path in (_place(archive) / DIRECTORY).glob("*.json")}
    return sorted(loose | _packed(archive).keys())


def _packed(archive: str) -> Mapping[str, bytes]:
    """Read the trainings in an archive's tar; empty if it has no tar."""
    place = _place(archive)
    tar = place / TAR if place.is_dir() else place
    lacking = _is_not_carried(archive) or (place.is_dir() and not tar.is_file())
    return {} if lacking else trainings_of(tar)


@cache
def trainings_of(tar: Path) -> Mapping[str, bytes]:
    """Read the trainings in a tar, by their files' names. They may be in any of its directories.

    Raises:
        SidewinderError: The tar cannot be read.
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
                # Read to the end, where a compressed tar has its checksum.
                while opened.fileobj and opened.fileobj.read(2**20):
                    pass
                return found
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise ValueError(error) from None


def write_trainings(tar: Path, trainings: Mapping[str, bytes]) -> None:
    """Write trainings as a tar. The same trainings give the same bytes.

    Args:
        tar: The file to write.
        trainings: Contents of the trainings' files, by file name.
    """
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as opened:
        for name, data in sorted(trainings.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    write_atomically(tar, gzip.compress(content.getvalue(), mtime=0))


def _is_not_carried(archive: str) -> bool:
    """Whether this is the shipped archive and this copy of the workflow lacks it. It then counts as empty."""
    return archive == SHIPPED and not _place(archive).exists()


def _place(archive: str) -> Path:
    return ROOT / "results" / "reference" / TAR if archive == SHIPPED else Path(archive)
