"""Which results a trial may see, as pure functions of what execution cannot change. The DAG and the study follow them.

Two schedules. `window`: a trial sees all but the last few before it. `virtual`: trials are replayed in order of number
on so many virtual workers, whose clock counts work done; a trial sees those that have ended by its virtual start.
"""

import heapq
from collections.abc import Sequence


def window_view(number: int, window: int) -> range:
    """Trials whose results trial `number` is suggested from: all but the last `window - 1` before it.

    The others before it are in flight: known by their parameters only, whatever has really finished by then.
    """
    return range(max(0, number - window + 1))


def awaited(number: int, window: int) -> range:
    """The part of the window's view that trial `number` waits for itself; the rest is awaited by those (N * window
    edges)."""
    seen = window_view(number, window)
    return range(max(0, len(seen) - window), len(seen))


def virtual_view(work: Sequence[int], workers: int) -> list[int]:
    """Trials whose results the next trial is suggested from: those that have ended when it starts.

    Each trial starts, in order of number, on the virtual worker that is free first. Of trials that end at one moment,
    those of lower number end first, so that where all cost the same this is the window's view.

    Args:
        work: Of all trials before it, in order of number. Of one that still runs, what it will have done at the next
            moment at which it might end: the view is right as soon as all trials in it have ended, for what has decided
            it is in it.
        workers: How many virtual workers there are.
    """
    # When each worker is free, and the trial that it is free from.
    free = [(0, -1)] * workers
    ends = []
    for number, amount in enumerate(work):
        start, _ = heapq.heappop(free)
        ends.append((start + amount, number))
        heapq.heappush(free, ends[-1])
    return sorted(number for end, number in ends if (end, number) <= free[0])
