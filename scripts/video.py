"""Rule video: film the tuned agent in one episode, as a GIF and as a page of the report.

If the defaults are a baseline, their agent is filmed in the same episode, side by side. Both are trained again with the
first test seed. The film shows each agent as it was at the evaluation that counts.
"""

import argparse
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.determinism import pin_as_configured
from sidewinder.records import add_record, recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="results/<study>/config.yaml")
    parser.add_argument(
        "candidates", type=Path, nargs="+", help="settings to film: results/<study>/confirmation/candidates/<name>.yaml"
    )
    parser.add_argument("--gif", type=Path, required=True, help="GIF to write")
    parser.add_argument("--page", type=Path, required=True, help="HTML to write: the GIF as a page of the report")
    add_record(parser)
    arguments = parser.parse_args()
    pin_as_configured(arguments.config)
    with errors_in_one_line():
        film_agents(arguments)


def film_agents(arguments: argparse.Namespace) -> None:
    """Train and film the agents, and write both files."""
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.config.rule_settings import rule_settings
    from sidewinder.config.study_config import StudyConfig
    from sidewinder.confirmation.candidates import Candidate, confirmation_run
    from sidewinder.report.filming import film, side_by_side
    from sidewinder.report.pages import animated

    config, films = StudyConfig.load(arguments.config), {}
    environment = config.environment_names()[0]
    for path in arguments.candidates:
        candidate = Candidate.load(path)
        if not candidate.exists:
            raise SidewinderError(f"{path}: found a place without a trial, accepted: a candidate with one")
        name = candidate.name if candidate.trial is None else f"tuned (trial {candidate.trial})"
        run, held_out = confirmation_run(config, candidate, environment, "test", 0)
        films[name] = film(run, held_out, config.study.return_direction)
    with recorded(arguments.record, rule_settings("video", config), arguments.candidates) as write:
        gif = side_by_side(films)
        write(arguments.gif, gif)
        write(arguments.page, animated(config.study.name, gif))


if __name__ == "__main__":
    main()
