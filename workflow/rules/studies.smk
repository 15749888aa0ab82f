# Which studies there are, as config.yaml says.

from snakemake.logging import logger

# Names of entries; an entry is a study, or several to be compared.
USERS = dict(config["studies"] if isinstance(config["studies"], dict) else dict.fromkeys(config["studies"], []))
PAPERS = {f"paper/{entry}": overrides for entry, overrides in config["paper"]["studies"].items()}
# As a rule's path has it: in a module with a prefix, behind that.
results_directory = Path(rules.compose.output[0]).parents[1]
with errors_in_one_line():
    check_storage(workflow.storage_settings.default_storage_provider)
    check_archives(config["archives"], results_directory)
    STUDIES = Studies(
        USERS | PAPERS, config["config_dirs"], config["archives"], results_directory, main=workflow.is_main_process
    )
    for entry in USERS if workflow.is_main_process else []:
        # Composed now, so that a mistake stops the run before it starts; a cluster's job composes what it needs.
        list(map(STUDIES.__getitem__, STUDIES.of(entry)))


WATCHES = []


def show_progress():
    """While jobs run, how far the studies are; not for those who ask for silence, or for all that Snakemake says."""
    if workflow.output_settings.quiet or workflow.output_settings.verbose:
        return
    from sidewinder.report.live import watch

    studies = [study for entry in USERS | PAPERS for study in STUDIES.of(entry)]
    if shown := watch(logger, results_directory, studies):
        WATCHES.append(shown)
        # Also where Snakemake is interrupted.
        atexit.register(shown.stop)


def end_progress():
    for shown in WATCHES:
        shown.stop()


def print_summaries():
    """What came of all studies, to the terminal."""
    if workflow.output_settings.quiet:
        return
    from sidewinder.report.terminal import print_summary

    print_summary(results_directory / study for entry in USERS | PAPERS for study in STUDIES.of(entry))
