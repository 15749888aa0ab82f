"""What an episode, a training or a study is measured by, in words. Names are those of `evaluation.metric` and
`study.objectives`."""

from typing import Any

# Of an episode: its undiscounted return, whether it was a success, its steps, or a number of its last info.
METRIC = r"return|success_rate|length|info:.+"
_WORDS = {
    "return": "return",
    "success_rate": "success rate",
    "length": "episode length",
    "steps_per_second": "training steps per second",
}
_DIGITS = {"return": 1, "length": 1, "spread": 1, "steps_per_second": 0}


def in_words(name: str) -> str:
    """A metric or an objective, for readers."""
    return _WORDS.get(name, name.removeprefix("info:"))


def digits_of(name: str, *, scored: bool) -> int:
    """How many digits behind the point it is shown with; `scored` where it is a score, from 0 to 1."""
    return 3 if scored and name != "steps_per_second" else _DIGITS.get(name, 3)


def moment_in_words(objective: Any) -> str:
    """Of which evaluations a training's worth is the mean, as `evaluation.objective` says, for readers."""
    if isinstance(objective, dict):
        return f"last {objective['mean_of_last']}"
    return "area under the curve of the" if objective == "auc" else str(objective)
