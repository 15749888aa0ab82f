"""The verdict of a confirmed study: what it recommends, and how surely."""

from collections.abc import Mapping

from pydantic import BaseModel

from sidewinder.confirmation.comparisons import Comparison
from sidewinder.confirmation.statistics import Estimate
from sidewinder.report.texts import text

_NAMES = {"defaults": "the defaults", "zoo": "RL Zoo's setting"}


class Verdict(BaseModel):
    """The recommended setting, and why.

    Attributes:
        recommended: `tuned`, or the name of a baseline.
        sentence: The recommendation, with the differences to the other settings and how sure they are.
    """

    recommended: str
    sentence: str


def verdict(
    trial: int,
    own: Estimate | None,
    failures: Mapping[str, str],
    comparisons: Mapping[str, Comparison | None],
    digits: int,
    first: str = "",
) -> Verdict:
    """Judge the winner of the sweep by the race and by its test returns.

    The tuned setting is recommended, with three exceptions. If a baseline has at least as good a mean on the test
    seeds, the baseline with the best mean is recommended. If a baseline came first in the race, and the tuned setting
    is not surely better on the test seeds, that baseline is recommended. If trainings of the tuned setting failed, the
    first baseline without failures is recommended, where there is one.

    Args:
        trial: The winner's number.
        own: The winner's mean test return; None if it has none.
        failures: How many trainings failed, in words, for each setting with failures; by name, `winner` or a baseline.
        comparisons: The winner's comparison with each baseline, by name; None where trainings failed.
        digits: Digits behind the decimal point of returns.
        first: The baseline that came first in the race; empty if the tuned setting came first.
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

    too_few = ""
    if few := next((found for found in known.values() if found.n_seeds < found.fewest), None):
        too_few = f" With {few.n_seeds} test seeds nothing is sure: {few.fewest} at least are needed."
    best = min(known, key=lambda name: known[name].gain.value)
    if known[best].gain.value > 0:
        # No baseline has as good a mean. The one that came first in the race may still be recommended.
        best = first if first in known and not known[first].sure else ""
    if best and known[best].sure:
        sentence = f"Use {_NAMES[best]}: {tuned} is worse, by {_amount(known[best], digits)}.{unknown}"
        return Verdict(recommended=best, sentence=sentence)
    if best:
        why = ", which came first in the race" if known[best].gain.value > 0 else ""
        others = [name for name in known if name != best]
        more = "".join(f" {tuned.capitalize()} {_seen(name, known[name], digits)}." for name in others)
        seen = f"on test seeds {tuned} {_seen(best, known[best], digits)}.{more}"
        sentence = f"Use {_NAMES[best]}{why}: {seen}{too_few}{unknown}"
        return Verdict(recommended=best, sentence=sentence)
    gains = "; and it ".join(_seen(name, found, digits) for name, found in known.items())
    return Verdict(recommended="tuned", sentence=f"Use {tuned}: it {gains}.{too_few}{unknown}")


def _amount(found: Comparison, digits: int) -> str:
    """Return the size of a difference, without its sign, with its interval and its p-value."""
    sign = -1 if found.gain.value < 0 else 1
    low, high = sorted((sign * found.gain.low, sign * found.gain.high))
    amount = Estimate(value=sign * found.gain.value, low=low, high=high)
    return f"{text(amount, digits)} (p = {found.p_value:.2g})"


def _seen(name: str, found: Comparison, digits: int) -> str:
    """Return how the tuned setting compares with a baseline, as a predicate: `is better than the defaults by ...`."""
    if found.gain.low == found.gain.high == 0:
        return f"has the same results as {_NAMES[name]}, seed by seed"
    way = "worse" if found.gain.value < 0 else "better"
    seen = f"is {way} than {_NAMES[name]} by {_amount(found, digits)}"
    if found.sure:
        return seen
    seen += ", which may be luck"
    if found.n_seeds < found.fewest:
        return seen
    more = f"about {found.needed:,}" if found.needed else "more than 10,000"
    return (
        f"{seen} (a difference of {found.detectable:.{digits}f} would have been found with 80 % probability; to find "
        f"one as small as this takes {more} seeds)"
    )
