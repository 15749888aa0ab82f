rule tables:
    input:
        config="<results>/{study}/config.yaml",
        results=all_results,
        stale=if_stale("tables", TABLES),
    output:
        trials="<results>/{study}/trials.csv",
        evaluations="<results>/{study}/evaluations.csv",
        distributions="<results>/{study}/distributions.json",
        record="<results>/{study}/.records/tables.json",
    log:
        "<results>/{study}/logs/tables.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/tables.py" " {input.config:q} --record {output.record:q} 2> {log:q}"


rule timings:
    input:
        config="<results>/{study}/config.yaml",
        results=all_results,
        stale=if_stale("timings", ["timings.csv"]),
    output:
        table="<results>/{study}/timings.csv",
        record="<results>/{study}/.records/timings.json",
    log:
        "<results>/{study}/logs/timings.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/timings.py"
        " {input.config:q} --output {output.table:q} --record {output.record:q} 2> {log:q}"


# Brings the database (study.db, or the one in study.storage) up to date. The only output is the record, because trials
# may write the database at any time, and it may be on a server.
rule database:
    input:
        config="<results>/{study}/config.yaml",
        trials="<results>/{study}/trials.csv",
        stale=if_database_is_stale,
    output:
        record="<results>/{study}/.records/database.json",
    log:
        "<results>/{study}/logs/database.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/database.py" " {input.config:q} --record {output.record:q} 2> {log:q}"
