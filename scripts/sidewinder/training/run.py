"""One training run: train an agent, evaluate it on the way, stop where it is told to. It knows no study."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, sync_envs_normalization

from sidewinder import SidewinderError
from sidewinder.config.algorithms import backend_of
from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.determinism import derive_seed
from sidewinder.errors import first_line
from sidewinder.results import EvaluationResult, State
from sidewinder.training import agents
from sidewinder.training.environments import make_checked_env, make_evaluation_env, make_training_env
from sidewinder.training.lean_torch import defer_compiler
from sidewinder.training.objectives import counted

logger = logging.getLogger(__name__)
defer_compiler()

# What SB3, torch and Gymnasium raise where hyperparameters, not the machine, are at fault: NaN in actions or
# distributions, sizes that do not go together. Anything else ends the process and is no result.
_FAILURES = (ValueError, AssertionError, ArithmeticError)


@dataclass
class Outcome:
    """What came of a training run.

    Attributes:
        state: `complete`, `pruned` or `failed`.
        reason: Why it failed; else None.
        evaluations: In order of steps.
        held_out_returns: Of the held-out episodes, if there are any, with the agent as it was when `evaluations` were
            at their best, or with the last one, as `evaluation.objective` says.
        model: The agent after its last step; None if it could not be built.
        steps_per_second: Environment steps over the time that training took without its evaluations; 0 if it failed.
    """

    state: State = "complete"
    reason: str | None = None
    evaluations: list[EvaluationResult] = field(default_factory=list)
    held_out_returns: list[float] = field(default_factory=list)
    model: BaseAlgorithm | None = None
    steps_per_second: float = 0.0

    def objective(self, which: str, direction: str = "maximize") -> float | None:
        """The best or the last mean return of a complete run, else None."""
        return counted(self.evaluations, which, direction).mean_return if self.state == "complete" else None


def check_run(run: RunConfig) -> None:
    """Build the environment and the agent once, so that mistakes show before anything trains.

    Raises:
        SidewinderError: One line that names the key.
    """
    agents.check_agent(run.agent)
    if backend_of(run.agent) == "sbx" and run.training.device != "cpu":
        found = run.training.device
        raise SidewinderError(f"training.device: found {found!r}, accepted with agent.backend=sbx: cpu")
    try:
        torch.device(run.training.device)
    except RuntimeError:
        raise SidewinderError(f"training.device: found {run.training.device!r}, accepted: cpu, cuda, cuda:0") from None
    env = make_checked_env(run)
    try:
        agents.build(run.agent, env, seed=0, device="cpu", tensorboard_log=None)
    except (*_FAILURES, AttributeError, LookupError, RuntimeError, TypeError) as error:
        raise SidewinderError(f"agent: {first_line(error)}") from None
    finally:
        env.close()


def train(
    run: RunConfig,
    *,
    tensorboard_log: Path | None = None,
    report: Callable[[int, float], bool] = lambda _step, _mean_return: False,
    held_out: HeldOut | None = None,
    counted: Callable[[BaseAlgorithm], None] = lambda _model: None,
    direction: str = "maximize",
) -> Outcome:
    """Train and evaluate; the same arguments give the same outcome, bit by bit, on CPU.

    Args:
        run: What to train. Its `training.seed` is the agent's and its environments'; its `evaluation.seed` gives the
            evaluation episodes' initial states, the same at each evaluation.
        tensorboard_log: Directory for TensorBoard's files.
        report: Called after each evaluation with (environment steps, mean return); True prunes the run.
        held_out: Episodes beside the evaluations'.
        counted: Called with the agent whenever `held_out` are run: the last call is with the agent that counts.
        direction: What makes an evaluation the best, for `held_out`: `maximize` or `minimize`.
    """
    torch.set_num_threads(run.training.threads)
    torch.set_deterministic_debug_mode("error" if run.training.device == "cpu" else "default")
    outcome = Outcome()
    seed = run.training.seed
    evaluation_seed = derive_seed(seed, "evaluation") if run.evaluation.seed is None else run.evaluation.seed
    env = make_training_env(run)
    evaluation_env = make_evaluation_env(run, run.evaluation.n_eval_episodes, evaluation_seed)
    held_out_env = make_evaluation_env(run, held_out.n_episodes, held_out.seed) if held_out else None
    log = str(tensorboard_log) if tensorboard_log else None
    try:
        model = agents.build(run.agent, env, seed=seed, device=run.training.device, tensorboard_log=log)
        outcome.model = model
        callback = _Evaluate(run, env, evaluation_env, evaluation_seed, outcome, report)
        if held_out and held_out_env:
            callback.hold_out(held_out_env, held_out, counted, direction)
        with suppress(_PrunedError):
            model.learn(run.training.total_timesteps, callback=callback, tb_log_name="run")
        outcome.steps_per_second = callback.steps_per_second()
    except _FAILURES as error:
        outcome.state, outcome.reason = "failed", f"{type(error).__name__}: {first_line(error)}"
        logger.warning("failed: %s", outcome.reason)
    finally:
        env.close()
        evaluation_env.close()
        if held_out_env:
            held_out_env.close()
    return outcome


class _PrunedError(Exception):
    """Ends the training of every algorithm; a callback that returns False does not end ARS's."""


