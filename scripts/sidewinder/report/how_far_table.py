"""The progress of studies, as a table."""

from collections.abc import Mapping

from rich.table import Table

from sidewinder.report.how_far import HowFar


def how_far_table(studies: Mapping[str, HowFar]) -> Table:
    """Return a table with a row for each study.

    Args:
        studies: The progress of each study, by its name.
    """
    table = Table("study", "stage", "trials", "running", "best so far", "race", "test", "left")
    for name, found in studies.items():
        table.add_row(name, *_cells(found))
    return table


def _cells(found: HowFar) -> list[str]:
    states = ", ".join(f"{count} {state}" for state, count in sorted(found.states.items()))
    done = f"{sum(found.states.values())} of {found.n_trials}"
    phases = {phase: f"{n_done} of {planned}" for phase, (n_done, planned) in found.phases.items()}
    return [
        found.stage,
        f"{done} ({states})" if states else done,
        ", ".join(f"{one.name} {one.share:.0%}" for one in found.running) or "-",
        f"{found.best[1]:.4g} (trial {found.best[0]})" if found.best else "-",
        phases.get("validation", "-"),
        phases.get("test", "-"),
        lasting(found.seconds_left),
    ]


def lasting(seconds: float | None) -> str:
    """Return an estimated time in words; `unknown` for None."""
    if seconds is None:
        return "unknown"
    if seconds == 0:
        return "-"
    if seconds < 60:
        return "less than a minute"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"
