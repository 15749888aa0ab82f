"""pyproject.toml, the lock files and environment.yml agree, and the locked versions are installed here."""

import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
import yaml
from lock import is_locked
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Packages that conda channels publish under another name than PyPI.
CONDA_TO_PIP = {"matplotlib-base": "matplotlib", "pytorch": "torch", "snakemake-minimal": "snakemake"}


def parsed(lines: Sequence[str]) -> dict[str, Requirement]:
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


DIRECT = parsed([*PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"]["dev"]])
EXTRAS = {name: parsed(lines) for name, lines in PYPROJECT["project"]["optional-dependencies"].items()}
# Requirements from which each lock file is made.
LOCKED = {
    "requirements.lock": DIRECT,
    **{f"requirements-{name}.lock": packages for name, packages in EXTRAS.items()},
    "docs/requirements.lock": parsed(PYPROJECT["dependency-groups"]["docs"]),
    "tests/requirements.lock": parsed(PYPROJECT["dependency-groups"]["tests"]),
}


def exact_pin(line: str) -> tuple[str, str]:
    name, separator, pinned = line.strip().partition("==")
    assert separator, f"not an exact pin: {line!r}"
    return canonicalize_name(name), pinned


def read_lock(name: str = "requirements.lock") -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(exact_pin(line) for line in lines if line and not line.startswith("#"))


def read_conda() -> dict[str, str]:
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert "python>=3.11" in dependencies
    pins = dict(exact_pin(line) for line in dependencies if line != "python>=3.11")
    return {CONDA_TO_PIP.get(name, name): pinned for name, pinned in pins.items()}


def installed(name: str) -> str | None:
    try:
        return version(name).partition("+")[0]  # torch's CPU build calls itself 2.13.0+cpu
    except PackageNotFoundError:
        return None


@pytest.mark.parametrize("name", LOCKED)
def test_a_lock_pins_what_pyproject_names(name: str) -> None:
    lock = read_lock(name)
    assert lock.keys() >= LOCKED[name].keys()
    beyond = {str(wanted): lock[key] for key, wanted in LOCKED[name].items() if lock[key] not in wanted.specifier}
    assert beyond == {}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the locks are made with Python 3.11")
def test_the_lock_has_what_its_packages_need_and_nothing_else() -> None:
    reached: set[tuple[str, str]] = set()  # packages and their extras, "" for the package itself
    ahead = {(name, extra) for name, wanted in DIRECT.items() for extra in ("", *wanted.extras)}
    while ahead:
        reached |= ahead
        ahead = {needed for name, extra in ahead for needed in needed_by(name, extra)} - reached
    assert {name for name, _ in reached if is_locked(name)} == read_lock().keys()


def needed_by(name: str, extra: str) -> Iterator[tuple[str, str]]:
    """Yield the locked requirements, with their extras, of an installed package with one extra, or "" for none."""
    for line in requires(name) or []:
        wanted = Requirement(line)
        if is_locked(wanted.name) and (wanted.marker is None or wanted.marker.evaluate({"extra": extra})):
            yield from ((canonicalize_name(wanted.name), part) for part in ("", *wanted.extras))


def test_conda_names_what_pyproject_names() -> None:
    assert read_conda().keys() == DIRECT.keys()


def test_conda_and_lock_pin_the_same_versions() -> None:
    lock = read_lock()
    assert read_conda() == {name: lock[name] for name in DIRECT}


def test_torch_is_pinned_without_a_local_label() -> None:
    assert read_lock()["torch"] == "2.13.0"


def test_installed_packages_are_the_locked_ones() -> None:
    lock = read_lock()
    present = {name: found for name in lock if (found := installed(name)) is not None}
    assert present == {name: lock[name] for name in present}


def test_each_extra_has_a_lock_that_adds_to_the_common_one() -> None:
    found = sorted(
        str(path.relative_to(ROOT)) for path in ROOT.rglob("requirements*.lock") if ".venv" not in path.parts
    )
    assert found == sorted(LOCKED)
    for name in LOCKED.keys() - {"requirements.lock"}:
        assert read_lock(name).keys().isdisjoint(read_lock())
