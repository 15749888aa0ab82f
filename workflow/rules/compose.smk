rule compose:
    output:
        f"{RESULTS}/{{study}}/config.yaml",
    log:
        f"{RESULTS}/{{study}}/logs/compose.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        name=lambda wildcards: Path(wildcards.study).name,
        overrides=lambda wildcards: STUDIES[wildcards.study].overrides,
        config_dirs=lambda wildcards: STUDIES[wildcards.study].config_dirs,
        # Not for the script: a study that composes to something new is composed again.
        config=lambda wildcards: STUDIES[wildcards.study].config.dump(),
    shell:
        f"python {SCRIPTS}/compose.py"
        " {params.name} {output}"
        " --overrides {params.overrides:q} --config-dirs {params.config_dirs:q} 2> {log}"
