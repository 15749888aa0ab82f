rule tables:
    input:
        config=f"{RESULTS}/{{study}}/config.yaml",
        results=all_results,
        stale=if_stale("tables", TABLES),
    output:
        trials=f"{RESULTS}/{{study}}/trials.csv",
        evaluations=f"{RESULTS}/{{study}}/evaluations.csv",
        distributions=f"{RESULTS}/{{study}}/distributions.json",
        record=f"{RESULTS}/{{study}}/.records/tables.json",
    log:
        f"{RESULTS}/{{study}}/logs/tables.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/tables.py" " {input.config:q} --record {output.record:q} 2> {log:q}"


rule timings:
    input:
        config=f"{RESULTS}/{{study}}/config.yaml",
        results=all_results,
        stale=if_stale("timings", ["timings.csv"]),
    output:
        table=f"{RESULTS}/{{study}}/timings.csv",
        record=f"{RESULTS}/{{study}}/.records/timings.json",
    log:
        f"{RESULTS}/{{study}}/logs/timings.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/timings.py"
        " {input.config:q} --output {output.table:q} --record {output.record:q} 2> {log:q}"


# study.db, or what study.storage says, with all results. Its output is the record alone: the database may be written by
# trials at any time, and be on a server.
rule database:
    input:
        config=f"{RESULTS}/{{study}}/config.yaml",
        trials=f"{RESULTS}/{{study}}/trials.csv",
        stale=if_database_is_stale,
    output:
        record=f"{RESULTS}/{{study}}/.records/database.json",
    log:
        f"{RESULTS}/{{study}}/logs/database.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/database.py" " {input.config:q} --record {output.record:q} 2> {log:q}"
