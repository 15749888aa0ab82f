"""The winner's figures on test seeds beside those of the baselines: for best.yaml, and as tables for a paper."""

from typing import Any

import pandas as pd

from sidewinder.config.study_config import StudyConfig
from sidewinder.confirmation.candidates import Candidate
from sidewinder.confirmation.statistics import SeedSummary, by_environment, gain, probability_of_improvement, summarize
from sidewinder.report.texts import text


class Tested:
    """The winner's test figures beside those of the baselines."""

    def __init__(self, config: StudyConfig, chosen: Candidate, confirmed: pd.DataFrame) -> None:
        """Compute them from the rows of confirmation.csv."""
        self.config = config
        self.chosen = chosen
        self.rows = {
            str(name): rows for name, rows in confirmed[confirmed["phase"] == "test"].groupby("candidate", sort=False)
        }
        self.figures = {name: summarize(rows) for name, rows in self.rows.items()}
        # Of several environments, the returns in each.
        self.in_each = {
            name: {
                environment: summarize(part.drop(columns=["environment", "score"]))
                for environment, part in by_environment(rows).items()
                if environment
            }
            for name, rows in self.rows.items()
        }
        winner, direction = self.rows["winner"], config.study.return_direction
        baselines = {name: rows for name, rows in self.rows.items() if name != "winner"}
        self.gain = {name: gain(winner, rows, direction) for name, rows in baselines.items()}
        self.improvement = {
            name: probability_of_improvement(winner, rows, direction) for name, rows in baselines.items()
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
            if self.in_each[name]:
                data[name]["environments"] = {
                    environment: own.model_dump() if own else None for environment, own in self.in_each[name].items()
                }
            if name in self.improvement:
                own = self.gain[name]
                data[name]["gain_of_winner"] = own.model_dump() if own else None
                data[name]["probability_that_winner_is_better"] = self.improvement[name].model_dump()
        return data

    def returns(self) -> pd.DataFrame:
        """One row a candidate, as text for readers; of several environments, one for the scores and one for each."""
        rows = []
        for name, found in self.figures.items():
            setting = {"setting": f"tuned (trial {self.chosen.trial})" if name == "winner" else name}
            digits = 3 if self.in_each[name] else 1
            better = {
                "gain of tuned [95% CI]": text(self.gain[name], digits) if name in self.gain else "",
                "P(tuned is better)": text(self.improvement[name], 2) if name in self.improvement else "",
            }
            if not self.in_each[name]:
                rows.append(setting | self._row(found, len(self.rows[name]), 1) | better)
                continue
            n_seeds = self.rows[name]["index"].nunique()
            rows.append(setting | {"environment": "all (score)"} | self._row(found, n_seeds, 3) | better)
            for environment, own in self.in_each[name].items():
                rows.append(setting | {"environment": environment} | self._row(own, n_seeds, 1))
        return pd.DataFrame(rows).fillna("")

    @staticmethod
    def _row(found: SeedSummary | None, n_seeds: int, digits: int) -> dict[str, str]:
        failed = f" ({found.n_failed} failed)" if found and found.n_failed else ""
        return {
            "mean [95% CI]": text(found.mean if found else None, digits),
            "median [95% CI]": text(found.median if found else None, digits),
            "IQM [95% CI]": text(found.iqm if found else None, digits),
            "seeds": f"{n_seeds}{failed}",
        }

    def note(self) -> str:
        """How the figures came about, in a sentence or two."""
        confirmation, gap = self.config.confirmation, self.selection_gap
        luck, scores, digits = "", "", 1
        if self.config.environments:
            ends = (f"{name} {scored.low:g} to {scored.high:g}" for name, scored in self.config.environments.items())
            scores, digits = f" Scores are 0 to 1 from a return of {', '.join(ends)}.", 3
        if gap is not None:
            more = f"{abs(gap):.{digits}f} {'more' if gap > 0 else 'less'} than its test mean"
            luck = f" In the sweep the winner had {self.chosen.objective:.{digits}f}: {more}."
        return (
            f"Returns of {confirmation.n_eval_episodes} episodes a seed on {confirmation.n_test_seeds} test seeds that "
            f"chose nothing; {confirmation.n_validation_seeds} other seeds chose the winner among the sweep's best "
            f"{len(self.config.candidates())} of {self.config.study.n_trials} trials.{scores}{luck}"
        )
