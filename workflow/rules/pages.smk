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
        settings=settings_of_study,
        overrides=lambda wildcards: STUDIES[planned(wildcards.study)].overrides,
    shell:
        f"python {SCRIPTS}/pages.py"
        " {input.config} $(dirname {input.trials}) --overrides {params.overrides:q} --output $(dirname {output.summary})"
        " 2> {log}"


# Made only where it is asked for, with the extra of requirements-video.lock.
rule video:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        winner=f"{RESULTS}/{{study}}/confirmation/candidates/winner.yaml",
        defaults=f"{RESULTS}/{{study}}/confirmation/candidates/defaults.yaml",
    output:
        gif=f"{RESULTS}/{{study}}/video.gif",
        page=in_report(f"{RESULTS}/{{study}}/pages/video.html", "video"),
    log:
        f"{RESULTS}/{{study}}/logs/video.log",
    benchmark:
        f"{RESULTS}/{{study}}/benchmarks/video.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wildcards: STUDIES[wildcards.study].config.training["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 480 * attempt,
    params:
        # Of the caption.
        settings=settings_of_study,
    shell:
        f"python {SCRIPTS}/video.py"
        " {input.config} {input.winner} {input.defaults} --gif {output.gif} --page {output.page} 2> {log}"
