rule optimization_history:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        tables=rules.tables.output,
    output:
        pdf=f"{RESULTS}/{{study}}/figures/optimization_history.pdf",
        png=report(
            f"{RESULTS}/{{study}}/figures/optimization_history.png",
            caption="../report/optimization_history.rst",
            category="{study}",
        ),
    log:
        f"{RESULTS}/{{study}}/logs/optimization_history.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/optimization_history.py"
        " {input.config} $(dirname {input.tables[0]}) --output {output} 2> {log}"


rule learning_curves:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        tables=rules.tables.output,
    output:
        pdf=f"{RESULTS}/{{study}}/figures/learning_curves.pdf",
        png=report(
            f"{RESULTS}/{{study}}/figures/learning_curves.png",
            caption="../report/learning_curves.rst",
            category="{study}",
        ),
    log:
        f"{RESULTS}/{{study}}/logs/learning_curves.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/learning_curves.py" " {input.config} $(dirname {input.tables[0]}) --output {output} 2> {log}"


rule parallel_coordinates:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        tables=rules.tables.output,
    output:
        pdf=f"{RESULTS}/{{study}}/figures/parallel_coordinates.pdf",
        png=report(
            f"{RESULTS}/{{study}}/figures/parallel_coordinates.png",
            caption="../report/parallel_coordinates.rst",
            category="{study}",
        ),
    log:
        f"{RESULTS}/{{study}}/logs/parallel_coordinates.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/parallel_coordinates.py"
        " {input.config} $(dirname {input.tables[0]}) --output {output} 2> {log}"


rule parameter_importance:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        tables=rules.tables.output,
    output:
        pdf=f"{RESULTS}/{{study}}/figures/parameter_importance.pdf",
        png=report(
            f"{RESULTS}/{{study}}/figures/parameter_importance.png",
            caption="../report/parameter_importance.rst",
            category="{study}",
        ),
    log:
        f"{RESULTS}/{{study}}/logs/parameter_importance.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/parameter_importance.py"
        " {input.config} $(dirname {input.tables[0]}) --output {output} 2> {log}"


rule contrast:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        tables=rules.tables.output,
    output:
        pdf=f"{RESULTS}/{{study}}/figures/contrast.pdf",
        png=report(
            f"{RESULTS}/{{study}}/figures/contrast.png",
            caption="../report/contrast.rst",
            category="{study}",
        ),
    log:
        f"{RESULTS}/{{study}}/logs/contrast.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/contrast.py" " {input.config} $(dirname {input.tables[0]}) --output {output} 2> {log}"


rule test_returns:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        tables=rules.tables.output,
        confirmation=f"{RESULTS}/{{study}}/confirmation.csv",
    output:
        pdf=f"{RESULTS}/{{study}}/figures/test_returns.pdf",
        png=report(
            f"{RESULTS}/{{study}}/figures/test_returns.png",
            caption="../report/test_returns.rst",
            category="{study}",
        ),
    log:
        f"{RESULTS}/{{study}}/logs/test_returns.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/test_returns.py" " {input.config} $(dirname {input.tables[0]}) --output {output} 2> {log}"


rule selection_gap:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        tables=rules.tables.output,
        confirmation=f"{RESULTS}/{{study}}/confirmation.csv",
    output:
        pdf=f"{RESULTS}/{{study}}/figures/selection_gap.pdf",
        png=report(
            f"{RESULTS}/{{study}}/figures/selection_gap.png",
            caption="../report/selection_gap.rst",
            category="{study}",
        ),
    log:
        f"{RESULTS}/{{study}}/logs/selection_gap.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/selection_gap.py" " {input.config} $(dirname {input.tables[0]}) --output {output} 2> {log}"


rule pareto_front:
    input:
        config=ancient(f"{RESULTS}/{{study}}/config.yaml"),
        tables=rules.tables.output,
        confirmation=f"{RESULTS}/{{study}}/confirmation.csv",
    output:
        pdf=f"{RESULTS}/{{study}}/figures/pareto_front.pdf",
        png=report(
            f"{RESULTS}/{{study}}/figures/pareto_front.png",
            caption="../report/pareto_front.rst",
            category="{study}",
        ),
    log:
        f"{RESULTS}/{{study}}/logs/pareto_front.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        f"python {SCRIPTS}/pareto_front.py" " {input.config} $(dirname {input.tables[0]}) --output {output} 2> {log}"
