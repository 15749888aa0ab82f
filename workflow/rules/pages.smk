# Pages of a study that the report has beside figures, and pages for authors. The study may be archived.


rule pages:
    input:
        tested_of_study,
        config="<results>/{study}/config.yaml",
        trials="<results>/{study}/trials.csv",
        timings="<results>/{study}/timings.csv",
        confirmation="<results>/{study}/confirmation.csv",
        stale=if_pages_are_stale,
    output:
        summary=in_report("<results>/{study}/pages/summary.html", "summary"),
        trials=in_report("<results>/{study}/pages/trials.html", "trials"),
        record="<results>/{study}/.records/pages.json",
    log:
        "<results>/{study}/logs/pages.log",
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


# Answers questions of reviewers, for authors.
rule checklist:
    input:
        tested_of_study,
        config="<results>/{study}/config.yaml",
        trials="<results>/{study}/trials.csv",
        timings="<results>/{study}/timings.csv",
        confirmation="<results>/{study}/confirmation.csv",
        provenance="<results>/{study}/provenance.json",
        stale=if_stale("checklist", ["checklist.md"]),
    output:
        text="<results>/{study}/checklist.md",
        record="<results>/{study}/.records/checklist.json",
    log:
        "<results>/{study}/logs/checklist.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/checklist.py"
        " {input.config:q} --output {output.text:q} --record {output.record:q} 2> {log:q}"


# No other rule needs the video, so it is made on request only. It needs the packages of requirements-video.lock.
rule video:
    input:
        config="<results>/{study}/config.yaml",
        winner="<results>/{study}/confirmation/candidates/winner.yaml",
        defaults=filmed_baseline,
        stale=if_stale("video", ["video.gif", "pages/video.html"]),
    output:
        gif="<results>/{study}/video.gif",
        page=in_report("<results>/{study}/pages/video.html", "video"),
        record="<results>/{study}/.records/video.json",
    log:
        "<results>/{study}/logs/video.log",
    benchmark:
        "<results>/{study}/benchmarks/video.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wildcards: STUDIES[wildcards.study].config.training["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        gpu=lambda wildcards: STUDIES[wildcards.study].gpu,
        runtime=lambda wildcards, attempt: 480 * attempt,
    params:
        # Used only in the report caption.
        settings=settings_of_study,
    shell:
        f"python {SCRIPTS}/video.py"
        " {input.config:q} {input.winner:q} {input.defaults:q}"
        " --gif {output.gif:q} --page {output.page:q} --record {output.record:q} 2> {log:q}"
