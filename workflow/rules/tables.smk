def results_of_study(wildcards):
    """The results of all trials of a study's budget."""
    n_trials = STUDIES[wildcards.study].config.study.n_trials
    return [f"{RESULTS}/{wildcards.study}/trials/{number}/result.json" for number in range(n_trials)]


rule tables:
    input:
        config=f"{RESULTS}/{{study}}/config.yaml",
        results=results_of_study,
    output:
        trials=f"{RESULTS}/{{study}}/trials.csv",
        evaluations=f"{RESULTS}/{{study}}/evaluations.csv",
        distributions=f"{RESULTS}/{{study}}/distributions.json",
    log:
        f"{RESULTS}/{{study}}/logs/tables.log",
    params:
        n_trials=lambda wildcards: STUDIES[wildcards.study].config.study.n_trials,
    conda:
        "../../environment.yml"
    localrule: True
    shell:
        "python {SCRIPTS}/tables.py {input.config} --n-trials {params.n_trials} 2> {log}"
