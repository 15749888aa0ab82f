"""Texts of a confirmed study: tables for a paper in Markdown and LaTeX, and configs that train.py runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import yaml

from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.statistics import Estimate
from sidewinder.results import Result


def trainable(config: StudyConfig, trial: Result, provenance: Mapping[str, Any]) -> str:
    """Return a trial's training run, as in the sweep, as a Hydra config for train.py.

    With several environments, the config trains in the first one. Its section `environments` has all of them, so an
    override can choose another.

    Args:
        config: The study's config.
        trial: The trial's result.
        provenance: More entries for the config's section `winner`, such as the verdict.
    """
    first, *others = config.environment_names()
    run = config.for_trial(trial.params, first)
    run.training.seed, run.evaluation.seed = trial.seeds["training"], trial.seeds["evaluation"]
    content = run.model_dump()
    command = "#   python scripts/train.py --config-path <directory of this file> --config-name <its name>\n"
    if first is not None:
        content["environment"] = f"${{environments.{first}}}"
        content["environments"] = {
            name: config.for_trial(trial.params, name).environment.model_dump() for name in config.environments
        }
        command += "".join(f"# and in another environment with 'environment=${{environments.{o}}}'\n" for o in others)
    head = (
        f"# Trial {trial.number} of study {config.study.name}. Train it again, from the repository's root:\n{command}"
    )
    content["winner"] = {
        "study": config.study.name,
        "config": config.digest(),
        "trial": trial.number,
        "overrides": [f"{name}={value}" for name, value in trial.params.items()],
        "params": trial.params,
        "objective": trial.objective,
        **provenance,
        "bit_exact": trial.bit_exact,
        "packages": trial.packages,
        **({"sources": trial.sources} if trial.sources else {}),
    }
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def parameters(config: StudyConfig, tuned: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return a table with a row for each searched parameter, as text: its range, its default and its tuned values.

    Args:
        config: The study's config.
        tuned: The parameters of each tuned setting, by the setting's name, which heads its column. A parameter that a
            setting does not have is shown as `-`.
    """
    default = config.for_baseline("defaults").model_dump() if "defaults" in config.baselines else {}
    rows = [
        {
            "parameter": name.lstrip("+"),
            "range": _range(searched),
            "default": _value(_lookup(default, name.lstrip("+"))),
            **{setting: _value(params[name]) if name in params else "-" for setting, params in tuned.items()},
        }
        for name, searched in config.search_space.items()
    ]
    return pd.DataFrame(rows, columns=["parameter", "range", "default", *tuned])


def text(estimate: Estimate, digits: int = 1) -> str:
    """Return an estimate with its interval, for a cell of a table."""
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def from_archives(rows: pd.DataFrame) -> dict[str, int]:
    """Count the trainings in trials.csv or confirmation.csv that come from each archive.

    The key is the value of the column `archive`: the archive, with the processor that the trainings ran on.
    """
    return {} if "archive" not in rows else {str(name): int(n) for name, n in rows["archive"].value_counts().items()}


def taken_from(archives: dict[str, int]) -> str:
    """Return the counts of `from_archives` as a sentence that begins with a space; empty if all was trained here."""
    if not archives:
        return ""
    places = ", ".join(f"{count} from {archive}" for archive, count in archives.items())
    return f" Not trained here but taken from archives, made with the same versions of packages: {places}."


def markdown(title: str, frames: Sequence[pd.DataFrame], note: str, lead: str = "") -> str:
    """Return tables in Markdown: a title, a first sentence `lead` if there is one, the tables, and a note."""
    return "\n\n".join([f"# {title}", *filter(None, [lead]), *map(markdown_table, frames), note]) + "\n"


def markdown_table(frame: pd.DataFrame) -> str:
    """Return one table of text in Markdown."""
    return frame.map(lambda cell: cell.replace("|", r"\|")).to_markdown(index=False, disable_numparse=True)


def latex(frames: Sequence[pd.DataFrame], note: str) -> str:
    """Return tables of text for LaTeX with the package booktabs. The note is a comment below them."""
    stylers = (
        frame.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1) for frame in frames
    )
    return "\n".join([*(styler.to_latex(hrules=True) for styler in stylers), f"% {note}"]) + "\n"


def _range(searched: Any) -> str:
    """Return a parameter's range, and for a conditional parameter the condition."""
    if not isinstance(searched, Mapping):
        return str(searched)
    when = " and ".join(f"{other} is {' or '.join(map(_value, values))}" for other, values in searched["when"].items())
    return f"{searched['space']} where {when}"


def _lookup(config: dict[str, Any], key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "null" if value is None else str(value)
