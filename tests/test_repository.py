"""Files for contributors, GitHub and citations agree with the code: each command, path and version in them."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_study import REPOSITORY

from sidewinder import __version__

MAKEFILE = (REPOSITORY / "Makefile").read_text()
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
SMK = sorted((REPOSITORY / "workflow/rules").glob("*.smk"))
FORMS = sorted((REPOSITORY / ".github/ISSUE_TEMPLATE").glob("*.yml"))
# Directories that CONTRIBUTING.md may leave out at the beginning of a path.
ROOTS = (REPOSITORY, REPOSITORY / "scripts/sidewinder", REPOSITORY / "scripts/sidewinder/report/figures")


def read(name: str) -> Any:
    return yaml.safe_load((REPOSITORY / name).read_text())


def recipe(target: str) -> list[str]:
    """Return the commands of a target of the Makefile."""
    (lines,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    return [line.replace("$(BIN)", ".venv/bin") for line in str(lines).replace("\t", "").splitlines()]


def test_pre_commit_has_the_checks_of_make_lint() -> None:
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    hooks = repository["hooks"]
    assert [hook["entry"].removeprefix("env ") for hook in hooks] == recipe("lint")
    assert {(hook["language"], hook["pass_filenames"]) for hook in hooks} == {("system", False)}
    assert len({hook["id"] for hook in hooks}) == len(hooks)


def test_ci_calls_the_readmes_commands() -> None:
    workflow = read(".github/workflows/ci.yml")
    assert workflow[True].keys() == {"push", "pull_request"}  # YAML 1.1 reads the key `on` as true
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands == ["make test-fast", "make test"]
    readme = (REPOSITORY / "README.md").read_text()
    assert all(command in readme and command.removeprefix("make ") in TARGETS for command in commands)


def test_ci_has_the_python_of_the_locks() -> None:
    steps = [step for job in read(".github/workflows/ci.yml")["jobs"].values() for step in job["steps"]]
    versions = [step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", "")]
    pyproject = (REPOSITORY / "pyproject.toml").read_text()
    assert len(versions) == 2
    assert {f'requires-python = ">={version}"' in pyproject for version in versions} == {True}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_what_github_accepts(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert form.keys() == {"name", "description", "labels", "body"}
    assert {field["type"] for field in form["body"]} <= {"textarea", "input"}
    assert all(field["attributes"]["label"] for field in form["body"])
    assert len({field["id"] for field in form["body"]}) == len(form["body"])


def test_there_is_a_form_for_bugs_and_one_for_wishes() -> None:
    assert [path.stem for path in FORMS] == ["bug_report", "feature_request"]


def test_the_citation_has_what_the_format_requires_and_the_packages_version() -> None:
    citation = read("CITATION.cff")
    assert citation.keys() >= {"cff-version", "message", "title", "authors"}
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == __version__
    assert citation["license"] == "MIT"
    authors = [author["name"] for author in citation["authors"]]
    assert all(author in (REPOSITORY / "LICENSE").read_text() for author in authors)


def test_the_changelog_begins_with_the_packages_version() -> None:
    headings = re.findall(r"^## (.*)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0].partition(" ")[0] == __version__
    released = [heading for heading in headings if not heading.endswith("(unreleased)")]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d{2}-\d{2}\)", heading) for heading in released)


# CONTRIBUTING.md


def test_its_make_targets_exist() -> None:
    named = set(re.findall(r"[`$] ?make ([a-z][a-z-]*)", CONTRIBUTING))
    assert named <= TARGETS
    assert named >= {"lint", "test", "test-fast", "chaos", "lock"}


def test_its_paths_exist() -> None:
    paths = set(re.findall(r"`([\w/.-]+\.(?:py|md|yaml|yml|toml|cff))`", CONTRIBUTING))
    paths |= set(re.findall(r"\btests/\w+\.py|\bresults/reference/[\w-]+", CONTRIBUTING))
    assert [path for path in paths if not any((root / path).exists() for root in ROOTS)] == []
    assert len(paths) > 20


def test_each_place_of_a_new_file_has_files_of_its_kind() -> None:
    places = re.findall(r"`([\w/]+)/<name>(?:/<environment>)?(\.\w+)`", CONTRIBUTING)
    assert len(places) == 6
    for directory, suffix in places:
        assert list((REPOSITORY / directory).rglob(f"*{suffix}")), directory


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("sidewinder.study.study", "Study.ask"),
        ("sidewinder.study.view", "View.suggest"),
        ("sidewinder.study.samplers", "make_sampler"),
        ("sidewinder.trials.replicates", "reporter"),
        ("sidewinder.confirmation.race", "ranking"),
        ("sidewinder.confirmation.candidates", "chosen_trials"),
        ("sidewinder.config.algorithms", "ALGORITHMS"),
        ("sidewinder.config.algorithms", "POLICY_DEFAULTS"),
        ("sidewinder.report.figures", "SWEEP_FIGURES"),
        ("sidewinder.report.figures", "WINNER_FIGURES"),
        ("sidewinder.report.figures", "PARETO_FIGURES"),
        ("sidewinder.report.figures", "COMPARISON_FIGURES"),
        ("made_up_studies", "SMALL"),
        ("small_agents", "CLASSES"),
        ("small_agents", "ENVIRONMENTS"),
    ],
)
def test_its_names_are_in_the_code(module: str, name: str) -> None:
    assert f"`{name}`" in CONTRIBUTING
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)


# workflow/


def test_a_rule_runs_the_script_of_its_name() -> None:
    rules = re.split(r"^(?=rule \w+:)", "\n".join(path.read_text() for path in SMK), flags=re.MULTILINE)
    named = {
        match[1]: {*re.findall(r"/(\w+)\.py\"", rule)} for rule in rules if (match := re.match(r"rule (\w+):", rule))
    }
    assert named == {name: {name} for name in named}
    assert len(named) > 10
    assert all((REPOSITORY / f"scripts/{name}.py").exists() for name in named)
