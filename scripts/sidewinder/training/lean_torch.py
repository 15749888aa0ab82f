"""Keeps torch's compiler out of processes that never compile: importing it takes about as long as the rest of torch.

Torch's optimizers import `torch._dynamo` at their first step, for two of its functions, which have no effect outside
`torch.compile`. The stand-in here has only these two. Access to any other attribute imports the real module.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import torch

_NAME = "torch._dynamo"


def defer_compiler() -> None:
    """Put off the import of `torch._dynamo` until it is needed. Does nothing if it is imported already."""
    if _NAME not in sys.modules:
        stand_in = ModuleType(_NAME)
        # __getattr__ is also called for __path__, when a submodule is imported.
        vars(stand_in).update(disable=_disable, graph_break=lambda: None, __getattr__=_of_the_compiler)
        sys.modules[_NAME] = stand_in
        torch._dynamo = stand_in  # noqa: SLF001


def _disable(function: Callable[..., Any], recursive: bool = True, *, wrapping: bool = True) -> Callable[..., Any]:  # noqa: ARG001
    return function


def _of_the_compiler(name: str) -> Any:
    if sys.modules[_NAME].__dict__.get("disable") is _disable:
        del sys.modules[_NAME]
    return getattr(import_module(_NAME), name)
