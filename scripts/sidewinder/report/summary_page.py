"""Texts of a study's summary page: what the study cost, and how to run it again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.results import read_table
from sidewinder.confirmation.statistics import n_failed
from sidewinder.report.texts import from_archives, taken_from
from sidewinder.trials.tables import read_timings


def cost(config: StudyConfig, tables: Path, trials: pd.DataFrame) -> str:
    """Return the trainings, the environment steps and the time that the study took, in Markdown.

    Args:
        config: The study's config.
        tables: The directory of timings.csv and confirmation.csv.
        trials: Rows of trials.csv.
    """
    timings = read_timings(tables / "timings.csv")
    confirmed = read_table(tables / "confirmation.csv")
    lost = f" ({n_failed(confirmed)} failed)" if n_failed(confirmed) else ""
    states = ", ".join(f"{count} {state}" for state, count in trials["state"].value_counts().items())
    steps = (trials["steps"].sum(), len(confirmed) * config.training["total_timesteps"])
    minutes = timings["seconds"].sum() / 60
    rows = pd.DataFrame(
        {
            "": ["sweep", "confirmation"],
            "trainings": [f"{len(trials)} ({states})", f"{len(confirmed)}{lost}"],
            "environment steps": [f"{number:,.0f}" for number in steps],
            "training time": [f"{minutes:.1f} minutes of a core", "in the report of the run itself, under Statistics"],
        }
    )
    table = rows.to_markdown(index=False, disable_numparse=True)
    return f"## What it cost\n\n{table}\n\n{taken_from(from_archives(trials))}".rstrip()


def again(study: str, overrides: Sequence[str], winner: dict[str, Any] | None) -> str:
    """Return how to run the study and its winner again, in Markdown.

    Args:
        study: The study's name.
        overrides: The study's overrides in config/config.yaml.
        winner: The section `winner` of best.yaml; None for a study with several objectives.
    """
    entry = yaml.safe_dump({"studies": {study: list(overrides)}}, default_flow_style=None, width=1000, sort_keys=False)
    text = f"## How to run it again\n\nIn `config/config.yaml`, for `snakemake --cores 8`:\n\n```yaml\n{entry}```\n"
    if winner:
        packages = ", ".join(f"{name} {version}" for name, version in winner["packages"].items())
        text += (
            "\nThe winner alone. First save `best.yaml`, which is below, in a directory `winner`:\n\n"
            "```\npython scripts/train.py --config-path $PWD/winner --config-name best\n```\n\n"
            f"Made with {packages}. The same versions on the same kind of processor give the same bytes."
        )
    return text
