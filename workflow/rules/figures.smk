# A figure is drawn by scripts/sidewinder/report/figures/<figure>.py from tables of studies. These may be archived ones, in
# results/reference/, which no rule makes.


rule sweep_figures:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        tables=rules.tables.output,
        timings=f"{RESULTS}/{{study}}/timings.csv",
    output:
        drawn(SWEEP_FIGURES),
    log:
        f"{RESULTS}/{{study}}/logs/sweep_figures.log",
    wildcard_constraints:
        study="(paper/|reference/)?[^/]+",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        # Of the captions.
        settings=settings_of_study,
    shell:
        f"python {SCRIPTS}/figures.py" " {input.config} $(dirname {input.timings}) --output {output} 2> {log}"


rule winner_figures:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        tables=rules.tables.output,
        confirmation=f"{RESULTS}/{{study}}/confirmation.csv",
    output:
        drawn(WINNER_FIGURES),
    log:
        f"{RESULTS}/{{study}}/logs/winner_figures.log",
    wildcard_constraints:
        study="(paper/|reference/)?[^/]+",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        # Of the captions.
        settings=settings_of_study,
    shell:
        f"python {SCRIPTS}/figures.py" " {input.config} $(dirname {input.confirmation}) --output {output} 2> {log}"


rule pareto_figures:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        tables=rules.tables.output,
        confirmation=f"{RESULTS}/{{study}}/confirmation.csv",
    output:
        drawn(PARETO_FIGURES),
    log:
        f"{RESULTS}/{{study}}/logs/pareto_figures.log",
    wildcard_constraints:
        study="(paper/|reference/)?[^/]+",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        # Of the captions.
        settings=settings_of_study,
    shell:
        f"python {SCRIPTS}/figures.py" " {input.config} $(dirname {input.confirmation}) --output {output} 2> {log}"


rule comparison_figures:
    input:
        unpack(tables_of_entry),
    output:
        drawn(COMPARISON_FIGURES, of="entry"),
    log:
        f"{RESULTS}/{{entry}}/logs/comparison_figures.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        # Of the captions.
        settings=lambda wildcards: settings_of_entry(planned(wildcards.entry)),
        overrides=lambda wildcards: [
            argument
            for overrides in matrix.lists(STUDIES.entries[planned(wildcards.entry)])
            for argument in ("--overrides", *overrides)
        ],
    shell:
        f"python {SCRIPTS}/comparison_figures.py"
        " $(dirname $(dirname {input.trials[0]})) $(basename {wildcards.entry})"
        " {params.overrides:q} --output {output} 2> {log}"
