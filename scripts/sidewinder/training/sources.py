"""Finds the code that a training depends on beside the packages on record: environments, wrappers, algorithms, policies
and all else that a config names by import path."""

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from sidewinder.config.import_paths import import_paths
from sidewinder.config.run_config import RunConfig

_STANDARD = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
# Packages whose versions are on record with each training.
_ON_RECORD = {"gymnasium", "numpy", "sb3_contrib", "sbx", "shimmy", "sidewinder", "stable_baselines3", "torch"}


def sources(run: RunConfig) -> dict[str, str]:
    """Return versions or hashes of the modules that a run names.

    The user's modules that these import are included, also if a function imports them. So are all files of the user's
    packages. Other files that the code reads are not.

    Returns:
        The version of each installed package, by its name, and the first 16 hex digits of each other file's SHA-256,
        by the module's name or, in a package, by the file's path.
    """
    found: dict[str, str] = {}
    for name in sorted(set(_named(run))):
        top = name.partition(".")[0]
        if top in _ON_RECORD or top in sys.stdlib_module_names:
            continue
        origin = _origin(name)
        if origin is None:
            continue  # it only looks like an import path, or making the object will report the error
        if _of_a_library(origin):
            found |= {package: version(package) for package in packages_distributions().get(top, [])}
        else:
            found |= _own(name)
    return dict(sorted(found.items()))


def _of_a_library(path: Path) -> bool:
    """Whether a path is in a directory of installed packages: this environment's, or another one that it can import
    from, such as the user's or, on Debian, the system's."""
    installed = {"site-packages", "dist-packages"}
    return not installed.isdisjoint(path.parts) or any(map(path.is_relative_to, _STANDARD))


def _named(run: RunConfig) -> Iterator[str]:
    other = run.evaluation.environment
    for env_id in filter(None, (run.environment.env_id, other.env_id)):
        yield from _registered(env_id)
    for wrapper in [*run.environment.wrappers, *(other.wrappers or [])]:
        yield from (path.rpartition(".")[0] for path in wrapper)
    for path in import_paths([run.agent, run.training.callbacks]):
        yield _module_of(path)


def _module_of(path: str) -> str:
    """Return the module of a class, a function or a nested class, given its import path."""
    module = path.rpartition(".")[0]
    while "." in module and _origin(module) is None:
        module = module.rpartition(".")[0]
    return module


def _registered(env_id: str) -> Iterator[str]:
    """Yield the module that registers an environment, if its id names one, and the module of its entry point."""
    # Imported late: it takes a quarter of a second, and not each process needs it.
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
    except Exception:  # find_spec imports the parent packages, which may raise anything
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _own(name: str) -> dict[str, str]:
    """Return hashes of a module and of all that it imports, also in functions, from outside installed packages.

    Of a package all files are hashed: an environment may read more than its modules.
    """
    entries = [entry for entry in map(Path, sys.path) if not _of_a_library(entry)]
    path = [str(entry) for entry in entries if not (entry / "sidewinder" / "training").is_dir()]
    files: dict[str, Path] = {}
    seen, todo = set[str](), [name]
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        for each, file in _located(module, path).items():
            if each not in files and file.suffix == ".py":
                todo += _imported(file, each.removesuffix(".py").replace("/", "."))
            files[each] = file
    return {each: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for each, file in files.items()}


def _located(module: str, path: list[str]) -> dict[str, Path]:
    """Return the file of a module, or all files of its top package. A directory without `__init__.py` counts as a
    place to look for modules, not as a package."""
    places: Iterable[str] | None = path
    names = module.split(".")
    for length in range(1, len(names) + 1):
        if places is None:
            return {}
        name = ".".join(names[:length])
        # By the last part of its name: then the parent need not be imported.
        spec = PathFinder.find_spec(names[length - 1], list(places))
        if spec is None:
            return {}
        if spec.origin is not None and Path(spec.origin).name == "__init__.py":
            package = Path(spec.origin).parent
            inside = name.replace(".", "/")
            return {f"{inside}/{file.relative_to(package).as_posix()}": file for file in _files(package)}
        if spec.origin is not None:
            return {name: Path(spec.origin)}
        places = spec.submodule_search_locations
    return {}


def _imported(file: Path, module: str) -> list[str]:
    """Return the names of the modules that a module imports. After `from a import b` these are `a` and `a.b`, since `b`
    may be a module."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return []
    package = module.split(".")[:-1]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


def _files(package: Path) -> Iterator[Path]:
    hidden = {"__pycache__"}
    for path in package.rglob("*"):
        parts = path.relative_to(package).parts
        if path.is_file() and not hidden & set(parts) and not any(part.startswith(".") for part in parts):
            yield path
