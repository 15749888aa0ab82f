"""Keeps the state of environments in a checkpoint, where pickling it is exact.

That is so for environments and wrappers of pure Python whose state is in their attributes: Gymnasium's classic control
and toy text, and the wrappers of Gymnasium and SB3. All other environments are brought back by repeating what was done
in them (`repeating.py`): MuJoCo's, for example, can be pickled without an error, and come back in their initial state.
"""

import io
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from sidewinder.errors import first_line
from sidewinder.training.checkpoints import Saved, UnusableError

# Classes of these modules and packages keep all of their state in attributes, unless they have a pickling of their own.
_PURE_PYTHON = (
    "gymnasium.core",
    "gymnasium.envs.classic_control",
    "gymnasium.envs.registration",
    "gymnasium.envs.toy_text",
    "gymnasium.spaces",
    "gymnasium.wrappers",
    "sidewinder.training.turns",
    "stable_baselines3.common",
)
# Numpy and the standard library pickle these exactly.
_EXACT = ("builtins", "collections", "numpy")
_OWN_PICKLING = ("__getstate__", "__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")
# What a layer of environments has beside its state: the layer inside it, and the members of its class.
_NO_STATE = ("venv", "class_attributes")


class InexactError(Exception):
    """Something is part of the environments that may not come back the same."""


def exact(stacks: list[VecEnv]) -> bool:
    """Whether the state of these environments can be pickled exactly."""
    try:
        _pickled(stacks)
    except Exception:  # whatever classes raise that cannot be pickled
        return False
    return True


def rows_are_final(agent: dict[str, Any]) -> bool:
    """Whether nothing changes a row of the agent's replay buffer after it was stored; so too without a buffer."""
    options = agent.get("replay_buffer_kwargs") or {}
    saves_memory = agent.get("optimize_memory_usage") or options.get("optimize_memory_usage")
    return agent.get("replay_buffer_class") is None and not saves_memory


class Snapshots:
    """A checkpoint's part for the environments and the replay buffer, by pickling.

    The checkpoint's record grows by the rows of the replay buffer, one row for each stored step.
    """

    way = "snapshots"

    def __init__(self, evaluated_in: list[VecEnv], n_rows: int = 0) -> None:
        """Prepare to take snapshots.

        Args:
            evaluated_in: Environments of the evaluations and of the held-out episodes.
            n_rows: How many rows the record of an earlier process has.
        """
        self._evaluated_in, self._n_rows = evaluated_in, n_rows
        # The rows that the record has, and those that it will have with the last `growth`.
        self._n_recorded = self._n_growing = n_rows

    def stored(self, _actions: np.ndarray) -> None:
        """Count a step that the agent stores in its replay buffer."""
        self._n_rows += 1

    def no_use(self, model: BaseAlgorithm) -> str:
        """Why no checkpoint can be made of this agent's replay buffer; empty if it can."""
        buffer = _buffer_of(model)
        known = buffer is None or type(buffer) in (ReplayBuffer, DictReplayBuffer, NStepReplayBuffer)
        return "" if known else "the replay buffer is of another class than Stable-Baselines3's own"

    def growth(self, model: BaseAlgorithm) -> bytes:
        """The rows that the record does not have yet."""
        buffer, self._n_growing = _buffer_of(model), self._n_rows
        return b"" if buffer is None else _rows(buffer, self._n_recorded, self._n_growing)

    def recorded(self) -> None:
        """The last `growth` is in the record."""
        self._n_recorded = self._n_growing

    def forget(self) -> None:
        """There will be no further checkpoint."""

    def state(self, model: BaseAlgorithm) -> tuple[dict[str, Any], bytes]:
        """Facts for JSON, and the pickled environments.

        Raises:
            InexactError: The environments have something in them that may not come back the same.
        """
        return {"rows": self._n_rows}, _pickled(self._stacks(model))

    def bring_back(self, model: BaseAlgorithm, saved: Saved) -> None:
        """Give the environments and the replay buffer the state that they had."""
        layers = _layers(self._stacks(model))
        try:
            states = _Unpickler(io.BytesIO(saved.environments), model.action_space).load()
            for layer, state in zip(layers, states, strict=True):
                vars(layer).update(state)
            if (buffer := _buffer_of(model)) is not None:
                _fill(buffer, saved.record, saved.facts["rows"])
        except Exception as error:
            raise UnusableError(f"its environments cannot be read ({first_line(error)})") from error

    def _stacks(self, model: BaseAlgorithm) -> list[VecEnv]:
        env = model.get_env()
        assert env is not None
        return [env, *self._evaluated_in]


