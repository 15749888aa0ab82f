# Input functions that make stale files again: if a rule's files are stale, the study's marker, which is newer than the
# files, is one more input. See scripts/sidewinder/stale.py.


def marker_of(study, is_stale):
    return [f"<results>/{marker}" for marker in STUDIES.marker(study, is_stale)]


def marker_if_stale(study, record, outputs, settings):
    """Return the marker if a record and its output files do not fit `settings()` or the files that were read."""
    with errors_in_one_line():
        return marker_of(study, STUDIES.is_stale(study, record, outputs, settings))


def if_stale(rule, outputs):
    """Make an input function that returns the study's marker if the outputs of this rule are stale."""

    def marker(wildcards):
        study = wildcards.study
        return marker_if_stale(study, rule, outputs, lambda: rule_settings(rule, STUDIES.config_of(study)))

    return marker


def if_config_is_stale(wildcards):
    return marker_of(wildcards.study, STUDIES.config_is_stale(wildcards.study))


def if_database_is_stale(wildcards):
    settings = rule_settings("database", STUDIES[wildcards.study].config)
    return marker_of(wildcards.study, STUDIES.database_is_stale(wildcards.study, settings))


def if_candidate_is_stale(wildcards):
    study, candidate = wildcards.study, wildcards.candidate
    outputs = [f"confirmation/candidates/{candidate}.yaml"]
    settings = lambda: rule_settings("candidate", STUDIES.config_of(study))
    return marker_if_stale(study, f"candidate-{candidate}", outputs, settings)


def if_place_is_stale(wildcards):
    study, place = wildcards.study, f"{wildcards.round}-{wildcards.rank}"
    outputs = [f"confirmation/candidates/round-{place}.yaml"]
    return marker_if_stale(study, f"race-{place}", outputs, lambda: rule_settings("race", STUDIES.config_of(study)))


def if_confirmation_is_stale(wildcards):
    is_stale = STUDIES.confirmation_is_stale(wildcards.study, wildcards.phase, wildcards.candidate, wildcards.index)
    return marker_of(wildcards.study, is_stale)


def if_pages_are_stale(wildcards):
    study, outputs = wildcards.study, ["pages/summary.html", "pages/trials.html"]
    overrides = STUDIES[planned(study)].overrides
    return marker_if_stale(study, "pages", outputs, lambda: rule_settings("pages", STUDIES.config_of(study), overrides))


def if_comparison_is_stale(wildcards):
    entry = wildcards.entry
    settings = lambda: comparison_settings({Path(name).name: STUDIES.config_of(name) for name in studies_of(entry)})
    return marker_if_stale(entry, "comparison_figures", files_of(COMPARISON_FIGURES), settings)


def files_of(figures):
    return [f"figures/{figure}.{suffix}" for figure in figures for suffix in ("svg", "pdf", "png")]
