"""Which results a trial may see, as pure functions of its number. Snakemake's DAG and the study both follow them."""


def view(number: int, window: int) -> range:
    """Trials whose results trial `number` is suggested from: all but the last `window - 1` before it.

    The others before it are in flight: known by their parameters only, whatever has really finished by then.
    """
    return range(max(0, number - window + 1))


def awaited(number: int, window: int) -> range:
    """The part of the view that trial `number` waits for itself; the rest is awaited by those (N * window edges)."""
    seen = view(number, window)
    return range(max(0, len(seen) - window), len(seen))
