"""Runs one training: trains an agent, evaluates it meanwhile, and ends early if told to. Knows nothing of studies."""

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

# SB3 and torch raise these for hyperparameters with which no agent can be built: the run fails. Any other exception
# while the agent is built is raised, and gives no result.
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
    """Train and evaluate. On CPU, the same arguments give the same outcome, bit-exactly.

    An exception that the environment or learning raises makes the run a failed one; its traceback is logged.

    Args:
        run: The config of the training run. `training.seed` seeds the agent and training's environments.
            `evaluation.seed` gives the initial states of the evaluation episodes, the same at each evaluation.
        tensorboard_log: Directory for TensorBoard's files; None for no log. It is emptied first, unless training
            resumes.
        report: Called after each evaluation with (environment steps, mean of `evaluation.metric`); True prunes the run.
        held_out: Held-out episodes to run beside the evaluations; None for none.
        counted: Called with the agent at each evaluation that decides the objective so far, after its held-out
            episodes. The last call is thus with the agent that the objective describes.
        direction: Whether the best evaluation is the highest (`maximize`) or the lowest (`minimize`).
        checkpoint: Directory for the checkpoint; None for no checkpoint. `training.checkpoint_every` says how often one
            is written. Training resumes from one that exists and fits, with the same outcome. The caller removes the
            directory once it has saved the outcome. Files that `counted` writes belong in this directory: they are
            removed with it, if training has to start again. What `counted` keeps in memory is lost in a kill.
        progressed: Called after each checkpoint.

    Raises:
        SidewinderError: The config has a mistake, so no training is possible.
        VanishedError: A process of the environments has ended.
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
    # A checkpoint made on a GPU fits that device only: its tensors are there.
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
        saved = None  # frees its memory
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
    # Set before training: a failed run keeps the evaluations that it had.
    outcome.evaluations = evaluator.evaluations
    try:
        with keeper.ending_at_rest() if keeper else nullcontext():
            # The config's callbacks come first: they start as in a new training, then the keeper restores their state.
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
    """Return a tape to note what is done in these environments; None if their state can be pickled instead."""
    pickled = not _has_own_code(run) and rows_are_final(run.agent) and exact(stacks)
    return None if pickled else Tape()


def _has_own_code(run: RunConfig) -> bool:
    """Whether the training has callbacks, or classes of the user."""
    return bool(run.training.callbacks) or any(import_paths(run.agent))


def _check_device(name: str) -> None:
    """Raise SidewinderError for a device that torch does not have: SB3 would silently train on the CPU instead."""
    device = torch.device(name)
    here = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    n_devices = torch.accelerator.device_count()
    if device.type != "cpu" and (here is None or device.type != here.type or (device.index or 0) >= n_devices):
        found = f"{n_devices} of {here.type}" if here else "none"
        raise SidewinderError(
            f"training.device: found {name!r} where torch has {found}, accepted: cpu, or a device that torch has"
        )


def _is_no_result(error: BaseException) -> bool:
    """Whether the machine or the config caused an error. It is then raised, since the same training may go well
    elsewhere."""
    return isinstance(error, SidewinderError) or is_of_the_machine(error)
