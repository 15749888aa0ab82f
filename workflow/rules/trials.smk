def awaited_by_trial(wildcards):
    """The config and the results that a trial waits for. A finished trial waits for nothing, so that nothing makes it
    run again; and what it waits for does not age: it belongs to the config that the study still has."""
    study, number = STUDIES[wildcards.study], int(wildcards.number)
    if number in study.finished:
        return {}
    directory = f"{RESULTS}/{wildcards.study}"
    return {
        "config": ancient(f"{directory}/config.yaml"),
        "results": ancient([f"{directory}/trials/{other}/result.json" for other in study.awaited_by(number)]),
    }


rule trial:
    input:
        unpack(awaited_by_trial),
    output:
        result=f"{RESULTS}/{{study}}/trials/{{number}}/result.json",
        timing=f"{RESULTS}/{{study}}/trials/{{number}}/timing.json",
    log:
        f"{RESULTS}/{{study}}/logs/trial/{{number}}.log",
    benchmark:
        f"{RESULTS}/{{study}}/benchmarks/trial/{{number}}.tsv"
    threads: lambda wildcards: STUDIES[wildcards.study].config.training["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    conda:
        "../../environment.yml"
    shell:
        "python {SCRIPTS}/trial.py {RESULTS}/{wildcards.study}/config.yaml {wildcards.number} 2> {log}"
