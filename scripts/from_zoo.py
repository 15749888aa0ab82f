"""Convert RL Baselines3 Zoo's hyperparameters to configs: python scripts/from_zoo.py hyperparams/ppo.yml configs

For each environment of the file this writes <configs>/zoo/<algorithm>/<environment>.yaml. With
`config_dirs: [<configs>]`, a study can use it as the baseline `zoo` and as the first trial (`study.enqueue: [zoo]`).
A study can also take its own settings from it. Then the study's defaults list names it before the overrides:
`/zoo/<algorithm>/<environment>@_global_`.
"""

import argparse
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="hyperparams/<algorithm>.yml, as the Zoo's --conf-file takes it")
    parser.add_argument("configs", type=Path, help="directory of your Hydra configs")
    parser.add_argument("--algorithm", help="algorithm of these settings (default: by the file's name)")
    arguments = parser.parse_args()
    with errors_in_one_line():
        write_settings(arguments.file, arguments.configs, arguments.algorithm)


def write_settings(file: Path, configs: Path, algorithm: str | None) -> None:
    """Write a config for each environment of the file. Print its path, and the arguments that are left out.

    Raises:
        SidewinderError: The algorithm is unknown, or the file is missing or malformed.
    """
    import yaml

    from sidewinder.config.algorithms import ALGORITHMS
    from sidewinder.config.zoo_files import algorithm_of, settings_of
    from sidewinder.files import write_atomically

    name = algorithm or algorithm_of(file)
    if name not in ALGORITHMS["sb3"]:
        accepted = ", ".join(ALGORITHMS["sb3"])
        raise SidewinderError(f"--algorithm: found {name!r} for {file}, accepted: {accepted}")
    for env_id, setting, left_out in list(settings_of(file)):
        path = configs / "zoo" / str(name) / f"{env_id.rpartition(':')[2]}.yaml"
        body = yaml.safe_dump(setting, sort_keys=False)
        write_atomically(path, f"# {file.name}, {env_id}\n{body}")
        print(path, *(f"({argument} not used)" for argument in left_out))


if __name__ == "__main__":
    main()
