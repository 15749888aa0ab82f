"""Watch a trained agent and evaluate it: python scripts/enjoy.py results/<study>/agent

The agent plays the held-out episodes of its page (README.md). So the mean return is the one on the page, unless the
agent acts at random (evaluation.deterministic=false).
"""

import argparse
from pathlib import Path

from sidewinder import SidewinderError, errors_in_one_line
from sidewinder.determinism import pin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", type=Path, help="directory with model.zip and config.yaml")
    parser.add_argument("--episodes", type=int, help="number of episodes (default and most: all held-out episodes)")
    parser.add_argument("--no-render", action="store_true", help="show no window")
    arguments = parser.parse_args()
    with errors_in_one_line():
        returns = play(arguments.agent, arguments.episodes, rendered=not arguments.no_render)
    print(f"mean return of {len(returns)} episodes: {sum(returns) / len(returns):.1f}")


def play(directory: Path, n_episodes: int | None, *, rendered: bool) -> list[float]:
    """Play held-out episodes, and return their returns.

    Args:
        directory: The agent's directory, with model.zip and config.yaml.
        n_episodes: How many of the held-out episodes, from the first; None for all.
        rendered: Whether to show a window.

    Raises:
        SidewinderError: A file is missing or malformed, or the environment cannot be shown.
    """
    import yaml

    from sidewinder.files import reading

    if not (directory / "model.zip").exists():
        raise SidewinderError(f"{directory}: found no model.zip, accepted: results/<study>/agent")
    with reading(directory / "config.yaml", "rule agent makes it: `snakemake results/<study>/agent/README.md`"):
        content = yaml.safe_load((directory / "config.yaml").read_text())
        held_out = content.pop("held_out")
        pin(content["training"]["instruction_set"], content["training"]["threads"])
    # Imported late: numpy and torch read the pins when they load.
    from gymnasium.error import DependencyNotInstalled, Error
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize

    from sidewinder.config.run_config import RunConfig
    from sidewinder.training import agents
    from sidewinder.training.arguments import algorithm_of
    from sidewinder.training.environments import make_evaluation_env
    from sidewinder.training.turns import seed_episodes

    run = RunConfig.model_validate(content)
    if rendered:
        other = run.evaluation.environment
        other.env_kwargs = {**other.env_kwargs, "render_mode": "human"}
    n_episodes = min(n_episodes or held_out["n_episodes"], held_out["n_episodes"])
    try:
        env: VecEnv = make_evaluation_env(run, 1 if rendered else n_episodes, held_out["seed"])
        if isinstance(env, VecNormalize):
            env = VecNormalize.load(str(directory / "vecnormalize.pkl"), env.venv)
            env.training = env.norm_reward = False
        if env.num_envs < n_episodes:
            seed_episodes(env, held_out["seed"], n_episodes)
        else:
            env.seed(held_out["seed"])
        model = algorithm_of(run.agent).load(directory / "model.zip", device="cpu")
        return agents.evaluate(model, env, n_episodes, deterministic=run.evaluation.deterministic)["return"]
    except (DependencyNotInstalled, Error) as error:
        raise SidewinderError(f"{error}; without a window it works: --no-render") from None


if __name__ == "__main__":
    main()
