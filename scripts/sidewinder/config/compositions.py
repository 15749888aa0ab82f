"""Composed studies, kept in the results by what they were composed from: Hydra takes a tenth of a second for each.

A composition is a function of the config files, the overrides, the installed packages and Sidewinder itself. A hash of
all of that, read anew by each process, is the name of its file, so that nothing that has changed is ever used. What
depends on anything else, such as the environment's variables or other studies' results, is not kept.

Studies that differ in their name and their seed alone share one composition, if nothing in their configs reads these.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sidewinder import SidewinderError
from sidewinder.config.composition import composed
from sidewinder.config.digests import digest
from sidewinder.config.import_paths import texts
from sidewinder.config.overrides import PRIMARY, parse_override, sets
from sidewinder.config.study_config import StudyConfig
from sidewinder.files import write_atomically
from sidewinder.paths import CONFIG_DIR
from sidewinder.records import sha256_of

DIRECTORY = ".composed"
_SEED = re.compile(r"study\.seed=(0|[1-9]\d*)")
# What makes a config depend on more than its files. Where a storage is, is kept as it is written.
_IMPURE = re.compile(r"^(?!\s*(\S*\.)?storage\s*[:=]).*(\$\{\s*(oc\.env|now|hydra)\b|\$\{[^:}]*\$\{|searchpath)", re.M)
# What may read a study's name or seed.
_READS_STUDY = re.compile(r"study|seed|\$\{\s*\.|\$\{[^:}]*\$\{|\$\{\s*oc\.(select|dict)")
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class _Kept:
    """A composition.

    Attributes:
        config: The study's, as JSON has it.
        notes: What was said of it, as whole lines.
        named: Whether its configs name the study.
        shared: Whether nothing in them reads the study's name or seed.
    """

    config: dict[str, Any]
    notes: str
    named: bool
    shared: bool

    def study_config(self, name: str, seed: int | None) -> StudyConfig:
        """The config, of the study of this name with this seed if others share it."""
        study = dict(self.config["study"])
        if self.shared:
            study |= ({} if self.named else {"name": name}) | ({} if seed is None else {"seed": seed})
        return StudyConfig.model_validate({**self.config, "study": study})

    def say(self, name: str) -> None:
        """Say again what was said when it was composed, now of the study of this name."""
        sys.stderr.write(re.sub(rf"^study {re.escape(_NAME)}:", lambda _: f"study {name}:", self.notes, flags=re.M))


# Stands for a study's name in notes.
_NAME = "<name>"


class Compositions:
    """The compositions of one run of Snakemake."""

    def __init__(self, results: Path, config_dirs: Sequence[Path], archives: Sequence[str]) -> None:
        """Of the studies in `results`, with the user's directories of configs and archives."""
        self._results = results
        self._config_dirs = config_dirs
        self._archives = archives
        self._kept: dict[str, _Kept] = {}
        self._texts: dict[Path, Mapping[str, str]] = {}
        self._basis: str | None = None

    def compose(self, name: str, overrides: Sequence[str], directory: Path) -> StudyConfig:
        """As `composition.compose_study`, by which it is composed unless it is kept.

        Raises:
            SidewinderError: As `compose_study`.
        """
        seed, shared = _without_seed(overrides)
        if not any(one.startswith(("study=", PRIMARY)) for one in overrides):
            shared = [f"study={name}", *shared]
        keys = [self._key(shared), self._key([*shared, *overrides], name)]
        for known in filter(None, keys):
            if kept := self._load(known):
                with suppress(ValidationError):
                    config = kept.study_config(name, seed)
                    kept.say(name)
                    return config
        said = StringIO()
        try:
            with redirect_stderr(said):
                config, written = composed(name, overrides, self._config_dirs, self._archives, directory)
        finally:
            sys.stderr.write(said.getvalue())
        named = (written["study"].get("name"), written["sweeper"].get("study_name")) != (None, None)
        notes = re.sub(rf"^study {re.escape(name)}:", f"study {_NAME}:", said.getvalue(), flags=re.M)
        kept = _Kept(config.model_dump(), notes, named, not any(map(_READS_STUDY.search, texts(written))))
        key = keys[0 if kept.shared else 1]
        if key and config.study.enqueued_from is None:
            self._keep(key, kept, begun=directory.exists())
        return config

    def _key(self, overrides: Sequence[str], name: str = "") -> str | None:
        """A hash of all that a composition depends on; None if that is more than is known."""
        primaries = [Path(one.removeprefix(PRIMARY)).parent for one in overrides if one.startswith(PRIMARY)]
        found = [self._configs(directory) for directory in (*self._config_dirs, *primaries)]
        own = [*overrides, *(text for files in found for text in files.values())]
        if any(map(_IMPURE.search, own)):
            return None
        if self._basis is None:
            self._basis = _basis(self._archives)
        return digest((self._basis, name, list(overrides), [sorted(files.items()) for files in found]))

    def _configs(self, directory: Path) -> Mapping[str, str]:
        """The texts of all config files in a directory, by their paths there."""
        if directory not in self._texts:
            found = _files(directory, ".yaml", self._results)
            self._texts[directory] = {path: content.decode(errors="replace") for path, content in found}
        return self._texts[directory]

    def _path(self, key: str) -> Path:
        return self._results / DIRECTORY / f"{key}.json"

    def _load(self, key: str) -> _Kept | None:
        """What is kept; None if it is missing or damaged."""
        if key not in self._kept:
            with suppress(OSError, ValueError, TypeError):
                seal, _, body = self._path(key).read_text().partition("\n")
                if seal == sha256_of(key + body):
                    self._kept[key] = _Kept(**json.loads(body))
        return self._kept.get(key)

    def _keep(self, key: str, kept: _Kept, *, begun: bool) -> None:
        """Keep it for this process, and if its study has begun for others: a study that is refused leaves nothing."""
        try:
            body = json.dumps(vars(kept))
        except TypeError:
            return
        again = _Kept(**json.loads(body)).study_config(kept.config["study"]["name"], None)
        if repr(again.model_dump()) != repr(kept.config):
            return  # as of keys that are no texts, which JSON has not
        self._kept[key] = kept
        if not begun:
            return
        with suppress(SidewinderError):  # such as a full disk, for which it is no time to stop
            write_atomically(self._path(key), f"{sha256_of(key + body)}\n{body}")


