"""Keeps the pickled state of environments in a checkpoint, where pickling is exact.

It is exact for environments and wrappers in pure Python that keep their state in attributes: Gymnasium's classic
control and toy text, and the wrappers of Gymnasium and SB3. All other environments are restored by repeating what was
done in them (`repeating.py`). MuJoCo's, for example, can be pickled without an error, but come back in their initial
state.
"""

import io
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecEnv

from sidewinder.errors import first_line
from sidewinder.training.agent_state import arrays_of, buffer_of, layers
from sidewinder.training.checkpoints import Saved, UnusableError

# Classes of these modules and packages keep all of their state in attributes, unless they define `_OWN_PICKLING`.
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
# Classes of these packages are pickled exactly.
_EXACT = ("builtins", "collections", "numpy")
# Methods by which a class defines how it is pickled.
_OWN_PICKLING = ("__getstate__", "__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")
# Attributes of a layer that are no part of its state: the layer inside it, and the members of its class.
_NO_STATE = ("venv", "class_attributes")


class InexactError(Exception):
    """The environments contain an object that may not come back the same from pickling."""


def exact(stacks: list[VecEnv]) -> bool:
    """Whether the state of these environments can be pickled exactly."""
    try:
        _pickled(stacks)
    except Exception:  # pickling a class can raise anything
        return False
    return True


def rows_are_final(agent: dict[str, Any]) -> bool:
    """Whether the rows of the agent's replay buffer stay as they were stored. True without a replay buffer.

    Args:
        agent: The `agent` section of a config.
    """
    options = agent.get("replay_buffer_kwargs") or {}
    saves_memory = agent.get("optimize_memory_usage") or options.get("optimize_memory_usage")
    return agent.get("replay_buffer_class") is None and not saves_memory


class Snapshots:
    """Keeps environments and replay buffer in a checkpoint, and restores them by pickling; see `keeper.Way`.

    The checkpoint's record grows by the rows of the replay buffer, one row for each stored step.
    """

    way = "snapshots"

    def __init__(self, evaluated_in: list[VecEnv], n_rows: int = 0) -> None:
        """Prepare to take snapshots.

        Args:
            evaluated_in: Environments of the evaluations and of the held-out episodes.
            n_rows: Number of rows in the record to resume from.
        """
        self._evaluated_in, self._n_rows = evaluated_in, n_rows
        # The rows that the record has, and those that it will have with the last `growth`.
        self._n_recorded = self._n_growing = n_rows

    def stored(self, _actions: np.ndarray) -> None:
        """Count the step that the agent is about to store in its replay buffer."""
        self._n_rows += 1

    def no_use(self, model: BaseAlgorithm) -> str:
        """Return why no checkpoint of this agent can be made; empty if one can."""
        buffer = buffer_of(model)
        known = buffer is None or type(buffer) in (ReplayBuffer, DictReplayBuffer, NStepReplayBuffer)
        return "" if known else "the class of the replay buffer is none of Stable-Baselines3's"

    def growth(self, model: BaseAlgorithm) -> bytes:
        """Return the rows that the record does not have yet."""
        buffer, self._n_growing = buffer_of(model), self._n_rows
        return b"" if buffer is None else _rows(buffer, self._n_recorded, self._n_growing)

    def recorded(self) -> None:
        """Take note that the last `growth` is in the record."""
        self._n_recorded = self._n_growing

    def forget(self) -> None:
        """Do nothing: only a count grows."""

    def state(self, model: BaseAlgorithm) -> tuple[dict[str, Any], bytes]:
        """Return the facts for JSON, and the pickled environments.

        Raises:
            InexactError: The environments contain an object that may not come back the same.
        """
        return {"rows": self._n_rows}, _pickled(self._stacks(model))

    def bring_back(self, model: BaseAlgorithm, saved: Saved) -> None:
        """Restore the state of the environments and of the replay buffer.

        Raises:
            UnusableError: The checkpoint's bytes do not fit them.
        """
        found = _all_layers(self._stacks(model))
        try:
            states = _Unpickler(io.BytesIO(saved.environments), model.action_space).load()
            for layer, state in zip(found, states, strict=True):
                vars(layer).update(state)
            if (buffer := buffer_of(model)) is not None:
                _fill(buffer, saved.record, saved.facts["rows"])
        except Exception as error:
            raise UnusableError(f"its environments cannot be read ({first_line(error)})") from error

    def _stacks(self, model: BaseAlgorithm) -> list[VecEnv]:
        env = model.get_env()
        assert env is not None
        return [env, *self._evaluated_in]


