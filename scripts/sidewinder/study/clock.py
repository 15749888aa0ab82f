"""The virtual clock: a trial's work, computed from its parameters and its result. It measures no time.

Work is the number of environment steps times the price of one step with the trial's parameters. Its unit is the
microsecond of an imaginary core, so it is the same on each machine. Where the price is wrong, the view is less like
asynchronous Optuna's, but just as reproducible.

A trial may end whenever its pruner is asked, and ends with its budget at the latest. A failed trial counts with its
whole budget, because its work must be known beforehand. A callback may end a training at any step; the training then
counts up to its next evaluation.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from hydra.utils import instantiate
from optuna.pruners import NopPruner

from sidewinder.config.algorithms import NET_ARCHS, POLICY_DEFAULTS, backend_of
from sidewinder.config.run_config import RunConfig
from sidewinder.config.study_config import StudyConfig
from sidewinder.results import Replicate, Result

# In microseconds: a step of all parallel environments, and the part of each environment.
_STEP_PRICE, _STEP_OF_ONE_PRICE = 320, 40
# By backend: the microseconds that each update takes, and how many (weight, sample) pairs take one microsecond more.
_UPDATE_PRICES = {"sb3": (1300, 5000), "sbx": (100, 8000)}
_STEPS_OF_AN_EPISODE = 200


def possible_ends(config: StudyConfig, params: Mapping[str, Any]) -> list[list[int]]:
    """The amounts of work after which a trial with these parameters may end.

    Returns:
        One list, in ascending order, for each part of the trial that ends on its own: one per replicate if replicates
        are jobs that may end early, else one for the whole trial.
    """
    runs = [config.for_trial(params, environment) for environment, _ in config.replicates().values()]
    prices = [step_price(run) for run in runs]
    budgets = [run.training.total_timesteps * price for run, price in zip(runs, prices, strict=True)]
    if isinstance(instantiate(config.pruner), NopPruner) and not may_end_early(config):
        return [[sum(budgets)]]
    if len(runs) > 1 and not config.replicate_jobs():
        # In sequence: the trial may end after the first replicate, the second, ...
        return [list(accumulate(budgets))]
    return [
        [*range(run.evaluation.eval_freq * price, budget, run.evaluation.eval_freq * price), budget]
        for run, price, budget in zip(runs, prices, budgets, strict=True)
    ]


def may_end_early(config: StudyConfig) -> bool:
    """Whether a complete trial may have trained for less than its budget."""
    # The section may be an interpolation, which may have callbacks.
    return not isinstance(config.training, dict) or bool(config.training.get("callbacks"))


def step_price(run: RunConfig) -> int:
    """The price of one environment step of a training with its share of the updates, in microseconds; at least 1.

    A simple model, with constants measured with DDPG on Pendulum. It adds the price of a step of all parallel
    environments, a fixed price of an update, and a price for each weight between hidden layers and sample of a batch.
    """
    agent, n_envs = run.agent, run.environment.n_envs
    fixed, weights_a_microsecond = _UPDATE_PRICES.get(backend_of(agent), _UPDATE_PRICES["sb3"])
    batch = _number(agent.get("batch_size"), 0) or _number(agent.get("n_steps"), 1) * n_envs
    update = fixed + batch * _n_weights(agent) / weights_a_microsecond
    return max(1, round(_STEP_PRICE / n_envs + _STEP_OF_ONE_PRICE + update * _updates_a_step(agent, n_envs, batch)))


def _updates_a_step(agent: Mapping[str, Any], n_envs: int, batch: float) -> float:
    if "train_freq" not in agent:
        return _number(agent.get("n_epochs"), 1) / batch  # on policy: each step is in one batch an epoch
    gradient_steps, every = _number(agent.get("gradient_steps"), 1), agent["train_freq"]
    if gradient_steps < 0:
        return 1.0  # as many as steps
    count, unit = every if isinstance(every, list | tuple) else (every, "step")
    # The length of episodes is not known beforehand.
    steps = _number(count, 1) * (1 if unit == "step" else _STEPS_OF_AN_EPISODE)
    return gradient_steps / (steps * n_envs)


def _n_weights(agent: Mapping[str, Any]) -> int:
    """How many weights are between the hidden layers of all networks of the agent's net_arch."""
    policy_kwargs = agent.get("policy_kwargs") or {}
    default = POLICY_DEFAULTS.get(str(agent.get("algorithm")), ([64, 64], ""))[0]
    net_arch = policy_kwargs.get("net_arch") or default
    networks = list(net_arch.values()) if isinstance(net_arch, dict) else [net_arch, net_arch]
    layers = [NET_ARCHS.get(widths, []) if isinstance(widths, str) else widths for widths in networks]
    return sum(int(_number(one, 1) * _number(next_one, 1)) for widths in layers for one, next_one in pairwise(widths))


def _number(value: Any, otherwise: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def work_done(config: StudyConfig, result: Result, ends: list[list[int]]) -> int:
    """The work of a trial that has ended with this result; `ends` is what `possible_ends` returned."""
    parts: Sequence[Result | Replicate] = result.replicates if len(ends) > 1 else [result]
    return sum(end_of(config, part, own) for part, own in zip(parts, ends, strict=True))


def end_of(config: StudyConfig, part: Result | Replicate, ends: list[int]) -> int:
    """The work after which a part of a trial has ended: one of its possible ends."""
    if len(ends) == 1 or part.state == "failed":
        return ends[-1]
    in_sequence = isinstance(part, Result) and bool(part.replicates)
    if part.state == "complete" and (in_sequence or not may_end_early(config)):
        return ends[-1]
    # Replicates in sequence report once each, other trainings at each evaluation.
    reports = part.replicates if isinstance(part, Result) and in_sequence else part.evaluations
    return ends[min(len(reports), len(ends)) - 1]
