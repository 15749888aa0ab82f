"""How many trials of a study may fail."""

from sidewinder import SidewinderError
from sidewinder.config.study_config import StudyConfig


def stop_if_too_many_failed(config: StudyConfig, reasons: list[str]) -> None:
    """Stop the study once more of its budget has failed than `study.max_failure_rate` allows.

    Raises:
        SidewinderError: It says how many, and why the last one did.
    """
    budget, rate = config.study.n_trials, config.study.max_failure_rate
    if len(reasons) > rate * budget:
        raise SidewinderError(
            f"study {config.study.name}: study.max_failure_rate: found {len(reasons)} failed trials of {budget}, "
            f"accepted: at most {rate:.0%}; the last one: {reasons[-1]}"
        )
