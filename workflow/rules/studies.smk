# The studies of config.yaml, and what is shown of them in the terminal.

from snakemake.logging import logger

# Entries by name. An entry is a study, or several studies to compare.
USERS = dict(config["studies"] if isinstance(config["studies"], dict) else dict.fromkeys(config["studies"], []))
PAPERS = {f"paper/{entry}": overrides for entry, overrides in config["paper"]["studies"].items()}
# Taken from a rule's path: in a module with a prefix, the path begins with the prefix.
results_directory = Path(rules.compose.output[0]).parents[1]
with errors_in_one_line():
    check_storage(workflow.storage_settings.default_storage_provider)
    check_archives(config["archives"], results_directory)
    STUDIES = Studies(
        USERS | PAPERS, config["config_dirs"], config["archives"], results_directory, main=workflow.is_main_process
    )
    for entry in USERS if workflow.is_main_process else []:
        # Composed now: a mistake stops the run before any job. The process of a cluster's job composes what it needs.
        list(map(STUDIES.__getitem__, STUDIES.of(entry)))


WATCHES = []


def show_progress():
    """Show the progress of the studies while jobs run, except with --quiet or --verbose."""
    if workflow.output_settings.quiet or workflow.output_settings.verbose:
        return
    from sidewinder.report.live import watch

    studies = [study for entry in USERS | PAPERS for study in STUDIES.of(entry)]
    if shown := watch(logger, results_directory, studies):
        WATCHES.append(shown)
        # Needed if Snakemake is interrupted.
        atexit.register(shown.stop)


def end_progress():
    for shown in WATCHES:
        shown.stop()


def print_summaries():
    """Print the results of all studies to the terminal, except with --quiet."""
    if workflow.output_settings.quiet:
        return
    from sidewinder.report.terminal import print_summary

    print_summary(results_directory / study for entry in USERS | PAPERS for study in STUDIES.of(entry))
