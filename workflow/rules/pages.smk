# What the report has of a study beside its figures; the study may be an archived one.


rule pages:
    input:
        tested_of_study,
        config=f"{RESULTS}/{{study}}/config.yaml",
        trials=f"{RESULTS}/{{study}}/trials.csv",
        timings=f"{RESULTS}/{{study}}/timings.csv",
        confirmation=f"{RESULTS}/{{study}}/confirmation.csv",
        stale=if_pages_are_stale,
    output:
        summary=in_report(f"{RESULTS}/{{study}}/pages/summary.html", "summary"),
        trials=in_report(f"{RESULTS}/{{study}}/pages/trials.html", "trials"),
        record=f"{RESULTS}/{{study}}/.records/pages.json",
    log:
        f"{RESULTS}/{{study}}/logs/pages.log",
    wildcard_constraints:
        study="(paper/|reference/)?[^/]+",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        pages=lambda wildcards, output: Path(output.summary).parent,
        # Used only in report captions.
        settings=settings_of_study,
        overrides=lambda wildcards: STUDIES[planned(wildcards.study)].overrides,
    shell:
        f"python {SCRIPTS}/pages.py"
        " {input.config:q} --overrides {params.overrides:q} --output {params.pages:q}"
        " --record {output.record:q} 2> {log:q}"


# Made only where it is asked for, with the extra of requirements-video.lock.
rule video:
    input:
        config=f"{RESULTS}/{{study}}/config.yaml",
        winner=f"{RESULTS}/{{study}}/confirmation/candidates/winner.yaml",
        defaults=filmed_baseline,
        stale=if_stale("video", ["video.gif", "pages/video.html"]),
    output:
        gif=f"{RESULTS}/{{study}}/video.gif",
        page=in_report(f"{RESULTS}/{{study}}/pages/video.html", "video"),
        record=f"{RESULTS}/{{study}}/.records/video.json",
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
        # Used only in the report caption.
        settings=settings_of_study,
    shell:
        f"python {SCRIPTS}/video.py"
        " {input.config:q} {input.winner:q} {input.defaults:q}"
        " --gif {output.gif:q} --page {output.page:q} --record {output.record:q} 2> {log:q}"
