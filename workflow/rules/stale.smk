# What has changed since a rule's files were made, as one input more: the study's marker, which is newer than they are. See
# scripts/sidewinder/stale.py.


def marker_of(study, is_stale):
    return [f"<results>/{marker}" for marker in STUDIES.marker(study, is_stale)]


def if_stale(rule, outputs):
    """An input function: the marker, if files of a study's rule are not what the rule would make today."""

    def marker(wildcards):
        with errors_in_one_line():
            is_stale = STUDIES.is_stale(
                wildcards.study, rule, outputs, lambda: rule_settings(rule, STUDIES.config_of(wildcards.study))
            )
        return marker_of(wildcards.study, is_stale)

    return marker


def if_config_is_stale(wildcards):
    return marker_of(wildcards.study, STUDIES.config_is_stale(wildcards.study))


def if_database_is_stale(wildcards):
    settings = rule_settings("database", STUDIES[wildcards.study].config)
    return marker_of(wildcards.study, STUDIES.database_is_stale(wildcards.study, settings))


def if_candidate_is_stale(wildcards):
    outputs = [f"confirmation/candidates/{wildcards.candidate}.yaml"]
    record = f"candidate-{wildcards.candidate}"
    is_stale = STUDIES.is_stale(
        wildcards.study, record, outputs, lambda: rule_settings("candidate", STUDIES[wildcards.study].config)
    )
    return marker_of(wildcards.study, is_stale)


def if_place_is_stale(wildcards):
    place = f"{wildcards.round}-{wildcards.rank}"
    outputs = [f"confirmation/candidates/round-{place}.yaml"]
    is_stale = STUDIES.is_stale(
        wildcards.study, f"race-{place}", outputs, lambda: rule_settings("race", STUDIES[wildcards.study].config)
    )
    return marker_of(wildcards.study, is_stale)


def if_confirmation_is_stale(wildcards):
    is_stale = STUDIES.confirmation_is_stale(wildcards.study, wildcards.phase, wildcards.candidate, wildcards.index)
    return marker_of(wildcards.study, is_stale)


def if_pages_are_stale(wildcards):
    outputs = ["pages/summary.html", "pages/trials.html"]
    overrides = STUDIES[planned(wildcards.study)].overrides
    with errors_in_one_line():
        is_stale = STUDIES.is_stale(
            wildcards.study,
            "pages",
            outputs,
            lambda: rule_settings("pages", STUDIES.config_of(wildcards.study), overrides),
        )
    return marker_of(wildcards.study, is_stale)


def if_comparison_is_stale(wildcards):
    def settings():
        return comparison_settings({Path(name).name: STUDIES.config_of(name) for name in studies_of(wildcards.entry)})

    with errors_in_one_line():
        outputs = files_of(COMPARISON_FIGURES)
        is_stale = STUDIES.is_stale(wildcards.entry, "comparison_figures", outputs, settings)
    return marker_of(wildcards.entry, is_stale)


def files_of(figures):
    return [f"figures/{figure}.{suffix}" for figure in figures for suffix in ("svg", "pdf", "png")]
