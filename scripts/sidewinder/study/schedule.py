"""Which results a trial may see. The study and Snakemake's DAG use these functions.

They are pure functions of inputs that do not depend on the number of cores or the order of jobs. There are two
schedules. `window`: a trial sees all trials before it except the last few. `virtual`: trials are replayed in order of
number on virtual workers, whose clock counts work; a trial sees the trials that have ended when it starts there.
"""

import heapq
from collections.abc import Sequence


def window_view(number: int, window: int) -> range:
    """The trials whose results trial `number` is suggested from: all before it except the last `window - 1`.

    These last ones count as running, even if they have really finished: only their parameters are known.
    """
    return range(max(0, number - window + 1))


def awaited(number: int, window: int) -> range:
    """The last `window` trials of the window's view: the only ones that trial `number` waits for itself.

    They wait for the earlier ones in turn, so a DAG of N trials has at most N * window edges.
    """
    seen = window_view(number, window)
    return range(max(0, len(seen) - window), len(seen))


def virtual_view(work: Sequence[int], workers: int) -> list[int]:
    """The trials whose results the next trial is suggested from: those that have ended when it starts.

    Trials start in order of number, each on the virtual worker that is free first. Trials that end at the same moment
    end in order of number. So if all trials cost the same, this is the window's view.

    Args:
        work: The work of each trial before it, in order of number. A running trial counts with a lower bound: its work
            at the next moment at which it may end. The view is final once all trials in it have ended.
        workers: How many virtual workers there are.

    Returns:
        Numbers of trials, in ascending order.
    """
    # For each worker: when it is free, and which trial ends then (-1: none).
    free = [(0, -1)] * workers
    ends = []
    for number, amount in enumerate(work):
        start, _ = heapq.heappop(free)
        ends.append((start + amount, number))
        heapq.heappush(free, ends[-1])
    return sorted(number for end, number in ends if (end, number) <= free[0])
