rule candidate:
    input:
        config=f"{RESULTS}/{{study}}/config.yaml",
        trials=f"{RESULTS}/{{study}}/trials.csv",
        stale=if_candidate_is_stale,
    output:
        setting=f"{RESULTS}/{{study}}/confirmation/candidates/{{candidate}}.yaml",
        record=f"{RESULTS}/{{study}}/.records/candidate-{{candidate}}.json",
    log:
        f"{RESULTS}/{{study}}/logs/candidate/{{candidate}}.log",
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
        config=f"{RESULTS}/{{study}}/config.yaml",
        candidate=f"{RESULTS}/{{study}}/confirmation/candidates/{{candidate}}.yaml",
        stale=if_confirmation_is_stale,
    output:
        f"{RESULTS}/{{study}}/confirmation/{{phase}}/{{candidate}}/{{index}}.json",
    log:
        f"{RESULTS}/{{study}}/logs/confirmation/{{phase}}/{{candidate}}/{{index}}.log",
    benchmark:
        f"{RESULTS}/{{study}}/benchmarks/confirmation/{{phase}}/{{candidate}}/{{index}}.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wildcards: STUDIES[wildcards.study].config.training["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt * STUDIES[wildcards.study].config.study.trials_per_job,
    shell:
        f"python {SCRIPTS}/confirmation.py"
        " {input.config:q} {input.candidate:q} {wildcards.phase} {wildcards.index} {output:q} 2> {log:q}"


rule winner:
    input:
        config=f"{RESULTS}/{{study}}/config.yaml",
        candidates=all_candidates,
        validation=all_validation,
        stale=if_stale("winner", ["confirmation/candidates/winner.yaml"]),
    output:
        setting=f"{RESULTS}/{{study}}/confirmation/candidates/winner.yaml",
        record=f"{RESULTS}/{{study}}/.records/winner.json",
    log:
        f"{RESULTS}/{{study}}/logs/winner.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/winner.py"
        " {input.config:q} --candidates {input.candidates:q}"
        " --validation {input.validation:q} --output {output.setting:q} --record {output.record:q} 2> {log:q}"


rule confirmation_table:
    input:
        config=f"{RESULTS}/{{study}}/config.yaml",
        results=all_confirmations,
        stale=if_stale("confirmation_table", ["confirmation.csv"]),
    output:
        table=f"{RESULTS}/{{study}}/confirmation.csv",
        record=f"{RESULTS}/{{study}}/.records/confirmation_table.json",
    log:
        f"{RESULTS}/{{study}}/logs/confirmation_table.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/confirmation_table.py"
        " {input.config:q} {input.results:q}"
        " --output {output.table:q} --record {output.record:q} 2> {log:q}"


rule best:
    input:
        config=f"{RESULTS}/{{study}}/config.yaml",
        winner=f"{RESULTS}/{{study}}/confirmation/candidates/winner.yaml",
        confirmation=f"{RESULTS}/{{study}}/confirmation.csv",
        stale=if_stale("best", ["best.yaml", "best.md", "best.tex"]),
    output:
        yaml=f"{RESULTS}/{{study}}/best.yaml",
        markdown=f"{RESULTS}/{{study}}/best.md",
        latex=f"{RESULTS}/{{study}}/best.tex",
        record=f"{RESULTS}/{{study}}/.records/best.json",
    log:
        f"{RESULTS}/{{study}}/logs/best.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/best.py"
        " {input.config:q} {input.winner:q} {input.confirmation:q} --record {output.record:q}"
        " 2> {log:q}"


rule pareto:
    input:
        config=f"{RESULTS}/{{study}}/config.yaml",
        confirmation=f"{RESULTS}/{{study}}/confirmation.csv",
        stale=if_stale("pareto", ["pareto", "pareto.csv", "pareto.md", "pareto.tex"]),
    output:
        configs=directory(f"{RESULTS}/{{study}}/pareto"),
        table=f"{RESULTS}/{{study}}/pareto.csv",
        markdown=f"{RESULTS}/{{study}}/pareto.md",
        latex=f"{RESULTS}/{{study}}/pareto.tex",
        record=f"{RESULTS}/{{study}}/.records/pareto.json",
    log:
        f"{RESULTS}/{{study}}/logs/pareto.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/pareto.py" " {input.config:q} {input.confirmation:q} --record {output.record:q} 2> {log:q}"