def _all_layers(stacks: list[VecEnv]) -> list[VecEnv]:
    return [layer for stack in stacks for layer in layers(stack)]


def _pickled(stacks: list[VecEnv]) -> bytes:
    found = _all_layers(stacks)
    for layer in found:
        _check(type(layer))
    states = [{key: value for key, value in vars(layer).items() if key not in _NO_STATE} for layer in found]
    file = io.BytesIO()
    _Pickler(file, stacks[0].action_space).dump(states)
    return file.getvalue()


def _check(cls: type) -> None:
    """Raise InexactError if objects of a class may have state outside of their attributes."""
    if not any(cls.__module__ == module or cls.__module__.startswith(f"{module}.") for module in _PURE_PYTHON):
        raise InexactError(f"{cls.__module__}.{cls.__qualname__}")
    # VecEnv classes may define their pickling: VecNormalize leaves out the layer inside it, as `_NO_STATE` does.
    if not issubclass(cls, VecEnv) and any(name in vars(base) for base in cls.__mro__[:-1] for name in _OWN_PICKLING):
        raise InexactError(f"{cls.__module__}.{cls.__qualname__} has a pickling of its own")


class _Pickler(pickle.Pickler):
    """Raises InexactError for an object that may not come back the same.

    The action space of training's environments is not pickled: the agent has the same object, and draws its first
    actions from it.
    """

    def __init__(self, file: io.BytesIO, action_space: gym.Space[Any]) -> None:
        super().__init__(file, protocol=5)
        self._action_space = action_space

    def persistent_id(self, obj: object) -> str | None:
        return "action_space" if obj is self._action_space else None

    def reducer_override(self, obj: object) -> Any:
        # Classes and functions, also Cython's, are pickled by their names, so they need no check.
        if not hasattr(obj, "__qualname__") and type(obj).__module__.partition(".")[0] not in _EXACT:
            _check(type(obj))
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, action_space: gym.Space[Any]) -> None:
        super().__init__(file)
        self._action_space = action_space

    def persistent_load(self, _pid: str) -> object:
        return self._action_space


def _row_type(arrays: dict[str, np.ndarray]) -> np.dtype[Any]:
    return np.dtype([(name, array.dtype, array.shape[1:]) for name, array in arrays.items()])


def _rows(buffer: ReplayBuffer, first: int, end: int) -> bytes:
    """Return the rows of the steps from `first` up to, but not including, `end`, counted from the training's beginning.

    A full buffer overwrites its oldest rows. For an overwritten row, the row that replaced it is returned.
    """
    arrays = arrays_of(buffer)
    rows = np.empty(end - first, _row_type(arrays))
    where = np.arange(first, end) % buffer.buffer_size
    for name, array in arrays.items():
        rows[name] = array[where]
    return rows.tobytes()


def _fill(buffer: ReplayBuffer, record: bytes, n_rows: int) -> None:
    """Fill a new buffer with the rows of a record, as if they had been stored in it one by one.

    Raises:
        ValueError: The record does not have `n_rows` rows.
    """
    arrays = arrays_of(buffer)
    rows = np.frombuffer(record, _row_type(arrays))
    if len(rows) != n_rows:
        raise ValueError(f"found {len(rows)} rows in the record, expected {n_rows}")
    first = max(0, n_rows - buffer.buffer_size)
    where = np.arange(first, n_rows) % buffer.buffer_size
    for name, array in arrays.items():
        array[where] = rows[name][first:]
    buffer.pos, buffer.full = n_rows % buffer.buffer_size, n_rows >= buffer.buffer_size
