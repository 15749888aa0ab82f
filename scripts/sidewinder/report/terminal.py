"""The summary that a finished run prints: what each study recommends, by how much that is better, and where it is."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from sidewinder.trials.tables import read_trials

_STATES = ("complete", "pruned", "failed")


def print_summary(studies: Iterable[Path], console: Console | None = None) -> None:
    """Print a table with a row for each study, and below it the verdicts.

    A row has the winner's returns. For several objectives it names the file of the Pareto set.

    Args:
        studies: Directories of studies. A study without trials.csv is left out.
        console: The console to print to (default: standard error, as Snakemake does).
    """
    studies = [study for study in studies if (study / "trials.csv").exists()]
    rows = [_row(study) for study in studies]
    if not rows:
        return
    table = Table()
    for name in rows[0]:
        table.add_column(name, overflow="fold", no_wrap=name == "study")
    for row in rows:
        table.add_row(*row.values())
    console = console or Console(stderr=True)
    console.print(table)
    for study in studies:
        if sentence := _winner(study).get("verdict"):
            console.print(f"{study.name}: {sentence}", markup=False, highlight=False)


def _row(study: Path) -> dict[str, str]:
    states = read_trials(study / "trials.csv")["state"].value_counts()
    found, tests = "not confirmed yet", {}
    if winner := _winner(study):
        tests = winner["test"]
        found = f"trial {winner['trial']}: {_tested(tests['winner'])}"
        if failed := winner.get("failed_in_validation", {}).get(f"trial {winner['trial']}"):
            found += f", {failed} in validation"
    elif (study / "pareto.md").exists():
        found = "see pareto.md"
    defaults = tests.get("defaults", {})
    return {
        "study": f"{study}/",
        "best": found,
        "defaults": _tested(defaults),
        "gain": _interval(defaults, "gain_of_winner") or ("not compared" if defaults else "-"),
        "trials": ", ".join(f"{states[state]} {state}" for state in _STATES if state in states),
    }


def _winner(study: Path) -> dict[str, Any]:
    """Return the section `winner` of best.yaml; an empty one if there is no best.yaml."""
    best = study / "best.yaml"
    winner: dict[str, Any] = yaml.safe_load(best.read_text())["winner"] if best.exists() else {}
    return winner


def _tested(figures: dict[str, Any]) -> str:
    """Return the mean return and how many trainings failed, as text; `-` for a setting that was not tested."""
    return ", ".join(filter(None, [_interval(figures, "mean"), figures.get("failed")])) or "-"


def _interval(figures: dict[str, Any], name: str) -> str:
    """Return an estimate with its 95 % interval, as text; empty if there is none of this name."""
    if not (found := figures.get(name)):
        return ""
    digits = 1 if abs(found["value"]) >= 10 else 3
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"
