rule best:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        trials=f"{RESULTS}/{{study}}/trials.csv",
    output:
        f"{RESULTS}/{{study}}/best.yaml",
    log:
        f"{RESULTS}/{{study}}/logs/best.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/best.py" " {input.config} {input.trials} {output} 2> {log}"