class _Evaluate(BaseCallback):
    """Evaluates every `eval_freq` environment steps and at the end, reports, and stops a pruned run."""

    def __init__(
        self,
        run: RunConfig,
        trained_in: VecEnv,
        env: VecEnv,
        seed: int,
        outcome: Outcome,
        report: Callable[[int, float], bool],
    ) -> None:
        super().__init__()
        self.settings = run.evaluation
        self.total_timesteps = run.training.total_timesteps
        self.trained_in = trained_in
        self.env = env
        self.seed = seed
        self.outcome = outcome
        self.report = report
        self.next_step = run.evaluation.eval_freq
        self.run_held_out: Callable[[], None] = lambda: None
        self.sign = 1
        self.started = time.monotonic()
        self.evaluating = 0.0

    def hold_out(
        self, env: VecEnv, episodes: HeldOut, counted: Callable[[BaseAlgorithm], None], direction: str
    ) -> None:
        """Also run these episodes, with the agent of the evaluation that counts, and call `counted` with it."""
        self.sign = -1 if direction == "minimize" else 1

        def run_held_out() -> None:
            self.outcome.held_out_returns = self._returns(env, episodes.seed, episodes.n_episodes)
            counted(self.model)

        self.run_held_out = run_held_out

    def steps_per_second(self) -> float:
        """Environment steps so far over the time that they took."""
        return self.num_timesteps / (time.monotonic() - self.started - self.evaluating)

    def _on_step(self) -> bool:
        if self.num_timesteps < self.next_step:
            return True
        self.next_step += self.settings.eval_freq
        self._evaluate()
        if self.outcome.state == "pruned":
            raise _PrunedError
        return True

    def _on_training_end(self) -> None:
        evaluated = self.outcome.evaluations[-1].step if self.outcome.evaluations else 0
        if self.outcome.state == "complete" and evaluated < self.total_timesteps:
            self._evaluate()

    def _evaluate(self) -> None:
        returns = self._returns(self.env, self.seed, self.settings.n_eval_episodes)
        evaluation = EvaluationResult(
            step=self.num_timesteps, mean_return=float(np.mean(returns)), std_return=float(np.std(returns))
        )
        earlier = [self.sign * other.mean_return for other in self.outcome.evaluations]
        self.outcome.evaluations.append(evaluation)
        if self.settings.objective == "best":
            counts = self.sign * evaluation.mean_return > max(earlier, default=-np.inf)
        else:
            # At once, for the agent may yet be updated before training ends.
            counts = self.num_timesteps >= self.total_timesteps or self.next_step > self.total_timesteps
        if counts:
            self.run_held_out()
        self.logger.record("eval/mean_return", evaluation.mean_return)
        self.logger.record("eval/std_return", evaluation.std_return)
        self.logger.dump(self.num_timesteps)
        pruned = self.report(evaluation.step, evaluation.mean_return)
        self._log_progress(evaluation)
        if pruned:
            self.outcome.state = "pruned"
            logger.info("pruned at step %d", evaluation.step)

    def _returns(self, env: VecEnv, seed: int, n_episodes: int) -> list[float]:
        started = time.monotonic()
        sync_envs_normalization(self.trained_in, env)
        env.seed(seed)
        returns = agents.evaluate(self.model, env, n_episodes, deterministic=self.settings.deterministic)
        self.evaluating += time.monotonic() - started
        return returns

    def _log_progress(self, evaluation: EvaluationResult) -> None:
        speed = evaluation.step / (time.monotonic() - self.started)
        remaining = max(0, self.total_timesteps - evaluation.step) / speed
        logger.info(
            "step %d of %d: mean return %.1f (std %.1f), %.0f steps/s, %.0f s to go",
            evaluation.step,
            self.total_timesteps,
            evaluation.mean_return,
            evaluation.std_return,
            speed,
            remaining,
        )
