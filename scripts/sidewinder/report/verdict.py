"""What a confirmed study recommends, in a sentence that says how surely."""

from collections.abc import Mapping

from pydantic import BaseModel

from sidewinder.confirmation.comparisons import Comparison
from sidewinder.confirmation.statistics import Estimate
from sidewinder.report.texts import text

_NAMES = {"defaults": "the defaults", "zoo": "RL Zoo's setting"}


class Verdict(BaseModel):
    """What to use.

    Attributes:
        recommended: `tuned`, or the name of a baseline.
        sentence: What is recommended, better than what by how much, and how surely.
    """

    recommended: str
    sentence: str


def verdict(
    trial: int,
    own: Estimate | None,
    failures: Mapping[str, str],
    comparisons: Mapping[str, Comparison | None],
    digits: int,
) -> Verdict:
    """Judge the winner of a sweep by its test seeds.

    A baseline that is surely better is recommended, or the first that never failed where the winner did. Else it is the
    tuned setting, if it is surely better than the defaults, or than all that it is compared with where the defaults are
    not among them. Else nothing is surely better, and the first baseline is recommended: it does no harm.

    Args:
        trial: The winner's number.
        own: Its mean test return.
        failures: Of `winner` and baselines of which trainings failed: in how many of how many, in words.
        comparisons: With each baseline, by name; None where trainings failed.
        digits: Of returns, behind the point.
    """
    tuned = f"trial {trial}"
    known = {name: found for name, found in comparisons.items() if found}
    failed = ", ".join(_NAMES[name] for name in comparisons if name not in known)
    unknown = f" It cannot be compared with {failed}: trainings failed." if failed else ""
    steady = next((name for name in comparisons if name not in failures), None)
    if "winner" in failures and steady:
        sentence = f"Use {_NAMES[steady]}: {tuned} {failures['winner']} trainings on test seeds."
        return Verdict(recommended=steady, sentence=sentence)
    if "winner" in failures:
        sentence = f"{tuned.capitalize()} {failures['winner']} trainings on test seeds.{unknown}"
        return Verdict(recommended="tuned", sentence=sentence)
    if not known:
        mean = f" has {text(own, digits)} on test seeds." if own else ""
        compared = unknown or " It was compared with nothing."
        return Verdict(recommended="tuned", sentence=f"{tuned.capitalize()}{mean}{compared}")

    better = {name: found for name, found in known.items() if found.sure and found.gain.value > 0}
    worse = {name: found for name, found in known.items() if found.sure and found.gain.value < 0}
    unsure = {name: found for name, found in known.items() if not found.sure}
    open_questions = "".join(f" {_open(tuned, name, found, digits)}" for name, found in unsure.items())
    if few := next((found for found in known.values() if found.n_seeds < found.fewest), None):
        open_questions += f" With {few.n_seeds} test seeds nothing is sure: {few.fewest} at least are needed."
    if worse:
        name = min(worse, key=lambda name: worse[name].gain.value)
        loss = _amount(worse[name], digits)
        return Verdict(recommended=name, sentence=f"Use {_NAMES[name]}: {tuned} is worse, by {loss}.{unknown}")
    if "defaults" in better or len(better) == len(known):
        gains = " and ".join(f"better than {_NAMES[name]} by {_amount(known[name], digits)}" for name in better)
        return Verdict(recommended="tuned", sentence=f"Use {tuned}: it is {gains}.{open_questions}{unknown}")
    name = next(iter(unsure))
    sentence = f"Nothing surely better than {_NAMES[name]} was found.{open_questions}{unknown}"
    return Verdict(recommended=name, sentence=sentence)


def _amount(found: Comparison, digits: int) -> str:
    """How large a difference is, whichever of the two is better, and how surely it is one."""
    sign = -1 if found.gain.value < 0 else 1
    low, high = sorted((sign * found.gain.low, sign * found.gain.high))
    amount = Estimate(value=sign * found.gain.value, low=low, high=high)
    return f"{text(amount, digits)} (p = {found.p_value:.2g})"


def _open(tuned: str, name: str, found: Comparison, digits: int) -> str:
    """What is known of a difference that may be luck."""
    if found.gain.low == found.gain.high == 0:
        return f"{tuned.capitalize()} and {_NAMES[name]} have the same returns on all test seeds."
    way = "worse" if found.gain.value < 0 else "better"
    seen = f"{tuned.capitalize()} is {way} than {_NAMES[name]} by {_amount(found, digits)}, which may be luck"
    if found.n_seeds < found.fewest:
        return f"{seen}."
    more = f"about {found.needed:,}" if found.needed else "more than 10,000"
    return (
        f"{seen}; a difference of {found.detectable:.{digits}f} would have been found with 80 % probability, and to "
        f"find one as small as this takes {more} seeds."
    )
