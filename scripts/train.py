"""One training run, as a Hydra app: python scripts/train.py agent=ddpg agent.learning_rate=3e-4 training.seed=1

Hydra searches the directory of `--config-dir my_configs` before the shipped configs, as with a study's config_dirs.
This writes to Hydra's output directory: evaluations.json, TensorBoard's log, the agent of the evaluation that is the
objective (model.zip), and the agent at the end of training (last_model.zip). With normalisation, each agent also has
its statistics (vecnormalize.pkl, last_vecnormalize.pkl). To train a study's winner, a trial or a setting again:
python scripts/train.py --config-path $PWD/results/<study> --config-name best
python scripts/train.py --trial results/<study> 7 training.total_timesteps=50000
`+video=true` adds video.gif, an episode of the agent in model.zip.
"""

import atexit
import logging
import os
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.config.overrides import for_hydra
from sidewinder.determinism import pin, pin_as_configured
from sidewinder.paths import CONFIG_DIR

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


@hydra.main(config_path="../configs", config_name="train", version_base="1.3")
def main(config: DictConfig) -> float | None:
    with errors_in_one_line():
        return train_run(config, Path(HydraConfig.get().runtime.output_dir))


def train_run(config: DictConfig, output_dir: Path) -> float | None:
    """Train, and save the agents and the evaluations. Return the objective, for Hydra's sweepers.

    Args:
        config: The composed config.
        output_dir: The directory to write to.

    Raises:
        SidewinderError: The config has a mistake, or the training failed.
    """
    try:
        pin(config.training.instruction_set, int(config.training.threads), config.training.device)
    except (AttributeError, KeyError, TypeError, ValueError, OmegaConfBaseException):
        pin("avx2", 1)  # run_config reports the mistake
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.config.run_config import run_config
    from sidewinder.files import to_json, write_atomically
    from sidewinder.training.agents import SavedAgent
    from sidewinder.training.checked import check_run, notes_on
    from sidewinder.training.objectives import reached
    from sidewinder.training.run import train

    run = run_config(config)
    check_run(run)
    for note in notes_on(run):
        logging.warning(note)
    best: dict[str, SavedAgent] = {}
    direction = OmegaConf.select(config, "study.direction", default="maximize")  # --trial sets it
    camera = None
    if config.get("video"):
        from sidewinder.report.filming import Camera, side_by_side

        camera = Camera(run, run.evaluation.seed or run.training.seed)

    def counted(model: "BaseAlgorithm") -> None:
        best.update(agent=SavedAgent(model))
        if camera:
            camera.shoot(model)

    outcome = train(run, tensorboard_log=output_dir / "tensorboard", counted=counted, direction=direction)
    evaluations = [evaluation.model_dump() for evaluation in outcome.evaluations]
    objective = outcome.objective(run, direction)
    write_atomically(
        output_dir / "evaluations.json",
        to_json({"state": outcome.state, "reason": outcome.reason, "objective": objective, "evaluations": evaluations}),
    )
    if outcome.model is not None:
        SavedAgent(outcome.model).write(output_dir, prefix="last_")
    if outcome.state == "failed":
        raise SidewinderError(f"training failed: {outcome.reason}; {output_dir} has its files up to there")
    best["agent"].write(output_dir)
    if camera:
        film = camera.film(reached(outcome.evaluations, run, "return", direction)[0])
        write_atomically(output_dir / "video.gif", side_by_side({"agent": film}))
        camera.close()
    logging.info("%s: objective %s; model and logs in %s", outcome.state, objective, output_dir)
    return objective


def arguments_for_hydra(arguments: list[str]) -> list[str]:
    """Convert the command line for Hydra.

    Hydra searches --config-path before --config-dir. So the directory of --config-dir is given to Hydra as
    --config-path, and the shipped configs as --config-dir. Overrides of keys in open mappings, such as
    `environment.env_kwargs`, get the prefix `++`. `--trial` is replaced by a config.

    Raises:
        SidewinderError: --config-dir is no directory, or the study has no such trial.
    """
    others = [for_hydra(argument) for argument in _with_trial(arguments)]
    path, directory = _taken(others, "--config-path", "-cp"), _taken(others, "--config-dir", "-cd")
    if directory is not None and not Path(directory).is_dir():
        raise SidewinderError(f"--config-dir: found {directory!r}, accepted: a directory")
    if directory is not None and path is None:
        path, directory = str(Path(directory).absolute()), str(CONFIG_DIR)
    options = {"--config-path": path, "--config-dir": directory}
    return [f"{name}={value}" for name, value in options.items() if value is not None] + others


def _with_trial(arguments: list[str]) -> list[str]:
    """Replace `--trial <study> <name>` by options that name a temporary config of this training.

    Raises:
        SidewinderError: The study has no such training.
    """
    if "--trial" not in arguments:
        return arguments
    position = arguments.index("--trial")
    if len(named := arguments[position + 1 : position + 3]) < 2:
        raise SidewinderError("--trial: found fewer than two words after it, accepted: results/<study> 7")
    study_dir = Path(named[0])
    pin_as_configured(study_dir / "config.yaml")
    # Imported late: numpy and torch read the pins when they load.
    from sidewinder.named_training import named_training

    directory = mkdtemp(prefix="sidewinder-")
    atexit.register(shutil.rmtree, directory)
    run, direction = named_training(study_dir, named[1])
    content = {**run.model_dump(), "study": {"direction": direction}}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    Path(directory, "trial.yaml").write_text(text)
    rest = arguments[:position] + arguments[position + 3 :]
    return ["--config-path", directory, "--config-name", "trial", *rest]


def _taken(arguments: list[str], *names: str) -> str | None:
    """Remove an option from a command line. Return its value; None if the option is not there."""
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in names and (equals or arguments[position + 1 :]):
            del arguments[position]
            return value if equals else arguments.pop(position)
    return None


if __name__ == "__main__":
    if "PYTHONHASHSEED" not in os.environ:
        # As in the workflow. Otherwise the order of sets of strings would be another one in each process.
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "PYTHONHASHSEED": "0"})
    with errors_in_one_line():
        sys.argv[1:] = arguments_for_hydra(sys.argv[1:])
    main()
