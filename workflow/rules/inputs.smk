# What jobs wait for, where a pattern cannot say it.


def result_of(study, number):
    return f"{RESULTS}/{study}/trials/{number}/result.json"


def awaited_by_trial(wildcards):
    """The config, and the results of a window of earlier trials. A finished trial waits for nothing, so that nothing
    makes it run again; and what it waits for does not age: it belongs to the config that the study still has."""
    study, number = STUDIES[wildcards.study], int(wildcards.number)
    if number in study.finished:
        return {}
    return {
        "config": ancient(f"{RESULTS}/{wildcards.study}/config.yaml"),
        "results": ancient([result_of(wildcards.study, earlier) for earlier in study.awaited_by(number)]),
    }


def all_results(wildcards):
    """The results of a study's whole budget."""
    n_trials = STUDIES[wildcards.study].config.study.n_trials
    return [result_of(wildcards.study, number) for number in range(n_trials)]