def _layers(stacks: list[VecEnv]) -> list[VecEnv]:
    """All layers of vectorised environments, the outermost of each stack first."""
    layers = []
    for stack in stacks:
        layer: VecEnv | None = stack
        while layer is not None:
            layers.append(layer)
            layer = layer.venv if isinstance(layer, VecEnvWrapper) else None
    return layers


def _pickled(stacks: list[VecEnv]) -> bytes:
    layers = _layers(stacks)
    for layer in layers:
        _check(type(layer))
    states = [{key: value for key, value in vars(layer).items() if key not in _NO_STATE} for layer in layers]
    file = io.BytesIO()
    _Pickler(file, stacks[0].action_space).dump(states)
    return file.getvalue()


def _check(cls: type) -> None:
    """Raise InexactError if instances of a class may have state outside of their attributes."""
    if not any(cls.__module__ == module or cls.__module__.startswith(f"{module}.") for module in _PURE_PYTHON):
        raise InexactError(f"{cls.__module__}.{cls.__qualname__}")
    # SB3 leaves out the layer inside a VecNormalize, and so does this module.
    if not issubclass(cls, VecEnv) and any(name in vars(base) for base in cls.__mro__[:-1] for name in _OWN_PICKLING):
        raise InexactError(f"{cls.__module__}.{cls.__qualname__} has a pickling of its own")


class _Pickler(pickle.Pickler):
    """Pickles nothing that may come back otherwise.

    The agent draws its first actions from training's action space, so it stays the same object as the agent's.
    """

    def __init__(self, file: io.BytesIO, action_space: gym.Space[Any]) -> None:
        super().__init__(file, protocol=5)
        self._action_space = action_space

    def persistent_id(self, obj: object) -> str | None:
        return "action_space" if obj is self._action_space else None

    def reducer_override(self, obj: object) -> Any:
        # Classes and functions, Cython's among them, are pickled by their names.
        if not hasattr(obj, "__qualname__") and type(obj).__module__.partition(".")[0] not in _EXACT:
            _check(type(obj))
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, action_space: gym.Space[Any]) -> None:
        super().__init__(file)
        self._action_space = action_space

    def persistent_load(self, _pid: str) -> object:
        return self._action_space


def _buffer_of(model: BaseAlgorithm) -> ReplayBuffer | None:
    return getattr(model, "replay_buffer", None)


def _arrays(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    """The arrays of a buffer with a row for each stored step."""
    arrays = {}
    for name, value in vars(buffer).items():
        for key, array in (value if isinstance(value, dict) else {"": value}).items():
            if isinstance(array, np.ndarray) and array.ndim > 1:
                arrays[f"{name}.{key}"] = array
    return arrays


def _row_type(arrays: dict[str, np.ndarray]) -> np.dtype[Any]:
    return np.dtype([(name, array.dtype, array.shape[1:]) for name, array in arrays.items()])


def _rows(buffer: ReplayBuffer, first: int, end: int) -> bytes:
    """The rows of the steps from `first` to `end`, counted from the training's beginning.

    A buffer that is full has overwritten its oldest rows. In place of a row that is gone comes the one that took its
    place.
    """
    arrays = _arrays(buffer)
    rows = np.empty(end - first, _row_type(arrays))
    where = np.arange(first, end) % buffer.buffer_size
    for name, array in arrays.items():
        rows[name] = array[where]
    return rows.tobytes()


def _fill(buffer: ReplayBuffer, record: bytes, n_rows: int) -> None:
    """Make a new buffer the one to which so many rows were added."""
    arrays = _arrays(buffer)
    rows = np.frombuffer(record, _row_type(arrays))
    if len(rows) != n_rows:
        raise ValueError(f"{len(rows)} rows in place of {n_rows}")
    first = max(0, n_rows - buffer.buffer_size)
    where = np.arange(first, n_rows) % buffer.buffer_size
    for name, array in arrays.items():
        array[where] = rows[name][first:]
    buffer.pos, buffer.full = n_rows % buffer.buffer_size, n_rows >= buffer.buffer_size
