"""The winner's test results beside the baselines' results: for best.yaml, and as tables for a paper."""

from typing import Any

import pandas as pd

from sidewinder.config.metrics import digits_of, in_words
from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate
from sidewinder.confirmation.comparisons import compare
from sidewinder.confirmation.race import last_two
from sidewinder.confirmation.statistics import (
    Estimate,
    by_environment,
    failed,
    n_failed,
    probability_of_improvement,
    summarize,
)
from sidewinder.report.texts import from_archives, taken_from, text
from sidewinder.report.verdict import Verdict, verdict

_HOW_COMPARED = (
    " Settings share their seeds: gains are means of differences seed by seed, p is of a permutation test of these, "
    "adjusted by Holm's method for several baselines."
)


class Tested:
    """The winner's test results beside the baselines' results."""

    def __init__(self, config: StudyConfig, chosen: Candidate, confirmed: pd.DataFrame) -> None:
        """Compare the winner with the baselines.

        Args:
            config: The study's config.
            chosen: The winner.
            confirmed: Rows of confirmation.csv.
        """
        self.config = config
        self.chosen = chosen
        self.rows = {
            str(name): rows for name, rows in confirmed[confirmed["phase"] == "test"].groupby("candidate", sort=False)
        }
        self.validated = validated = confirmed[confirmed["phase"] == "validation"]
        self.names = {
            str(name): str(name) if pd.isna(trial) else f"trial {int(trial)}"
            for name, trial in zip(confirmed["candidate"], confirmed["trial"], strict=True)
        }
        self.failed_in_validation = {
            self.names[str(name)]: text
            for name, rows in validated.groupby("candidate", sort=False)
            if (text := failed(rows))
        }
        self.race = last_two(validated, config.study.return_direction) if len(validated) else None
        self.archives = from_archives(confirmed)
        winner, direction = self.rows["winner"], config.study.return_direction
        self.baselines = {name: rows for name, rows in self.rows.items() if name != "winner"}
        self.comparisons = compare(winner, self.baselines, direction)
        self.improvement = {
            name: probability_of_improvement(winner, rows, direction) for name, rows in self.baselines.items()
        }

    @property
    def selection_gap(self) -> float | None:
        """The winner's objective in the sweep minus its test mean.

        None if trainings of the winner failed, as the mean of the others would be too good, and for the objective
        `auc`.
        """
        winner = summarize(self.rows["winner"])
        if winner is None or winner.n_failed or self.chosen.objective is None:
            return None
        if self.config.evaluation.get("objective") == "auc":
            return None  # an area is no mean at one moment
        return self.chosen.objective - winner.mean.value

    def data(self) -> dict[str, Any]:
        """Return the test results of each candidate, for best.yaml."""
        data: dict[str, Any] = {}
        for name, rows in self.rows.items():
            data[name] = _data(rows)
            if in_each := _in_each(rows):
                data[name]["environments"] = {environment: _data(part) for environment, part in in_each.items()}
            if name in self.baselines:
                found, better = self.comparisons[name], self.improvement[name]
                data[name]["gain_of_winner"] = found.gain.model_dump() if found else None
                if found:
                    data[name] |= {"p_value": found.p_value, "detectable": found.detectable, "needed": found.needed}
                data[name]["probability_that_winner_is_better"] = better.model_dump() if better else None
        return data

    def returns(self) -> pd.DataFrame:
        """Return a table with a row for each candidate, as text.

        With several environments, a candidate has a row for its scores and a row for each environment.
        """
        rows: list[dict[str, str]] = []
        digits = digits_of(self.config.study.objectives[0], scored=False)
        for name, own in self.rows.items():
            setting = {"setting": f"tuned (trial {self.chosen.trial})" if name == "winner" else name}
            in_each = _in_each(own)
            if not in_each:
                rows.append(setting | _row(own, digits) | self._better(name, digits))
                continue
            rows.append(setting | {"environment": "all (score)"} | _row(own, 3) | self._better(name, 3))
            rows += [
                setting | {"environment": environment} | _row(part, digits) for environment, part in in_each.items()
            ]
        return pd.DataFrame(rows).fillna("")

    def _better(self, name: str, digits: int) -> dict[str, str]:
        """Return cells that compare the winner with a baseline; without baselines there are no such columns."""
        if not self.baselines:
            return {}
        found, better = self.comparisons.get(name), self.improvement.get(name)
        lacking = "not compared" if name in self.baselines else ""
        return {
            "gain of tuned [95% CI]": text(found.gain, digits) if found else lacking,
            "p": f"{found.p_value:.2g}" if found else lacking,
            "P(tuned is better)": text(better, 2) if better else lacking,
        }

    def verdict(self) -> Verdict:
        """Return what to use, and how surely."""
        assert self.chosen.trial is not None
        winner = summarize(self.rows["winner"])
        failures = {name: text for name, rows in self.rows.items() if (text := failed(rows))}
        own = winner.mean if winner else None
        first = self.race.first if self.race and self.race.first in self.baselines else ""
        return verdict(self.chosen.trial, own, failures, self.comparisons, self._digits, first)

    @property
    def _digits(self) -> int:
        """Digits behind the decimal point of the compared values."""
        return digits_of(self.config.study.objectives[0], scored=bool(self.config.environments))

    def note(self) -> str:
        """Return the note below the tables: how the values were measured."""
        confirmation, gap, digits = self.config.confirmation, self.selection_gap, self._digits
        luck, scores, metric = "", "", in_words(self.config.study.objectives[0])
        if self.config.environments:
            ends = (f"{name} {scored.low:g} to {scored.high:g}" for name, scored in self.config.environments.items())
            scores = f" Scores are 0 to 1 from a {metric} of {', '.join(ends)}."
        if gap is not None:
            more = f"{abs(gap):.{digits}f} {'more' if gap > 0 else 'less'} than its test mean"
            luck = f" In the sweep the winner had {self.chosen.objective:.{digits}f}: {more}."
        what = "Returns" if metric == "return" else metric.capitalize()
        return (
            f"{what} of {confirmation.n_eval_episodes} episodes a seed on {confirmation.n_test_seeds} test seeds that "
            f"chose nothing. {self._how_chosen()}{scores}{luck}{self._failures()}"
            f"{_HOW_COMPARED if any(self.comparisons.values()) else ''}"
            f"{taken_from(self.archives)}"
        )

    def _how_chosen(self) -> str:
        """Return how the race went, in sentences."""
        (_, seeds), *rounds = self.config.race()

        def there(of: range) -> list[str]:
            return list(self.validated.loc[self.validated["index"].isin(of), "candidate"].unique())

        tuned = [name for name in there(seeds) if name not in self.config.baselines]
        n_tuned, n_trials = len(tuned), self.config.study.n_trials
        beside = [name for name in there(seeds) if name in self.config.baselines]
        baselines = f" and {', '.join(beside)}" if beside else ""
        further = "".join(f", the best {len(there(more))} on {len(more)} more" for _, more in rounds if there(more))
        others = "another seed" if len(seeds) == 1 else f"{len(seeds)} other seeds"
        sentence = f"The race before: of {n_trials} trials the best {n_tuned}{baselines} on {others}{further}."
        if not self.race:
            return sentence
        order = f"{self.names[self.race.first]} before {self.names[self.race.second]}"
        if not self.race.gain:
            return f"{sentence} It ended with {order}."
        by = f"by {text(self.race.gain, self._digits)} on the {self.race.n_seeds} seeds that both had"
        tie = "; a tie, which the better mean decided" if self.race.tied else ""
        return f"{sentence} It ended with {order}, {by}{tie}."

    def _failures(self) -> str:
        """Return which trainings failed in either phase, in sentences; empty if none failed."""
        names = {name: "tuned" if name == "winner" else name for name in self.rows}
        tested = ", ".join(f"{names[name]} {text}" for name, rows in self.rows.items() if (text := failed(rows)))
        validated = ", ".join(f"{name} {text}" for name, text in self.failed_in_validation.items())
        sentences = []
        if tested:
            sentences.append(
                f" Trainings failed on test seeds: {tested}. These have no value: the figures are of the others, and "
                "settings are compared only where none failed."
            )
        if validated:
            sentences.append(f" Trainings failed on validation seeds: {validated}.")
        return "".join(sentences)


def _in_each(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of each environment, by its name; empty for a study with one unnamed environment."""
    parts = {environment: part for environment, part in by_environment(rows).items() if environment}
    return {environment: part.drop(columns=["environment", "score"]) for environment, part in parts.items()}


def _data(rows: pd.DataFrame) -> dict[str, Any]:
    found = summarize(rows)
    figures = found.model_dump() if found else {"n_seeds": rows["index"].nunique(), "n_failed": n_failed(rows)}
    return figures | ({"failed": failed(rows)} if failed(rows) else {})


def _row(rows: pd.DataFrame, digits: int) -> dict[str, str]:
    found, n_seeds = summarize(rows), f"{rows['index'].nunique()}"

    def cell(estimate: Estimate | None) -> str:
        return text(estimate, digits) if estimate else failed(rows)

    return {
        "mean [95% CI]": cell(found.mean if found else None),
        "median [95% CI]": cell(found.median if found else None),
        "IQM [95% CI]": cell(found.iqm if found else None),
        "seeds": f"{n_seeds} ({failed(rows)})" if failed(rows) else n_seeds,
    }
