"""Makes torch take square roots that do not depend on the maker of the processor.

On x86-64 torch takes them by MKL's vector library. That starts from the processor's approximate reciprocal square root,
which differs between makers, and no setting of MKL turns it off: one root in five is not correctly rounded. A2C's
optimizer, gSDE and CrossQ take roots of tensors; Adam's are exact.
"""

import torch


def exact_square_roots() -> None:
    """Replace `torch.sqrt`, `Tensor.sqrt` and `Tensor.sqrt_` by such as round correctly, for this process."""
    torch.sqrt = _sqrt
    torch.Tensor.sqrt = _sqrt  # type: ignore[assignment]
    torch.Tensor.sqrt_ = _sqrt_in_place  # type: ignore[assignment]


_torch_sqrt, _torch_sqrt_in_place = torch.sqrt, torch.Tensor.sqrt_


def _sqrt(input: torch.Tensor, *, out: torch.Tensor | None = None) -> torch.Tensor:
    if out is not None:
        return out.copy_(_sqrt(input))
    if input.dtype != torch.float32 or input.device.type != "cpu":
        return _torch_sqrt(input)
    # Twice the precision: its last bits, which may differ, are rounded off.
    return _torch_sqrt(input.double()).float()


def _sqrt_in_place(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
        return _torch_sqrt_in_place(tensor)
    return tensor.copy_(_sqrt(tensor))
