"""Keeps torch's compiler out of processes that never compile: importing it takes about as long as the rest of torch.

Torch's optimizers ask `torch._dynamo` for two things, both without effect outside of `torch.compile`, and so import it
at their first step. Here they get these two alone; whatever else is asked of it imports it after all.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import torch

_NAME = "torch._dynamo"


def defer_compiler() -> None:
    """Put off the import of `torch._dynamo` until somebody compiles; of no effect if it is there already."""
    if _NAME not in sys.modules:
        stand_in = ModuleType(_NAME)
        # Also called for __path__, when one of its submodules is imported.
        vars(stand_in).update(disable=_disable, graph_break=lambda: None, __getattr__=_of_the_compiler)
        sys.modules[_NAME] = stand_in
        torch._dynamo = stand_in  # noqa: SLF001


def _disable(function: Callable[..., Any], recursive: bool = True, *, wrapping: bool = True) -> Callable[..., Any]:  # noqa: ARG001
    return function


def _of_the_compiler(name: str) -> Any:
    if sys.modules[_NAME].__dict__.get("disable") is _disable:
        del sys.modules[_NAME]
    return getattr(import_module(_NAME), name)
