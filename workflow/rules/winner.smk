rule candidate:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        trials=f"{RESULTS}/{{study}}/trials.csv",
    output:
        f"{RESULTS}/{{study}}/confirmation/candidates/{{candidate}}.yaml",
    log:
        f"{RESULTS}/{{study}}/logs/candidate/{{candidate}}.log",
    wildcard_constraints:
        candidate=r"top-\d+|defaults|zoo",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/candidate.py" " {input.config} {input.trials} {output} 2> {log}"


rule confirmation:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        candidate=f"{RESULTS}/{{study}}/confirmation/candidates/{{candidate}}.yaml",
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
    params:
        # Not for the script: other episodes are another result.
        n_eval_episodes=lambda wildcards: STUDIES[wildcards.study].config.confirmation.n_eval_episodes,
    shell:
        f"python {SCRIPTS}/confirmation.py"
        " {input.config} {input.candidate} {wildcards.phase} {wildcards.index} {output} 2> {log}"


rule winner:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        candidates=all_candidates,
        validation=all_validation,
    output:
        f"{RESULTS}/{{study}}/confirmation/candidates/winner.yaml",
    log:
        f"{RESULTS}/{{study}}/logs/winner.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        # Not for the script: fewer of them are another choice.
        n_validation=lambda wildcards, input: len(input.validation),
    shell:
        f"python {SCRIPTS}/winner.py"
        " {input.config} --candidates {input.candidates} --validation {input.validation} --output {output} 2> {log}"


rule confirmation_table:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        results=all_confirmations,
    output:
        f"{RESULTS}/{{study}}/confirmation.csv",
    log:
        f"{RESULTS}/{{study}}/logs/confirmation_table.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        # Not for the script: fewer of them are another table.
        n_confirmed=lambda wildcards, input: len(input.results),
    shell:
        f"python {SCRIPTS}/confirmation_table.py" " {input.config} {input.results} --output {output} 2> {log}"


rule best:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        winner=f"{RESULTS}/{{study}}/confirmation/candidates/winner.yaml",
        confirmation=f"{RESULTS}/{{study}}/confirmation.csv",
    output:
        yaml=f"{RESULTS}/{{study}}/best.yaml",
        markdown=f"{RESULTS}/{{study}}/best.md",
        latex=f"{RESULTS}/{{study}}/best.tex",
    log:
        f"{RESULTS}/{{study}}/logs/best.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/best.py"
        " {input.config} {input.winner} {input.confirmation} --output $(dirname {output.yaml}) 2> {log}"


rule pareto:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        confirmation=f"{RESULTS}/{{study}}/confirmation.csv",
    output:
        configs=directory(f"{RESULTS}/{{study}}/pareto"),
        table=f"{RESULTS}/{{study}}/pareto.csv",
        markdown=f"{RESULTS}/{{study}}/pareto.md",
        latex=f"{RESULTS}/{{study}}/pareto.tex",
    log:
        f"{RESULTS}/{{study}}/logs/pareto.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/pareto.py" " {input.config} {input.confirmation} --output $(dirname {output.table}) 2> {log}"
