"""One training run: train an agent, evaluate it on the way, stop where it is told to. It knows no study."""

import logging
import shutil
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from sidewinder import SidewinderError
from sidewinder.config.algorithms import backend_of
from sidewinder.config.import_paths import import_paths
from sidewinder.config.run_config import HeldOut, RunConfig
from sidewinder.determinism import derive_seed
from sidewinder.training import agents
from sidewinder.training.agent_state import watched
from sidewinder.training.callbacks import OwnCallbacks, Trackers, made_callbacks
from sidewinder.training.checkpoints import Checkpoint, UnusableError
from sidewinder.training.devices import device_for
from sidewinder.training.environments import close, make_training_env
from sidewinder.training.episodes import Episodes
from sidewinder.training.evaluator import EndOfTraining, Evaluator, NotOfTheTrainingError
from sidewinder.training.exact_torch import exact_square_roots
from sidewinder.training.keeper import Keeper, Way, cut
from sidewinder.training.outcome import Outcome
from sidewinder.training.recorded import Recorded, Tape
from sidewinder.training.repeating import Repeating
from sidewinder.training.snapshots import Snapshots, exact, rows_are_final
from sidewinder.training.sources import sources
from sidewinder.training.workers import is_of_the_machine, reason_of

logger = logging.getLogger(__name__)

# What SB3 and torch raise for hyperparameters with which no agent can be made. Else a mistake is nobody's result.
_UNFIT = (ValueError, AssertionError, ArithmeticError)


def train(
    run: RunConfig,
    *,
    tensorboard_log: Path | None = None,
    report: Callable[[int, float], bool] = lambda _step, _mean_return: False,
    held_out: HeldOut | None = None,
    counted: Callable[[BaseAlgorithm], None] = lambda _model: None,
    direction: str = "maximize",
    checkpoint: Path | None = None,
    progressed: Callable[[], None] = lambda: None,
) -> Outcome:
    """Train and evaluate; the same arguments give the same outcome, bit by bit, on CPU.

    Whatever the environment or learning raises makes a failed run; its traceback is logged.

    Args:
        run: What to train. Its `training.seed` is the agent's and its environments'; its `evaluation.seed` gives the
            evaluation episodes' initial states, the same at each evaluation.
        tensorboard_log: Directory for TensorBoard's files, emptied first if training begins.
        report: Called after each evaluation with (environment steps, mean of `evaluation.metric`); True prunes the run.
        held_out: Episodes beside the evaluations'.
        counted: Called with the agent at each evaluation that counts for now (and after its held-out episodes): the
            last call is with the agent that the objective is of.
        direction: What makes an evaluation the best: `maximize` or `minimize`.
        checkpoint: Directory for its checkpoint, as `training.checkpoint_every` says. Training goes on from one that
            is there and fits, with the same outcome. Who keeps the outcome removes it. What `counted` writes belongs
            into it, for then it is as old as the rest; what it keeps in memory is lost.
        progressed: Called after each checkpoint.

    Raises:
        SidewinderError: A mistake in the config, which no training can be made of.
        VanishedError: A process of the environments was killed.
        MemoryError, OSError: The machine has no memory or disk left.
    """
    _check_device(run.training.device)
    if not run.training.tensorboard:
        tensorboard_log = None
    torch.set_num_threads(run.training.threads)
    torch.set_deterministic_debug_mode("error" if run.training.device == "cpu" else "default")
    if run.training.instruction_set == "compatible":
        exact_square_roots()
    kept = Checkpoint(checkpoint, run.training.checkpoint_every) if checkpoint else None
    while True:
        outcome = Outcome()
        try:
            with ExitStack() as stack:
                _train(run, outcome, stack, tensorboard_log, report, held_out, counted, direction, kept, progressed)
        except UnusableError as error:
            assert kept
            logger.warning("a checkpoint cannot be used, so training starts from its beginning: %s", error)
            if error.for_good:
                kept.give_up(str(error))
            else:
                kept.remove()
            kept = Checkpoint(kept.directory, kept.every)
            continue
        except NotOfTheTrainingError as error:
            raise error.error from None
        except (Exception, SystemExit) as error:
            if _is_no_result(error):
                raise
            outcome.state, outcome.reason = "failed", reason_of(error)
            logger.warning("failed: %s", outcome.reason, exc_info=True)
        return outcome


