"""The summary in the terminal at the end of a run."""

from io import StringIO
from pathlib import Path

import yaml
from rich.console import Console

from sidewinder.report.terminal import print_summary


def study(directory: Path, states: list[str], best: object = None) -> Path:
    directory.mkdir()
    rows = "".join(f"{number},{state}\n" for number, state in enumerate(states))
    (directory / "trials.csv").write_text(f"number,state\n{rows}")
    if best:
        (directory / "best.yaml").write_text(yaml.safe_dump({"winner": best}))
    return directory


def test_a_row_a_study_that_is_made(tmp_path: Path) -> None:
    def figure(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 2, "high": value + 2}

    tests = {
        "winner": {"mean": figure(-140.0)},
        "defaults": {"mean": figure(-150.5), "gain_of_winner": figure(10.5)},
    }
    one = study(
        tmp_path / "one",
        ["complete", "pruned", "complete", "failed"],
        {"trial": 2, "test": tests, "verdict": "Use [it]."},
    )
    worse = {
        "winner": {"mean": figure(0.5), "failed": "failed in 3 of 10"},
        "defaults": {"n_failed": 10, "failed": "failed in 10 of 10", "gain_of_winner": None},
    }
    unsteady = {"trial 0": "failed in 1 of 3", 5: "failed in 2 of 3"}
    failed = study(tmp_path / "failed", ["complete"], {"trial": 0, "test": worse, "failed_in_validation": unsteady})
    several = study(tmp_path / "several", ["complete"])
    (several / "pareto.md").touch()
    swept = study(tmp_path / "swept", ["pruned"])
    (tmp_path / "not_yet").mkdir()
    console = Console(file=StringIO(), width=400)
    print_summary([one, failed, several, swept, tmp_path / "not_yet"], console)
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[-1] == "one: Use [it]."
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert cells == [
        [
            f"{one}/",
            "trial 2: -140.0 [-142.0, -138.0]",
            "-150.5 [-152.5, -148.5]",
            "10.5 [8.5, 12.5]",
            "2 complete, 1 pruned, 1 failed",
        ],
        [
            f"{failed}/",
            "trial 0: 0.500 [-1.500, 2.500], failed in 3 of 10, failed in 1 of 3 in validation",
            "failed in 10 of 10",
            "not compared",
            "1 complete",
        ],
        [f"{several}/", "see pareto.md", "-", "-", "1 complete"],
        [f"{swept}/", "not confirmed yet", "-", "-", "1 pruned"],
    ]
