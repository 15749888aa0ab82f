"""Saves and restores the state of an agent at a moment of rest, when no step or update is half done.

The private names of SB3 that checkpoints need are in this module only.
"""

import hashlib
import io
import pickle
import random
from collections import ChainMap
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import cloudpickle  # type: ignore[import-untyped]
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.her import HerReplayBuffer

from sidewinder.training.callbacks import put_back, states_of

# Classes of replay buffers whose content changes only when a step is stored.
_REPEATABLE = (ReplayBuffer, DictReplayBuffer, NStepReplayBuffer, HerReplayBuffer)

# Attributes of SB3's logger with the values that it has not written yet.
_LOGGED = ("name_to_value", "name_to_count", "name_to_excluded")


class Watcher(Protocol):
    """Receives the calls of an agent that `watched` made.

    Attributes:
        rollouts_before: Number of rollouts that earlier processes made in this training.
    """

    rollouts_before: int

    def at_rest(self, model: BaseAlgorithm) -> None:
        """Called when no step or update is half done: before each rollout, or with ARS before each update."""

    def stored(self, actions: np.ndarray) -> None:
        """Called before a step is stored in a replay buffer."""


def watched(algorithm: type[BaseAlgorithm], watcher: Watcher) -> type[BaseAlgorithm]:
    """Return a subclass of the algorithm that calls the watcher. SB3's `save` would write an attribute of the agent; it
    does not write the class."""
    members: dict[str, Any] = {"__module__": algorithm.__module__, "__qualname__": algorithm.__qualname__}
    # SB3-Contrib's ARS makes no rollouts.
    name = "collect_rollouts" if hasattr(algorithm, "collect_rollouts") else "_do_one_update"
    act = getattr(algorithm, name)

    def act_from_rest(self: BaseAlgorithm, *arguments: Any, **options: Any) -> Any:
        watcher.at_rest(self)
        return act(self, *arguments, **options)

    members[name] = act_from_rest
    if issubclass(algorithm, OffPolicyAlgorithm):
        store = algorithm._store_transition  # noqa: SLF001

        def tell_and_store(self: OffPolicyAlgorithm, buffer: ReplayBuffer, actions: np.ndarray, *rest: Any) -> None:
            watcher.stored(actions)
            store(self, buffer, actions, *rest)

        members["_store_transition"] = tell_and_store
    elif name == "collect_rollouts":
        dump_logs: Callable[..., None] = algorithm.dump_logs

        def dump_all(self: BaseAlgorithm, iteration: int = 0) -> None:
            dump_logs(self, iteration + watcher.rollouts_before)

        members["dump_logs"] = dump_all
    return type(algorithm.__name__, (algorithm,), members)


def storing(model: BaseAlgorithm) -> Callable[..., None]:
    """Return a function that stores a step in the agent's replay buffer as its algorithm does: the argument `store` of
    `recorded.repeat`."""

    def store(actions: np.ndarray, *answer: Any) -> None:
        assert isinstance(model, OffPolicyAlgorithm)
        assert model.replay_buffer is not None
        # The algorithm's own method: the watcher must not count a repeated step as a new one.
        super(type(model), model)._store_transition(model.replay_buffer, actions, *answer)  # type: ignore[misc]

    return store


def is_repeatable(model: BaseAlgorithm) -> bool:
    """Whether storing the same steps gives the agent the same replay buffer. True without a replay buffer."""
    buffer = buffer_of(model)
    return buffer is None or type(buffer) in _REPEATABLE


def _is_of_libraries(thing: object) -> bool:
    return type(thing).__module__.partition(".")[0] in ("stable_baselines3", "sb3_contrib", "sbx")


def buffer_of(model: BaseAlgorithm) -> ReplayBuffer | None:
    """Return an agent's replay buffer; None without one."""
    return getattr(model, "replay_buffer", None)


def arrays_of(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    """Return the arrays of a replay buffer that have one row for each stored step, by name."""
    arrays = {}
    for name, value in vars(buffer).items():
        for key, array in (value if isinstance(value, dict) else {"": value}).items():
            if isinstance(array, np.ndarray) and array.ndim > 1:
                arrays[f"{name}.{key}"] = array
    return arrays


def content_of_buffer(model: BaseAlgorithm) -> str | None:
    """Return a digest of the steps in an agent's replay buffer; None without one."""
    if (buffer := buffer_of(model)) is None:
        return None
    found = hashlib.blake2b(digest_size=16)
    size = buffer.size()
    for name, array in sorted(arrays_of(buffer).items()):
        found.update(name.encode() + np.ascontiguousarray(array[:size]).tobytes())
    return found.hexdigest()


def layers(env: VecEnv | None) -> list[VecEnv]:
    """Return all layers of vectorised environments, the outermost first."""
    found = []
    while env is not None:
        found.append(env)
        env = env.venv if isinstance(env, VecEnvWrapper) else None
    return found


def frozen(model: BaseAlgorithm, callbacks: list[BaseCallback]) -> bytes:
    """Return an agent's state, pickled: its attributes, those of its callbacks, the values not logged yet, and the
    states of this process's random generators.

    Environments and SB3's buffers are left out. Rollout buffers are empty at rest; a checkpoint keeps environments and
    replay buffers separately.
    """
    generators: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "actions": model.action_space.np_random.bit_generator.state,
    }
    if model.device.type == "cuda":
        generators["cuda"] = torch.cuda.get_rng_state_all()
    file = io.BytesIO()
    logged = {name: dict(getattr(model.logger, name)) for name in _LOGGED}
    _Pickler(file, _outside(model, callbacks)).dump((vars(model), states_of(callbacks), generators, logged))
    return file.getvalue()


