"""The examples of README.md and docs/configuration.md work as a reader would copy them."""

import os
import subprocess
import sys
from pathlib import Path

import drawings
import pytest
from option_lists import PAGES, with_lists
from tiny_study import REPOSITORY

from sidewinder.checks import check_study
from sidewinder.config.composition import compose_study


def blocks(document: str, language: str) -> list[str]:
    text = (REPOSITORY / document).read_text()
    return [block.partition("```")[0] for block in text.split(f"```{language}\n")[1:]]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("block", blocks("docs/configuration.md", "yaml"))
def test_each_example_of_the_reference_is_a_sound_study(block: str, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study/example.yaml").write_text(f"# @package _global_\n{block}")
    check_study(compose_study("example", [], [tmp_path]))


@pytest.mark.slow
def test_the_readmes_own_study(tmp_path: Path) -> None:
    (study,) = blocks("README.md", "yaml")
    path = tmp_path / "my_configs/study/my_study.yaml"
    assert str(path.relative_to(tmp_path)) in study
    path.parent.mkdir(parents=True)
    path.write_text(study)
    for name in ("workflow", "config", "configs"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (command,) = (line for block in blocks("README.md", "console") for line in block.splitlines() if "my_study" in line)
    done = subprocess.run(
        ["bash", "-c", f"{command.removeprefix('$ ')} --dry-run"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "results/my_study/trials/49/result.json" in done.stdout


@pytest.mark.slow
def test_the_site_is_built_without_warnings(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", str(REPOSITORY / "docs"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert (tmp_path / f"{page.stem}.html").exists()
    assert "read_trials" in (tmp_path / "api.html").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_options_are_listed_as_the_schema_describes_them(page: str) -> None:
    text = (REPOSITORY / page).read_text()
    assert "<!-- options: " in text
    assert with_lists(text) == text, "run python tools/option_lists.py"


def test_pictures_are_what_their_code_draws(tmp_path: Path) -> None:
    drawings.write(tmp_path)
    for picture in tmp_path.iterdir():
        assert picture.read_bytes() == (REPOSITORY / "docs" / picture.name).read_bytes()
