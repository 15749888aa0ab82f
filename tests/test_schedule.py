"""The schedules as pure functions: the same views for whoever asks, whenever, and always somebody who can go on."""

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
    # Two workers: trial 0 from 0 to 5, 1 from 0 to 2, 2 from 2 to 3, 3 from 3 to 9, 4 from 5.
    amounts = [5, 2, 1, 6]
    assert [virtual_view(amounts[:number], 2) for number in range(5)] == [[], [], [1], [1, 2], [0, 1, 2]]
    # As many workers as trials: nothing has ended when the last one starts; one worker: everything.
    assert virtual_view(amounts, 5) == []
    assert virtual_view(amounts, 1) == [0, 1, 2, 3]
    # Where all do the same work, it is the window's view.
    assert virtual_view([3] * 20, 4) == list(window_view(20, 4))


def test_what_still_runs_is_in_the_view_where_it_may_change_it() -> None:
    # Trial 0 runs, and may end after 3 or later; the other worker is free at 2, 3, 4.
    assert virtual_view([3, 2], 2) == [1]
    assert 0 in virtual_view([3, 3], 2)
    assert 0 in virtual_view([3, 4], 2)
    assert 0 in virtual_view([4, 4], 2)
    # When it has gone on past 4, it is known not to matter.
    assert virtual_view([5, 4], 2) == [1]


class Replay:
    """A study of trials that may be pruned at each step, run by so many real workers with a speed of their own."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.n_trials = 30
        self.workers, self.cores = self.random.randint(1, 6), self.random.randint(1, 8)
        self.amounts = [self.random.choice([1, 2, 3, 5, 10]) for _ in range(self.n_trials)]
        self.done: dict[int, int] = {}

    def work(self, number: int) -> int:
        """What is known of a trial from outside: its work, or while it runs its next possible end."""
        return self.done.get(number, 0) + (0 if self.ended(number) else 1)

    def ended(self, number: int) -> bool:
        return self.done.get(number, 0) == self.amounts[number]

    def run(self) -> list[list[int]]:
        """The views of all trials, each asked for by a job that has started and holds a core until it has trained."""
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
    """More and fewer real workers than virtual ones, each as fast as it likes."""
    replay = Replay(seed)
    found = replay.run()
    assert found == [virtual_view(replay.amounts[:number], replay.workers) for number in range(replay.n_trials)]
