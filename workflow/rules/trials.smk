rule trial:
    input:
        unpack(awaited_by_trial),
        replicates=replicates_of_trial,
    output:
        result=f"{RESULTS}/{{study}}/trials/{{number}}/result.json",
        timing=f"{RESULTS}/{{study}}/trials/{{number}}/timing.json",
    log:
        f"{RESULTS}/{{study}}/logs/trial/{{number}}.log",
    benchmark:
        f"{RESULTS}/{{study}}/benchmarks/trial/{{number}}.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wildcards: STUDIES[wildcards.study].config.training["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    shell:
        f"python {SCRIPTS}/trial.py" " {output.result} 2> {log}"


rule replicate:
    input:
        unpack(awaited_by_trial),
    output:
        result=f"{RESULTS}/{{study}}/trials/{{number}}/replicates/{{replicate}}/result.json",
        timing=f"{RESULTS}/{{study}}/trials/{{number}}/replicates/{{replicate}}/timing.json",
    log:
        f"{RESULTS}/{{study}}/logs/replicate/{{number}}/{{replicate}}.log",
    benchmark:
        f"{RESULTS}/{{study}}/benchmarks/replicate/{{number}}/{{replicate}}.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wildcards: STUDIES[wildcards.study].config.training["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    shell:
        f"python {SCRIPTS}/replicate.py" " {output.result} 2> {log}"
