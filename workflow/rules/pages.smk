# What the report has of a study beside its figures; the study may be an archived one.


rule pages:
    input:
        tested_of_study,
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        trials=f"{RESULTS}/{{study}}/trials.csv",
        timings=f"{RESULTS}/{{study}}/timings.csv",
        confirmation=f"{RESULTS}/{{study}}/confirmation.csv",
    output:
        summary=in_report(f"{RESULTS}/{{study}}/pages/summary.html", "summary"),
        trials=in_report(f"{RESULTS}/{{study}}/pages/trials.html", "trials"),
    log:
        f"{RESULTS}/{{study}}/logs/pages.log",
    wildcard_constraints:
        study="(paper/|reference/)?[^/]+",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        # Of the captions.
        settings=lambda wildcards: STUDIES[planned(wildcards.study)].settings,
        overrides=lambda wildcards: STUDIES[planned(wildcards.study)].overrides,
    shell:
        f"python {SCRIPTS}/pages.py"
        " {input.config} $(dirname {input.trials}) --overrides {params.overrides:q} --output $(dirname {output.summary})"
        " 2> {log}"
