"""Rule pages: write a study's summary and the table of its trials as pages of Snakemake's report.

The summary says what won, by how much and how surely, what it cost, and how to run it again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from sidewinder import errors_in_one_line
from sidewinder.config.schema import StudyConfig
from sidewinder.confirmation.candidates import read_table
from sidewinder.report.pages import searchable, summary
from sidewinder.results import write_atomically
from sidewinder.trials.tables import read_timings, read_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("tables", type=Path, help="directory of the study's tables: best.md or pareto.md, and others")
    parser.add_argument("--overrides", nargs="*", default=[], help="what configs/config.yaml says of the study")
    parser.add_argument("--output", type=Path, required=True, help="directory for summary.html and trials.html")
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, tables = StudyConfig.load(arguments.config), arguments.tables
        best = tables / "best.yaml"
        winner = yaml.safe_load(best.read_text())["winner"] if best.exists() else None
        table = (tables / ("best.md" if winner else "pareto.md")).read_text()
        trials = read_trials(tables / "trials.csv")
        texts = [table, cost(config, tables, trials), again(config.study.name, arguments.overrides, winner)]
        files = {path.name: path.read_text() for path in (best, arguments.config) if path.exists()}
        write_atomically(arguments.output / "summary.html", summary(config.study.name, texts, files))
        write_atomically(arguments.output / "trials.html", searchable(config.study.name, trials))


def cost(config: StudyConfig, tables: Path, trials: pd.DataFrame) -> str:
    """What the study took, in Markdown."""
    timings = read_timings(tables / "timings.csv")
    confirmed = read_table(tables / "confirmation.csv")
    states = ", ".join(f"{count} {state}" for state, count in trials["state"].value_counts().items())
    steps = (trials["steps"].sum(), len(confirmed) * config.training["total_timesteps"])
    minutes = timings["seconds"].sum() / 60
    rows = pd.DataFrame(
        {
            "": ["sweep", "confirmation"],
            "trainings": [f"{len(trials)} ({states})", str(len(confirmed))],
            "environment steps": [f"{number:,.0f}" for number in steps],
            "training time": [f"{minutes:.1f} minutes of a core", "in the report of the run itself, under Statistics"],
        }
    )
    return f"## What it cost\n\n{rows.to_markdown(index=False, disable_numparse=True)}"


def again(study: str, overrides: Sequence[str], winner: dict[str, Any] | None) -> str:
    """How to run the study and its winner again, in Markdown."""
    entry = yaml.safe_dump({"studies": {study: list(overrides)}}, default_flow_style=None, width=1000, sort_keys=False)
    text = f"## How to run it again\n\nIn `configs/config.yaml`, for `snakemake --cores 8`:\n\n```yaml\n{entry}```\n"
    if winner:
        packages = ", ".join(f"{name} {version}" for name, version in winner["packages"].items())
        text += (
            "\nThe winner alone, with `best.yaml` of below in the directory `winner`:\n\n"
            "```\npython scripts/train.py --config-path $PWD/winner --config-name best\n```\n\n"
            f"Made with {packages}. The same versions on the same kind of processor give the same bytes."
        )
    return text


if __name__ == "__main__":
    main()