def thaw(model: BaseAlgorithm, callbacks: list[BaseCallback], state: bytes) -> None:
    """Restore the state that `frozen` returned. Unpickling it runs code that the bytes name.

    Args:
        model: An agent of the same config, built anew.
        callbacks: Its callbacks, in the same order.
        state: The result of `frozen`.
    """
    attributes, states, generators, logged = _Unpickler(io.BytesIO(state), _outside(model, callbacks)).load()
    vars(model).update(attributes)
    put_back(callbacks, states, model)
    for name, values in logged.items():
        getattr(model.logger, name).update(values)
    random.setstate(generators["python"])
    np.random.set_state(generators["numpy"])
    torch.set_rng_state(generators["torch"])
    if "cuda" in generators:
        torch.cuda.set_rng_state_all(generators["cuda"])
    # An environment in this process may have this same space object, so its generator is kept and only its state set.
    model.action_space.np_random.bit_generator.state = generators["actions"]


def _outside(model: BaseAlgorithm, callbacks: list[BaseCallback]) -> dict[str, object]:
    """Return, by name, the objects that an agent refers to and that are not pickled: a new process makes its own."""
    outside: dict[str, object] = {"model": model, "logger": model.logger}
    outside |= {f"callback {position}": callback for position, callback in enumerate(callbacks)}
    for name in ("action_space", "observation_space", "replay_buffer", "rollout_buffer"):
        found = getattr(model, name, None)
        # A user's rollout buffer is pickled: it may have other state. The libraries' ones are empty at rest.
        if found is not None and (name != "rollout_buffer" or _is_of_libraries(found)):
            outside[name] = found
    outside |= {f"env {position}": layer for position, layer in enumerate(layers(model.get_env()))}
    return outside


def _reduced_tensor(tensor: torch.Tensor) -> Any:
    """Pickle a tensor as a numpy array where that is exact: ten times as fast as torch's pickling."""
    unusual = tensor.stride() != torch.empty(tensor.shape, device="meta").stride()
    if unusual or tensor.device.type != "cpu" or tensor.dtype is torch.bfloat16:
        return tensor.__reduce_ex__(4)  # type: ignore[no-untyped-call]
    is_parameter = isinstance(tensor, torch.nn.Parameter)
    return _tensor, (tensor.detach().numpy(), is_parameter, tensor.requires_grad)


def _tensor(array: np.ndarray, is_parameter: bool, requires_grad: bool) -> torch.Tensor:
    # A copy in memory that torch allocates: its kernels' rounding may depend on the alignment.
    tensor = torch.tensor(array)
    return torch.nn.Parameter(tensor, requires_grad) if is_parameter else tensor.requires_grad_(requires_grad)


def _reduced_array(array: np.ndarray) -> Any:
    """Pickle an array with its strides, which numpy's pickling does not keep. By the strides, torch chooses how a
    convolution is computed, and so how it is rounded."""
    in_memory = array.transpose(sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis])))
    usual = array.strides == np.empty(array.shape, array.dtype).strides
    if usual or array.dtype.hasobject or not in_memory.flags.c_contiguous:
        return array.__reduce_ex__(5)
    return _array, (array.shape, array.dtype, bytearray(in_memory.tobytes()), array.strides)


def _array(shape: tuple[int, ...], dtype: np.dtype[Any], content: bytearray, strides: tuple[int, ...]) -> np.ndarray:
    return np.ndarray(shape, dtype, content, strides=strides)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    dispatch_table: ClassVar = ChainMap(
        {torch.Tensor: _reduced_tensor, torch.nn.Parameter: _reduced_tensor, np.ndarray: _reduced_array},
        cloudpickle.Pickler.dispatch_table,
    )

    def __init__(self, file: io.BytesIO, outside: dict[str, object]) -> None:
        super().__init__(file)
        self._names = {id(value): name for name, value in outside.items()}

    def persistent_id(self, obj: object) -> str | None:
        return self._names.get(id(obj))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, outside: dict[str, object]) -> None:
        super().__init__(file)
        self._outside = outside

    def persistent_load(self, pid: str) -> object:
        return self._outside[pid]
