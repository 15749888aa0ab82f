"""Training's environments with a record of what was done in them, by which new ones are brought to the same state.

Stepping is the one way that is right for every environment that repeats: MuJoCo's can be pickled without an error, and
come back in their initial state.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, unwrap_vec_wrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from sidewinder.training.turns import TakesTurns

# A shape of entries: what was done, and the type and the shape of the actions that it was done with.
Layout = tuple[str, str, tuple[int, ...]]


class Recorded(VecEnvWrapper):
    """The outermost layer of training's environments.

    An entry of the record is one byte, the number of its layout, and its actions. What was done is one of `reset`,
    `step`, `turn` (a step after which evaluation took its turn) and `store` (the agent stored the step in its replay
    buffer, with these actions: rounding keeps them from being computed from the environment's).

    Attributes:
        layouts: Of the entries so far.
        n_entries: How many there have been.
    """

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.layouts: list[Layout] = []
        self.n_entries = 0
        self._numbers: dict[Layout, bytes] = {}
        self._entries: list[bytes] = []
        self._answers = hashlib.blake2b(digest_size=16)
        self._actions = np.empty(0)
        self._turns = unwrap_vec_wrapper(venv, TakesTurns)

    def reset(self) -> VecEnvObs:
        observations = self.venv.reset()
        self._note("reset", np.empty(0, np.int8))
        self._answers.update(_bytes(observations))
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        turns = self._turns.n_turns if self._turns else 0
        observations, rewards, dones, infos = self.venv.step_wait()
        self._note("turn" if self._turns and self._turns.n_turns > turns else "step", self._actions)
        self._answers.update(_bytes(observations) + rewards.tobytes() + dones.tobytes())
        return observations, rewards, dones, infos

    def note_stored(self, actions: np.ndarray) -> None:
        """Note that the agent stores the last step with these actions."""
        self._note("store", actions)

    def taken(self) -> bytes:
        """The entries since they were last taken."""
        taken = b"".join(self._entries)
        self._entries.clear()
        return taken

    def answers(self) -> str:
        """A digest of all observations, rewards and ends of episodes so far."""
        return self._answers.hexdigest()

    def _note(self, what: str, actions: np.ndarray) -> None:
        layout = (what, actions.dtype.str, actions.shape)
        number = self._numbers.get(layout)
        if number is None:
            number = self._numbers[layout] = len(self.layouts).to_bytes()
            self.layouts.append(layout)
        self.n_entries += 1
        self._entries.append(number + actions.tobytes())


def repeat(recorded: Recorded, env: VecEnv, record: bytes, layouts: list[Layout], store: Callable[..., None]) -> None:
    """Do again what a record says, but for the entries that there are already.

    Args:
        recorded: The environments, which record it again.
        env: The same with what the agent has put around them.
        record: Entries in order.
        layouts: Theirs.
        store: Called as SB3 stores a step: with actions, new observations, rewards, ends of episodes, and infos.
    """
    due = False
    turns = unwrap_vec_wrapper(env, TakesTurns)
    if turns:
        turn, turns.turn = turns.turn, lambda: due
    answer: tuple[Any, ...] = ()
    for index, (what, actions) in enumerate(_entries(record, layouts)):
        if index < recorded.n_entries:
            continue
        if what == "reset":
            env.reset()
        elif what == "store":
            recorded.note_stored(actions)
            store(actions, *answer)
        else:
            due = what == "turn"
            answer = env.step(actions)
    if turns:
        turns.turn = turn


def _entries(record: bytes, layouts: list[Layout]) -> Iterator[tuple[str, np.ndarray]]:
    sizes = [np.dtype(dtype).itemsize * int(np.prod(shape)) for _, dtype, shape in layouts]
    position = 0
    while position < len(record):
        number = record[position]
        what, dtype, shape = layouts[number]
        # A copy, for environments may write into their actions.
        actions = np.frombuffer(record, dtype, int(np.prod(shape)), position + 1).reshape(shape).copy()
        yield what, actions
        position += 1 + sizes[number]


def _bytes(observations: VecEnvObs) -> bytes:
    if isinstance(observations, dict):
        return b"".join(observations[key].tobytes() for key in sorted(observations))
    if isinstance(observations, tuple):
        return b"".join(each.tobytes() for each in observations)
    return observations.tobytes()
