"""Jobs and Snakemake are separate processes. Modules import only what they need: each large package costs a second."""

import subprocess
import sys

import pytest
from tiny_study import REPOSITORY

LARGE = ("hydra", "numpy", "optuna", "pandas", "scipy.stats", "sqlalchemy", "torch")
# The large packages that each module may import.
NEEDED = {
    # None: its training may be in the store already.
    "sidewinder.confirmation.trainings": (),
    "sidewinder.config.rule_settings": (),
    "sidewinder.confirmation.candidates": (),
    "sidewinder.planning": ("hydra", "numpy", "optuna"),
    "sidewinder.confirmation.statistics": ("numpy", "pandas"),
    "sidewinder.trials.tables": ("numpy", "pandas"),
    "sidewinder.study.failures": (),
}


@pytest.mark.parametrize("module", NEEDED)
def test_a_module_loads_what_it_needs_alone(module: str) -> None:
    script = (
        f"import sys; sys.path.insert(0, 'scripts'); import {module}; print(*sorted(sys.modules.keys() & {set(LARGE)}))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert tuple(done.stdout.split()) == NEEDED[module]
