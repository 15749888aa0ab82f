"""Each job is a process of its own, and so is Snakemake: none loads what it need not, which would cost it a second."""

import subprocess
import sys

import pytest
from tiny_study import REPOSITORY

LARGE = ("hydra", "numpy", "optuna", "pandas", "scipy.stats", "sqlalchemy", "torch")
# Of their imports, what they need in any case.
NEEDED = {
    # Whose training may be on file already.
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
