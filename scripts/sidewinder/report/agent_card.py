"""The page of a trained agent, in the format of Hugging Face's model cards: what it is, and which returns it has."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import yaml

from sidewinder.config.algorithms import backend_of
from sidewinder.config.run_config import RunConfig
from sidewinder.confirmation.statistics import interval_of_mean


def agent_card(
    study: str,
    setting: str,
    verdict: str,
    run: RunConfig,
    seed: str,
    setting_values: Sequence[float],
    agent_values: Sequence[float],
    metric: str,
    loading: tuple[str, str],
) -> str:
    """Return the text of the agent's README.md.

    Args:
        study: The study's name.
        setting: The setting that was trained, in words: `trial 7` or `defaults`.
        verdict: The study's verdict.
        run: The config of the agent's training.
        seed: The index of the agent's test seed.
        setting_values: One value a test seed of the setting: the mean over the held-out episodes.
        agent_values: One value a held-out episode of this agent.
        metric: The metric of these values, in words, such as `return`.
        loading: The package and the class that load model.zip.
    """
    package, algorithm = loading
    env_id = run.environment.env_id.rpartition(":")[2]
    mean, deviation = np.mean(setting_values), np.std(setting_values)
    digits = 1 if abs(mean) >= 10 else 3
    setting_interval, agent_interval = (_interval(values, digits) for values in (setting_values, agent_values))
    n_seeds, own_mean = len(setting_values), np.mean(agent_values)
    # The metric's name in model cards.
    name = "mean_reward" if metric == "return" else f"mean_{metric.replace(' ', '_')}"
    head: dict[str, Any] = {
        "library_name": "stable-baselines3",
        "tags": [env_id, "deep-reinforcement-learning", "reinforcement-learning", "stable-baselines3"],
        "model-index": [
            {
                "name": algorithm,
                "results": [
                    {
                        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
                        "dataset": {"name": env_id, "type": env_id},
                        "metrics": [
                            {
                                "type": name,
                                "value": f"{mean:.2f} +/- {deviation:.2f}",
                                "name": name,
                                "verified": False,
                            }
                        ],
                    }
                ],
            }
        ],
    }
    keywords = (f"{name}={value!r}" for name, value in run.environment.env_kwargs.items())
    arguments = ", ".join([repr(run.environment.env_id), *keywords])
    others = {
        "wrappers": run.environment.wrappers,
        "VecFrameStack": run.environment.frame_stack,
        "VecNormalize (vecnormalize.pkl)": run.environment.normalize,
    }
    used = ", ".join(name for name, value in others.items() if value)
    around = f" The environment also needs these, as in `config.yaml`: {used}." if used else ""
    return f"""---
{yaml.safe_dump(head, sort_keys=False)}---

# {algorithm} on {env_id}: {setting} of study {study}

{verdict}

| | mean {metric} | 95 % interval |
|---|---|---|
| this setting, over {n_seeds} training seeds that chose nothing | {mean:.{digits}f} | {setting_interval} |
| this agent (seed {seed}, the best of them), over {len(agent_values)} episodes | {own_mean:.{digits}f} | \
{agent_interval} |

The first row says what to expect of this setting. The second row is of its luckiest seed.

```python
import gymnasium
from {package} import {algorithm}

env = gymnasium.make({arguments})
model = {algorithm}.load("model.zip")
```

`python scripts/enjoy.py <this directory>` plays its episodes again, and shows them.{around}

Trained for {run.training.total_timesteps:,} environment steps with {_packages(run)}; `config.yaml` has all of its
hyperparameters, `hyperparams.yml` the same as an entry for RL Baselines3 Zoo.
"""


def _interval(values: Sequence[float], digits: int) -> str:
    if len(values) < 2:
        return "-"
    low, high = interval_of_mean(values)
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def _packages(run: RunConfig) -> str:
    names = ["stable-baselines3", "gymnasium", "torch"] + (["sbx-rl"] if backend_of(run.agent) == "sbx" else [])
    return ", ".join(f"{name} {version(name)}" for name in names)
