"""Makes torch's square roots independent of the processor's maker.

On x86-64 torch uses MKL's vector library for them. That starts from the processor's approximate reciprocal square root,
which differs between makers, and one root in five is not correctly rounded. No setting of MKL turns this off. A2C's
optimizer, gSDE and CrossQ take such roots of tensors. The roots that Adam takes are exact already.
"""

import torch


def exact_square_roots() -> None:
    """Replace `torch.sqrt`, `Tensor.sqrt` and `Tensor.sqrt_` in this process by functions that round correctly."""
    torch.sqrt = _sqrt
    torch.Tensor.sqrt = _sqrt  # type: ignore[assignment]
    torch.Tensor.sqrt_ = _sqrt_in_place  # type: ignore[assignment]


_torch_sqrt, _torch_sqrt_in_place = torch.sqrt, torch.Tensor.sqrt_


def _sqrt(input: torch.Tensor, *, out: torch.Tensor | None = None) -> torch.Tensor:
    if out is not None:
        return out.copy_(_sqrt(input))
    if input.dtype != torch.float32 or input.device.type != "cpu":
        return _torch_sqrt(input)
    # In double precision only the last bits may differ, and rounding to single precision removes them.
    return _torch_sqrt(input.double()).float()


def _sqrt_in_place(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
        return _torch_sqrt_in_place(tensor)
    return tensor.copy_(_sqrt(tensor))
