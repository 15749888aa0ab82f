"""Readable names and number formats of the metrics in `evaluation.metric` and the objectives in `study.objectives`."""

from typing import Any

# Metrics of an episode: its undiscounted return, whether it was a success, its steps, or a number in its last info.
METRIC = r"return|success_rate|length|info:.+"
_WORDS = {
    "return": "return",
    "success_rate": "success rate",
    "length": "episode length",
    "steps_per_second": "training steps per second",
}
_DIGITS = {"return": 1, "length": 1, "spread": 1, "steps_per_second": 0}


def in_words(name: str) -> str:
    """Readable name of a metric or an objective."""
    return _WORDS.get(name, name.removeprefix("info:"))


def digits_of(name: str, *, scored: bool) -> int:
    """Number of decimals to show a metric or an objective with. `scored`: it is a score, usually from 0 to 1."""
    return 3 if scored and name != "steps_per_second" else _DIGITS.get(name, 3)


def moment_in_words(objective: Any) -> str:
    """Readable form of `evaluation.objective`: which evaluations a training is judged by."""
    if isinstance(objective, dict):
        return f"last {objective['mean_of_last']}"
    return "area under the curve of the" if objective == "auc" else str(objective)
