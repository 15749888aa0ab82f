"""Disturbs a study a few times at random; `make chaos` does so a hundred times."""

from pathlib import Path

import pytest
from chaos import Chaos

pytestmark = pytest.mark.slow


def test_a_disturbed_study_ends_as_if_undisturbed(tmp_path: Path) -> None:
    chaos = Chaos(tmp_path, seed=11, say=print)
    for _ in range(2):
        for _ in range(3):
            chaos.disturb()
        assert chaos.check() == []
