"""requirements.lock and environment.yml pin the same versions, and the running interpreter has them."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

# Packages that conda channels publish under another name than PyPI.
CONDA_TO_PIP = {"matplotlib-base": "matplotlib", "pytorch": "torch", "snakemake-minimal": "snakemake"}

RUNTIME = {
    "cmaes",
    "filelock",
    "gymnasium",
    "hydra-core",
    "itables",
    "markdown",
    "matplotlib",
    "optuna",
    "pandas",
    "pydantic",
    "pyyaml",
    "rich",
    "sb3-contrib",
    "scikit-learn",
    "scipy",
    "seaborn",
    "snakemake",
    "snakemake-logger-plugin-rich",
    "stable-baselines3",
    "tensorboard",
    "torch",
}
DEVELOPMENT = {
    "import-linter",
    "mypy",
    "pandas-stubs",
    "pytest",
    "pytest-xdist",
    "ruff",
    "snakefmt",
    "types-markdown",
    "types-pyyaml",
}
DIRECT = RUNTIME | DEVELOPMENT


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


def test_every_direct_package_is_in_both_files() -> None:
    assert set(read_conda()) == DIRECT
    assert set(read_lock()) >= DIRECT


def test_conda_and_lock_pin_the_same_versions() -> None:
    lock = read_lock()
    assert read_conda() == {name: lock[name] for name in DIRECT}


def test_torch_is_pinned_without_a_local_label() -> None:
    assert read_lock()["torch"] == "2.13.0"


def test_installed_packages_are_the_locked_ones() -> None:
    lock = read_lock()
    present = {name: found for name in lock if (found := installed(name)) is not None}
    assert present == {name: lock[name] for name in present}


def test_extras_are_pinned_and_add_to_the_lock() -> None:
    extras = [path.name for path in ROOT.glob("requirements-*.lock")]
    names = ("atari", "box2d", "cluster", "mujoco", "sbx", "video")
    assert sorted(extras) == [f"requirements-{name}.lock" for name in names]
    for name in extras:
        assert read_lock(name).keys().isdisjoint(read_lock())
