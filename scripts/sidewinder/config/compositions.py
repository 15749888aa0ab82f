"""Cache of composed studies in the results directory, because Hydra takes a tenth of a second for each study.

A composition depends on the config files, the overrides, the installed packages and Sidewinder itself. Each process
hashes all of these, and the hash is the name of the composition's file. After any change the old file is no longer
found. A composition that depends on anything else, such as environment variables or other studies' results, is not
cached.

Studies that differ only in name and seed share one composition, if nothing in their configs reads name or seed.
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
# Texts that make a config depend on more than its files. They are fine in a storage, which is kept unresolved.
_IMPURE = re.compile(r"^(?!\s*(\S*\.)?storage\s*[:=]).*(\$\{\s*(oc\.env|now|hydra)\b|\$\{[^:}]*\$\{|searchpath)", re.M)
# Texts that may read a study's name or seed.
_READS_STUDY = re.compile(r"study|seed|\$\{\s*\.|\$\{[^:}]*\$\{|\$\{\s*oc\.(select|dict)")
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class _Kept:
    """A cached composition.

    Attributes:
        config: The study's config, as JSON values.
        notes: Lines printed while composing, with `_NAME` in place of the study's name.
        named: Whether the configs set the study's name.
        shared: Whether studies with other names and seeds may use it: nothing in the configs reads name or seed.
    """

    config: dict[str, Any]
    notes: str
    named: bool
    shared: bool

    def study_config(self, name: str, seed: int | None) -> StudyConfig:
        """The study's config. A shared one gets this seed, and this name unless the configs set the name."""
        study = dict(self.config["study"])
        if self.shared:
            study |= ({} if self.named else {"name": name}) | ({} if seed is None else {"seed": seed})
        return StudyConfig.model_validate({**self.config, "study": study})

    def say(self, name: str) -> None:
        """Print the lines that were printed while composing, now with this study's name."""
        sys.stderr.write(re.sub(rf"^study {re.escape(_NAME)}:", lambda _: f"study {name}:", self.notes, flags=re.M))


# Placeholder for the study's name in notes.
_NAME = "<name>"


class Compositions:
    """Composes the studies of one Snakemake run, with a cache."""

    def __init__(self, results: Path, config_dirs: Sequence[Path], archives: Sequence[str]) -> None:
        """Cache in `results`; `config_dirs` and `archives` are arguments of `compose_study`."""
        self._results = results
        self._config_dirs = config_dirs
        self._archives = archives
        self._kept: dict[str, _Kept] = {}
        self._texts: dict[Path, Mapping[str, str]] = {}
        self._basis: str | None = None

    def compose(self, name: str, overrides: Sequence[str], directory: Path) -> StudyConfig:
        """Take a study's config from the cache, or compose it as `composition.compose_study` does.

        Raises:
            SidewinderError: As `compose_study` raises it.
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
        """Hash of everything that a composition depends on; None if it depends on more than files and overrides."""
        primaries = [Path(one.removeprefix(PRIMARY)).parent for one in overrides if one.startswith(PRIMARY)]
        found = [self._configs(directory) for directory in (*self._config_dirs, *primaries)]
        own = [*overrides, *(text for files in found for text in files.values())]
        if any(map(_IMPURE.search, own)):
            return None
        if self._basis is None:
            self._basis = _basis(self._archives)
        return digest((self._basis, name, list(overrides), [sorted(files.items()) for files in found]))

    def _configs(self, directory: Path) -> Mapping[str, str]:
        """Texts of all config files in a directory, by their paths relative to it."""
        if directory not in self._texts:
            found = _files(directory, ".yaml", self._results)
            self._texts[directory] = {path: content.decode(errors="replace") for path, content in found}
        return self._texts[directory]

    def _path(self, key: str) -> Path:
        return self._results / DIRECTORY / f"{key}.json"

    def _load(self, key: str) -> _Kept | None:
        """Cached composition with this key; None if it is missing or damaged."""
        if key not in self._kept:
            with suppress(OSError, ValueError, TypeError):
                seal, _, body = self._path(key).read_text().partition("\n")
                if seal == sha256_of(key + body):
                    self._kept[key] = _Kept(**json.loads(body))
        return self._kept.get(key)

    def _keep(self, key: str, kept: _Kept, *, begun: bool) -> None:
        """Cache a composition in this process, and in a file if its study has begun: a refused study leaves no file."""
        try:
            body = json.dumps(vars(kept))
        except TypeError:
            return
        again = _Kept(**json.loads(body)).study_config(kept.config["study"]["name"], None)
        if repr(again.model_dump()) != repr(kept.config):
            return  # JSON cannot hold it, for example keys that are no strings
        self._kept[key] = kept
        if not begun:
            return
        with suppress(SidewinderError):  # a full disk, for example, must not stop composing
            write_atomically(self._path(key), f"{sha256_of(key + body)}\n{body}")


def _without_seed(overrides: Sequence[str]) -> tuple[int | None, list[str]]:
    """Take the seed out of the overrides.

    Returns:
        The seed, and the overrides with `study.seed=` in place of the one that set it. If not exactly one override
        sets the seed, as a whole number: None and the overrides unchanged.
    """
    setting = [one for one in overrides if not one.startswith(PRIMARY) and sets(parse_override(one), "study.seed")]
    found = _SEED.fullmatch(setting[0]) if len(setting) == 1 else None
    if found is None:
        return None, list(overrides)
    return int(found[1]), ["study.seed=" if one == setting[0] else one for one in overrides]


def _basis(archives: Sequence[str]) -> str:
    """Hash of what every composition depends on: Sidewinder, its configs, Python, the installed packages."""
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
    """Files with this suffix below a directory: relative path and content. Skips hidden directories and `without`."""
    for parent, directories, names in os.walk(directory):
        here = Path(parent)
        kept = [name for name in sorted(directories) if not name.startswith((".", "__pycache__"))]
        directories[:] = [name for name in kept if without is None or (here / name).resolve() != without.resolve()]
        for name in sorted(names):
            if name.endswith(suffix):
                yield f"{(here / name).relative_to(directory)}", (here / name).read_bytes()
