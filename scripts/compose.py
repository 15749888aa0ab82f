"""Rule compose: compose a study with Hydra, check it as far as possible without training, and write its config.yaml."""

import argparse
from pathlib import Path

from sidewinder import errors_in_one_line
from sidewinder.config.composition import compose_study
from sidewinder.determinism import pin_jax, share_compiled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", help="name of the study: configs/study/<name>.yaml, and results/<name>")
    parser.add_argument("output", type=Path, help="config.yaml to write")
    parser.add_argument("--overrides", nargs="*", default=[], help="Hydra overrides, e.g. study.n_trials=100")
    parser.add_argument("--config-dirs", nargs="*", default=[], type=Path, help="more directories of Hydra configs")
    parser.add_argument("--archives", nargs="*", default=[], help="archives of trainings, as in the configfile")
    arguments = parser.parse_args()
    with errors_in_one_line():
        study, study_dir = arguments.study, arguments.output.parent
        config = compose_study(study, arguments.overrides, arguments.config_dirs, arguments.archives, study_dir)
        # The trials also use what JAX compiles for the checks.
        pin_jax(config.training.get("instruction_set", "avx2"))
        share_compiled(arguments.output.absolute().parents[1])
        # Imported late: SB3 and Optuna take a second, and mistakes in the config should be reported before that.
        from sidewinder.checks import check_study
        from sidewinder.files import write_atomically
        from sidewinder.study.databases import database_of

        check_study(config)
        if config.study.storage:
            with database_of(arguments.output.parent, config).lock():
                pass  # only checks that the database can be reached
        write_atomically(arguments.output, config.dump())


if __name__ == "__main__":
    main()
