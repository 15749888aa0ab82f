"""Rule agent: write the trained agent of the setting that a study recommends, with its page.

The agent is the one of the best test seed. Plain Stable-Baselines3 loads model.zip; scripts/enjoy.py shows the agent.
"""

import argparse
import logging
import shutil
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.attempts import work_in_a_child
from sidewinder.determinism import pin_as_configured
from sidewinder.records import add_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument("best", type=Path, help="the study's best.yaml")
    parser.add_argument("confirmation", type=Path, help="the study's confirmation.csv")
    parser.add_argument("--output", type=Path, required=True, help="directory to write")
    add_record(parser)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    pin_as_configured(arguments.config)
    work_in_a_child()
    with errors_in_one_line():
        write_agent(arguments)


def write_agent(arguments: argparse.Namespace) -> None:
    """Write the agent, its config and its page; only the page if all trainings of the setting failed."""
    # Imported late: numpy and torch read the pins when they load.
    import yaml

    from sidewinder.config.import_paths import is_import_path
    from sidewinder.config.metrics import in_words
    from sidewinder.config.rule_settings import rule_settings
    from sidewinder.config.study_config import StudyConfig
    from sidewinder.confirmation.candidates import Candidate, confirmation_run
    from sidewinder.confirmation.results import ConfirmationResult, read_table
    from sidewinder.confirmation.trainings import agent_of, forget_agents
    from sidewinder.records import recorded
    from sidewinder.report.agent_card import agent_card
    from sidewinder.report.zoo_entry import zoo_entry
    from sidewinder.training.arguments import algorithm_of
    from sidewinder.trials.tables import judged

    config, study_dir = StudyConfig.load(arguments.config), arguments.config.parent
    with recorded(arguments.record, rule_settings("agent", config), [arguments.best, arguments.confirmation]) as write:
        winner = yaml.safe_load(arguments.best.read_text())["winner"]
        name = "winner" if winner["recommended"] == "tuned" else winner["recommended"]
        candidate = Candidate.load(study_dir / "confirmation" / "candidates" / f"{name}.yaml")
        environment = config.environment_names()[0]
        confirmed = read_table(arguments.confirmation)
        rows = confirmed[(confirmed["phase"] == "test") & (confirmed["candidate"] == name)]
        if environment is not None:
            rows = rows[rows["environment"] == environment]
        tested = rows.dropna(subset="mean_return").set_index("index")[f"mean_{judged(rows)}"]
        if tested.empty:
            shutil.rmtree(arguments.output, ignore_errors=True)
            write(arguments.output / "README.md", f"All trainings of {name} failed: there is no agent.\n")
            return
        best = int(str(tested.idxmin() if config.study.return_direction == "minimize" else tested.idxmax()))
        trainings = config.confirmations()["test"][name]
        training = next(key for key, value in trainings.items() if value == (environment, best))
        files = agent_of(config, study_dir, candidate, training, arguments.output)
        (arguments.output / "vecnormalize.pkl").unlink(missing_ok=True)  # may be left from another setting
        for file, content in files.items():
            write(arguments.output / file, content)
        run, held_out = confirmation_run(config, candidate, environment, "test", best)
        settings = {**run.model_dump(), "held_out": {"n_episodes": held_out.n_episodes, "seed": held_out.seed}}
        write(arguments.output / "config.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        result = ConfirmationResult.load(study_dir / "confirmation" / "test" / name / f"{training}.json")
        assert result.run
        algorithm, path = algorithm_of(run.agent), run.agent["algorithm"]
        package = path.rpartition(".")[0] if is_import_path(path) else algorithm.__module__.partition(".")[0]
        card = agent_card(
            config.study.name,
            name if candidate.trial is None else f"trial {candidate.trial}",
            winner["verdict"],
            run,
            f"{best}",
            tested.to_list(),
            result.run.metrics.get(config.study.objectives[0], result.run.returns),
            in_words(config.study.objectives[0]),
            (package, algorithm.__name__),
        )
        write(arguments.output / "hyperparams.yml", zoo_entry(run))
        write(arguments.output / "README.md", card)
    if config.confirmation.keep_agents == "recommended":
        forget_agents(config, study_dir)


if __name__ == "__main__":
    main()
