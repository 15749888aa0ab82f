rule candidate:
    input:
        config="<results>/{study}/config.yaml",
        trials="<results>/{study}/trials.csv",
        stale=if_candidate_is_stale,
    output:
        setting="<results>/{study}/confirmation/candidates/{candidate}.yaml",
        record="<results>/{study}/.records/candidate-{candidate}.json",
    log:
        "<results>/{study}/logs/candidate/{candidate}.log",
    wildcard_constraints:
        candidate=r"top-\d+|defaults|zoo",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/candidate.py"
        " {input.config:q} {input.trials:q} {output.setting:q} --record {output.record:q}"
        " 2> {log:q}"


rule confirmation:
    input:
        config="<results>/{study}/config.yaml",
        candidate="<results>/{study}/confirmation/candidates/{candidate}.yaml",
        stale=if_confirmation_is_stale,
    output:
        "<results>/{study}/confirmation/{phase}/{candidate}/{index}.json",
    log:
        "<results>/{study}/logs/confirmation/{phase}/{candidate}/{index}.log",
    benchmark:
        "<results>/{study}/benchmarks/confirmation/{phase}/{candidate}/{index}.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wildcards: STUDIES[wildcards.study].config.training["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        gpu=lambda wildcards: STUDIES[wildcards.study].gpu,
        runtime=lambda wildcards, attempt: 240 * attempt * STUDIES[wildcards.study].config.study.trials_per_job,
    shell:
        f"exec python {SCRIPTS}/confirmation.py"
        " {input.config:q} {input.candidate:q} {wildcards.phase} {wildcards.index} {output:q} 2> {log:q}"


rule race:
    input:
        config="<results>/{study}/config.yaml",
        candidates=first_of_the_race,
        validation=rounds_before,
        stale=if_place_is_stale,
    output:
        setting="<results>/{study}/confirmation/candidates/round-{round}-{rank}.yaml",
        record="<results>/{study}/.records/race-{round}-{rank}.json",
    log:
        "<results>/{study}/logs/race/{round}-{rank}.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/race.py"
        " {input.config:q} --candidates {input.candidates:q}"
        " --validation {input.validation:q} --output {output.setting:q} --record {output.record:q} 2> {log:q}"


rule winner:
    input:
        config="<results>/{study}/config.yaml",
        candidates=first_of_the_race,
        validation=all_validation,
        stale=if_stale("winner", ["confirmation/candidates/winner.yaml"]),
    output:
        setting="<results>/{study}/confirmation/candidates/winner.yaml",
        record="<results>/{study}/.records/winner.json",
    log:
        "<results>/{study}/logs/winner.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/winner.py"
        " {input.config:q} --candidates {input.candidates:q}"
        " --validation {input.validation:q} --output {output.setting:q} --record {output.record:q} 2> {log:q}"


rule confirmation_table:
    input:
        config="<results>/{study}/config.yaml",
        results=all_confirmations,
        stale=if_stale("confirmation_table", ["confirmation.csv"]),
    output:
        table="<results>/{study}/confirmation.csv",
        record="<results>/{study}/.records/confirmation_table.json",
    log:
        "<results>/{study}/logs/confirmation_table.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/confirmation_table.py"
        " {input.config:q} {input.results:q}"
        " --output {output.table:q} --record {output.record:q} 2> {log:q}"


rule best:
    input:
        config="<results>/{study}/config.yaml",
        winner="<results>/{study}/confirmation/candidates/winner.yaml",
        confirmation="<results>/{study}/confirmation.csv",
        trials="<results>/{study}/trials.csv",
        stale=if_stale("best", ["best.yaml", "best.md", "best.tex"]),
    output:
        yaml="<results>/{study}/best.yaml",
        markdown="<results>/{study}/best.md",
        latex="<results>/{study}/best.tex",
        record="<results>/{study}/.records/best.json",
    log:
        "<results>/{study}/logs/best.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/best.py"
        " {input.config:q} {input.winner:q} {input.confirmation:q} {input.trials:q} --record {output.record:q}"
        " 2> {log:q}"


# Trains the agent again if it was not kept.
rule agent:
    input:
        config="<results>/{study}/config.yaml",
        best="<results>/{study}/best.yaml",
        confirmation="<results>/{study}/confirmation.csv",
        stale=if_stale("agent", ["agent/README.md"]),
    output:
        card="<results>/{study}/agent/README.md",
        record="<results>/{study}/.records/agent.json",
    log:
        "<results>/{study}/logs/agent.log",
    conda:
        "../../environment.yml"
    threads: lambda wildcards: STUDIES[wildcards.study].config.training["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        gpu=lambda wildcards: STUDIES[wildcards.study].gpu,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        directory=lambda wildcards, output: Path(output.card).parent,
    shell:
        f"python {SCRIPTS}/agent.py"
        " {input.config:q} {input.best:q} {input.confirmation:q}"
        " --output {params.directory:q} --record {output.record:q} 2> {log:q}"


rule provenance:
    input:
        config="<results>/{study}/config.yaml",
        confirmations=all_confirmations,
        tables=tables_with_provenance,
        stale=if_stale("provenance", ["provenance.json"]),
    output:
        file="<results>/{study}/provenance.json",
        record="<results>/{study}/.records/provenance.json",
    log:
        "<results>/{study}/logs/provenance.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/provenance.py"
        " {input.config:q} {input.confirmations:q} --tables {input.tables:q}"
        " --output {output.file:q} --record {output.record:q} 2> {log:q}"


rule pareto:
    input:
        config="<results>/{study}/config.yaml",
        confirmation="<results>/{study}/confirmation.csv",
        stale=if_stale("pareto", ["pareto", "pareto.csv", "pareto.md", "pareto.tex"]),
    output:
        configs=directory("<results>/{study}/pareto"),
        table="<results>/{study}/pareto.csv",
        markdown="<results>/{study}/pareto.md",
        latex="<results>/{study}/pareto.tex",
        record="<results>/{study}/.records/pareto.json",
    log:
        "<results>/{study}/logs/pareto.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/pareto.py" " {input.config:q} {input.confirmation:q} --record {output.record:q} 2> {log:q}"
