# Input functions, for inputs that a pattern cannot express.


def result_of(study, number):
    return f"<results>/{study}/trials/{number}/result.json"


def awaited_by_trial(wildcards):
    """Return the config and the results of earlier trials that an unfinished trial waits for.

    A finished trial has no inputs, so Snakemake does not run it again. The results are `ancient`: their time stamps are
    no reason to run a trial again, as all of them belong to the study's current config.
    """
    number = int(wildcards.number)
    if number in finished_of(wildcards.study):
        return {}
    return {
        "config": f"<results>/{wildcards.study}/config.yaml",
        "results": ancient(unfinished(wildcards.study, STUDIES[wildcards.study].awaited_by(number))),
    }


def replicates_of_trial(wildcards):
    """Return the results of an unfinished trial's replicates, if replicates are separate jobs."""
    study, number = STUDIES[wildcards.study], int(wildcards.number)
    replicates = [] if number in study.finished else study.config.replicate_jobs()
    return [
        f"<results>/{wildcards.study}/trials/{number}/replicates/{replicate}/result.json" for replicate in replicates
    ]


def all_results(wildcards):
    """Return the missing results of a study: one for each job, which may make several trials."""
    return unfinished(wildcards.study, STUDIES[wildcards.study].jobs)


def unfinished(study, numbers):
    """Return the result files of these trials that are missing.

    Existing results are no inputs, as Snakemake is slow with thousands of them. The records of the tables have their
    content, so a changed result is noticed all the same.
    """
    finished = finished_of(study)
    return [result_of(study, number) for number in numbers if number not in finished]


def finished_of(study):
    """Return the numbers of the trials that have results.

    If there are any, Snakemake's rerun triggers are checked: with its default triggers it would make the trials again.
    """
    finished = STUDIES[study].finished
    if finished:
        with errors_in_one_line():
            check_rerun_triggers(workflow.rerun_triggers)
    return finished


def first_of_the_race(wildcards):
    """Return the files of the settings in the first round of the race."""
    names, _ = STUDIES[wildcards.study].config.race()[0]
    return [f"<results>/{wildcards.study}/confirmation/candidates/{name}.yaml" for name in names]


def rounds_before(wildcards):
    """Return the results of the rounds before this one, which decide its places."""
    rounds = STUDIES[wildcards.study].config.race()
    places = {name for names, _ in rounds[: int(wildcards.round) - 1] for name in names}
    return confirmations(wildcards.study, ["validation"], places)


def all_validation(wildcards):
    """Return the results of all rounds of the race."""
    return confirmations(wildcards.study, ["validation"])


def all_confirmations(wildcards):
    """Return the results of the race, if there is one, and of all tested settings on all test seeds."""
    return confirmations(wildcards.study, ["validation", "test"])


def tables_with_provenance(wildcards):
    """Return the tables and the recommendation of a study, whose SHA-256 goes into provenance.json."""
    found = "best.yaml" if has_winner(wildcards.study) else "pareto.csv"
    return [f"<results>/{wildcards.study}/{name}" for name in (*TABLES, "confirmation.csv", found)]


def confirmations(study, phases, names=None):
    """Return the results of a study in these phases; with `names`, only of these settings or places in the race."""
    trainings = STUDIES[study].config.confirmations()
    return [
        f"<results>/{study}/confirmation/{phase}/{candidate}/{training}.json"
        for phase in phases
        for candidate, own in trainings.get(phase, {}).items()
        if names is None or candidate in names
        for training in own
    ]


def filmed_baseline(wildcards):
    """Return the candidate file of the algorithm's defaults, if they are a baseline."""
    names = [name for name in STUDIES[wildcards.study].config.compared() if name == "defaults"]
    return [f"<results>/{wildcards.study}/confirmation/candidates/{name}.yaml" for name in names]


def planned(entry):
    """Return the name of an entry or a study in STUDIES: for archived ones `paper/` instead of `reference/`."""
    return entry.replace("reference/", "paper/", 1) if entry.startswith("reference/") else entry


def settings_of_entry(entry):
    """Describe the studies of an entry, for captions.

    Of studies that differ in their seed only, one is composed, and described without the seed.
    """
    kinds = {
        tuple(override for override in overrides if not override.startswith("study.seed=")): study
        for study, overrides in matrix.expanded({entry: STUDIES.entries[entry]}).items()
    }
    settings = (STUDIES[study].settings.rpartition(", seed ")[0] for study in kinds.values())
    return "; ".join(dict.fromkeys(settings))


def settings_of_study(wildcards):
    """Describe a study, which may be archived, for captions."""
    return STUDIES[planned(wildcards.study)].settings


def tables_of_entry(wildcards):
    """Return the tables of an entry's studies that the comparison needs. The studies may be archived."""
    studies = studies_of(wildcards.entry)
    return {name: [f"<results>/{study}/{name}.csv" for study in studies] for name in ("trials", "confirmation")}


def studies_of(entry):
    """Return the studies of an entry, which may be archived, with the entry's directory before their names."""
    return [str(Path(entry).parent / Path(study).name) for study in STUDIES.of(planned(entry))]


def has_winner(study):
    """Return whether a study has a winner. With several objectives it has a Pareto set instead."""
    return len(STUDIES[study].config.study.objectives) == 1


def tested_of_study(wildcards):
    """Return best.md and best.yaml of a study, or for several objectives pareto.md. The study may be archived."""
    names = ["best.md", "best.yaml"] if has_winner(planned(wildcards.study)) else ["pareto.md"]
    return [f"<results>/{wildcards.study}/{name}" for name in names]


def shown_of_study(study, directory):
    """Return the pages and the figures of a study, with this directory before their names."""
    figures = [*SWEEP_FIGURES, *(WINNER_FIGURES if has_winner(study) else PARETO_FIGURES)]
    return [f"{directory}/pages/summary.html", *(f"{directory}/figures/{figure}.svg" for figure in figures)]


def figures_of_entry(entry):
    """Return the figures that compare the studies of an entry."""
    return [f"<results>/{entry}/figures/{figure}.svg" for figure in COMPARISON_FIGURES]


def ends_of(entries):
    """Return the last files of these entries, which need all others.

    A study's last files are its winner or its Pareto set, its agent, its database, its checklists (which need its
    provenance), its pages and its figures. An entry of several studies also has figures that compare them.
    """
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
    """Return the paper's figures that can be drawn from archived tables.

    They are the comparisons of entries, and all figures of the studies in `paper.in_full`. Studies that are not
    archived yet are named in a warning.
    """
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
