"""The schedules as pure functions: views do not depend on who asks or when, and some trial can always continue."""

import random

import pytest

from sidewinder.study.schedule import awaited, virtual_view, window_view


@pytest.mark.parametrize("window", [1, 2, 3, 8])
def test_awaited_results_imply_the_whole_view(window: int) -> None:
    for number in range(40):
        assert list(window_view(number, window)) == [earlier for earlier in range(40) if earlier <= number - window]
        reached: set[int] = set()
        front = set(awaited(number, window))
        assert len(front) <= window
        while front:
            reached |= front
            front = {earlier for known in front for earlier in awaited(known, window)} - reached
        assert reached == set(window_view(number, window))


def test_a_virtual_view_by_hand() -> None:
    # Times with two workers: trial 0 from 0 to 5, 1 from 0 to 2, 2 from 2 to 3, 3 from 3 to 9, 4 from 5 on.
    amounts = [5, 2, 1, 6]
    assert [virtual_view(amounts[:number], 2) for number in range(5)] == [[], [], [1], [1, 2], [0, 1, 2]]
    # With as many workers as trials, none has ended when the last one starts. With one worker, all have.
    assert virtual_view(amounts, 5) == []
    assert virtual_view(amounts, 1) == [0, 1, 2, 3]
    # If all trials have the same work, the view equals that of the schedule `window`.
    assert virtual_view([3] * 20, 4) == list(window_view(20, 4))


def test_what_still_runs_is_in_the_view_where_it_may_change_it() -> None:
    # Trial 0 still runs and may end at 3 or later (in the last case 4). The other worker is free at 2, 3, 4, 4.
    assert virtual_view([3, 2], 2) == [1]
    assert 0 in virtual_view([3, 3], 2)
    assert 0 in virtual_view([3, 4], 2)
    assert 0 in virtual_view([4, 4], 2)
    # Once trial 0 has run past 4, it cannot be in the view.
    assert virtual_view([5, 4], 2) == [1]


class Replay:
    """A study whose trials may be pruned at each step, run on a random number of cores at random speeds."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.n_trials = 30
        self.workers, self.cores = self.random.randint(1, 6), self.random.randint(1, 8)
        self.amounts = [self.random.choice([1, 2, 3, 5, 10]) for _ in range(self.n_trials)]
        self.done: dict[int, int] = {}

    def work(self, number: int) -> int:
        """Return the known work of a trial: its whole work if it has ended, else its next possible end."""
        return self.done.get(number, 0) + (0 if self.ended(number) else 1)

    def ended(self, number: int) -> bool:
        return self.done.get(number, 0) == self.amounts[number]

    def run(self) -> list[list[int]]:
        """Return the views of all trials. A job asks for its view after its start, and holds a core until it ends."""
        views: dict[int, list[int]] = {}
        started: set[int] = set()
        numbers = range(self.n_trials)
        while not all(map(self.ended, numbers)):
            running = [number for number in started if not self.ended(number)]
            edges = (n for n in numbers if n not in started and all(map(self.ended, awaited(n, 2 * self.workers))))
            # Snakemake starts jobs in order of their priority.
            ready = next(edges, None) if len(running) < self.cores else None
            if ready is not None:
                started.add(ready)
                running.append(ready)
            for number in self.random.sample(running, len(running)):
                view = virtual_view([self.work(earlier) for earlier in range(number)], self.workers)
                if number not in views and all(map(self.ended, view)):
                    views[number] = view
            training = [number for number in running if number in views]
            assert training or ready is not None, "nobody can go on"
            if training:
                number = self.random.choice(training)
                done = self.done.get(number, 0) + self.random.randint(1, 3)
                self.done[number] = min(done, self.amounts[number])
        return [views[number] for number in numbers]


@pytest.mark.parametrize("seed", range(200))
def test_views_do_not_depend_on_timing(seed: int) -> None:
    """There are more or fewer real workers than virtual ones, at any speed."""
    replay = Replay(seed)
    found = replay.run()
    assert found == [virtual_view(replay.amounts[:number], replay.workers) for number in range(replay.n_trials)]
