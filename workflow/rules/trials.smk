rule trial:
    input:
        unpack(awaited_by_trial),
        replicates=replicates_of_trial,
    output:
        # `update` keeps the file when the job starts, as another job may have made it already. timing.json beside it is
        # no output: if it is lost, only the timings are missing.
        update("<results>/{study}/trials/{number}/result.json"),
    log:
        "<results>/{study}/logs/trial/{number}.log",
    benchmark:
        "<results>/{study}/benchmarks/trial/{number}.tsv"
    # Trials with lower numbers first.
    priority: lambda wildcards: 1 / (1 + int(wildcards.number))
    conda:
        "../../environment.yml"
    threads: lambda wildcards: STUDIES[wildcards.study].config.training["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        gpu=lambda wildcards: STUDIES[wildcards.study].gpu,
        runtime=lambda wildcards, attempt: 240 * attempt * STUDIES[wildcards.study].config.study.trials_per_job,
    shell:
        f"exec python {SCRIPTS}/trial.py" " {output:q} 2> {log:q}"


rule replicate:
    input:
        unpack(awaited_by_trial),
    output:
        update("<results>/{study}/trials/{number}/replicates/{replicate}/result.json"),
    log:
        "<results>/{study}/logs/replicate/{number}/{replicate}.log",
    benchmark:
        "<results>/{study}/benchmarks/replicate/{number}/{replicate}.tsv"
    # Trials with lower numbers first.
    priority: lambda wildcards: 1 / (1 + int(wildcards.number))
    conda:
        "../../environment.yml"
    threads: lambda wildcards: STUDIES[wildcards.study].config.training["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        gpu=lambda wildcards: STUDIES[wildcards.study].gpu,
        runtime=lambda wildcards, attempt: 240 * attempt,
    shell:
        f"exec python {SCRIPTS}/replicate.py" " {output:q} 2> {log:q}"
