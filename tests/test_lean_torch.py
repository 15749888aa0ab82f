"""A training does not import torch's compiler, but code that uses the compiler still can."""

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
"""
TRAINED = """
parameter = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.Adam([parameter])
parameter.sum().backward()
optimizer.step()
optimizer.zero_grad()
assert 0.99 < float(parameter.detach()[0]) < 1
"""
STAYED_OUT = """
assert "sympy" not in sys.modules
assert not any(name.startswith("torch._dynamo.") for name in sys.modules)
"""
IMPORTED = "assert 'torch._dynamo.convert_frame' in sys.modules"


def run(*code: str) -> None:
    command = [sys.executable, "-c", "\n".join(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


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
    run(START, TRAINED, STAYED_OUT, use, IMPORTED, "optimizer.step()")


def test_torch_still_imports_it_by_itself() -> None:
    """If this fails, torch no longer imports its compiler by itself, and lean_torch.py can be deleted."""
    run("import sys, torch", "assert 'torch._dynamo' not in sys.modules", TRAINED, IMPORTED)


def test_torchs_own_take_what_the_stand_in_takes() -> None:
    run(
        START,
        "import inspect, torch._dynamo.config",
        "from sidewinder.training import lean_torch",
        "theirs = inspect.signature(torch._dynamo.disable).parameters",
        "ours = inspect.signature(lean_torch._disable).parameters",
        "assert torch._dynamo.disable is not lean_torch._disable",
        "assert [ours[name].kind for name in list(ours)[1:]] == [theirs[name].kind for name in list(ours)[1:]]",
        "assert not inspect.signature(torch._dynamo.graph_break).parameters.keys() - {'msg'}",
    )
