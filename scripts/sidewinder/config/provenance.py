"""Finds the file or override that set a key of a composed config, and sets where Hydra searches configs."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import OmegaConf

from sidewinder import SidewinderError
from sidewinder.config.overrides import SEARCH, for_hydra, is_of_search_space, parse_override, sets
from sidewinder.paths import CONFIG_DIR

# The config that every study starts from.
PRIMARY = "tune"


class _ConfigDirs(SearchPathPlugin):
    """Puts the user's directories of configs before the shipped ones; `hydra.searchpath` would put them after."""

    # A class attribute, because Hydra makes the instances.
    directories: Sequence[Path] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for directory in reversed(self.directories):
            search_path.prepend("config_dirs", f"file://{directory.resolve()}")


Plugins.instance().register(_ConfigDirs)


@contextmanager
def search_path(config_dirs: Sequence[Path]) -> Iterator[None]:
    """Initialise Hydra for a `with` block. It searches the user's directories of configs before the shipped ones."""
    _ConfigDirs.directories = config_dirs
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            yield
    finally:
        _ConfigDirs.directories = ()


class Provenance:
    """Finds the file or override that set a key, in one composition.

    Attributes:
        overrides: All overrides as written.
        for_hydra: The overrides that Hydra applies, in the form that Hydra needs.
        moved: Keys that were taken over from a `hydra.sweeper` block: new path to old path.
    """

    def __init__(self, name: str, overrides: Sequence[str]) -> None:
        """For the study of this name, composed with these overrides. Use it only inside `search_path`."""
        self.name = name
        self.overrides = list(overrides)
        self.for_hydra = [for_hydra(one) for one in overrides if not is_of_search_space(parse_override(one))]
        self.moved: dict[tuple[str, ...], tuple[str, ...]] = {}

    def error(self, path: tuple[str, ...], what: str, key: str | None = None) -> SidewinderError:
        for new, old in self.moved.items():
            if path[: len(new)] == new:
                path = (*old, *path[len(new) :])
                break
        return SidewinderError(f"{self.source(path)}: {key or '.'.join(path)}: {what}")

    def error_in(self, override: str, key: str, what: str) -> SidewinderError:
        return SidewinderError(f"override {override}: {key}: {what}")

    def is_overridden(self, key: str) -> bool:
        """Whether an override sets the key, or chooses the file that sets it."""
        return any(sets(parse_override(override), key) for override in self.overrides)

    def source(self, path: tuple[str, ...]) -> str:
        """The override or the file that set the key at `path`; the study's own file if none did."""
        key = ".".join(part.lstrip("+~") for part in path)
        names = [
            f"{section}{key.removeprefix(found)}" for found in SEARCH if key.startswith(found) for section in SEARCH
        ]
        for override in reversed(self.overrides):
            if any(sets(parse_override(override), name) for name in names or [key]):
                return f"override {override}"
        loader = GlobalHydra.instance().config_loader()
        defaults = loader.compute_defaults_list(PRIMARY, self.for_hydra, RunMode.RUN)
        for default in reversed(defaults.defaults):
            if default.config_path is None or (result := load(default.config_path)) is None:
                continue
            package = tuple((default.package or "").split(".")) if default.package else ()
            if package == path[: len(package)] and _contains(result[1], path[len(package) :]):
                return result[0]
        return self.study_file()

    def who_chose(self, group: str, option: str) -> str:
        for override in self.overrides:
            if override.lstrip("+") == f"{group}={option}":
                return f"override {override}"
        return self.study_file()

    def who_is_in(self, reason: str) -> str:
        """The override or file that an error message of Hydra is about."""
        for override in self.overrides:
            if f"'{override}'" in reason or f"override {for_hydra(override)}" in reason:
                return f"override {override}"
        # The longest key first, because a message about `environment.agent` contains 'agent' too.
        for override in sorted(self.overrides, key=lambda override: -len(_key_of(override))):
            if f"'{_key_of(override)}'" in reason:
                return f"override {override}"
        named = re.search(r"\b[Ii]n '([^']+)'", reason)
        return (path_of(named[1]) if named else None) or self.study_file()

    def study_file(self) -> str:
        chosen = [override.removeprefix("study=") for override in self.overrides if override.startswith("study=")][-1]
        return path_of(f"study/{chosen}") or f"study {self.name}"


def _key_of(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def path_of(config_path: str) -> str | None:
    """Path of a config file that Hydra finds, relative to the working directory; None if it finds none.

    The file may be malformed.
    """
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.scheme() == "file" and source.is_config(config_path):
            return os.path.relpath(Path(source.path) / f"{config_path.removesuffix('.yaml')}.yaml")
    return None


def load(config_path: str) -> tuple[str, Any] | None:
    """Load a config file that Hydra finds: its path, and its content without the defaults list; None without a file."""
    path = path_of(config_path)
    if path is None:
        return None
    content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    if isinstance(content, dict):
        content.pop("defaults", None)
    return path, content


def _contains(node: Any, path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True
