rule tables:
    input:
        config=f"{RESULTS}/{{study}}/config.yaml",
        results=all_results,
    output:
        trials=f"{RESULTS}/{{study}}/trials.csv",
        evaluations=f"{RESULTS}/{{study}}/evaluations.csv",
        distributions=f"{RESULTS}/{{study}}/distributions.json",
    log:
        f"{RESULTS}/{{study}}/logs/tables.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        n_trials=lambda wildcards: STUDIES[wildcards.study].config.study.n_trials,
    shell:
        f"python {SCRIPTS}/tables.py" " {input.config} --n-trials {params.n_trials} 2> {log}"


rule timings:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        results=all_results,
    output:
        f"{RESULTS}/{{study}}/timings.csv",
    log:
        f"{RESULTS}/{{study}}/logs/timings.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        n_trials=lambda wildcards: STUDIES[wildcards.study].config.study.n_trials,
    shell:
        f"python {SCRIPTS}/timings.py" " {input.config} --n-trials {params.n_trials} --output {output} 2> {log}"
