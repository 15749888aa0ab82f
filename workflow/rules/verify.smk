# Some trainings of each study again, compared with what is on record.
rule verify:
    input:
        lambda wildcards: [f"{results_directory}/{study}/config.yaml" for entry in USERS for study in STUDIES.of(entry)],
    log:
        "<results>/.verify.log",
    conda:
        "../../environment.yml"
    params:
        studies=lambda wildcards, input: [str(Path(path).parent) for path in input],
    shell:
        f"python {SCRIPTS}/verify.py" " {params.studies:q} 2> {log:q}"
