"""The limit on failed trials of a study."""

from sidewinder import SidewinderError
from sidewinder.config.study_config import StudyConfig


def stop_if_too_many_failed(config: StudyConfig, reasons: list[str]) -> None:
    """Stop the study if more trials have failed than `study.max_failure_rate` of its budget.

    Raises:
        SidewinderError: More have failed; says how many, and the reason of the last one.
    """
    budget, rate = config.study.n_trials, config.study.max_failure_rate
    if len(reasons) > rate * budget:
        raise SidewinderError(
            f"study {config.study.name}: study.max_failure_rate: found {len(reasons)} failed trials of {budget}, "
            f"accepted: at most {rate:.0%}; the last one: {reasons[-1]}"
        )