def _train(
    run: RunConfig,
    outcome: Outcome,
    stack: ExitStack,
    tensorboard_log: Path | None,
    report: Callable[[int, float], bool],
    held_out: HeldOut | None,
    counted: Callable[[BaseAlgorithm], None],
    direction: str,
    checkpoint: Checkpoint | None,
    progressed: Callable[[], None],
) -> None:
    seed = run.training.seed
    evaluation_seed = derive_seed(seed, "evaluation") if run.evaluation.seed is None else run.evaluation.seed
    device = stack.enter_context(device_for(run.training.device, run.training.per_device))
    if backend_of(run.agent) == "sbx" and device != torch.device("cpu"):
        from sidewinder.training.jax_agents import computing_on

        stack.enter_context(computing_on(device))
    # Another device than the CPU is part of a checkpoint, whose tensors are on it.
    where = [] if device.type == "cpu" else [str(device)]
    training = run.digest(held_out, direction, sources(run), *where)
    saved = checkpoint.read(training) if checkpoint else None
    if tensorboard_log and saved:
        cut(tensorboard_log, saved.facts["tensorboard"])
    elif tensorboard_log:
        shutil.rmtree(tensorboard_log, ignore_errors=True)
    trackers = Trackers(run) if run.training.trackers else None
    if trackers:
        stack.callback(trackers.on_training_end)
    env = make_training_env(run)
    stack.callback(close, env)
    episodes = Episodes(run, run.evaluation.n_eval_episodes, evaluation_seed, env)
    stack.callback(episodes.close)
    held_out_episodes = Episodes(run, held_out.n_episodes, held_out.seed, env) if held_out else None
    if held_out_episodes:
        stack.callback(held_out_episodes.close)
    evaluated_in = [each.env for each in (episodes, held_out_episodes) if each]
    if checkpoint and not (saved or checkpoint.wanted):
        checkpoint = None
    tape = _tape(run, [env, *evaluated_in]) if checkpoint else None
    evaluator = Evaluator(run, env, episodes, held_out_episodes, report, counted, direction, tape)
    keeper, own = None, OwnCallbacks(made_callbacks(run), evaluator, evaluator.end)
    evaluator.goes_on = own.go_on_after_evaluation
    if checkpoint:
        way: Way = Snapshots(evaluated_in, saved.facts.get("rows", 0) if saved else 0)
        if tape:
            way = Repeating(tape, evaluator, of_ones_own=_has_own_code(run))
            env = recorded = Recorded(env, tape)
            own.noted = recorded.by_callbacks
        keeper = Keeper(checkpoint, training, saved, way, evaluator, own.everyone(), tensorboard_log, progressed)
        stack.callback(keeper.finish)
        saved = None  # which may be large
    try:
        model = agents.build(
            run.agent,
            env,
            seed=seed,
            device=str(device),
            tensorboard_log=str(tensorboard_log) if tensorboard_log else None,
            subclassed=partial(watched, watcher=keeper) if keeper else lambda algorithm: algorithm,
        )
    except _UNFIT:
        raise
    except Exception as error:
        raise NotOfTheTrainingError(error) from error
    outcome.model = model
    # What there was before it failed is part of a failed run.
    outcome.evaluations = evaluator.evaluations
    try:
        with keeper.ending_at_rest() if keeper else nullcontext():
            # One's own first: they begin as they do in any training, and then learn what others knew before.
            callbacks: list[BaseCallback] = [own, evaluator] if keeper is None else [own, keeper, evaluator]
            if trackers:
                callbacks.insert(0, trackers)
            model.learn(run.training.total_timesteps, callback=callbacks)
    except EndOfTraining as end:
        outcome.state = "pruned" if end.pruned else "complete"
    own.end()
    outcome.held_out = evaluator.held_out
    outcome.steps_per_second = evaluator.steps_per_second()
    outcome.evaluation_seconds = evaluator.evaluation_seconds


def _tape(run: RunConfig, stacks: list[VecEnv]) -> Tape | None:
    """Where what is done in these environments is noted, to be repeated; None if their state can be pickled."""
    pickled = not _has_own_code(run) and rows_are_final(run.agent) and exact(stacks)
    return None if pickled else Tape()


def _has_own_code(run: RunConfig) -> bool:
    """Whether callbacks or classes of the user act in the training."""
    return bool(run.training.callbacks) or any(import_paths(run.agent))


def _check_device(name: str) -> None:
    """SB3 would train on the CPU in its place, and say nothing."""
    device = torch.device(name)
    here = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    n_devices = torch.accelerator.device_count()
    if device.type != "cpu" and (here is None or device.type != here.type or (device.index or 0) >= n_devices):
        found = f"{n_devices} of {here.type}" if here else "none"
        raise SidewinderError(f"training.device: found {name!r} where torch has {found}, accepted: cpu, or what it has")


def _is_no_result(error: BaseException) -> bool:
    """Whether the machine or the config is to blame; the same training may do well elsewhere."""
    return isinstance(error, SidewinderError) or is_of_the_machine(error)
