"""Helpers of other benchmarks: write a config with studies, and run the workflow on it."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def write_studies(directory: Path, studies: dict[str, list[str]]) -> None:
    """Make the directory, and write a config.yaml with these studies and their overrides."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump({"studies": studies}))


def snakemake(directory: Path, cores: int, *targets: str) -> list[str]:
    """Return the command that makes these files in a directory written by `write_studies`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow/Snakefile"), "--quiet", "all"]
    command += ["--directory", str(directory), "--configfile", str(directory / "config.yaml")]
    return [*command, "--cores", str(cores), "--", *targets]


def winner_returns(directory: Path, cores: int, study: str, n_seeds: int) -> list[float]:
    """Make the missing test results of a study's winner, and return its mean return on each of these test seeds."""
    files = [f"results/{study}/confirmation/test/winner/{index}.json" for index in range(n_seeds)]
    subprocess.run(snakemake(directory, cores, *files), check=True)
    runs = [json.loads((directory / file).read_text())["run"] for file in files]
    return [statistics.mean(run["returns"]) for run in runs]
