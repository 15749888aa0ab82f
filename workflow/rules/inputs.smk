# What jobs wait for, where a pattern cannot say it.


def result_of(study, number):
    return f"<results>/{study}/trials/{number}/result.json"


def awaited_by_trial(wildcards):
    """The config, and the results of a window of earlier trials. A finished trial waits for nothing, so that nothing
    makes it run again; and what it waits for does not age: it belongs to the config that the study still has."""
    number = int(wildcards.number)
    if number in finished_of(wildcards.study):
        return {}
    return {
        "config": f"<results>/{wildcards.study}/config.yaml",
        "results": ancient(unfinished(wildcards.study, STUDIES[wildcards.study].awaited_by(number))),
    }


def replicates_of_trial(wildcards):
    """The results of an unfinished trial's replicates, where they are jobs of their own."""
    study, number = STUDIES[wildcards.study], int(wildcards.number)
    replicates = [] if number in study.finished else study.config.replicate_jobs()
    return [
        f"<results>/{wildcards.study}/trials/{number}/replicates/{replicate}/result.json" for replicate in replicates
    ]


def all_results(wildcards):
    """What a study's whole budget lacks; where a job makes several trials, one of them."""
    return unfinished(wildcards.study, STUDIES[wildcards.study].jobs)


def unfinished(study, numbers):
    """The results of those of these trials that have none. The others need no jobs, of which Snakemake would take its
    time with thousands: what is made from their results has the content of these on record."""
    finished = finished_of(study)
    return [result_of(study, number) for number in numbers if number not in finished]


def finished_of(study):
    """The trials that have results; Snakemake's own triggers would make them again."""
    finished = STUDIES[study].finished
    if finished:
        with errors_in_one_line():
            check_rerun_triggers(workflow.rerun_triggers)
    return finished


def first_of_the_race(wildcards):
    """The files of the settings that are in its first round."""
    names, _ = STUDIES[wildcards.study].config.race()[0]
    return [f"<results>/{wildcards.study}/confirmation/candidates/{name}.yaml" for name in names]


def rounds_before(wildcards):
    """The results of the rounds that decide who has a place in this one."""
    rounds = STUDIES[wildcards.study].config.race()
    places = {name for names, _ in rounds[: int(wildcards.round) - 1] for name in names}
    return confirmations(wildcards.study, ["validation"], places)


def all_validation(wildcards):
    """The results of all rounds of the race."""
    return confirmations(wildcards.study, ["validation"])


def all_confirmations(wildcards):
    """Those of the validation, if there is one, and a result for each test seed of all that is tested."""
    return confirmations(wildcards.study, ["validation", "test"])


def tables_with_provenance(wildcards):
    """What stands for a study elsewhere: its tables and what it recommends."""
    found = "best.yaml" if has_winner(wildcards.study) else "pareto.csv"
    return [f"<results>/{wildcards.study}/{name}" for name in (*TABLES, "confirmation.csv", found)]


def confirmations(study, phases, names=None):
    """The results of a study's phases; with `names`, of these settings or places."""
    trainings = STUDIES[study].config.confirmations()
    return [
        f"<results>/{study}/confirmation/{phase}/{candidate}/{training}.json"
        for phase in phases
        for candidate, own in trainings.get(phase, {}).items()
        if names is None or candidate in names
        for training in own
    ]


def filmed_baseline(wildcards):
    """The file of the algorithm's defaults, if the winner is compared with them."""
    names = [name for name in STUDIES[wildcards.study].config.compared() if name == "defaults"]
    return [f"<results>/{wildcards.study}/confirmation/candidates/{name}.yaml" for name in names]


def planned(entry):
    """The name by which STUDIES knows an entry, also of archived studies."""
    return entry.replace("reference/", "paper/", 1) if entry.startswith("reference/") else entry


def settings_of_entry(entry):
    """What the studies of an entry are, for captions; of those that differ in their seed alone, one, which is composed."""
    kinds = {
        tuple(override for override in overrides if not override.startswith("study.seed=")): study
        for study, overrides in matrix.expanded({entry: STUDIES.entries[entry]}).items()
    }
    settings = (STUDIES[study].settings.rpartition(", seed ")[0] for study in kinds.values())
    return "; ".join(dict.fromkeys(settings))


def settings_of_study(wildcards):
    """What a study is, for captions; it may be an archived one."""
    return STUDIES[planned(wildcards.study)].settings


def tables_of_entry(wildcards):
    """What the studies of an entry are compared by, made or archived."""
    studies = studies_of(wildcards.entry)
    return {name: [f"<results>/{study}/{name}.csv" for study in studies] for name in ("trials", "confirmation")}


def studies_of(entry):
    """The studies of an entry, in the directory where the entry is: made or archived."""
    return [str(Path(entry).parent / Path(study).name) for study in STUDIES.of(planned(entry))]


def has_winner(study):
    """One objective has a winner, several have a Pareto set."""
    return len(STUDIES[study].config.study.objectives) == 1


def tested_of_study(wildcards):
    """The winner and the table of its returns, or of several objectives the table of the Pareto set; made or
    archived."""
    names = ["best.md", "best.yaml"] if has_winner(planned(wildcards.study)) else ["pareto.md"]
    return [f"<results>/{wildcards.study}/{name}" for name in names]


def shown_of_study(study, directory):
    """What there is to see of a study, in its directory: the pages of the report, and figures."""
    figures = [*SWEEP_FIGURES, *(WINNER_FIGURES if has_winner(study) else PARETO_FIGURES)]
    return [f"{directory}/pages/summary.html", *(f"{directory}/figures/{figure}.svg" for figure in figures)]


def figures_of_entry(entry):
    """What there is to see of several studies side by side."""
    return [f"<results>/{entry}/figures/{figure}.svg" for figure in COMPARISON_FIGURES]


def ends_of(entries):
    """What entries end with: of each study its winner, or of several objectives its Pareto set, its pages and its
    figures, its database, and its provenance and checklists; and the figures of several studies side by side."""
    ends = []
    for entry in entries:
        for study in STUDIES.of(entry):
            ends.append(f"<results>/{study}/{'best.yaml' if has_winner(study) else 'pareto.md'}")
            ends.append(f"<results>/{study}/.records/database.json")
            ends.append(f"<results>/{study}/checklist.md")
            if has_winner(study) and STUDIES[study].config.confirmation.keep_agents != "none":
                ends.append(f"<results>/{study}/agent/README.md")
            ends += shown_of_study(study, f"<results>/{study}")
        if len(STUDIES.of(entry)) > 1:
            ends += figures_of_entry(entry)
    return ends


def archived_figures(wildcards):
    """From archived tables, the figures of the paper's comparisons, and those of the studies that it shows in full;
    without those that are not archived yet."""
    figures, missing = [], []
    for entry in PAPERS:
        studies = STUDIES.of(entry)
        lacking = [study for study in studies if not is_archived(study)]
        missing += lacking
        if len(studies) > 1 and not lacking:
            figures += figures_of_entry(entry.replace("paper/", "reference/", 1))
    for study in config["paper"]["in_full"]:
        if is_archived(f"paper/{study}"):
            figures += shown_of_study(f"paper/{study}", f"<results>/reference/{study}")
    if missing:
        logger.warning(f"figures: not in {results_directory / 'reference'}, so not drawn: {', '.join(missing)}")
    return figures


def is_archived(study):
    return (results_directory / study.replace("paper/", "reference/", 1) / "trials.csv").exists()
