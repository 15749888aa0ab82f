"""A study's answers to the reproducibility checklists of the field, from its config and its tables."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sidewinder.config.metrics import in_words, moment_in_words
from sidewinder.config.study_config import StudyConfig
from sidewinder.determinism import derive_seed, processor
from sidewinder.report.texts import from_archives, markdown_table, parameters, taken_from

_YOURS = "For you to answer: it is about several studies."


def checklist(
    config: StudyConfig,
    trials: pd.DataFrame,
    timings: pd.DataFrame,
    confirmed: pd.DataFrame,
    provenance: dict[str, Any],
    winner: dict[str, Any] | None,
) -> str:
    """Return the text of checklist.md.

    Args:
        config: The study's config.
        trials: Rows of trials.csv.
        timings: Rows of timings.csv.
        confirmed: Rows of confirmation.csv.
        provenance: The content of provenance.json.
        winner: The section `winner` of best.yaml; None for a study with several objectives.
    """
    return (
        "\n\n".join(
            [
                f"# Checklists for {config.study.name}",
                "Answers from what is on record of the study. Check them before you publish them, and answer the rest.",
                "## Reproducibility checklist for RL research with hyperparameter optimisation (Eimer et al. 2023)",
                _table(_of_tuning(config, trials, confirmed, provenance, winner)),
                "The configuration space, and the reported configuration:",
                markdown_table(parameters(config, {"reported": winner["params"]} if winner else {})),
                "## NeurIPS paper checklist: questions about experiments",
                _table(_of_neurips(config, timings, confirmed, provenance, winner)),
            ]
        )
        + "\n"
    )


def _table(answers: Sequence[tuple[str, str]]) -> str:
    return markdown_table(pd.DataFrame(answers, columns=["question", "answer"]))


def _of_tuning(
    config: StudyConfig,
    trials: pd.DataFrame,
    confirmed: pd.DataFrame,
    provenance: dict[str, Any],
    winner: dict[str, Any] | None,
) -> list[tuple[str, str]]:
    study, confirmation = config.study, config.confirmation
    states = ", ".join(f"{count} {state}" for state, count in trials["state"].value_counts().items())
    searched = "training.total_timesteps" in config.search_space
    steps = "a searched number of" if searched else f"{config.training['total_timesteps']:,}"
    replicates = f", each trained {len(config.replicates())} times" if len(config.replicates()) > 1 else ""
    pruner = _class(config.pruner)
    race = f" The race had {_seeds(confirmed, 'validation', config)}." if winner else ""
    optimiser = f"{_class(config.sampler)}{f' with {pruner}' if pruner != 'NopPruner' else ''}"
    return [
        ("Is only the training setting used for training, and for tuning?", _settings_of(config)),
        (
            "Are final results reported on the test setting?",
            f"Yes: {confirmation.n_eval_episodes} episodes on each of {confirmation.n_test_seeds} test seeds.",
        ),
        (
            "What were hyperparameters tuned with?",
            f"Sidewinder {provenance['code']['version']} with Optuna {_version(provenance, 'optuna')}: {optimiser}.",
        ),
        ("Do algorithms that share hyperparameters have the same ranges?", _YOURS),
        ("Which metric was optimised?", _metric(config)),
        (
            "What was the tuning budget?",
            f"{study.n_trials} trials ({states}) of {steps} environment steps{replicates}; "
            f"{trials['steps'].sum():,.0f} steps in all.",
        ),
        ("Was it the same for all tuned methods?", _YOURS),
        ("If the budget is given in time: is the hardware comparable?", "Not applicable: it is given in steps."),
        ("Were all reported methods tuned as described here?", _YOURS),
        (
            "Which were the tuning seeds?",
            f"Study seed {study.seed}. From it and its number each trial derives training seeds of its own (`seeds` in "
            f"`trials/<number>/result.json`).{race}",
        ),
        ("Which were the test seeds?", f"{_seeds(confirmed, 'test', config)}."),
        (
            "Are all results reported on the test seeds?",
            "Yes: `best.md`, `best.tex`." if winner else "Yes: `pareto.md`.",
        ),
        ("Which configurations are reported?", _reported(winner)),
        ("Where is the code, and is the tuning process in it?", _code(provenance)),
        (
            "Is there an exact version of the software environment?",
            "Yes: `requirements.lock` of this version pins all packages. Used were "
            + ", ".join(f"{name} {' and '.join(versions)}" for name, versions in provenance["packages"].items())
            + f", Python {provenance['python']}.",
        ),
        ("Which hardware was used?", f"This was written on {processor()}. The hours of training are below."),
    ]


def _of_neurips(
    config: StudyConfig,
    timings: pd.DataFrame,
    confirmed: pd.DataFrame,
    provenance: dict[str, Any],
    winner: dict[str, Any] | None,
) -> list[tuple[str, str]]:
    hosts, hours = timings["host"].nunique(), timings["seconds"].sum() / 3600
    exact = config.training.get("instruction_set") != "native" and config.training.get("device", "cpu") == "cpu"
    return [
        (
            "Experimental result reproducibility; open access to data and code",
            f"{_code(provenance)} `config.yaml` is the whole study; `snakemake verify` trains some of it again and "
            "compares the results bit by bit."
            + ("" if exact else " Trainings on a GPU, or with `instruction_set: native`, have other bits elsewhere."),
        ),
        (
            "Experimental setting",
            "`config.yaml` has every hyperparameter, the search space, and how it was confirmed.",
        ),
        (
            "Experiment statistical significance",
            f"Means over {config.confirmation.n_test_seeds} training seeds with 95 % bootstrap intervals, and "
            "differences seed by seed with permutation tests, adjusted by Holm's method. What varies is the training "
            "seed and the initial states."
            if winner
            else f"Means over {config.confirmation.n_test_seeds} training seeds with 95 % bootstrap intervals. What "
            "varies is the training seed and the initial states.",
        ),
        (
            "Experiments compute resources",
            f"The sweep: {hours:.2f} hours of training on {hosts} machine{'s' if hosts > 1 else ''} (`timings.csv`), "
            f"with trials that failed or were pruned. The confirmation: {len(confirmed)} more trainings of the full "
            f"length.{taken_from(from_archives(confirmed))} What was tried before this study is for you to add.",
        ),
        (
            "Licenses for existing assets",
            "Stable-Baselines3, SB3-Contrib, Gymnasium and Optuna have the MIT license. The environment's license is "
            "for you to add.",
        ),
    ]


def _settings_of(config: StudyConfig) -> str:
    other = config.evaluation.get("environment", {}) if isinstance(config.evaluation, dict) else {}
    changed = {key: value for key, value in (other or {}).items() if value not in (None, "dummy", {})}
    if changed:
        return f"Evaluation has other settings than training ({', '.join(changed)}): trials were chosen by it, too."
    return (
        "Yes: the training and test settings are seeds, of training and of initial states. The race and the test have "
        "seeds that the sweep did not have."
    )


def _metric(config: StudyConfig) -> str:
    evaluation = config.evaluation
    moment = {"best": "the best evaluation of each training", "last": "the last evaluation"}
    moment["auc"] = "all evaluations, as the area under their curve"
    names = {"return": "mean undiscounted return", "spread": "its spread", "steps_per_second": "steps per second"}
    objectives = ", ".join(
        f"{names.get(objective, 'mean ' + in_words(objective))} ({direction}d)"
        for objective, direction in zip(config.study.objectives, config.study.directions, strict=True)
    )
    chosen = evaluation.get("objective", "best")
    when = moment[chosen] if isinstance(chosen, str) else f"the {moment_in_words(chosen)} evaluations, as their mean"
    return f"{objectives}, over {evaluation['n_eval_episodes']} episodes, at {when}."


def _reported(winner: dict[str, Any] | None) -> str:
    if winner is None:
        return "The Pareto set: `pareto.md`, and `pareto/<trial>.yaml`."
    return f"Trial {winner['trial']}, below and in `best.yaml`. {winner['verdict']}"


def _code(provenance: dict[str, Any]) -> str:
    revision = provenance["code"]["revision"]
    at = f", revision {revision}" if revision else ""
    return f"Sidewinder {provenance['code']['version']}{at}, which is the tuning process."


def _class(section: dict[str, Any]) -> str:
    return str(section.get("_target_", "")).rpartition(".")[2]


def _version(provenance: dict[str, Any], package: str) -> str:
    return " and ".join(provenance["packages"].get(package, ["(version unknown)"]))


def _seeds(confirmed: pd.DataFrame, phase: str, config: StudyConfig) -> list[int]:
    """Return the training seeds of a phase of the confirmation, in the order of their indices."""
    indices = sorted({int(index) for index in confirmed.loc[confirmed["phase"] == phase, "index"]})
    return [derive_seed(config.study.seed, f"{phase} training", index) for index in indices]
