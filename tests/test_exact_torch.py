"""Square roots of `training.instruction_set: compatible`."""

import subprocess
import sys

CHECK = """
from sidewinder.determinism import pin

pin("compatible", 1)
import numpy as np
import torch

from sidewinder.training.exact_torch import exact_square_roots

torch.set_num_threads(1)
x = torch.rand(10000, generator=torch.Generator().manual_seed(0)) + 0.01
exact = torch.from_numpy(np.sqrt(x.numpy()))
# Where torch's own are exact, this test cannot fail: then the module can go.
assert not torch.equal(x.sqrt(), exact)
exact_square_roots()
for n in (1, 7, 10000):
    assert torch.equal(torch.sqrt(x[:n]), exact[:n])
    assert torch.equal(x[:n].sqrt(), exact[:n])
    assert torch.equal(x[:n].clone().sqrt_(), exact[:n])
assert torch.equal(x[::2].sqrt(), exact[::2])
assert torch.equal(torch.sqrt(x, out=torch.empty(10000)), exact)
assert x.double().sqrt().dtype == torch.float64
y = torch.tensor([4.0, 0.25], requires_grad=True)
y.sqrt().sum().backward()
assert torch.equal(y.grad, torch.tensor([0.25, 1.0]))
"""


def test_square_roots_are_exact() -> None:
    subprocess.run([sys.executable, "-c", CHECK], check=True, env={"PYTHONPATH": ":".join(sys.path)})
