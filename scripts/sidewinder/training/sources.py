"""The code that a training depends on beside packages on record: environments and wrappers of one's own."""

import hashlib
import sys
import sysconfig
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from modulefinder import ModuleFinder
from pathlib import Path

from sidewinder.config.run_config import RunConfig

_LIBRARIES = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
# Their versions are on record with each training.
_ON_RECORD = {"gymnasium", "stable_baselines3", "sb3_contrib", "shimmy"}


def sources(run: RunConfig) -> dict[str, str]:
    """What the modules are that a run names, and those of one's own that these import, wherever in them.

    Files that they read are not in it.

    Returns:
        For each module of an installed package the package's version; for each other module a hash of its source.
    """
    found: dict[str, str] = {}
    for name in sorted(set(_named(run))):
        top = name.partition(".")[0]
        if top in _ON_RECORD or top in sys.stdlib_module_names:
            continue
        origin = _origin(name)
        if origin is None:
            continue  # making the environment says what is wrong
        if any(origin.is_relative_to(library) for library in _LIBRARIES):
            found |= {package: version(package) for package in packages_distributions().get(top, [])}
        else:
            found |= _own(name)
    return dict(sorted(found.items()))


def _named(run: RunConfig) -> Iterator[str]:
    other = run.evaluation.environment
    for env_id in filter(None, (run.environment.env_id, other.env_id)):
        yield from _registered(env_id)
    for wrapper in [*run.environment.wrappers, *(other.wrappers or [])]:
        yield from (path.rpartition(".")[0] for path in wrapper)


def _registered(env_id: str) -> Iterator[str]:
    """The module that registers an environment, and the one that it is in."""
    # Imported late: it takes a quarter of a second, also where nobody asks.
    import gymnasium as gym

    module, _, name = env_id.rpartition(":")
    try:
        if module:
            yield module
            import_module(module)
        entry = gym.spec(name).entry_point
    except (ImportError, gym.error.Error):
        return
    if entry is not None:
        yield entry.partition(":")[0] if isinstance(entry, str) else entry.__module__


def _origin(name: str) -> Path | None:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _own(name: str) -> dict[str, str]:
    """A module and all that it imports from directories that are no library's; of a package all files, for an
    environment may read others than its modules."""
    path = [entry for entry in map(Path, sys.path) if not any(entry.is_relative_to(library) for library in _LIBRARIES)]
    finder = ModuleFinder([str(entry) for entry in path if not (entry / "sidewinder" / "training").is_dir()])
    try:
        finder.import_hook(name)
    except (ImportError, SyntaxError):
        return {}
    files: dict[str, Path] = {}
    for module, found in finder.modules.items():
        file = getattr(found, "__file__", None)
        if file and Path(file).name == "__init__.py" and "." not in module:
            package = Path(file).parent
            files |= {f"{module}/{each.relative_to(package).as_posix()}": each for each in _files(package)}
        elif file and not (set(_parents(module)) & finder.modules.keys()):
            files[module] = Path(file)
    return {module: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for module, file in files.items()}


def _parents(module: str) -> Iterator[str]:
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def _files(package: Path) -> Iterator[Path]:
    hidden = {"__pycache__"}
    for path in package.rglob("*"):
        parts = path.relative_to(package).parts
        if path.is_file() and not hidden & set(parts) and not any(part.startswith(".") for part in parts):
            yield path