def _without_seed(overrides: Sequence[str]) -> tuple[int | None, list[str]]:
    """The seed that an override sets, and the overrides with a mark in its place; without such, or with several that
    do, no seed and the overrides as they are."""
    setting = [one for one in overrides if not one.startswith(PRIMARY) and sets(parse_override(one), "study.seed")]
    found = _SEED.fullmatch(setting[0]) if len(setting) == 1 else None
    if found is None:
        return None, list(overrides)
    return int(found[1]), ["study.seed=" if one == setting[0] else one for one in overrides]


def _basis(archives: Sequence[str]) -> str:
    """A hash of what all compositions depend on: Sidewinder, its configs, and whatever packages are installed."""
    package = Path(__file__).resolve().parents[1]
    entries = [Path(entry) for entry in sys.path if Path(entry).is_dir()]
    installed = sorted(path.name for entry in entries for path in entry.glob("*-info"))
    plugins = find_spec("hydra_plugins")
    places = map(Path, plugins.submodule_search_locations or [] if plugins else [])
    own = [place for place in places if not set(_INSTALLED).intersection(place.parts)]
    files = [
        *_files(package, ".py"),
        *_files(CONFIG_DIR, ".yaml"),
        *(one for place in own for one in _files(place, ".py")),
    ]
    return digest((sys.version, str(Path.cwd()), list(archives), installed, files))


def _files(directory: Path, suffix: str, without: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """The files in a directory with this suffix, by their paths there: in hidden directories and in `without` none."""
    for parent, directories, names in os.walk(directory):
        here = Path(parent)
        kept = [name for name in sorted(directories) if not name.startswith((".", "__pycache__"))]
        directories[:] = [name for name in kept if without is None or (here / name).resolve() != without.resolve()]
        for name in sorted(names):
            if name.endswith(suffix):
                yield f"{(here / name).relative_to(directory)}", (here / name).read_bytes()
