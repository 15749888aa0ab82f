# Repeats some trainings of each study and of each archive, and compares them with their results.
rule verify:
    input:
        lambda wildcards: [f"{results_directory}/{study}/config.yaml" for entry in USERS for study in STUDIES.of(entry)],
    log:
        "<results>/.verify.log",
    conda:
        "../../environment.yml"
    params:
        studies=lambda wildcards, input: [*(str(Path(path).parent) for path in input), *config["archives"]],
    shell:
        f"python {SCRIPTS}/verify.py" " {params.studies:q} 2> {log:q}"


# The same for one study: `snakemake verify-<study>`. In the process of a job, only the rule that it runs is defined, as
# there may be a thousand studies.
for _study in (
    study
    for entry in USERS
    for study in STUDIES.of(entry)
    if workflow.is_main_process or any(f"verify-{study}" in argument for argument in sys.argv)
):

    rule:
        name:
            f"verify-{_study}"
        input:
            f"<results>/{_study}/config.yaml",
        log:
            f"<results>/{_study}/logs/verify.log",
        conda:
            "../../environment.yml"
        params:
            study=lambda wildcards, input: str(Path(input[0]).parent),
        shell:
            f"python {SCRIPTS}/verify.py" " {params.study:q} 2> {log:q}"
