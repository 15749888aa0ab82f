# scripts/sidewinder/report/figures/<figure>.py draws a figure from tables of studies. These may be archived tables, in
# results/reference/, which no rule makes.


rule sweep_figures:
    input:
        config="<results>/{study}/config.yaml",
        tables=[f"<results>/{{study}}/{table}" for table in TABLES],
        timings="<results>/{study}/timings.csv",
        stale=if_stale("sweep_figures", files_of(SWEEP_FIGURES)),
    output:
        figures=drawn(SWEEP_FIGURES),
        record="<results>/{study}/.records/sweep_figures.json",
    log:
        "<results>/{study}/logs/sweep_figures.log",
    wildcard_constraints:
        study="(paper/|reference/)?[^/]+",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        study=lambda wildcards, input: Path(input.config).parent,
        # Used only in report captions.
        settings=settings_of_study,
    shell:
        f"python {SCRIPTS}/sweep_figures.py"
        " {params.study:q} --output {output.figures:q} --record {output.record:q} 2> {log:q}"


use rule sweep_figures as winner_figures with:
    input:
        config="<results>/{study}/config.yaml",
        tables=[f"<results>/{{study}}/{table}" for table in TABLES],
        confirmation="<results>/{study}/confirmation.csv",
        stale=if_stale("winner_figures", files_of(WINNER_FIGURES)),
    output:
        figures=drawn(WINNER_FIGURES),
        record="<results>/{study}/.records/winner_figures.json",
    log:
        "<results>/{study}/logs/winner_figures.log",


use rule winner_figures as pareto_figures with:
    input:
        config="<results>/{study}/config.yaml",
        tables=[f"<results>/{{study}}/{table}" for table in TABLES],
        confirmation="<results>/{study}/confirmation.csv",
        stale=if_stale("pareto_figures", files_of(PARETO_FIGURES)),
    output:
        figures=drawn(PARETO_FIGURES),
        record="<results>/{study}/.records/pareto_figures.json",
    log:
        "<results>/{study}/logs/pareto_figures.log",


rule comparison_figures:
    input:
        unpack(tables_of_entry),
        stale=if_comparison_is_stale,
    output:
        figures=drawn(COMPARISON_FIGURES, of="entry"),
        record="<results>/{entry}/.records/comparison_figures.json",
    log:
        "<results>/{entry}/logs/comparison_figures.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        results=lambda wildcards, input: Path(input.trials[0]).parents[1],
        entry=lambda wildcards: Path(wildcards.entry).name,
        # Used only in report captions.
        settings=lambda wildcards: settings_of_entry(planned(wildcards.entry)),
        overrides=lambda wildcards: [
            argument
            for overrides in matrix.lists(STUDIES.entries[planned(wildcards.entry)])
            for argument in ("--overrides", *overrides)
        ],
    shell:
        f"python {SCRIPTS}/comparison_figures.py"
        " {params.results:q} {params.entry:q} {params.overrides:q}"
        " --output {output.figures:q} --record {output.record:q} 2> {log:q}"
