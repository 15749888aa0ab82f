"""A confirmed study as people read it: the tables of a paper in Markdown and LaTeX, and configs that train.py runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import yaml

from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.statistics import Estimate
from sidewinder.results import Result


def trainable(config: StudyConfig, trial: Result, provenance: Mapping[str, Any]) -> str:
    """A trial's training run as the sweep had it, as a Hydra config for train.py, and below it what is known of it.

    Of several environments it trains in the first; `environments` has all, for an override to choose from.
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
    """One row a searched parameter, as text: its range, its default, and its value in each tuned setting, by name; `-`
    where a setting does not have it."""
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
    """An estimate with its interval, for a cell of a table."""
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def from_archives(rows: pd.DataFrame) -> dict[str, int]:
    """How many trainings of trials.csv or confirmation.csv come from each archive, with the processor that they were
    trained on."""
    return {} if "archive" not in rows else {str(name): int(n) for name, n in rows["archive"].value_counts().items()}


def taken_from(archives: dict[str, int]) -> str:
    """The same in a sentence with a space before it; empty if all was trained here."""
    if not archives:
        return ""
    places = ", ".join(f"{count} from {archive}" for archive, count in archives.items())
    return f" Not trained here but taken from archives, made with the same versions of packages: {places}."


def markdown(title: str, frames: Sequence[pd.DataFrame], note: str, lead: str = "") -> str:
    """Tables of text with a title, a sentence below it if there is one to begin with, and a note, in Markdown."""
    return "\n\n".join([f"# {title}", *filter(None, [lead]), *map(markdown_table, frames), note]) + "\n"


def markdown_table(frame: pd.DataFrame) -> str:
    """One table of text in Markdown."""
    return frame.map(lambda cell: cell.replace("|", r"\|")).to_markdown(index=False, disable_numparse=True)


def latex(frames: Sequence[pd.DataFrame], note: str) -> str:
    """Tables of text with a note, for LaTeX with booktabs."""
    stylers = (
        frame.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1) for frame in frames
    )
    return "\n".join([*(styler.to_latex(hrules=True) for styler in stylers), f"% {note}"]) + "\n"


def _range(searched: Any) -> str:
    """What a parameter is searched in, and in which trials."""
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
