"""Records what is done in a training's environments, and repeats it in new ones to bring them to the same state.

This works for every environment that gives the same results for the same seeds and actions; pickling does not. MuJoCo's
environments can be pickled without an error, but come back in their initial state. Box2D's depend on all episodes
before, in evaluations too.
"""

import hashlib
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import numpy as np
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, unwrap_vec_wrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from sidewinder.training.turns import TakesTurns

# A kind of entry: what was done, and the dtype and shape of its actions.
Layout = tuple[str, str, tuple[int, ...]]
_NO_ACTIONS = np.empty(0, np.int8)


class Tape:
    """Holds one entry for each thing that was done in the environments, in order.

    An entry is one byte, the number of its layout, followed by the bytes of its actions. Kinds of entries:

    - `reset`, `step`: training's environments were reset or stepped
    - `call`: a callback called a method of the environments or set an attribute. The pickled call is in place of
      actions
    - `store`: the agent stored the step in its replay buffer. Its actions are those in the buffer: rounding keeps them
      from being computed exactly from the environment's actions
    - `evaluate`, `hold`: an evaluation or the held-out episodes began
    - `act`: the agent acted in an evaluation or in the held-out episodes

    Attributes:
        layouts: Layouts of the entries so far; the position in the list is the layout's number.
        n_entries: Number of entries so far, taken ones included.
    """

    def __init__(self) -> None:
        self.layouts: list[Layout] = []
        self.n_entries = 0
        self._numbers: dict[Layout, bytes] = {}
        self._entries: list[bytes] = []
        self._answers = hashlib.blake2b(digest_size=16)

    def note(self, what: str, actions: np.ndarray = _NO_ACTIONS) -> None:
        """Add an entry."""
        layout = (what, actions.dtype.str, actions.shape)
        number = self._numbers.get(layout)
        if number is None:
            number = self._numbers[layout] = len(self.layouts).to_bytes()
            self.layouts.append(layout)
        self.n_entries += 1
        self._entries.append(number + actions.tobytes())

    def hear(self, answer: bytes) -> None:
        """Add what the environments returned, or the values of an evaluation, to the digest of `answers`."""
        self._answers.update(answer)

    def taken(self) -> bytes:
        """Return the entries since the last call, and remove them from the tape."""
        taken = b"".join(self._entries)
        self._entries.clear()
        return taken

    def answers(self) -> str:
        """Return a digest of all that was heard: observations, rewards, ends of episodes, and evaluations' values."""
        return self._answers.hexdigest()


class Recorded(VecEnvWrapper):
    """The outermost layer of training's environments. Notes on a tape what is done in them.

    Attributes:
        reached_into: Whether a callback got at the environments themselves. It can change them there without an entry
            on the tape.
    """

    def __init__(self, venv: VecEnv, tape: Tape) -> None:
        super().__init__(venv)
        self._tape = tape
        self._by_callbacks = False
        self.reached_into = False

    @contextmanager
    def by_callbacks(self) -> Iterator[None]:
        """While this context lasts, note method calls and set attributes too. Agents also make such calls, but theirs
        change nothing and are not noted."""
        self._by_callbacks = True
        try:
            yield
        finally:
            self._by_callbacks = False

    def env_method(self, method_name: str, *arguments: Any, indices: VecEnvIndices = None, **options: Any) -> list[Any]:
        if self._by_callbacks:
            self._note_call("env_method", method_name, *arguments, indices=indices, **options)
        return self.venv.env_method(method_name, *arguments, indices=indices, **options)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        if self._by_callbacks:
            self._note_call("set_attr", attr_name, value, indices)
        self.venv.set_attr(attr_name, value, indices)

    def getattr_recursive(self, name: str) -> Any:
        self.reached_into |= self._by_callbacks and name in ("envs", "unwrapped", "remotes")
        return super().getattr_recursive(name)

    def call_again(self, call: np.ndarray) -> None:
        """Repeat the call of a `call` entry, and note it with the same bytes."""
        self._tape.note("call", call)
        name, arguments, options = pickle.loads(call.tobytes())
        getattr(self.venv, name)(*arguments, **options)

    def _note_call(self, name: str, *arguments: Any, **options: Any) -> None:
        call = cloudpickle.dumps((name, arguments, options))
        # Padded to a power of two, since each length is a layout. Unpickling ignores what follows a pickle's end.
        length = max(64, 1 << (len(call) - 1).bit_length())
        self._tape.note("call", np.frombuffer(call.ljust(length, b"\0"), np.uint8))

    def reset(self) -> VecEnvObs:
        observations = self.venv.reset()
        self._tape.note("reset")
        self._tape.hear(_bytes(observations))
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        # Noted before `step_wait`: an evaluation in the same environments (`TakesTurns`) runs inside that.
        self._tape.note("step", actions)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        self._tape.hear(_bytes(observations) + rewards.tobytes() + dones.tobytes())
        return observations, rewards, dones, infos


