"""Torch's compiler stays out of a training, and is there for whoever wants it."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
START = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
import torch
from sidewinder.training import run as training
parameter = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.Adam([parameter])
parameter.sum().backward()
optimizer.step()
optimizer.zero_grad()
assert 0.99 < float(parameter.detach()[0]) < 1
assert "sympy" not in sys.modules
assert not any(name.startswith("torch._dynamo.") for name in sys.modules)
"""


@pytest.mark.parametrize(
    "use",
    [
        "assert torch.compile(lambda x: x + 1, backend='eager')(parameter).tolist()[0] > 1.9",
        "import torch._dynamo.config",
        "torch.use_deterministic_algorithms(True)",
        "assert torch._dynamo.is_compiling() is False",
    ],
)
def test_the_compiler_waits_until_it_is_wanted(use: str) -> None:
    more = "assert 'torch._dynamo.convert_frame' in sys.modules"
    command = [sys.executable, "-c", f"{START}\n{use}\n{more}\noptimizer.step()"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
