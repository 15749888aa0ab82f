"""Rule best: write the confirmed winner as best.yaml, which train.py runs as it is, and as tables for a paper."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config import StudyConfig
from sidewinder.confirmation import (
    Candidate,
    Estimate,
    Figures,
    figures,
    probability_of_improvement,
    read_results,
    table,
)
from sidewinder.results import Result, result_path, write_atomically


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("winner", type=Path, help="the study's confirmation/winner.yaml")
    parser.add_argument("results", type=Path, nargs="+", help="of the confirmation: <phase>/<candidate>/<index>.json")
    parser.add_argument("--output", type=Path, required=True, help="directory for best.* and confirmation.csv")
    arguments = parser.parse_args()
    with errors_in_one_line():
        config, chosen = StudyConfig.load(arguments.config), Candidate.load(arguments.winner)
        if chosen is None or chosen.trial is None:
            raise SidewinderError(f"{arguments.winner}: trial: found nothing, accepted: a trial of the sweep")
        confirmed = table(read_results(arguments.results))
        trial = Result.load(result_path(arguments.config.parent, chosen.trial))
        tested = Tested(config, chosen, confirmed)
        output = arguments.output
        write_atomically(output / "confirmation.csv", confirmed.to_csv(index=False))
        write_atomically(output / "best.md", tested.markdown())
        write_atomically(output / "best.tex", tested.latex())
        write_atomically(output / "best.yaml", best_yaml(config, trial, tested))


class Tested:
    """The winner's test figures beside those of the baselines, as data and as tables."""

    def __init__(self, config: StudyConfig, chosen: Candidate, confirmed: pd.DataFrame) -> None:
        """Compute them from the rows of confirmation.csv."""
        self.config = config
        self.chosen = chosen
        self.rows = {
            str(name): rows for name, rows in confirmed[confirmed["phase"] == "test"].groupby("candidate", sort=False)
        }
        self.figures: dict[str, Figures | None] = {name: figures(rows) for name, rows in self.rows.items()}
        self.improvement = {
            name: probability_of_improvement(self.rows["winner"], rows, config.study.direction)
            for name, rows in self.rows.items()
            if name != "winner"
        }

    @property
    def selection_gap(self) -> float | None:
        """The winner's value in the sweep minus its test mean: how lucky the sweep's best was."""
        winner = self.figures["winner"]
        return None if winner is None or self.chosen.objective is None else self.chosen.objective - winner.mean.value

    def data(self) -> dict[str, Any]:
        """For best.yaml, by candidate."""
        data: dict[str, Any] = {}
        for name, found in self.figures.items():
            data[name] = {"n_failed": len(self.rows[name])} if found is None else found.model_dump()
            if name in self.improvement:
                data[name]["probability_that_winner_is_better"] = self.improvement[name].model_dump()
        return data

    def returns(self) -> pd.DataFrame:
        """One row a candidate, as text for readers."""
        rows = []
        for name, found in self.figures.items():
            better = self.improvement.get(name)
            rows.append(
                {
                    "setting": f"tuned (trial {self.chosen.trial})" if name == "winner" else name,
                    "mean [95% CI]": _text(found.mean if found else None),
                    "median [95% CI]": _text(found.median if found else None),
                    "IQM [95% CI]": _text(found.iqm if found else None),
                    "seeds": f"{len(self.rows[name])}"
                    + (f" ({found.n_failed} failed)" if found and found.n_failed else ""),
                    "P(tuned is better)": "" if better is None else _text(better, digits=2),
                }
            )
        return pd.DataFrame(rows)

    def parameters(self) -> pd.DataFrame:
        """One row a searched parameter: range, default, tuned value, as text."""
        default = self.config.for_baseline("defaults").model_dump() if "defaults" in self.config.baselines else {}
        rows = [
            {
                "parameter": name.lstrip("+"),
                "range": str(searched),
                "default": _value(_lookup(default, name.lstrip("+"))),
                "tuned": _value(self.chosen.params.get(name)),
            }
            for name, searched in self.config.search_space.items()
        ]
        return pd.DataFrame(rows, columns=["parameter", "range", "default", "tuned"])

    def note(self) -> str:
        """How the figures came about, in a sentence or two."""
        confirmation, gap = self.config.confirmation, self.selection_gap
        luck = ""
        if gap is not None:
            more = f"{abs(gap):.1f} {'more' if gap > 0 else 'less'} than its test mean"
            luck = f" In the sweep the winner had {self.chosen.objective:.1f}: {more}."
        return (
            f"Returns of {confirmation.n_eval_episodes} episodes a seed on {confirmation.n_test_seeds} test seeds that "
            f"chose nothing; {confirmation.n_validation_seeds} other seeds chose the winner among the sweep's best "
            f"{len(self.config.candidates())} of {self.config.study.n_trials} trials.{luck}"
        )

    def markdown(self) -> str:
        """The two tables and the note, in Markdown."""
        parts = [f"# {self.config.study.name}", _markdown(self.parameters()), _markdown(self.returns()), self.note()]
        return "\n\n".join(parts) + "\n"

    def latex(self) -> str:
        """The two tables and the note, for LaTeX with booktabs."""
        parts = [_latex(self.parameters()), _latex(self.returns()), f"% {self.note()}"]
        return "\n".join(parts) + "\n"


def best_yaml(config: StudyConfig, trial: Result, tested: Tested) -> str:
    """The winner's whole training run as the sweep had it, and under `winner` what it is worth."""
    run = config.for_trial(trial.params)
    run.training.seed, run.evaluation.seed = trial.seeds["training"], trial.seeds["evaluation"]
    provenance = {
        "study": config.study.name,
        "config": config.digest(),
        "trial": trial.number,
        "overrides": [f"{name}={value}" for name, value in trial.params.items()],
        "params": trial.params,
        "objective": trial.objective,
        "selection_gap": tested.selection_gap,
        "test": tested.data(),
        "bit_exact": trial.bit_exact,
        "packages": trial.packages,
    }
    head = (
        f"# The confirmed winner of study {config.study.name}. Train it again, from the repository's root:\n"
        "#   python scripts/train.py --config-path <directory of this file> --config-name best\n"
    )
    return head + yaml.safe_dump({**run.model_dump(), "winner": provenance}, sort_keys=False, allow_unicode=True)


def _lookup(config: dict[str, Any], key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "null" if value is None else str(value)


def _text(estimate: Estimate | None, digits: int = 1) -> str:
    if estimate is None:
        return "failed"
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _markdown(frame: pd.DataFrame) -> str:
    escaped = frame.map(lambda cell: cell.replace("|", r"\|"))
    return str(escaped.to_markdown(index=False, disable_numparse=True))


def _latex(frame: pd.DataFrame) -> str:
    styler = frame.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
    return str(styler.to_latex(hrules=True))


if __name__ == "__main__":
    main()
