rule compose:
    input:
        stale=if_config_is_stale,
    output:
        "<results>/{study}/config.yaml",
    log:
        "<results>/{study}/logs/compose.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        name=lambda wildcards: Path(wildcards.study).name,
        overrides=lambda wildcards: STUDIES[wildcards.study].overrides,
        config_dirs=lambda wildcards: STUDIES[wildcards.study].config_dirs,
        archives=config["archives"],
    shell:
        f"python {SCRIPTS}/compose.py"
        " {params.name:q} {output:q}"
        " --overrides {params.overrides:q} --config-dirs {params.config_dirs:q} --archives {params.archives:q} 2> {log:q}"