class Noting:
    """Acts as the agent does, and notes each action on the tape."""

    def __init__(self, agent: PolicyPredictor, tape: Tape) -> None:
        self._agent, self._tape = agent, tape

    def predict(self, *arguments: Any, **options: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        actions, state = self._agent.predict(*arguments, **options)
        self._tape.note("act", actions)
        return actions, state


class _Entries:
    """Reads the entries of a record in order. As an agent in evaluations, it acts as recorded."""

    def __init__(self, record: bytes, layouts: list[Layout]) -> None:
        self._record, self._layouts, self._position = record, layouts, 0
        self._counts = [int(np.prod(shape)) for _, _, shape in layouts]

    def next_is(self, *what: str) -> bool:
        """Whether there is another entry, and it is of one of these kinds, if any are given."""
        more = self._position < len(self._record)
        return more and (not what or self._layouts[self._record[self._position]][0] in what)

    def take(self) -> tuple[str, np.ndarray]:
        """Return the kind and the actions of the next entry."""
        number = self._record[self._position]
        what, dtype, shape = self._layouts[number]
        # A copy, since environments may write into their actions.
        actions = np.frombuffer(self._record, dtype, self._counts[number], self._position + 1).reshape(shape).copy()
        self._position += 1 + actions.nbytes
        return what, actions

    def predict(self, *_arguments: Any, **_options: Any) -> tuple[np.ndarray, None]:
        if not self.next_is("act"):
            raise ValueError("an evaluation's episode goes on where its record ends")
        return self.take()[1], None


def repeat(
    tape: Tape,
    env: VecEnv,
    record: bytes,
    layouts: list[Layout],
    store: Callable[..., None],
    evaluate: Callable[[str, PolicyPredictor], object],
) -> None:
    """Repeat in new environments what a record says.

    The first entries are skipped: as many as the tape has already, since this process has done these itself.

    Args:
        tape: The tape of the new environments, on which the repeated entries are noted again.
        env: Training's environments, with the wrappers that the agent has put around them.
        record: Bytes of the entries, in order.
        layouts: Layouts of the entries, by number.
        store: Stores a step as SB3 does. Called with actions, new observations, rewards, ends of episodes, and infos.
        evaluate: Runs episodes. Called with `evaluate` or `hold`, and with the agent that acts.
    """
    entries = _Entries(record, layouts)
    for _ in range(tape.n_entries):
        entries.take()

    def evaluations() -> bool:
        due = entries.next_is("evaluate", "hold")
        while entries.next_is("evaluate", "hold"):
            evaluate(entries.take()[0], entries)
        return due

    turns = unwrap_vec_wrapper(env, TakesTurns)
    if turns:
        turn, turns.turn = turns.turn, evaluations
    answer: tuple[Any, ...] = ()
    while entries.next_is():
        if evaluations():
            continue
        what, actions = entries.take()
        if what == "reset":
            env.reset()
        elif what == "call":
            recorded = unwrap_vec_wrapper(env, Recorded)
            assert isinstance(recorded, Recorded)
            recorded.call_again(actions)
        elif what == "store":
            tape.note("store", actions)
            store(actions, *answer)
        else:
            answer = env.step(actions)
    if turns:
        turns.turn = turn


def _bytes(observations: VecEnvObs) -> bytes:
    if isinstance(observations, dict):
        return b"".join(observations[key].tobytes() for key in sorted(observations))
    if isinstance(observations, tuple):
        return b"".join(each.tobytes() for each in observations)
    return observations.tobytes()
